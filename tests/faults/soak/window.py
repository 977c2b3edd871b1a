"""Topics that keep only 200 publications, under all faults: who was away for a moment gets everything, who was away for
too long is told so, and nobody gets a part in silence.
"""

from ..polled_clients import ALL_KINDS
from ..run import Run
from ..several_clients import HOSTS
from ..world import World
from .report import Report

SECONDS = 900
BROKERS = (("memory", 1, 28), ("sqlite", 1, 32), ("redis", 2, 52))
RATE = 150.0
LONG = 2.5
"""Seconds that a fault lasts, about: some of them are too long for a client to come back from."""


async def play(folder, seed, short):
    good = True
    for broker, nodes, faults in BROKERS:
        async with (
            World(folder / broker, broker, nodes, seed) as world,
            Run(world, seed, topics=2, rate=RATE, kinds=ALL_KINDS, hosts=HOSTS, short=True) as run,
        ):
            run.long = LONG
            await run.misfortunes(faults // 4 if short else faults)
            findings = await run.finish()
            report = Report(f"{broker}, {nodes} {'nodes' if nodes > 1 else 'node'}")
            numbers = run.numbers()
            report.numbers(numbers)
            afresh = numbers["came back"] - numbers["recovered"]
            report.demand("told to start afresh", afresh, 0 < afresh < numbers["came back"])
            report.verdicts(findings)
            good &= report.good
    return good
