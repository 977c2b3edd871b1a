"""On what, with what and of what a result was measured."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench.install import NODE, PEERS, PYTHON
from bench.processes import LOAD_CORE, ROOT, SERVER_CORE

OURS = ("hubbub", "uvicorn", "uvloop", "httptools", "msgspec")
THEIRS = (
    "python-socketio", "python-engineio", "uvicorn", "uvloop", "httptools", "websockets",
    "channels", "daphne", "django", "starlette", "sse-starlette", "wsproto",
)  # fmt: skip
ON_NODE = ("socket.io", "engine.io", "ws", "bufferutil", "bun")

_ASK = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def describe() -> dict[str, str]:
    """Everything a reader needs in order to doubt or repeat a result."""
    cores = f"server on core {SERVER_CORE}, load on core {LOAD_CORE}"
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()} GiB, {platform.system()} {platform.release()}",
        "pinned": "no, there is one core" if SERVER_CORE == LOAD_CORE else cores,
        "load average before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "Python": f"{platform.python_version()}, built {platform.python_build()[1]} by {platform.python_compiler()}",
        "ours": _join((name, metadata.version(name)) for name in OURS),
        "Python peers": _python_peers(),
        "Node peers": _node_peers(),
    }


def _join(versions: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions)


def _commit() -> str:
    try:
        name = _say("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
        changed = _say("git", "-C", str(ROOT), "status", "--porcelain", "--", "src", "bench/peers")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return f"{name}, with changes that are not committed" if changed else name


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30))


def _python_peers() -> str:
    try:
        versions = json.loads(_say(PYTHON, "-c", _ASK, *THEIRS))
    except (OSError, subprocess.CalledProcessError):
        return "not installed"
    return _join(versions.items())


def _node_peers() -> str:
    try:
        node = _say(NODE, "--version").removeprefix("v")
        packages = [json.loads((PEERS / f"node_modules/{name}/package.json").read_text()) for name in ON_NODE]
    except (OSError, subprocess.CalledProcessError):
        return "not installed"
    return f"Node {node}, {_join((package['name'], package['version']) for package in packages)}"


def _say(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
