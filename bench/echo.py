"""Echo: a few clients send, and each message is answered - by an acknowledgement, where the wire has such."""

from bench.claims import versus
from bench.crowd import crowd
from bench.load import Echo
from bench.processes import Server
from bench.roster import (
    HUBBUB,
    HUBBUB_COMPILED,
    HUBBUB_NATIVE,
    HUBBUB_NATIVE_COMPILED,
    PAYLOAD,
    PEERS,
    PYTHON_SOCKETIO,
    SOCKETIO_NODE,
    WS,
    Peer,
)
from bench.scenario import Figures, Scenario, measure
from bench.wires import FIRST_NUMBER

CLIENTS = 8
DEPTHS = (1, 32)
"""Messages of one client on their way at once."""


def _name(depth: int) -> str:
    return f"{CLIENTS} clients, {depth} in flight"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    figures = {}
    with Server(peer.start("echo")) as server, crowd(server.port, peer.wire) as clients:
        clients.grow(CLIENTS)
        for depth in DEPTHS:
            load = Echo(clients, PAYLOAD, clients.probe_echo(PAYLOAD, FIRST_NUMBER), depth)
            figures[_name(depth)] = measure(server, load, seconds)
    return figures


ECHO = Scenario(
    name="echo",
    title="Echo of 128 bytes",
    unit="message",
    figure="cpu",
    peers=PEERS,
    measure=_measure,
    claims=[
        versus(ours.name, theirs.name, _name(depth), most)
        for ours, theirs, most in (
            (HUBBUB, SOCKETIO_NODE, 0.7),
            (HUBBUB_COMPILED, SOCKETIO_NODE, 0.7),
            (HUBBUB, PYTHON_SOCKETIO, 1 / 3),
            (HUBBUB_NATIVE, WS, 1.0),
            (HUBBUB_NATIVE_COMPILED, WS, 1.0),
        )
        for depth in DEPTHS
    ],
)
