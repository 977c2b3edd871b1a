#!/usr/bin/env python3
"""How many machines do so many connections need? Arithmetic with measured costs; put in your own figures.

    python scripts/capacity.py                                   a million in chat rooms
    python scripts/capacity.py --connections 10_000_000 --audience 20 --publications 200_000
    python scripts/capacity.py --results bench/results           with what `make bench` measured on this machine
    python scripts/capacity.py --help                            every figure, and where its default was measured

Needs nothing but Python. What the costs mean, and where the curves bend: docs/guides/capacity.md.
"""

import argparse
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, get_type_hints


@dataclass(frozen=True)
class Plan:
    """What is to be carried, on what, and at which price. Where prices come from is in ``SOURCES``."""

    connections: Annotated[float, "clients that are connected at the same time"] = 1_000_000
    publications: Annotated[float, "publications a second, over all topics"] = 20_000
    audience: Annotated[float, "clients that get one publication"] = 50
    spread: Annotated[float, "nodes on which one publication has an audience"] = 10
    sends: Annotated[float, "messages a second that one client sends"] = 0.05
    topics: Annotated[float, "topics that one client is in"] = 1
    comeback: Annotated[float, "seconds in which the clients of a lost machine shall be back"] = 60

    cores: Annotated[float, "cores of a machine; Hubbub uses one process on each"] = 16
    memory: Annotated[float, "GiB of a machine"] = 64
    busy: Annotated[float, "share of a core that may be used in ordinary times"] = 0.5
    full: Annotated[float, "share of the memory that may be used in ordinary times"] = 0.6

    kib_server: Annotated[float, "KiB of the process, one idle connection"] = 3.7
    kib_kernel: Annotated[float, "KiB of the kernel, one idle socket with empty buffers"] = 3.1
    kib_tls: Annotated[float, "KiB more with TLS, some 47; 0 where a proxy ends it"] = 0.0
    kib_topic: Annotated[float, "KiB of the process, one more topic that a client is in"] = 0.78
    us_delivery: Annotated[float, "us of CPU, one delivery, publications come one by one"] = 3.8
    us_message: Annotated[float, "us of CPU, one message from a client, answered"] = 9.0
    us_beat: Annotated[float, "us of CPU a second, one idle connection"] = 1.0
    us_resume: Annotated[float, "us of CPU, one client that comes back for what it missed"] = 104.0
    us_publish: Annotated[float, "us of CPU, one publication to Redis, here"] = 10.0
    us_heard: Annotated[float, "us of CPU, one publication from Redis, on each node with an audience"] = 2.1
    us_broker: Annotated[float, "us of CPU, one publication, of Redis"] = 12.0
    us_relay: Annotated[float, "us of CPU, one publication to one more node, of Redis"] = 0.25


@dataclass(frozen=True)
class Source:
    """Where `make bench` keeps a price: this figure of this peer in this case. With ``than`` it is how much more
    that is than in that one, and it may have to be divided by something.
    """

    scenario: str
    peer: str
    case: str
    figure: str
    than: str = ""
    by: float = 1

    def read(self, results: Path) -> float | None:
        """The price; None if the scenario has not been measured."""
        file = results / f"{self.scenario}.json"
        if not file.exists():
            return None
        cases = json.loads(file.read_text())["results"][self.peer]
        less = cases[self.than][self.figure] if self.than else 0.0
        return max(float(cases[self.case][self.figure] - less), 0.0) / self.by


_MANY, _ONE = "1,000 clients, each in 100 topics", "1,000 clients, each in 1 topic"
_LOG, _HEARD = "500 publishers", "500 publishers, heard by another node"

SOURCES = {
    "kib_server": Source("idle", "hubbub", "10,000 connections", "memory"),
    "kib_topic": Source("topics", "hubbub", _MANY, "memory", than=_ONE, by=99),
    "us_delivery": Source("fanout", "hubbub", "1,000 clients, window 1", "cpu"),
    "us_message": Source("echo", "hubbub", "8 clients, 1 in flight", "cpu"),
    "us_beat": Source("heartbeat", "hubbub", "10,000 connections, a heartbeat every 25 s", "cpu"),
    "us_resume": Source("storm", "hubbub, native", "10,000 clients resume", "cpu"),
    "us_publish": Source("durable", "hubbub, redis://", _LOG, "cpu"),
    "us_heard": Source("durable", "hubbub, redis://", _HEARD, "cpu"),
    "us_broker": Source("durable", "hubbub, redis://", _LOG, "broker"),
    "us_relay": Source("durable", "hubbub, redis://", _HEARD, "broker", than=_LOG),
}


