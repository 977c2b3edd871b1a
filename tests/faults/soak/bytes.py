"""Lines that are cut at every single byte, up and down, of all that each kind of client says and hears, from its
handshake to its first publications: nobody is ever stuck, and nobody misses anything.
"""

import asyncio

from ..polled_clients import ALL_KINDS
from ..run import Run
from ..world import World
from .report import Report, delivered

SECONDS = 900
UP, DOWN = 500, 1_500
"""Bytes of a line that are tried: more than a handshake, a join and an answer have."""
LONG = 60
"""Seconds for one kind, at most."""


async def play(folder, seed, short):
    report = Report("sqlite, one node, 40 clients of one kind, all of whose lines are cut")
    for kind in ALL_KINDS:
        async with (
            World(folder / kind.__name__, "sqlite", 1, seed) as world,
            Run(world, seed, each=40, rate=40.0, kinds=(kind,)) as run,
        ):
            step = 20 if short else 1
            fates = [("up", byte) for byte in range(0, UP, step)] + [("down", byte) for byte in range(0, DOWN, step)]
            run.chance.shuffle(fates)
            door = world.doors[0]
            door.cut_each(fates)
            door.reset()
            for _ in range(LONG):
                await asyncio.sleep(1.0)
                door.reset()  # those whose byte did not come
                if not door.fates:
                    break
            findings = await run.finish()
            numbers = run.numbers()
            share, _ = delivered(run.record)
            good = (
                not door.fates
                and not any(findings.values())
                and share == 100.0
                and numbers["came back"] == numbers["recovered"]
            )
            report.demand(f"{kind.kind}: {len(fates)} cuts", f"{numbers['came back']} returns", good)
            for verdict, found in findings.items():
                for sentence in found[:3]:
                    print(f"      {verdict}: {sentence}")
    return report.good
