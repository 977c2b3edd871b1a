"""Topics: every client is in one, in ten, in a hundred. What does that cost, and what does a delivery in the last?"""

from bench.claims import within
from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX, PAYLOAD, SOCKETIO_NODE, Peer
from bench.scenario import Curve, Figures, Scenario, measure, weigh

CLIENTS = 1_000
COUNTS = (1, 10, 100)


def _name(topics: int) -> str:
    return f"{CLIENTS:,} clients, each in {topics:,} {'topic' if topics == 1 else 'topics'}"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    return {_name(topics): _join(peer, topics, seconds) for topics in COUNTS}


def _join(peer: Peer, topics: int, seconds: float) -> Figures:
    assert peer.rooms is not None
    wire = peer.rooms([f"room:{number:03}" for number in range(topics)])
    with Server(peer.start("fanout")) as server, crowd(server.port, wire) as clients:
        memory = weigh(server, clients, [wire] * CLIENTS)
        load = FanOut(clients, PAYLOAD, clients.probe(PAYLOAD), window=1)
        return measure(server, load, seconds) | memory


OURS = (HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX)
_POINTS = {_name(topics): topics for topics in COUNTS}

TOPICS = Scenario(
    name="topics",
    title="Fan-out of 128 bytes to clients in many topics",
    unit="delivery",
    figure="cpu",
    peers=(*OURS, SOCKETIO_NODE),
    measure=_measure,
    curves=[Curve(f"{CLIENTS:,} clients", "topics of each", figure, _POINTS) for figure in ("cpu", "memory")],
    claims=[within(peer.name, _name(100), 1.3, than=_name(1)) for peer in OURS],
)
