"""Thirty times kill -9 under load: of one of two nodes over Redis, the one that has more clients; and of the only node
over SQLite.

Every client resumes, and is told that it has everything; 99 of 100 within three seconds of a node being reachable.
"""

import time
from collections import Counter

from ..run import Run
from ..world import World
from .report import Report, delivered, quantile

SECONDS = 900
KILLS = 30
BACK = 3.0
"""Seconds from a node being reachable to the client being back in its topic."""


async def play(folder, seed, short):
    good = True
    for broker, nodes in (("redis", 2), ("sqlite", 1)):
        async with (
            World(folder / broker, broker, nodes, seed) as world,
            Run(world, seed, topics=2, each=7, rate=100.0) as run,
        ):
            returns = []
            for _ in range(4 if short else KILLS):
                await run.during(0.5)
                returns += await kill(run)
            findings = await run.finish()
            report = Report(f"{broker}, {nodes} {'nodes' if nodes > 1 else 'node'}")
            tell(report, run, findings, returns)
            good &= report.good
    return good


async def kill(run):
    """One node, at once and without a word. How long each of its clients took from when one could be reached."""
    where = Counter(client.door for client in run.clients)
    node = run.world.nodes[where.most_common(1)[0][0]]
    before = {client: len(client.returns) for client in run.clients}
    reachable = time.monotonic()
    run.record.faults.append((reachable, "kill -9"))
    await node.kill()
    await run.during(0.3)
    await node.start()
    if len(run.world.nodes) == 1:
        reachable = node.reachable[-1]
    await run.until(lambda: all(client.joined for client in run.clients), "everybody came back", 30.0)
    return [back - reachable for client in run.clients for _, back in client.returns[before[client] :]]


def tell(report, run, findings, returns):
    numbers = run.numbers()
    report.numbers(numbers)
    share, doubled = delivered(run.record)
    report.demand("delivered, per cent", f"{share:.4f}", share == 100.0)
    report.demand("doubled", doubled, doubled == 0)
    lost = numbers["came back"] - numbers["recovered"]
    report.demand("not recovered", lost, lost == 0 < numbers["came back"])
    report.number("back, seconds: median", f"{quantile(returns, 0.5):.2f}")
    report.demand("back, seconds: p99", f"{quantile(returns, 0.99):.2f}", quantile(returns, 0.99) <= BACK)
    report.number("back, seconds: the last", f"{max(returns):.2f}")
    report.verdicts(findings)
