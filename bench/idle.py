"""Idle: what a connection costs that says nothing, as they become more - and one that might have been compressed, which
nobody has used, and one that is encrypted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.claims import Cell, Claim
from bench.crowd import crowd
from bench.processes import Server
from bench.roster import HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX, SERVERS, SOCKETIO_NODE, Peer
from bench.scenario import FIRST, Curve, Figures, Scenario, settled

ALL = 10_000
SIZES = (1_000, 3_000, ALL)

DEFLATE, ENCRYPTED = ", deflate offered", ", TLS"

OURS = (HUBBUB_NATIVE, HUBBUB, HUBBUB_PHOENIX)


def _name(size: int, how: str = "") -> str:
    return f"{size:,} connections{how}"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    figures = dict(_memory(peer, SIZES))
    others = [(DEFLATE, replace(peer, wire=replace(peer.wire, deflate=True)))]
    if peer in (*OURS, SOCKETIO_NODE):
        others.append((ENCRYPTED, peer.over_tls()))
    for how, other in others:
        for case, found in _memory(other, [ALL], how):
            figures[case] = found | {"more": found["memory"] - figures[_name(ALL)]["memory"]}
    return figures


def _memory(peer: Peer, sizes: Sequence[int], how: str = "") -> Iterator[tuple[str, Figures]]:
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        clients.grow(FIRST)
        before = settled(server)
        for size in sizes:
            clients.grow(size)
            memory = settled(server)
            each = (memory - before) / (size - FIRST) / 1024
            yield _name(size, how), {"memory": each, "resident": memory / (1 << 20)}


IDLE = Scenario(
    name="idle",
    title="Resident memory of an idle connection",
    unit="connection",
    figure="memory",
    peers=SERVERS,
    measure=_measure,
    curves=[Curve("more and more connections", "connections", "memory", {_name(size): size for size in SIZES})],
    claims=[
        *(
            Claim(f"{peer.name}, KiB: {_name(ALL)}", Cell(peer.name, _name(ALL), "memory"), None, most)
            for peer, most in ((HUBBUB_NATIVE, 8), (HUBBUB, 10), (HUBBUB_PHOENIX, 10))
        ),
        *(
            Claim(f"{peer.name}, KiB more: {case}", Cell(peer.name, case, "more"), None, 1)
            for peer in OURS
            for case in (_name(ALL, DEFLATE),)
        ),
    ],
)
