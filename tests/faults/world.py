"""What a run happens in: nodes as processes of their own, the broker behind them, and a proxy on every way between.

    clients -> doors[i] (FaultProxy) -> nodes[i] -> backs[i] (FaultProxy) -> Redis

A node is started by `hubbub run`, as anybody starts one, and ended by its pid.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..ports import free_port
from ..redis_server import RedisServer
from .app import REFUSED
from .proxy import FaultProxy
from .wires import Http, open_line

APP = Path(__file__).with_name("app.py")
START = 40.0
"""Seconds for a node to answer, or to end."""


class Node:
    """One `hubbub run`."""

    def __init__(self, folder, name, broker, drain=3.0, app=APP):
        self.port = free_port()
        self.log = folder / f"{name}.log"
        self.folder = folder
        self.words = [
            sys.executable, "-m", "hubbub", "run", f"{app}:app", "--port", str(self.port), "--broker", broker,
            "--drain-timeout", str(drain), "--log-level", "warning", "--quiet",
        ]  # fmt: skip
        self.process = None
        self.reachable = []
        """When it first answered, each time that it was started."""

    async def start(self):
        await asyncio.to_thread(self.launch)
        await self.until_reachable()
        return self

    def launch(self):
        with self.log.open("ab") as log:
            places = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder)}  # one that is killed leaves its secret there
            self.process = subprocess.Popen(self.words, stdout=log, stderr=log, cwd=self.folder, env=places)

    async def until_reachable(self):
        deadline = time.monotonic() + START
        while not await self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"a node did not start: {self.log.read_text()[-2_000:]}")
            await asyncio.sleep(0.02)
        self.reachable.append(time.monotonic())

    async def answers(self):
        try:
            line = await open_line(Http, self.port)
            status, _ = await line.ask("GET", "/hubbub/health", deadline=1)
        except (OSError, TimeoutError):
            return False
        line.abort()
        return status == 200

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    async def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)
            os.kill(process.pid, how)
            try:
                await asyncio.to_thread(process.wait, START)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait, START)
                raise AssertionError(f"a node did not stop: {self.log.read_text()[-2_000:]}") from None

    async def kill(self):
        await self.stop(signal.SIGKILL)

    @property
    def files(self):
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    @property
    def memory(self):
        """MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1_024

    def complaints(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def errors(self):
        """What it logged that its operator is to mend: a fault of ours, here."""
        return [line for line in self.complaints().splitlines() if '"level":"error"' in line or "Traceback" in line]

    def refusals(self):
        """What its log did not take: pairs of publisher and number."""
        told = [json.loads(line) for line in self.complaints().splitlines() if f'"event":"{REFUSED}"' in line]
        return [(each["by"], each["n"]) for each in told]


class World:
    """Nodes over one broker: ``memory``, ``sqlite`` or ``redis``."""

    def __init__(self, folder, broker, nodes=1, seed=0, drain=3.0):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.broker = broker
        self.seed = seed
        self.redis = None
        self.backs = []
        self.doors = []
        self.nodes = []
        self.count = nodes
        self.drain = drain

    async def __aenter__(self):
        try:
            if self.broker == "redis":
                self.redis = RedisServer(self.folder / "redis", appendonly="yes", appendfsync="always")
                await asyncio.to_thread(self.redis.start)
            for number in range(self.count):
                url = await self.url(number)
                self.nodes.append(Node(self.folder, f"node{number}", url, self.drain))
            await asyncio.gather(*(node.start() for node in self.nodes))
            for node in self.nodes:
                self.doors.append(await FaultProxy(node.port, f"{self.seed} door").start())
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def url(self, number):
        if self.broker == "sqlite":
            return f"sqlite:///{self.folder / 'log.db'}"
        if self.broker == "redis":
            self.backs.append(await FaultProxy(self.redis.port, f"{self.seed} back").start())
            return f"redis://127.0.0.1:{self.backs[number].port}/0"
        return "memory://"

    async def __aexit__(self, *exception):
        for node in self.nodes:
            await node.kill()
        for proxy in (*self.doors, *self.backs):
            await proxy.close()
        if self.redis is not None:
            await asyncio.to_thread(self.redis.kill)

    @property
    def ports(self):
        return [door.port for door in self.doors]

    def heal(self):
        for proxy in (*self.doors, *self.backs):
            proxy.heal()
