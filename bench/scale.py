"""Scale: what a delivery costs as a topic grows, of 128 bytes and of 4 KiB.

The window is 1: one publication, a write per client, then the next. What grows with the crowd is what a server pays
for many connections: longer lists, colder caches, more wake-ups.
"""

from bench.claims import within
from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import (
    BUN_PUBLISH,
    HUBBUB,
    HUBBUB_NATIVE,
    HUBBUB_PHOENIX,
    PAYLOAD,
    PYTHON_SOCKETIO,
    SENDS,
    SOCKETIO_NODE,
    WS,
    Peer,
)
from bench.scenario import Curve, Figures, Scenario, measure

SIZES = (10, 100, 1_000, 10_000)
LENGTHS = (1, 32)
"""How many times 128 bytes a publication has."""


def _name(size: int, length: int = 1) -> str:
    return f"one topic of {size:,}" + (f", {len(PAYLOAD) * length:,} bytes" if length > 1 else "")


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    figures = {}
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        for size in SIZES:
            clients.grow(size)
            for length in LENGTHS[:1] if peer is SENDS else LENGTHS:  # it was started with the size of its messages
                payload = PAYLOAD * length
                load = FanOut(clients, payload, clients.probe(payload), window=1)
                figures[_name(size, length)] = measure(server, load, seconds)
    return figures


OURS = (HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX)

SCALE = Scenario(
    name="scale",
    title="Fan-out as the crowd grows",
    unit="delivery",
    figure="cpu",
    peers=(*OURS, SOCKETIO_NODE, PYTHON_SOCKETIO, WS, BUN_PUBLISH, SENDS),
    measure=_measure,
    curves=[
        Curve(f"{len(PAYLOAD) * length:,} bytes", "clients", "cpu", {_name(size, length): size for size in SIZES})
        for length in LENGTHS
    ],
    claims=[within(peer.name, _name(10_000), 1.3, than=_name(100)) for peer in OURS],
)
