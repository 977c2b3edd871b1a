"""`hubbub run --reload`: a process that starts the server again whenever a source file changes.

The server is a child process. It is asked to end, and after ``PATIENCE`` seconds made to: open sockets never hold
up a reload. A server that cannot start the first time ends it all, with its exit code; later, while somebody is in
the middle of an edit, the next change is waited for.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import click
from watchfiles import Change, DefaultFilter, watch

PATIENCE = 3.0
SOURCES = (".py", ".html", ".css", ".js", ".mjs", ".toml")


class Sources(DefaultFilter):
    """Files that make a difference. The default leaves out caches, virtual environments, node_modules and .git."""

    def __call__(self, change: Change, path: str) -> bool:
        return path.endswith(SOURCES) and super().__call__(change, path)


def supervise(arguments: Sequence[str], again: Sequence[str], folder: Path) -> int:
    """Run ``hubbub run`` with these arguments, and with those of ``again`` after each change in the folder, until a
    signal or a failed start ends it; its exit code."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    child = _start(arguments)
    first, waiting = True, False
    changes = watch(
        folder, watch_filter=Sources(), stop_event=stop, raise_interrupt=False, yield_on_timeout=True, rust_timeout=500
    )
    try:
        for changed in changes:
            if changed:
                click.echo(f"{_names(changed, folder)} changed: starting again", err=True)
                _end(child)
                child = _start(again)
                first = waiting = False
            elif child.poll() is not None and not waiting:
                if first:
                    return child.returncode
                click.echo("waiting for a change", err=True)
                waiting = True
    finally:
        _end(child)
    return 0


def _start(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    # -P: the working directory is the application's, and may have a hubbub.py.
    return subprocess.Popen([sys.executable, "-P", "-m", "hubbub", "run", *arguments, "--no-reload"])


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _names(changed: set[tuple[Change, str]], folder: Path) -> str:
    names = sorted({Path(path).name for _, path in changed})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
