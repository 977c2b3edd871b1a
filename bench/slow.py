"""Slow: one client among 1,000 reads nothing. What do the others feel, and what does the server keep for it?"""

from bench.claims import Cell, Claim, within
from bench.crowd import Crowd, crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import HUBBUB, HUBBUB_NATIVE, PAYLOAD, SOCKETIO_NODE, WS, Peer
from bench.scenario import Figures, Scenario, measure

CLIENTS, WINDOW = 1_000, 4
LENGTH = 128
"""How many times 128 bytes a publication has: the slow client's socket is full, at some 4 MB, after 250."""

_WITHOUT, _WITH = "all read", "one of 1,000 reads nothing"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    payload = PAYLOAD * LENGTH
    figures = {}
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as everyone:
        everyone.grow(CLIENTS)
        size = everyone.probe(payload)
        load = FanOut(everyone, payload, size, WINDOW)
        figures[_WITHOUT] = measure(server, load, seconds)
        readers = Crowd(everyone.port, everyone.wire)
        readers.extend(everyone[:-1])
        load, before = FanOut(readers, payload, size, WINDOW), server.memory()
        figures[_WITH] = measure(server, load, seconds)
        figures[_WITH]["more"] = (server.memory() - before) / 1024
    return figures


OURS = (HUBBUB, HUBBUB_NATIVE)

SLOW = Scenario(
    name="slow",
    title="Fan-out of 16 KiB",
    unit="delivery",
    figure="cpu",
    peers=(*OURS, SOCKETIO_NODE, WS),
    measure=_measure,
    claims=[
        claim
        for peer in OURS
        for claim in (
            within(peer.name, _WITH, 1.2, than=_WITHOUT),
            Claim(f"{peer.name}, KiB more: {_WITH}", Cell(peer.name, _WITH, "more"), None, 4_096),
        )
    ],
)
