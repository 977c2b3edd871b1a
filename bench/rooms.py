"""Rooms: a crowd in one room, and split over more and more of them. What does a delivery cost, and what a connection?

The first of each room speaks, all of them at once; when every room has had its own they speak again. A topic of ours is
a namespace in Socket.IO; on Node it is a room, which is what its users take.
"""

from bench.claims import within
from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import BUN_PUBLISH, HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX, PAYLOAD, SOCKETIO_NODE, Peer
from bench.scenario import Curve, Figures, Scenario, measure, weigh

CLIENTS = 10_000
COUNTS = (1, 100, 1_000, 10_000)


def _name(rooms: int) -> str:
    return f"{rooms:,} {'room' if rooms == 1 else 'rooms'} of {CLIENTS // rooms:,}"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    return {_name(rooms): _split(peer, rooms, seconds) for rooms in COUNTS}


def _split(peer: Peer, rooms: int, seconds: float) -> Figures:
    assert peer.rooms is not None
    members = CLIENTS // rooms
    wires = [wire for number in range(rooms) for wire in [peer.rooms([f"room:{number:04}"])] * members]
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        memory = weigh(server, clients, wires)
        speakers = clients[::members]
        load = FanOut(clients, PAYLOAD, clients.probe(PAYLOAD, speakers), window=1, speakers=speakers)
        return measure(server, load, seconds) | memory


OURS = (HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX)
_POINTS = {_name(rooms): rooms for rooms in COUNTS}

ROOMS = Scenario(
    name="rooms",
    title=f"Fan-out of 128 bytes to {CLIENTS:,} clients in so many rooms",
    unit="delivery",
    figure="cpu",
    peers=(*OURS, SOCKETIO_NODE, BUN_PUBLISH),
    measure=_measure,
    curves=[Curve(f"{CLIENTS:,} clients", "rooms", figure, _POINTS) for figure in ("cpu", "memory")],
    claims=[within(peer.name, _name(100), 1.5, than=_name(1)) for peer in OURS],
)
