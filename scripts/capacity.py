#!/usr/bin/env python3
"""How many machines do so many connections need? Arithmetic with measured costs; put in your own figures.

    python scripts/capacity.py                                   a million in chat rooms
    python scripts/capacity.py --connections 10_000_000 --audience 20 --publications 200_000
    python scripts/capacity.py --help                            every figure, and where its default was measured

Needs nothing but Python. What the costs mean, and where the curves bend: docs/guides/capacity.md.
"""

import argparse
import math
from dataclasses import dataclass, fields
from typing import Annotated, get_type_hints


@dataclass(frozen=True)
class Plan:
    """What is to be carried, on what, and at which price. Prices name the scenario of `make bench` that found them."""

    connections: Annotated[float, "clients that are connected at the same time"] = 1_000_000
    publications: Annotated[float, "publications a second, over all topics"] = 20_000
    audience: Annotated[float, "clients that get one publication"] = 50
    spread: Annotated[float, "nodes on which one publication has an audience"] = 10
    sends: Annotated[float, "messages a second that one client sends"] = 0.05
    comeback: Annotated[float, "seconds in which the clients of a lost machine shall be back"] = 60

    cores: Annotated[float, "cores of a machine; Hubbub uses one process on each"] = 16
    memory: Annotated[float, "GiB of a machine"] = 64
    busy: Annotated[float, "share of a core that may be used in ordinary times"] = 0.5
    full: Annotated[float, "share of the memory that may be used in ordinary times"] = 0.6

    kib_server: Annotated[float, "KiB of the process, one idle connection: idle"] = 4.0
    kib_kernel: Annotated[float, "KiB of the kernel, one idle socket with empty buffers"] = 3.1
    kib_tls: Annotated[float, "KiB more with TLS; 0 where a proxy ends it"] = 0.0
    us_delivery: Annotated[float, "us of CPU, one delivery, publications come one by one: fanout"] = 3.1
    us_message: Annotated[float, "us of CPU, one message from a client, answered: echo"] = 20.0
    us_beat: Annotated[float, "us of CPU a second, one idle connection: heartbeat"] = 1.4
    us_resume: Annotated[float, "us of CPU, one client that comes back for what it missed: storm"] = 355.0
    us_publish: Annotated[float, "us of CPU, one publication to Redis, here: durable"] = 27.0
    us_heard: Annotated[float, "us of CPU, one publication from Redis, on each node with an audience: durable"] = 5.7
    us_broker: Annotated[float, "us of CPU, one publication, of Redis: durable"] = 23.0
    us_relay: Annotated[float, "us of CPU, one publication to one more node, of Redis: durable"] = 0.2


@dataclass(frozen=True)
class Need:
    """One reason for processes (each has a core), and how many it asks for."""

    reason: str
    processes: float


def needs(plan: Plan) -> list[Need]:
    """What each resource asks for. The plan needs the most of these."""
    gib = plan.connections * (plan.kib_server + plan.kib_kernel + plan.kib_tls) / (1 << 20)
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


def brokers(plan: Plan) -> float:
    """Redis servers that the publications need. Each has one core that matters."""
    work = plan.publications * (plan.us_broker + plan.spread * plan.us_relay) / 1e6
    return work / plan.busy


def report(plan: Plan) -> str:
    """The answer, in a few lines."""
    asked = needs(plan)
    machines = max(math.ceil(max(need.processes for need in asked) / plan.cores), 1)
    each = plan.connections / (machines * plan.cores)
    load = f"{plan.publications:,.0f} publications a second to {plan.audience:,.0f} each"
    reasons = "\n".join(f"{need.processes:9,.1f} processes   {need.reason}" for need in asked)
    return f"""\
{plan.connections:,.0f} connections, {load}: {plan.publications * plan.audience:,.0f} deliveries a second

{reasons}

{machines:9,} machines of {plan.cores:g} cores and {plan.memory:g} GiB: {each:,.0f} connections a process
{max(math.ceil(brokers(plan)), 1):9,} Redis servers that share the topics, and a replica of each"""


def read(words: list[str] | None = None) -> Plan:
    """The plan that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    meanings = get_type_hints(Plan, include_extras=True)
    for field in fields(Plan):
        (meaning,) = meanings[field.name].__metadata__
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=float, default=field.default, help=f"{meaning} ({field.default:g})")
    return Plan(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    print(report(read()))
