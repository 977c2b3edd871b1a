"""Two-second cuts, every ten seconds, for three minutes; more than 200 clients of all kinds. Everything arrives, once.

Every other cut is one that everybody notices, a reset; the others are silent, a black hole.
"""

import asyncio

from ..run import Run
from ..world import World
from .report import Report, delivered, quantile

SECONDS = 400
EVERY, CUT = 10.0, 2.0
RIVALS = "84.6 % and 87.0 % are published of others, on such a test"


async def play(folder, seed, short):
    good = True
    for broker in ("sqlite",):
        async with (
            World(folder / broker, broker, 1, seed) as world,
            Run(world, seed, topics=2, each=15, rate=20.0) as run,
        ):
            for number in range(2 if short else 18):
                await asyncio.sleep(EVERY - CUT)
                await run.suffer(*CUTS[number % 2])
            findings = await run.finish()
            report = Report(f"{broker}: {RIVALS}")
            report.numbers(run.numbers())
            share, doubled = delivered(run.record)
            report.demand("delivered, per cent", f"{share:.4f}", share == 100.0)
            report.demand("doubled", doubled, doubled == 0)
            away = [back - lost for client in run.clients for lost, back in client.returns]
            report.number("away, seconds: median", f"{quantile(away, 0.5):.2f}")
            report.number("away, seconds: p99", f"{quantile(away, 0.99):.2f}")
            report.verdicts(findings)
            good &= report.good
    return good


async def loud(run):
    run.world.doors[0].reset()
    run.world.doors[0].refuse()
    await asyncio.sleep(CUT)


async def silent(run):
    run.world.doors[0].swallow()
    await asyncio.sleep(CUT)


CUTS = (("reset", loud), ("black hole", silent))
