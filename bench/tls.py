"""TLS: what WSS adds to a delivery and to a connection.

The generator does not decrypt either: it counts records. In a window of 1 each delivery is one.
"""

from bench.claims import versus
from bench.client import TLS_RECORD
from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import HUBBUB, PAYLOAD, PYTHON_SOCKETIO, SOCKETIO_NODE, Peer
from bench.scenario import Figures, Scenario, measure, weigh

CLIENTS = 1_000
_CASE = f"{CLIENTS:,} clients, window 1, TLS 1.3"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        memory = weigh(server, clients, [peer.wire] * CLIENTS)
        load = FanOut(clients, PAYLOAD, clients.probe(PAYLOAD) + TLS_RECORD, window=1)
        return {_CASE: measure(server, load, seconds) | memory}


TLS = Scenario(
    name="tls",
    title="Fan-out of 128 bytes through TLS",
    unit="delivery",
    figure="cpu",
    peers=[peer.over_tls() for peer in (HUBBUB, SOCKETIO_NODE, PYTHON_SOCKETIO)],
    measure=_measure,
    claims=[versus(HUBBUB.name, SOCKETIO_NODE.name, _CASE, 1.0), versus(HUBBUB.name, PYTHON_SOCKETIO.name, _CASE, 0.5)],
)
