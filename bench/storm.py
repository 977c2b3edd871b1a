"""Storm: 10,000 clients come back at once, each for what it missed, while others go on talking.

The crowd is in a topic with a history, and is cut off without a word. Ten publications later all of it comes back, a
few hundred on their way at any time, with the position it had, and must be told all ten. Meanwhile a hundred others
publish in another topic: how long that takes is what they feel of the storm.

On Node this is Socket.IO's recovery of connection states, which it keeps in memory, as we do here.
"""

import json
import sys
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from bench.claims import Cell, Claim
from bench.crowd import Crowd, crowd
from bench.processes import Server
from bench.roster import HUBBUB_NATIVE, PAYLOAD, SOCKETIO_NODE, Peer, socketio_rooms
from bench.scenario import Figures, Scenario, account, percentiles, settled, shares
from bench.wires import SOCKETIO, Wire, native

CLIENTS, OTHERS = 10_000, 100
MISSED = 10
AT_ONCE = 512
"""Clients on their way at any time."""

PAUSE = 0.02
"""Seconds between two publications of the others."""

_CASE = f"{CLIENTS:,} clients resume"


@dataclass(frozen=True)
class Way:
    """How a peer's clients are together, and how one comes back that was greeted so and heard this last."""

    crowd: Wire
    others: Wire
    back: Callable[[str, str], Wire]


def _native_back(greeting: str, heard: str) -> Wire:
    """First the reply to the join, then what was missed."""
    wire = native(["kept:storm"], after=json.loads(heard)["position"])
    return replace(wire, greeting=(*wire.greeting, *_missed(heard)))


def _socketio_back(greeting: str, heard: str) -> Wire:
    """Node tells what was missed before it says that one is in."""
    state, offset = json.loads(greeting.removeprefix("40"))["pid"], json.loads(heard.removeprefix("42"))[-1]
    opened, (connect, connected) = socketio_rooms(["storm"], pid=state, offset=offset).greeting
    first, *rest = _missed(heard)
    return replace(SOCKETIO, greeting=(opened, (connect, first[1]), *rest, (None, connected)))


def _missed(heard: str) -> list[tuple[None, str]]:
    """Messages like this one, of which we ask for none."""
    return [(None, heard[: heard.index(PAYLOAD) + len(PAYLOAD)])] * MISSED


_WAYS = {
    HUBBUB_NATIVE: Way(native(["kept:storm"]), native(["room:others"]), _native_back),
    SOCKETIO_NODE: Way(socketio_rooms(["storm"]), socketio_rooms(["others"]), _socketio_back),
}


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    way = _WAYS[peer]
    with (
        Server(peer.start("fanout"), {"RECOVERY": "1"}) as server,
        crowd(server.port, way.crowd) as author,
        crowd(server.port, way.others) as others,
    ):
        author.grow(1)
        others.grow(OTHERS)
        wires = _cut_off(server, author, way)
        with account(server) as done, _Talk(others) as talk, crowd(server.port, way.crowd) as back:
            began = time.perf_counter()
            back.admit(wires, AT_ONCE)
            span = time.perf_counter() - began
    return {
        _CASE: {
            "cpu": done.used / CLIENTS * 1e6,
            "rate": CLIENTS / span,
            "span": span,
            **percentiles(talk.latencies),
            **shares([done]),
        }
    }


def _cut_off(server: Server, author: Crowd, way: Way) -> list[Wire]:
    """The wires by which they will come back."""
    with crowd(server.port, way.crowd) as clients:
        clients.grow(CLIENTS)
        author[0].say(way.crowd.publish(PAYLOAD))
        author[0].hear(0)
        wires = [way.back(client.greeting, client.hear(0)[0]) for client in clients]
    settled(server)
    for _ in range(MISSED):
        author[0].say(way.crowd.publish(PAYLOAD))
        author[0].hear(0)
    return wires


class _Talk:
    """The others, who go on talking in a thread of their own."""

    def __init__(self, others: Crowd) -> None:
        self.latencies = array("d")
        self._others = others
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        sys.setswitchinterval(0.000_5)  # the storm is made by the thread beside this one
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        frame = self._others.wire.publish(PAYLOAD)
        while not self._over.wait(PAUSE):
            began = time.perf_counter()
            self._others[0].say(frame)
            for client in self._others:
                client.hear(0)
            self.latencies.append(time.perf_counter() - began)


STORM = Scenario(
    name="storm",
    title="A storm of clients that resume",
    unit="client",
    figure="cpu",
    peers=tuple(_WAYS),
    measure=_measure,
    claims=[
        Claim(
            f"seconds until {CLIENTS:,} are back and have what they missed",
            Cell(HUBBUB_NATIVE.name, _CASE, "span"),
            None,
            10,
        ),
        Claim("p99 of the others meanwhile, ms", Cell(HUBBUB_NATIVE.name, _CASE, "p99"), None, 200),
    ],
)
