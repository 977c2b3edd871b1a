"""What a scenario is, and how a span of load becomes figures."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.claims import Claim
from bench.crowd import Mismatch
from bench.load import Flow
from bench.processes import LOAD_CORE, SERVER_CORE, Server, busy
from bench.roster import Peer

Figures = dict[str, float]
"""By the keys of ``COLUMNS``."""

COLUMNS: Mapping[str, tuple[str, str]] = {
    "cpu": ("server CPU, us", ".2f"),
    "broker": ("broker CPU, us", ".2f"),
    "rate": ("per second", ",.0f"),
    "span": ("seconds", ".2f"),
    "p50": ("p50, ms", ".2f"),
    "p99": ("p99, ms", ".2f"),
    "memory": ("KiB", ".1f"),
    "server": ("server busy", ".0%"),
    "load": ("load busy", ".0%"),
    "others": ("others", ".0%"),
}
"""Heading and format of each figure. ``cpu`` and ``memory`` are per unit of the scenario; the last three are shares of
a core: how busy server and load generator were, and what anybody else took from either of them."""


@dataclass(frozen=True)
class Scenario:
    """One kind of work, done by each peer in turn.

    ``measure`` starts a peer and gives the figures of each case. ``figure`` names the one that is compared.
    """

    name: str
    title: str
    unit: str
    figure: str
    peers: Sequence[Peer]
    measure: Callable[[Peer, float], dict[str, Figures]]
    claims: Sequence[Claim] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Where cases differ by how many clients there are: how many, by case."""


WARM_UP, PATIENCE = 0.6, 4.0
"""Seconds of its CPU a server gets before anything counts: compilers that compile while running have compiled by then.
On a machine that has no time for it, so many seconds of ours have to do."""


SLICES = 8
"""A measurement is taken in so many slices. The half in which others took least of the two cores counts."""


@dataclass(frozen=True)
class Slice:
    """A piece of a measurement. ``used`` and ``others`` are seconds of CPU: the server's, and anybody else's."""

    flow: Flow
    span: float
    used: float
    others: float


def measure(server: Server, run: Callable[[float], Flow], seconds: float) -> Figures:
    """Warm up, then run for this long, and give what a message cost and how long it took."""
    began, cpu = time.perf_counter(), server.cpu()
    while server.cpu() - cpu < WARM_UP and time.perf_counter() - began < PATIENCE:
        run(WARM_UP / 4)
    slices = sorted((_slice(server, run, seconds / SLICES) for _ in range(SLICES)), key=lambda piece: piece.others)
    return _figures(slices[: SLICES // 2])


def _slice(server: Server, run: Callable[[float], Flow], seconds: float) -> Slice:
    cores, began, cpu = (busy(SERVER_CORE), busy(LOAD_CORE)), time.perf_counter(), server.cpu()
    flow = run(seconds)
    used, span = server.cpu() - cpu, time.perf_counter() - began
    others = max(busy(SERVER_CORE) - cores[0] - used, busy(LOAD_CORE) - cores[1] - flow.own_cpu, 0.0)
    return Slice(flow, span, used, others)


def _figures(slices: Sequence[Slice]) -> Figures:
    messages = sum(piece.flow.messages for piece in slices)
    span, used = sum(piece.span for piece in slices), sum(piece.used for piece in slices)
    latencies = sorted(latency for piece in slices for latency in piece.flow.latencies)
    if not messages or not latencies:
        raise Mismatch("nothing arrived while it counted")
    return {
        "cpu": used / messages * 1e6,
        "rate": messages / sum(piece.flow.seconds for piece in slices),
        "p50": latencies[len(latencies) // 2] * 1e3,
        "p99": latencies[len(latencies) * 99 // 100] * 1e3,
        "server": used / span,
        "load": sum(piece.flow.own_cpu for piece in slices) / span,
        "others": sum(piece.others for piece in slices) / span,
    }
