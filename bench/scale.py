"""Scale: what a delivery costs as a topic grows, of 128 bytes and of 4 KiB.

In a window of 1 it is one publication, a write per client, then the next. What grows with the crowd is what a server
pays for many connections: longer lists and colder caches, its own and, for the most part, the kernel's: see the C
program. In a window of 32 publications come together, as they do in a busy place.
"""

from bench.claims import within
from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import (
    BUN_PUBLISH,
    FLOORS,
    HUBBUB,
    HUBBUB_NATIVE,
    HUBBUB_PHOENIX,
    PAYLOAD,
    PYTHON_SOCKETIO,
    SOCKETIO_NODE,
    WS,
    Peer,
)
from bench.scenario import Curve, Figures, Scenario, measure

SIZES = (10, 100, 1_000, 10_000)
CASES = ((1, 1), (1, 32), (32, 1))
"""Publications on their way at once, and how many times 128 bytes each has."""


def _name(size: int, window: int = 1, length: int = 1) -> str:
    together = f", window {window}" if window > 1 else ""
    return f"one topic of {size:,}{together}" + (f", {len(PAYLOAD) * length:,} bytes" if length > 1 else "")


def _title(window: int, length: int) -> str:
    return f"{len(PAYLOAD) * length:,} bytes" + (f", window {window}" if window > 1 else "")


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    figures = {}
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        for size in SIZES:
            clients.grow(size)
            for window, length in CASES:
                if peer in FLOORS and length > 1:
                    continue  # it was started with the size of its messages
                payload = PAYLOAD * length
                load = FanOut(clients, payload, clients.probe(payload), window)
                figures[_name(size, window, length)] = measure(server, load, seconds)
    return figures


OURS = (HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX)

SCALE = Scenario(
    name="scale",
    title="Fan-out as the crowd grows",
    unit="delivery",
    figure="cpu",
    peers=(*OURS, SOCKETIO_NODE, PYTHON_SOCKETIO, WS, BUN_PUBLISH, *FLOORS),
    measure=_measure,
    curves=[Curve(_title(*case), "clients", "cpu", {_name(size, *case): size for size in SIZES}) for case in CASES],
    claims=[
        within(peer.name, _name(10_000, window), 1.3, than=_name(100, window)) for window in (1, 32) for peer in OURS
    ],
)
