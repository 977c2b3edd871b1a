"""Storm: 10,000 clients come back at once, each for what it missed, while others go on talking.

The crowd is in a topic with a history, and is cut off without a word. Ten publications later all of it comes back, a
few hundred on their way at any time, joins with the position it had, and must be told all ten. Meanwhile a hundred
others publish in another topic: how long that takes is what they feel of the storm.
"""

import json
import sys
import threading
import time
from array import array
from typing import Self

from bench.claims import Cell, Claim
from bench.client import Mismatch
from bench.crowd import Crowd, client, crowd, greet
from bench.processes import Server
from bench.roster import HUBBUB_NATIVE, PAYLOAD, Peer
from bench.scenario import Figures, Scenario, account, percentiles, shares
from bench.wires import native

CLIENTS, OTHERS = 10_000, 100
MISSED = 10
AT_ONCE = 512
"""Clients on their way at any time."""

PAUSE = 0.02
"""Seconds between two publications of the others."""

TOPIC = "kept:storm"
_CASE = f"{CLIENTS:,} clients resume"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with Server(peer.start("fanout")) as server:
        with crowd(server.port, native([TOPIC])) as clients:
            clients.grow(CLIENTS)
        with crowd(server.port, native([TOPIC])) as author, crowd(server.port, native()) as others:
            position = _publish(author)
            others.grow(OTHERS)
            with (
                account(server) as done,
                _Talk(others) as talk,
                crowd(server.port, native([TOPIC], after=position)) as back,
            ):
                began = time.perf_counter()
                while len(back) < CLIENTS:
                    _return(back)
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


def _publish(author: Crowd) -> str:
    """Where the topic was before the crowd missed something."""
    author.grow(1)
    (speaker,) = author
    positions = []
    for _ in range(MISSED + 1):
        speaker.say(author.wire.publish(PAYLOAD))
        positions.append(json.loads(speaker.hear(0)[0])["position"])
    return str(positions[0])


def _return(back: Crowd) -> None:
    batch = [client(back.port, back.wire) for _ in range(min(AT_ONCE, CLIENTS - len(back)))]
    back.extend(batch)
    greet(batch)
    for member in batch:
        for _ in range(MISSED):
            if PAYLOAD not in member.hear(0)[0]:
                raise Mismatch("a client that came back was told something else than what it missed")


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
            for member in self._others:
                member.hear(0)
            self.latencies.append(time.perf_counter() - began)


STORM = Scenario(
    name="storm",
    title="A storm of clients that resume",
    unit="client",
    figure="cpu",
    peers=(HUBBUB_NATIVE,),
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
