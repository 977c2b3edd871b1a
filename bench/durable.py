"""Durable: publications on kept topics, each awaited until the log has it. Ours alone; no peer keeps a log.

Redis is a Valkey from a wheel, on the other core, as it comes: it tells us before its disk has it.

``python -m bench.durable URL SECONDS`` does one measurement in a process of its own, and prints its figures as JSON.
``python -m bench.durable URL`` is another node, which hears all of it: until its input ends; it prints what one
publication took it. "Heard by another node" has that in the column of the server.
"""

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle

from bench.claims import Cell, Claim
from bench.install import redis_binary
from bench.processes import Failed, Server
from bench.roster import HUBBUB_RUN, PAYLOAD, Peer
from bench.scenario import Figures, Scenario, percentiles
from bench.wires import NATIVE
from hubbub import brokers
from hubbub.brokers.base import Broker
from hubbub.history import Keep, Position
from hubbub.servers.standalone import loop_factory

PUBLISHERS, TOPICS, KEEP = 500, 20, Keep(count=1_000)
_CASE = f"{PUBLISHERS} publishers"
_HEARD = f"{_CASE}, heard by another node"

MEMORY = Peer("hubbub, memory://", NATIVE, HUBBUB_RUN)
SQLITE = Peer("hubbub, sqlite:///", NATIVE, HUBBUB_RUN)
REDIS = Peer("hubbub, redis://", NATIVE, HUBBUB_RUN, ("redis",))


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with tempfile.TemporaryDirectory(dir=".") as folder:  # on the disk of the checkout: /tmp may be in memory
        if peer is not REDIS:
            url = "memory://" if peer is MEMORY else f"sqlite:///{folder}/bench.db"
            return {_CASE: _alone(url, seconds)}
        with Server([redis_binary(), "--port", "{port}", "--dir", folder, "--save", ""]) as server:
            url = f"redis://127.0.0.1:{server.port}/0"
            figures = {_CASE: _alone(url, seconds)}
            # All it did, over all that was published: the warm-up of a quarter of the time has its share in both
            figures[_CASE]["broker"] = server.cpu() / (figures[_CASE]["rate"] * seconds * 1.25) * 1e6
            before = server.cpu()
            with subprocess.Popen(_command(url), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
                assert node.stdout
                assert node.stdout.readline() == "ready\n"
                heard = figures[_HEARD] = _alone(url, seconds)
                heard["cpu"] = float(node.communicate(timeout=20)[0])
            heard["broker"] = (server.cpu() - before) / (heard["rate"] * seconds * 1.25) * 1e6
            return figures


def _alone(url: str, seconds: float) -> Figures:
    done = subprocess.run(
        _command(url, str(seconds)), check=False, capture_output=True, text=True, timeout=seconds * 10 + 60
    )
    if done.returncode:
        raise Failed(done.stderr.strip().rpartition("\n")[2])
    figures: Figures = json.loads(done.stdout)
    return figures


def _command(*words: str) -> Sequence[str]:
    return sys.executable, "-m", "bench.durable", *words


async def _publish(broker: Broker, topics: Iterator[str], until: float, latencies: list[float]) -> None:
    data = PAYLOAD.encode()
    while (began := time.perf_counter()) < until:
        await broker.publish(next(topics), data, KEEP)
        latencies.append(time.perf_counter() - began)


async def _run(url: str, seconds: float) -> Figures:
    broker = brokers.create(url)
    await broker.start(_ignore)
    topics = cycle(f"topic:{number}" for number in range(TOPICS))
    latencies: list[float] = []
    for span in (seconds / 4, seconds):  # the first warms up
        latencies.clear()
        gc.collect()
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_publish(broker, topics, began + span, latencies) for _ in range(PUBLISHERS)))
        took, used = time.perf_counter() - began, time.process_time() - cpu
    await broker.close()
    return {
        "cpu": used / len(latencies) * 1e6,
        "rate": len(latencies) / took,
        "span": 30_000 * took / len(latencies),
        **percentiles(latencies),
        "server": used / took,
        "load": 0.0,
    }


async def _listen(url: str) -> float:
    """Microseconds of CPU for each publication that was heard."""
    heard = 0

    def count(topic: str, data: bytes, position: Position) -> None:
        nonlocal heard
        heard += 1

    broker = brokers.create(url)
    await broker.start(count)
    for number in range(TOPICS):
        await broker.subscribe(f"topic:{number}")
    cpu = time.process_time()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    used = time.process_time() - cpu
    await broker.close()
    return used / heard * 1e6


def _ignore(topic: str, data: bytes, position: Position) -> None:
    """Nobody is in these topics."""


DURABLE = Scenario(
    name="durable",
    title=f"{PUBLISHERS} publishers on {TOPICS} kept topics, each waiting for the log",
    unit="publication",
    figure="cpu",
    peers=(MEMORY, SQLITE, REDIS),
    measure=_measure,
    claims=[
        Claim("seconds for 30,000 durable publications on SQLite", Cell(SQLITE.name, _CASE, "span"), None, 1.0),
    ],
)

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        work = _run(sys.argv[1], float(sys.argv[2])) if len(sys.argv) > 2 else _listen(sys.argv[1])
        sys.stdout.write(json.dumps(runner.run(work)))
