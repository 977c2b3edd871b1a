"""`make soak WHAT=cuts SEED=1`: one long run, its numbers and its verdicts; the exit code says whether all went well.

Without a name it says which there are.
"""

import argparse
import asyncio
import gc
import resource
import secrets
import shutil
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import uvloop

SCENARIOS = {
    "cuts": "2-second cuts every 10 seconds, 200 clients of all kinds: everything arrives, once",
    "storm": "every kind of fault over memory, SQLite and Redis, 200,000 publications, 2,000,000 deliveries",
    "kills": "30 times kill -9 of one of two nodes on Redis, and of the only one on SQLite: everybody resumes",
    "bytes": "lines that are cut at every single byte of all that a client says and hears: nobody is stuck",
    "loss": "a Redis that forgets, or comes back older: a new epoch each time, and everybody is told",
    "window": "topics that keep little: who was away for too long is told so, all others get everything",
    "rolling": "5 rolling restarts of two nodes with 1,000 clients: nothing lost, nobody seen to leave",
    "trouble": "a broker that is not there, lost, slow, emptied, full: what publishers and clients see",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("what", nargs="?", choices=SCENARIOS)
    parser.add_argument("--seed", default="")
    parser.add_argument("--short", action="store_true", help="a tenth of it")
    asked = parser.parse_args()
    if asked.what is None:
        print("\n".join(f"  make soak WHAT={name:<8} {what}" for name, what in SCENARIOS.items()))
        return 0
    seed = asked.seed or str(secrets.randbelow(1_000_000))
    scenario = import_module(f"tests.faults.soak.{asked.what}")
    print(f"{asked.what}: {SCENARIOS[asked.what]}\nseed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="hubbub-soak-"))
    begun = time.monotonic()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # three files for a client: its line, and the proxy's ends
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # a record of millions is not to be gone through again and again
    try:
        good = uvloop.run(bounded(scenario, folder, seed, asked.short))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{asked.what}: {'passed' if good else 'FAILED'} in {time.monotonic() - begun:.0f} s, seed {seed}")
    return 0 if good else 1


async def bounded(scenario, folder, seed, short):
    async with asyncio.timeout(scenario.SECONDS):
        return await scenario.play(folder, seed, short)


if __name__ == "__main__":
    sys.exit(main())
