"""Everything at once: clients of all kinds in the same topics, over memory, SQLite and Redis, while every kind of fault
comes and goes. More than 200,000 publications are acknowledged, more than 2,000,000 delivered; all verdicts are zero.
"""

import asyncio
import time
from contextlib import suppress

from ..polled_clients import ALL_KINDS
from ..record import Here, Joined
from ..run import Run
from ..several_clients import HOSTS
from ..world import World
from .report import Report, delivered

SECONDS = 1_800
BROKERS = (("memory", 1, 30), ("sqlite", 1, 36), ("redis", 2, 52))
"""With so many nodes, and so many faults."""
ACKNOWLEDGED, DELIVERED, FAULTS, KINDS = 200_000, 2_000_000, 100, 12
RATE = 900.0
LONG = 240.0
"""Seconds after which a part ends, whether enough was said or not."""
SETTLE = 26.0
"""Seconds until presence is true: of a client that polls by Phoenix's ways it may take 14 until it is missed, and the
grace is ten."""
LATE = 15.0
"""Seconds that nodes may need to find each other again."""
GONE = 30.0
"""Seconds for all that clients had taken to be given back: a half-open line is found out in eight."""
FILES, MEMORY = 8, 250
"""Of a node: files more than before there were clients, and MiB."""


async def play(folder, seed, short):
    total = {"acknowledged": 0, "delivered": 0, "faults": 0}
    kinds, good = set(), True
    for broker, nodes, faults in BROKERS:
        report = Report(f"{broker}, {nodes} {'nodes' if nodes > 1 else 'node'}")
        run = await part(folder / broker, broker, nodes, faults // (6 if short else 1), seed, short, report)
        numbers = run.numbers()
        for name in total:
            total[name] += numbers[name]
        kinds |= {name for _, name in run.record.faults}
        good &= report.good
    report = Report("in all")
    enough = 10 if short else 1
    report.demand("acknowledged", f"{total['acknowledged']:,}", total["acknowledged"] >= ACKNOWLEDGED // enough)
    report.demand("delivered", f"{total['delivered']:,}", total["delivered"] >= DELIVERED // enough)
    report.demand("faults", total["faults"], total["faults"] >= FAULTS // enough)
    report.demand("kinds of faults", len(kinds), len(kinds) >= KINDS)
    return good and report.good


async def part(folder, broker, nodes, faults, seed, short, report):
    """One broker."""
    begun = time.monotonic()
    async with World(folder, broker, nodes, seed) as world:
        before = [(node.files, node.memory) for node in world.nodes]
        async with Run(world, seed, topics=2, rate=RATE, kinds=ALL_KINDS, hosts=HOSTS) as run:
            run.long = 1.0
            if broker == "redis":  # there presence outlives each node
                run.watch_presence()
            for client in run.clients:
                client.pad = "-" * run.chance.choice((0, 0, 0, 500))
            enough = ACKNOWLEDGED // len(BROKERS) // (10 if short else 1) + 500
            await run.misfortunes(faults, quiet=0.5)
            left = begun + LONG - time.monotonic()
            with suppress(AssertionError):  # then the table says how much it was
                await run.until(lambda: said(run) >= enough, "enough was said", left)
            await run.finish()
            await run.views()
        await emptied(run, world, before)
    findings = run.judge(SETTLE, LATE)
    report.numbers(run.numbers())
    report.number("seconds", f"{time.monotonic() - begun:.0f}")
    share, doubled = delivered(run.record)
    report.demand("delivered, per cent", f"{share:.4f}", share == 100.0)
    report.demand("doubled", doubled, doubled == 0)
    report.verdicts(findings)
    return run


def said(run):
    return sum(sent.position is not None for sent in run.record.sent.values())


async def emptied(run, world, before):
    """All clients have gone: what they had taken is to be given back."""
    gone = time.monotonic()
    for client in run.clients:
        if client.tracked:
            since = next(event.at for event in client.story.events if type(event) is Joined)
            run.record.here.append(Here(client.topic, client.name, since, gone))
    await asyncio.sleep(SETTLE)
    for node in world.nodes:
        for topic in run.topics:
            await run.view(node, topic)
    for node, (files, memory) in zip(world.nodes, before, strict=True):
        with suppress(AssertionError):  # the verdict says it
            await run.until(lambda node=node, files=files: node.files <= files + FILES, "lines were closed", GONE)
        run.bound(f"files of {node.log.stem}", node.files, files + FILES)
        run.bound(f"MiB of {node.log.stem}", node.memory, memory + MEMORY)
