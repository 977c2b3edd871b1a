"""Scale: what a delivery costs as a topic grows, and when the same crowd is split over a hundred topics.

The window is 1: one publication, a write per client, then the next. What grows with the crowd is what a server pays
for many connections: longer lists, colder caches, more wake-ups.
"""

from bench.claims import within
from bench.crowd import Crowd, crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX, PAYLOAD, SOCKETIO_NODE, WS, Peer
from bench.scenario import Curve, Figures, Scenario, measure
from bench.wires import native, phoenix, socketio

SIZES = (10, 100, 1_000, 10_000)
ROOMS, MEMBERS = 100, 100

_TOPICS = {HUBBUB.name: socketio, HUBBUB_NATIVE.name: native, HUBBUB_PHOENIX.name: phoenix}


def _one(size: int) -> str:
    return f"one topic of {size:,}"


_SPLIT = f"{ROOMS} topics of {MEMBERS}"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    figures = {}
    with Server(peer.start("fanout")) as server:
        with crowd(server.port, peer.wire) as clients:
            for size in SIZES:
                clients.grow(size)
                load = FanOut(clients, PAYLOAD, clients.probe(PAYLOAD), window=1)
                figures[_one(size)] = measure(server, load.run, seconds)
                load.drain()
        if peer.name in _TOPICS:
            with crowd(server.port, peer.wire) as clients:
                figures[_SPLIT] = _split(server, peer, clients, seconds)
    return figures


def _split(server: Server, peer: Peer, clients: Crowd, seconds: float) -> Figures:
    """The first of each room speaks; a publication is done when every room has had its own."""
    speakers, sizes = [], set()
    for number in range(ROOMS):
        room = Crowd(server.port, _TOPICS[peer.name](f"room:{number:03}"))
        try:
            room.grow(MEMBERS)
        finally:
            clients.extend(room)
        sizes.add(room.probe(PAYLOAD))
        speakers.append(room[0])
    (size,) = sizes
    load = FanOut(clients, PAYLOAD, size, window=1, speakers=speakers)
    figures = measure(server, load.run, seconds)
    load.drain()
    return figures


OURS = (HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX)

SCALE = Scenario(
    name="scale",
    title="Fan-out of 128 bytes as the crowd grows",
    unit="delivery",
    figure="cpu",
    peers=(*OURS, SOCKETIO_NODE, WS),
    measure=_measure,
    curves=[Curve("one topic", "clients", "cpu", {_one(size): size for size in SIZES})],
    claims=[
        within(peer.name, case, most, than=than)
        for peer in OURS
        for case, than, most in ((_one(10_000), _one(100), 1.3), (_SPLIT, _one(10_000), 1.5))
    ],
)
