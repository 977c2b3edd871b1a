"""Fan-out: one client publishes, everyone in the topic gets it.

With a window of 1 a publication is let go when the one before has reached everybody: no server can join frames, and
what is left is the price of a write per client. With a wider window publications come together, as they do in a busy
place, and a server that joins what goes to one socket may show it.
"""

from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import HUBBUB, PAYLOAD, PEERS, SOCKETIO_NODE, Peer
from bench.scenario import Figures, Scenario, measure

CASES = ((10, 32), (100, 32), (1_000, 1), (1_000, 4), (1_000, 32))
"""Clients, and publications on their way at once. The crowd only grows."""


def _name(size: int, window: int) -> str:
    return f"{size:,} clients, window {window}"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    figures = {}
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        for size, window in CASES:
            clients.grow(size)
            load = FanOut(clients, PAYLOAD, clients.probe(PAYLOAD), window)
            figures[_name(size, window)] = measure(server, load.run, seconds)
            load.drain()
    return figures


FANOUT = Scenario(
    name="fanout",
    title="Fan-out of 128 bytes",
    unit="delivery",
    figure="cpu",
    peers=PEERS,
    measure=_measure,
    floors={(HUBBUB.name, SOCKETIO_NODE.name, _name(size, window)): 0.5 for size, window in CASES if size == 1_000},
)
