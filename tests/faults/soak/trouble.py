"""A broker in trouble: not there at the start, lost in the middle, slow by two seconds, emptied, out of memory; and a
disk that is full. What publishers and clients see is a table; nothing acknowledged is lost, but where all was.
"""

import asyncio
import resource
import time
from collections import Counter

from ...ports import free_port
from ..http_clients import KINDS, Stream
from ..record import Broken, Joined
from ..run import Run
from ..world import Node, World
from .report import Report, quantile

SECONDS = 900
MEMORY = 150
"""MiB that a node may grow by, with what waits in it."""


class Patient(Stream):
    """Whose stream is silent for a while may be fine: the server says something every 15 seconds."""

    silence = 40.0


WAITING = tuple(Patient if kind is Stream else kind for kind in KINDS)

# -- the troubles ------------------------------------------------------------------------------------------------------


async def lost(run, short):
    """away for 15 s"""
    await asyncio.to_thread(run.world.redis.kill)
    await asyncio.sleep(5 if short else 15)
    await asyncio.to_thread(run.world.redis.start)


async def slow(run, short):
    """slow by 2 s, for 12 s"""
    for back in run.world.backs:
        back.delay(up=1.0, down=1.0)
    await asyncio.sleep(6 if short else 12)


async def emptied(run, short):
    """emptied (FLUSHALL)"""
    await asyncio.to_thread(run.world.redis.ask, "FLUSHALL")
    await asyncio.sleep(3)


async def replaced(run, short):
    """killed, and empty when it is back"""
    await asyncio.to_thread(run.world.redis.kill)
    run.world.redis.forget()
    await asyncio.sleep(1)
    await asyncio.to_thread(run.world.redis.start)


async def full(run, short):
    """out of memory for 5 s"""
    await asyncio.to_thread(run.world.redis.ask, "CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(5)
    await asyncio.to_thread(run.world.redis.ask, "CONFIG", "SET", "maxmemory", "0")


async def disk_full(run, short):
    """the disk full for 5 s"""
    node = run.world.nodes[0].process.pid
    soft, hard = resource.prlimit(node, resource.RLIMIT_FSIZE)
    resource.prlimit(node, resource.RLIMIT_FSIZE, (1, hard))
    try:
        await asyncio.sleep(5)
    finally:
        resource.prlimit(node, resource.RLIMIT_FSIZE, (soft, hard))


async def asleep(run, short):
    """every other client reads nothing for 8 s, at 1 kB a message"""
    sleepers = run.clients[::2]
    for client in sleepers:
        client.pause(True)
    await asyncio.sleep(8)
    for client in sleepers:
        client.pause(False)


TROUBLES = (
    ("redis", 2, lost, True), ("redis", 2, slow, True), ("redis", 2, emptied, False), ("redis", 2, replaced, False),
    ("redis", 2, full, True), ("sqlite", 1, disk_full, True), ("memory", 1, asleep, True),
)  # fmt: skip
"""Over which broker, with so many nodes, what; and whether everything can be had afterwards."""
PAD = {asleep: 1_000}
"""Bytes that make messages longer."""

# -- what is seen of them ----------------------------------------------------------------------------------------------


async def play(folder, seed, short):
    report = Report("each for itself, clients of all kinds, 400 publications a second")
    await not_there(folder / "not there", report)
    rows = []
    for number, (broker, nodes, trouble, durable) in enumerate(TROUBLES):
        async with (
            World(folder / str(number), broker, nodes, seed) as world,
            Run(world, seed, each=4, rate=400.0, window=40, kinds=WAITING, durable=durable) as run,
        ):
            run.wandering = False  # what is refused is to be the trouble's
            for client in run.clients:
                client.pad = "-" * PAD.get(trouble, 0)
            await asyncio.sleep(1.5)
            before = [node.memory for node in world.nodes]
            begun = time.monotonic()
            await run.suffer(trouble.__name__, lambda run, trouble=trouble: trouble(run, short))
            grown = max(node.memory - was for node, was in zip(world.nodes, before, strict=True))
            await asyncio.sleep(3.0)
            findings = await run.finish()
            what = f"{broker}: {trouble.__doc__}"
            rows.append((what, *seen(run, begun)))
            report.demand(what, "", not any(findings.values()))
            report.demand("  MiB that a node grew by", f"{grown:.0f}", grown <= MEMORY)
            report.demand("  not recovered", afresh(run), (afresh(run) == 0) == durable)
            for verdict, found in findings.items():
                for sentence in found[:3]:
                    print(f"      {verdict}: {sentence}")
    for what, publishers, clients, after in rows:
        print(f"\n{what}\n  publishers  {publishers}\n  clients     {clients}\n  afterwards  {after}")
    return report.good


async def not_there(folder, report):
    """A node that finds no Redis says so, and ends."""
    folder.mkdir(parents=True)
    node = Node(folder, "node", f"redis://127.0.0.1:{free_port()}/0")
    begun = time.monotonic()
    node.launch()
    try:
        code = await asyncio.to_thread(node.process.wait, 30)
    finally:
        await node.kill()
    told = node.complaints().strip().splitlines()[-1]
    report.demand("redis: not there at the start", f"exit code {code}", code == 2)
    print(f"      after {time.monotonic() - begun:.1f} s: {told}", flush=True)


def seen(run, begun):
    """In words: by publishers, by clients, and when it was over."""
    sent = [sent for sent in run.record.sent.values() if sent.invoked >= begun - 0.5]
    waited = [each.answered - each.invoked for each in sent if each.answered is not None]
    codes = sum((client.codes for client in run.clients), Counter())
    refused = ", ".join(f"{count} times {code}" for code, count in codes.items()) or "nothing refused"
    publishers = f"acknowledged after {quantile(waited, 0.5):.2f} s (median), {max(waited):.1f} s at most; {refused}"
    whys = Counter(event.why for story in run.record.stories for event in story.events if type(event) is Broken)
    broken = ", ".join(f"{count} times {why}" for why, count in whys.items()) or "nobody lost the line"
    recovered = sum(
        event.recovered is True for story in run.record.stories for event in story.events if type(event) is Joined
    )
    after = f"{recovered} times resumed, {afresh(run)} times told to start afresh; all was acknowledged in the end"
    return publishers, f"{len(run.clients)} of them: {broken}", after


def afresh(run):
    events = [event for story in run.record.stories for event in story.events]
    return sum(type(event) is Joined and event.recovered is False for event in events)
