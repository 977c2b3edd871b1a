"""TLS: what WSS adds to a delivery and to a connection.

The generator does not decrypt either: it counts records. In a window of 1 each delivery is one.
"""

import dataclasses
import time

from bench.claims import versus
from bench.crowd import TLS_RECORD, crowd
from bench.install import CERTIFICATE
from bench.load import FanOut
from bench.processes import Server
from bench.roster import HUBBUB, HUBBUB_RUN, PAYLOAD, PYTHON_SOCKETIO, SOCKETIO_NODE, Peer
from bench.scenario import Figures, Scenario, measure
from bench.wires import SOCKETIO

FIRST, CLIENTS = 100, 1_000
_CASE = f"{CLIENTS:,} clients, window 1, TLS 1.3"

_WIRE = dataclasses.replace(SOCKETIO, tls=True)
_OURS = Peer(HUBBUB.name, _WIRE, (*HUBBUB_RUN, "--ssl-certfile", CERTIFICATE), ("certificate",))
_NODE = Peer(SOCKETIO_NODE.name, _WIRE, (*SOCKETIO_NODE.command, CERTIFICATE), ("certificate", "node"))
_PYTHON = Peer(
    PYTHON_SOCKETIO.name,
    _WIRE,
    (*PYTHON_SOCKETIO.command, "--ssl-certfile", CERTIFICATE),
    ("certificate", "python"),
)


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        clients.grow(FIRST)
        time.sleep(1.0)
        before = server.memory()
        clients.grow(CLIENTS)
        time.sleep(1.0)
        memory = (server.memory() - before) / (CLIENTS - FIRST) / 1024
        load = FanOut(clients, PAYLOAD, clients.probe(PAYLOAD) + TLS_RECORD, window=1)
        figures = measure(server, load.run, seconds)
        load.drain()
    return {_CASE: figures | {"memory": memory}}


TLS = Scenario(
    name="tls",
    title="Fan-out of 128 bytes through TLS",
    unit="delivery",
    figure="cpu",
    peers=(_OURS, _NODE, _PYTHON),
    measure=_measure,
    claims=[versus(HUBBUB.name, SOCKETIO_NODE.name, _CASE, 1.0), versus(HUBBUB.name, PYTHON_SOCKETIO.name, _CASE, 0.5)],
)
