"""Polling: fan-out to those whom no WebSocket reaches. A delivery is a request that waited, and its response.

One client speaks, by a WebSocket; all others poll, each on a connection that stays. The window is 1: in a wider one a
response holds as many messages as happened to be there. With us and with python-socketio
HTTP is uvicorn's; Node's is its own, in C++.
"""

from bench.claims import versus
from bench.crowd import crowd
from bench.load import Polls
from bench.processes import Server
from bench.roster import HUBBUB, HUBBUB_ASGI, PAYLOAD, PYTHON_SOCKETIO, SPEAK_SOCKETIO, Peer
from bench.scenario import Figures, Scenario, measure
from bench.wires import SOCKETIO_POLLING

CLIENTS = 1_000
_CASE = f"{CLIENTS:,} clients that poll, window 1"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        clients.grow(1)
        clients.admit([SOCKETIO_POLLING] * CLIENTS)
        load = Polls(clients, PAYLOAD, clients.probe_mixed(PAYLOAD))
        return {_CASE: measure(server, load, seconds)}


POLLING = Scenario(
    name="polling",
    title="Fan-out of 128 bytes to Socket.IO clients that poll",
    unit="delivery",
    figure="cpu",
    peers=(HUBBUB, HUBBUB_ASGI, *SPEAK_SOCKETIO),
    measure=_measure,
    claims=[versus(HUBBUB.name, PYTHON_SOCKETIO.name, _CASE, 1.0)],
)
