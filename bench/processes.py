"""A server under measurement: started, pinned to a core, asked what it used, stopped. Linux: it reads /proc.

All figures are of the whole process tree, and from the kernel's own accounting.
"""

import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

CORES = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else [0]
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]

START = 30.0
"""Seconds a server may take until it listens."""
STOP = 5.0
"""Seconds it may take to end before it is killed."""


class Failed(Exception):
    """A server did not start, or did not stay."""


class Server:
    """One server on a free port of the loopback interface. ``{port}`` in its command is replaced."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self.port = _free_port()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        words = [word.replace("{port}", str(self.port)) for word in command]
        self._process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": "bench/peers"} | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=_pin_server,  # noqa: PLW1509 - there are no threads here
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self) -> None:
        until = time.monotonic() + START
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise Failed(f"it ended with code {self._process.returncode}: {self.said()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f"it did not listen within {START:.0f} s: {self.said()}")

    def said(self) -> str:
        """The end of what it printed."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2_000:].strip()

    def cpu(self) -> float:
        """Seconds of CPU time used so far, in user and kernel mode."""
        return sum(_cpu(process) for process in self._tree())

    def memory(self) -> int:
        """Resident bytes."""
        return sum(int(_read(process, "statm").split()[1]) for process in self._tree()) * PAGE

    def stop(self) -> None:
        """End the process and all that it started: a `node` that pip installed is a launcher which leaves its Node."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            pass
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)  # it leads a session of its own: nobody else is in there
        except ProcessLookupError:
            pass

    def _tree(self) -> list[int]:
        found = [self._process.pid]
        for process in found:
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                found.extend(int(child) for child in children.read_text().split())
        return found


def make_room() -> None:
    """Put this process, which makes the load, on its own core, and let it never pause to collect garbage. It and the
    servers may have as many connections as the machine allows."""
    os.sched_setaffinity(0, {LOAD_CORE})
    gc.disable()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _pin_server() -> None:
    os.sched_setaffinity(0, {SERVER_CORE})


def busy(core: int) -> float:
    """Seconds in which a core did anything, since the machine started."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _, _, interrupt, soft, steal = map(int, fields[:8])
            return (user + nice + system + interrupt + soft + steal) / TICKS
    raise LookupError(f"core {core}")


def _cpu(process: int) -> float:
    # The clock that clock_getcpuclockid(3) gives on Linux: user and system time of all threads, in nanoseconds
    try:
        return time.clock_gettime(~process << 3 | 2)
    except OSError:
        raise Failed("a process of the server is gone") from None


def _read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise Failed("a process of the server is gone") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
