"""What a scenario is, and how a span of load becomes figures."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.claims import Claim, Results
from bench.client import Mismatch
from bench.crowd import Crowd
from bench.load import Flow, Load
from bench.processes import LOAD_CORE, SERVER_CORE, Server, busy
from bench.roster import Peer
from bench.wires import Wire

Figures = dict[str, float]
"""By the keys of ``COLUMNS``."""

COLUMNS: Mapping[str, tuple[str, str]] = {
    "cpu": ("server CPU, us", ".2f"),
    "broker": ("broker CPU, us", ".2f"),
    "rate": ("per second", ",.0f"),
    "span": ("seconds", ".2f"),
    "p50": ("p50, ms", ".2f"),
    "p99": ("p99, ms", ".2f"),
    "p999": ("p99.9, ms", ".2f"),
    "memory": ("KiB per connection", ".1f"),
    "more": ("KiB more", ",.1f"),
    "resident": ("server, MiB", ".0f"),
    "server": ("server busy", ".0%"),
    "load": ("load busy", ".0%"),
    "others": ("others", ".0%"),
}
"""Heading and format of each figure. ``cpu`` is per unit of the scenario, ``resident`` is all that the server holds;
the last three are shares of a core: how busy server and load generator were, and what anybody else took
from either of them."""


@dataclass(frozen=True)
class Curve:
    """A figure over something that grows: what it is, and how much of it there is in each case."""

    title: str
    axis: str
    figure: str
    points: Mapping[str, int]

    def points_of(self, figures: Mapping[str, Mapping[str, float]]) -> list[tuple[int, float]]:
        """Where it goes through for somebody with these figures, by case."""
        return [
            (much, figures[case][self.figure])
            for case, much in self.points.items()
            if self.figure in figures.get(case, {})
        ]


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
    curves: Sequence[Curve] = ()
    """What is drawn as curves. Cases that are in none are drawn as bars."""


def cases_of(results: Results) -> Sequence[str]:
    """All that was measured of anybody, in order."""
    return list(dict.fromkeys(case for figures in results.values() for case in figures))


def heading(scenario: Scenario) -> str:
    """What is compared in this scenario."""
    return COLUMNS[scenario.figure][0] + (f" per {scenario.unit}" if scenario.figure == "cpu" else "")


@dataclass
class Account:
    """Who used how much of the two cores in a span of time: seconds of CPU."""

    span: float = 0.0
    used: float = 0.0
    """By the server."""
    own: float = 0.0
    """By this process, which makes the load."""
    idle: float = 0.0
    """Of that, in which it had nothing to do and did not sleep."""
    others: float = 0.0


@contextmanager
def account(server: Server) -> Iterator[Account]:
    """Keep account of what is done inside; it is complete at the end."""
    done = Account()
    cores, began = (busy(SERVER_CORE), busy(LOAD_CORE)), time.perf_counter()
    cpu, own = server.cpu(), time.process_time()
    yield done
    done.used, done.own = server.cpu() - cpu, time.process_time() - own
    done.span = time.perf_counter() - began
    done.others = max(busy(SERVER_CORE) - cores[0] - done.used, busy(LOAD_CORE) - cores[1] - done.own, 0.0)


def shares(accounts: Sequence[Account]) -> Figures:
    """The last three of ``COLUMNS``."""
    span = sum(account.span for account in accounts)
    return {
        "server": sum(account.used for account in accounts) / span,
        "load": sum(account.own - account.idle for account in accounts) / span,
        "others": sum(account.others for account in accounts) / span,
    }


def percentiles(latencies: Iterable[float]) -> Figures:
    """Of seconds, in milliseconds."""
    ordered = sorted(latencies)
    if not ordered:
        raise Mismatch("nothing arrived while it counted")
    return {
        "p50": ordered[len(ordered) // 2] * 1e3,
        "p99": ordered[len(ordered) * 99 // 100] * 1e3,
        "p999": ordered[len(ordered) * 999 // 1000] * 1e3,
    }


SETTLE = 1.0
"""Seconds for a server to drop what it only needed for the handshakes."""

FIRST = 100
"""Clients that make a server load and compile what it needs; what the later ones add to its memory is what counts."""


def settled(server: Server) -> int:
    """Bytes that a server holds when nobody says anything."""
    time.sleep(SETTLE)
    return server.memory()


def weigh(server: Server, clients: Crowd, wires: Sequence[Wire]) -> Figures:
    """Let a client come for each wire, and give what the server holds for one."""
    clients.admit(wires[:FIRST])
    before = settled(server)
    clients.admit(wires[FIRST:])
    return {"memory": (settled(server) - before) / (len(wires) - FIRST) / 1024}


WARM_UP, PATIENCE = 0.4, 4.0
"""Seconds of its CPU a server gets before anything counts: compilers that compile while running have compiled by then.
On a machine that has no time for it, so many seconds of ours have to do."""


SLICES, ROUNDS = 8, 4
"""A measurement is taken in so many slices, and in more until so many windows have gone by, if patience lasts."""


def measure(server: Server, load: Load, seconds: float) -> Figures:
    """Warm up, then run for this long, and give what a message cost and how long it took."""
    began, cpu = time.perf_counter(), server.cpu()
    while server.cpu() - cpu < WARM_UP and time.perf_counter() - began < PATIENCE:
        load.run(WARM_UP / 4)
    began, slices = time.perf_counter(), [_slice(server, load, seconds / SLICES) for _ in range(SLICES)]
    while sum(flow.rounds for flow, _ in slices) < ROUNDS and time.perf_counter() - began < PATIENCE:
        slices.append(_slice(server, load, seconds / SLICES))
    flows, accounts = zip(*_quietest(slices), strict=True)
    load.drain()
    return _figures(flows, accounts) | {"resident": server.memory() / (1 << 20)}


def _quietest(slices: Sequence[tuple[Flow, Account]]) -> Sequence[tuple[Flow, Account]]:
    """The half in which others took least of the two cores. But all, where a window is longer on its way than a slice
    lasts: in such a part of one a server may only work, and in another only be heard."""
    if sum(flow.rounds for flow, _ in slices) < len(slices):
        return slices
    return sorted(slices, key=lambda piece: piece[1].others)[: len(slices) // 2]


def _slice(server: Server, load: Load, seconds: float) -> tuple[Flow, Account]:
    with account(server) as done:
        flow = load.run(seconds)
    done.idle = flow.idle
    return flow, done


def _figures(flows: Sequence[Flow], accounts: Sequence[Account]) -> Figures:
    messages = sum(flow.messages for flow in flows)
    if not messages:
        raise Mismatch("nothing arrived while it counted")
    return {
        "cpu": sum(account.used for account in accounts) / messages * 1e6,
        "rate": messages / sum(flow.seconds for flow in flows),
        **percentiles(latency for flow in flows for latency in flow.latencies),
        **shares(accounts),
    }