@dataclass(frozen=True)
class Need:
    """One reason for processes (each has a core), and how many it asks for."""

    reason: str
    processes: float


def needs(plan: Plan) -> list[Need]:
    """What each resource asks for. The plan needs the most of these."""
    each = plan.kib_server + plan.kib_kernel + plan.kib_tls + (plan.topics - 1) * plan.kib_topic
    gib = plan.connections * each / (1 << 20)
    deliveries = plan.publications * plan.audience * plan.us_delivery
    messages = plan.connections * plan.sends * plan.us_message
    beats = plan.connections * plan.us_beat
    relays = plan.publications * (plan.us_publish + plan.spread * plan.us_heard)
    work = (deliveries + messages + beats + relays) / 1e6
    return [
        Need(f"memory: {gib:,.1f} GiB", gib / (plan.memory * plan.full) * plan.cores),
        Need(f"work: {work:,.1f} cores, of which deliveries {deliveries / 1e6:,.1f}", work / plan.busy),
        Need("a lost machine: its clients come back in time", _comeback(plan)),
    ]


def _comeback(plan: Plan) -> float:
    """Processes, so that what is not busy can take the clients of one lost machine.

    With p processes, c of them on the machine that is lost, n / p clients each: n c / p come back, to p - c processes
    with 1 - busy of a core each, within the time.
    """
    work = plan.connections * plan.cores * plan.us_resume / 1e6
    spare = (1 - plan.busy) * plan.comeback
    return (plan.cores + math.sqrt(plan.cores**2 + 4 * work / spare)) / 2


def machines(plan: Plan) -> int:
    """How many there have to be."""
    return max(math.ceil(max(need.processes for need in needs(plan)) / plan.cores), 1)


def brokers(plan: Plan) -> int:
    """Redis servers that the publications need. Each has one core that matters."""
    work = plan.publications * (plan.us_broker + plan.spread * plan.us_relay) / 1e6
    return max(math.ceil(work / plan.busy), 1)


def report(plan: Plan) -> str:
    """The answer, in a few lines."""
    count = machines(plan)
    each = plan.connections / (count * plan.cores)
    load = f"{plan.publications:,.0f} publications a second to {plan.audience:,.0f} each"
    reasons = "\n".join(f"{need.processes:9,.1f} processes   {need.reason}" for need in needs(plan))
    return f"""\
{plan.connections:,.0f} connections, {load}: {plan.publications * plan.audience:,.0f} deliveries a second

{reasons}

{count:9,} machines of {plan.cores:g} cores and {plan.memory:g} GiB: {each:,.0f} connections a process
{brokers(plan):9,} Redis servers that share the topics, and a replica of each"""


EXAMPLES = (
    ("notifications", Plan(1_000_000, publications=2_000, audience=1, spread=1)),
    ("chat rooms", Plan(1_000_000, publications=20_000, audience=50)),
    ("dashboards", Plan(1_000_000, publications=100, audience=50_000, spread=32)),
    ("notifications", Plan(10_000_000, publications=20_000, audience=1, spread=1)),
    ("chat rooms", Plan(10_000_000, publications=200_000, audience=50)),
)


def table() -> str:
    """The examples in docs/guides/capacity.md."""
    heads = "connections", "publications a second", "each to", "processes", "machines", "Redis servers", "what decides"
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, plan in EXAMPLES:
        most = max(needs(plan), key=lambda need: need.processes)
        figures = f"{plan.publications:,} | {plan.audience:,} | {math.ceil(most.processes)} | {machines(plan)}"
        reason = most.reason.partition(":")[0]
        lines.append(f"| {name} | {plan.connections / 1e6:g} M | {figures} | {brokers(plan)} | {reason} |")
    return "\n".join(lines) + "\n"


def read(words: list[str] | None = None) -> Plan:
    """The plan that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--results", type=Path, help="where `make bench` left its results: the prices are taken from there"
    )
    meanings = get_type_hints(Plan, include_extras=True)
    for field in fields(Plan):
        (meaning,) = meanings[field.name].__metadata__
        found = f": {SOURCES[field.name].scenario}" if field.name in SOURCES else ""
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=float, help=f"{meaning}{found} ({field.default:g})")
    given = {name: value for name, value in vars(parser.parse_args(words)).items() if value is not None}
    results = given.pop("results", None)
    prices = {name: source.read(results) for name, source in SOURCES.items()} if results else {}
    return Plan(**({name: price for name, price in prices.items() if price is not None} | given))


if __name__ == "__main__":
    print(report(read()))
