"""Idle: what a connection costs that says nothing - and one that might have been compressed, which nobody has used."""

import dataclasses
import time

from bench.claims import Cell, Claim
from bench.crowd import crowd
from bench.processes import Server
from bench.roster import HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX, PEERS, SENDS, Peer
from bench.scenario import Figures, Scenario
from bench.wires import Wire

FIRST, ALL = 200, 10_000
"""The first clients make a server load and compile what it needs; what the rest add is what counts."""

SETTLE = 1.0
"""Seconds for a server to drop what it only needed for the handshakes."""

_PLAIN, _DEFLATE = f"{ALL:,} connections", f"{ALL:,} connections, deflate offered"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    return {
        _PLAIN: {"memory": _memory(peer, peer.wire)},
        _DEFLATE: {"memory": _memory(peer, dataclasses.replace(peer.wire, deflate=True))},
    }


def _memory(peer: Peer, wire: Wire) -> float:
    with Server(peer.start("fanout")) as server, crowd(server.port, wire) as clients:
        clients.grow(FIRST)
        time.sleep(SETTLE)
        before = server.memory()
        clients.grow(ALL)
        time.sleep(SETTLE)
        return (server.memory() - before) / (ALL - FIRST) / 1024


IDLE = Scenario(
    name="idle",
    title="Resident memory of an idle connection",
    unit="connection",
    figure="memory",
    peers=[peer for peer in PEERS if peer is not SENDS],  # all of its memory is in the kernel
    measure=_measure,
    claims=[
        Claim(f"{peer.name}, KiB: {case}", Cell(peer.name, case, "memory"), None, most + more)
        for peer, most in ((HUBBUB_NATIVE, 8), (HUBBUB, 10), (HUBBUB_PHOENIX, 10))
        for case, more in ((_PLAIN, 0), (_DEFLATE, 1))
    ],
)
