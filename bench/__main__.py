"""`python -m bench [SCENARIO ...]`: measure us and the peers in turn, print the ratios, keep the results."""

import argparse
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from bench.chat import CHAT
from bench.connect import CONNECT
from bench.crowd import Mismatch
from bench.durable import DURABLE
from bench.echo import ECHO
from bench.fanout import FANOUT
from bench.heartbeat import HEARTBEAT
from bench.idle import IDLE
from bench.install import install
from bench.machine import describe
from bench.mixed import MIXED
from bench.processes import Failed, make_room
from bench.report import grids, middle, save
from bench.roster import Peer
from bench.scale import SCALE
from bench.scenario import Figures, Scenario
from bench.slow import SLOW
from bench.storm import STORM
from bench.tls import TLS

_ALL = (FANOUT, MIXED, SCALE, SLOW, TLS, ECHO, CHAT, CONNECT, STORM, IDLE, HEARTBEAT, DURABLE)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}

console = Console(highlight=False, width=160)


def main() -> int:
    """Returns 1 when something could not be measured."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # however we end, the server we started ends too
    chosen = [SCENARIOS[name] for name in options.what or SCENARIOS]
    peers = {peer.name: peer for scenario in chosen for peer in scenario.peers if _is_wanted(peer, options.peer)}
    console.print(f"Fetching what {len(peers)} peers need ...")
    missing = install(sorted({need for peer in peers.values() for need in peer.needs}))
    for need, reason in missing.items():
        console.print(f"Without {need}: {reason}")
    about = describe() | {"runs": f"{options.runs} of {options.seconds:g} s each, the median"}
    for name, fact in about.items():
        console.print(f"  {name}: {fact}")
    make_room()
    complete = not missing
    for scenario in chosen:
        able = [peer for peer in scenario.peers if peer.name in peers and not missing.keys() & peer.needs]
        results = _measure(scenario, able, options.runs, options.seconds)
        complete &= len(results) == len(able)
        for grid in grids(scenario, results):
            grid.show(console)
        if not options.peer:
            console.print("Saved", *(str(path) for path in save(scenario, results, about)))
    return 0 if complete else 1


def _measure(scenario: Scenario, peers: Sequence[Peer], runs: int, seconds: float) -> dict[str, dict[str, Figures]]:
    done: dict[str, list[dict[str, Figures]]] = {}
    failed: set[str] = set()
    for run in range(runs):  # a round of all, then the next: what disturbs the machine for a while disturbs all alike
        for peer in peers:
            if peer.name in failed:
                continue
            console.print(f"{scenario.name} {run + 1}/{runs}: {peer.name}")
            try:
                done.setdefault(peer.name, []).append(scenario.measure(peer, seconds))
            except (Failed, Mismatch, OSError) as error:
                console.print(f"  failed: {error}", markup=False)
                failed.add(peer.name)
    return {name: middle(rounds) for name, rounds in done.items() if name not in failed}


def _is_wanted(peer: Peer, names: Sequence[str]) -> bool:
    return not names or any(name.lower() in peer.name.lower() for name in names)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    argument = parser.add_argument
    argument("what", nargs="*", choices=[[], *SCENARIOS], metavar="SCENARIO", help=", ".join(SCENARIOS) + "; or all")
    argument("--runs", type=int, default=1, help="rounds of everything, of which the median counts (1)")
    argument("--seconds", type=float, default=2.0, help="length of one measurement (2)")
    argument(
        "--peer", action="append", default=[], metavar="PART", help="only these, by a part of their name; saves nothing"
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
