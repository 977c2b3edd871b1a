"""Five rolling restarts of two nodes over Redis, with more than a thousand clients of all kinds in ten topics: nothing
is lost, nobody is seen to leave, and everybody is back within thirty seconds.
"""

import asyncio
import time

from ..record import Here, Joined
from ..run import Run
from ..world import World
from .report import Report, delivered, quantile

SECONDS = 900
RESTARTS = 5
DRAIN = 5.0
BACK = 30.0
"""Seconds from a node being told to stop until all of its clients are back."""
SETTLE = 15.0


async def play(folder, seed, short):
    topics, each = (2, 5) if short else (10, 15)
    async with (
        World(folder, "redis", 2, seed, drain=DRAIN) as world,
        Run(world, seed, topics=topics, each=each, rate=30.0) as run,
    ):
        run.watch_presence()
        returns = []
        for _ in range(1 if short else RESTARTS):
            for node in world.nodes:
                await run.during()
                returns += await restart(run, node)
        await asyncio.sleep(SETTLE)  # whoever was not handed over would now be seen to leave
        await run.finish()
        for client in run.clients:
            if client.tracked:
                since = next(event.at for event in client.story.events if type(event) is Joined)
                run.record.here.append(Here(client.topic, client.name, since))
        await run.views()
    return tell(run, returns)


async def restart(run, node):
    """SIGTERM, and start again. How long each of its clients took to be back."""
    before = {client: len(client.returns) for client in run.clients}
    begun = time.monotonic()
    run.record.faults.append((begun, "rolling restart"))
    await node.stop()
    ended = time.monotonic()
    await node.start()
    await run.until(lambda: all(client.joined for client in run.clients), "everybody came back", 2 * BACK)
    print(f"  a node stopped in {ended - begun:.1f} s, and was back after {time.monotonic() - begun:.1f} s", flush=True)
    return [back - begun for client in run.clients for _, back in client.returns[before[client] :]]


def tell(run, returns):
    report = Report("redis, 2 nodes")
    numbers = run.numbers()
    report.numbers(numbers)
    share, doubled = delivered(run.record)
    report.demand("delivered, per cent", f"{share:.4f}", share == 100.0)
    report.demand("doubled", doubled, doubled == 0)
    lost = numbers["came back"] - numbers["recovered"]
    report.demand("not recovered", lost, lost == 0 < numbers["came back"])
    report.number("back, seconds: median", f"{quantile(returns, 0.5):.2f}")
    report.number("back, seconds: p99", f"{quantile(returns, 0.99):.2f}")
    report.demand("back, seconds: the last", f"{max(returns):.2f}", max(returns) <= BACK)
    report.number("words of presence", sum(map(len, run.record.turns.values())))
    report.verdicts(run.judge(SETTLE))
    return report.good
