"""A Redis that forgets: emptied, killed and empty when it is back, restored from an older copy, among all other faults.
What it lost is lost; but every log then has a new epoch, nobody takes the old one for a proof, and nobody hears two
publications at one place.
"""

from ..polled_clients import ALL_KINDS
from ..run import Run
from ..several_clients import HOSTS
from ..world import World
from .report import Report

SECONDS = 600
FAULTS = 90


async def play(folder, seed, short):
    async with (
        World(folder, "redis", 2, seed) as world,
        Run(world, seed, topics=2, rate=150.0, kinds=ALL_KINDS, hosts=HOSTS, durable=False) as run,
    ):
        run.long = 1.0
        await run.misfortunes(FAULTS // 3 if short else FAULTS)
        findings = await run.finish()
    report = Report("redis, 2 nodes")
    numbers = run.numbers()
    report.numbers(numbers)
    epochs = len({sent.position for sent in run.record.sent.values() if sent.position and sent.position[1] == 1})
    report.demand("epochs", epochs, epochs > len(run.topics))
    afresh = numbers["came back"] - numbers["recovered"]
    report.demand("told to start afresh", afresh, 0 < afresh < numbers["came back"])
    report.verdicts(findings)
    return report.good
