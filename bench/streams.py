"""Streams: fan-out by server-sent events. Somebody posts, everyone else listens.

The window is 1: in a wider one several events leave in one chunk, whose size is no multiple of one's.
"""

from bench.claims import versus
from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import EVENTS_SSE, HUBBUB_ASGI_EVENTS, HUBBUB_EVENTS, PAYLOAD, SPEAK_EVENTS, Peer
from bench.scenario import Figures, Scenario, measure
from bench.wires import POSTS

CLIENTS = 1_000
_CASE = f"{CLIENTS:,} clients that listen, window 1"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with Server(peer.start("fanout")) as server, crowd(server.port, POSTS) as clients:
        clients.grow(1)
        clients.admit([peer.wire] * CLIENTS)
        load = FanOut(clients, PAYLOAD, clients.probe_mixed(PAYLOAD), window=1)
        return {_CASE: measure(server, load, seconds)}


STREAMS = Scenario(
    name="streams",
    title="Fan-out of 128 bytes by server-sent events",
    unit="delivery",
    figure="cpu",
    peers=(HUBBUB_EVENTS, HUBBUB_ASGI_EVENTS, *SPEAK_EVENTS),
    measure=_measure,
    claims=[versus(HUBBUB_EVENTS.name, EVENTS_SSE.name, _CASE, 1.0)],
)
