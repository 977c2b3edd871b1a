"""`python -m bench [SCENARIO ...]`: measure us and the peers in turn, print the ratios, keep the results."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from bench.chat import CHAT
from bench.connect import CONNECT
from bench.durable import DURABLE
from bench.echo import ECHO
from bench.fanout import FANOUT
from bench.guide import GUIDE, rewritten
from bench.heartbeat import HEARTBEAT
from bench.idle import IDLE
from bench.install import install
from bench.machine import describe
from bench.mixed import MIXED
from bench.polling import POLLING
from bench.processes import make_room
from bench.record import Record, load
from bench.report import grids, middle, save, save_summary, summaries
from bench.rooms import ROOMS
from bench.roster import Peer
from bench.scale import SCALE
from bench.scenario import Figures, Scenario
from bench.slow import SLOW
from bench.storm import STORM
from bench.streams import STREAMS
from bench.tls import TLS
from bench.topics import TOPICS

_ALL = (
    FANOUT, POLLING, STREAMS, MIXED, SCALE, ROOMS, TOPICS, SLOW, TLS, ECHO, CHAT, CONNECT, STORM, IDLE, HEARTBEAT,
    DURABLE,
)  # fmt: skip
SCENARIOS = {scenario.name: scenario for scenario in _ALL}

console = Console(highlight=False, width=160)


def main() -> int:
    """Returns 1 when something could not be measured."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # however we end, the server we started ends too
    chosen = [SCENARIOS[name] for name in options.what or SCENARIOS]
    complete = _redraw(chosen) if options.redraw else _run(chosen, options)
    if not options.peer:
        tables = summaries(SCENARIOS.values())
        for grid in tables:
            grid.show(console)
        GUIDE.write_text(rewritten(GUIDE.read_text()))
        console.print(f"Saved {save_summary(tables)}, and the tables of {GUIDE}")
    return 0 if complete else 1


def _redraw(chosen: Sequence[Scenario]) -> bool:
    for scenario in chosen:
        if record := load(scenario):
            save(scenario, record)
    return True


def _run(chosen: Sequence[Scenario], options: argparse.Namespace) -> bool:
    """Whether all of it could be measured."""
    peers = {peer for scenario in chosen for peer in scenario.peers if _is_wanted(peer, options.peer)}
    console.print(f"Fetching what {len({peer.name for peer in peers})} peers need ...")
    missing = install(sorted({need for peer in peers for need in peer.needs}))
    for need, reason in missing.items():
        console.print(f"Without {need}: {reason}")
    about = describe() | {"runs": f"{options.runs} of {options.seconds:g} s, the median"}
    for name, fact in about.items():
        console.print(f"  {name}: {fact}")
    if not options.peer:
        console.print(_estimate(chosen, options.runs))
    make_room()
    complete = not missing
    for scenario in chosen:
        able = [peer for peer in scenario.peers if peer in peers and not missing.keys() & peer.needs]
        began = time.monotonic()
        results = _measure(scenario, able, options.runs, options.seconds)
        complete &= len(results) == len(able)
        for grid in grids(scenario, results):
            grid.show(console)
        if not options.peer:
            record = Record(scenario.name, about, round((time.monotonic() - began) / options.runs, 1), results)
            console.print("Saved", *(str(path) for path in save(scenario, record)))
    return complete


def _estimate(chosen: Sequence[Scenario], runs: int) -> str:
    """How long it will take, by how long it took."""
    records = {scenario.name: load(scenario) for scenario in chosen}
    took = {name: record.seconds * runs / 60 for name, record in records.items() if record and record.seconds}
    known = ", ".join(f"{name} {minutes:.0f}" for name, minutes in took.items())
    new = ", ".join(name for name in records if name not in took)
    return "\n".join([
        *([f"This will take {sum(took.values()):.0f} minutes, as it took the last time: {known}"] if took else []),
        *([f"Nobody knows how long these will take: {new}"] if new else []),
    ])  # fmt: skip


def _measure(scenario: Scenario, peers: Sequence[Peer], runs: int, seconds: float) -> dict[str, dict[str, Figures]]:
    done: dict[str, list[dict[str, Figures]]] = {}
    failed: set[str] = set()
    for run in range(runs):  # a round of all, then the next: what disturbs the machine for a while disturbs all alike
        for peer in peers:
            if peer.name in failed:
                continue
            began, what = time.monotonic(), f"{scenario.name} {run + 1}/{runs}: {peer.name}"
            try:
                done.setdefault(peer.name, []).append(scenario.measure(peer, seconds))
            except Exception as error:  # whatever it is, it shall not cost all others an hour
                console.print(f"{what} failed: {type(error).__name__}: {error}", markup=False)
                failed.add(peer.name)
            else:
                console.print(f"{what}, {time.monotonic() - began:.1f} s")
    return {name: middle(rounds) for name, rounds in done.items() if name not in failed}


def _is_wanted(peer: Peer, names: Sequence[str]) -> bool:
    return not names or any(name.lower() in peer.name.lower() for name in names)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    argument = parser.add_argument
    argument("what", nargs="*", choices=[[], *SCENARIOS], metavar="SCENARIO", help=", ".join(SCENARIOS) + "; or all")
    argument("--runs", type=int, default=3, help="rounds of everything, of which the median counts (3)")
    argument("--seconds", type=float, default=1.0, help="length of one measurement (1)")
    argument(
        "--peer", action="append", default=[], metavar="PART", help="only these, by a part of their name; saves nothing"
    )
    argument("--redraw", action="store_true", help="measure nothing: make all pages and pictures anew")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
