"""Idle: what a connection costs that says nothing."""

import time

from bench.crowd import crowd
from bench.processes import Server
from bench.roster import PEERS, SENDS, Peer
from bench.scenario import Figures, Scenario

FIRST, ALL = 200, 2_000
"""The first clients make a server load and compile what it needs; what the rest add is what counts."""

SETTLE = 1.0
"""Seconds for a server to drop what it only needed for the handshakes."""


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        clients.grow(FIRST)
        time.sleep(SETTLE)
        before = server.memory()
        clients.grow(ALL)
        time.sleep(SETTLE)
        memory = (server.memory() - before) / (ALL - FIRST) / 1024
    return {f"{ALL:,} connections": {"memory": memory}}


IDLE = Scenario(
    name="idle",
    title="Resident memory of an idle connection",
    unit="connection",
    figure="memory",
    peers=[peer for peer in PEERS if peer is not SENDS],  # all of its memory is in the kernel
    measure=_measure,
)
