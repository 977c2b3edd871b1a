"""`hubbub run --reload`: a change starts the server again, whatever is connected and whatever is wrong."""

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from urllib.parse import urlsplit

import pytest

from hubbub.cli import secrets

from .conftest import CHAT, DEADLINE, HUBBUB, Run, assert_mistake

SAYS = "\nprint('this is {}', flush=True)\n"


class Watched:
    """A `hubbub run --reload`, whose lines can be waited for."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*HUBBUB, "run", "chat", "--reload", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: Queue[str] = Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def before(self, pattern: str) -> list[str]:
        lines = []
        while not re.search(pattern, line := self.lines.get(timeout=DEADLINE)):
            lines.append(line)
        return lines

    def until(self, pattern: str) -> "re.Match[str]":
        while True:
            found = re.search(pattern, self.lines.get(timeout=DEADLINE))
            if found:
                return found


Watch = Callable[..., Watched]


@pytest.fixture
def watch(folder: Path) -> Iterator[Watch]:
    """``watch("--port", "0")``: run it, and end it with the test."""
    begun: list[Watched] = []

    def begin(*arguments: str) -> Watched:
        (folder / "chat.py").write_text(CHAT + SAYS.format("one"))
        begun.append(Watched(folder, *arguments))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.terminate()
        each.process.wait(DEADLINE)
        each.reader.join(DEADLINE)
        assert each.process.stdout is not None
        each.process.stdout.close()


@pytest.fixture
def watched(watch: Watch) -> Watched:
    return watch("--port", "0")


def test_a_change_starts_it_again(watched: Watched, folder: Path) -> None:
    watched.until("serves chat at")
    (folder / "chat.py").write_text(CHAT + SAYS.format("two"))
    watched.until(r"chat\.py changed: starting again")
    watched.until("this is two")
    watched.until("serves chat at")  # for with port 0 it is elsewhere now


def test_where_the_port_stays_it_is_said_once(watch: Watch, folder: Path, free_tcp_port: int) -> None:
    watched = watch("--port", str(free_tcp_port))
    watched.until("serves chat at")
    (folder / "chat.py").write_text(CHAT + SAYS.format("two"))
    watched.until("this is two")
    (folder / "chat.py").write_text(CHAT + SAYS.format("three"))
    assert not any("serves" in line for line in watched.before("this is three"))


def test_a_page_counts_as_a_source_and_a_database_does_not(watched: Watched, folder: Path) -> None:
    watched.until("serves chat at")
    (folder / "chat.db").write_text("x")
    (folder / "index.html").write_text("x")
    assert watched.until("(.*) changed: starting again").group(1) == "index.html"


def test_open_sockets_do_not_hold_it_up(watched: Watched, folder: Path) -> None:
    url = urlsplit(watched.until(r"serves chat at (\S+)").group(1))
    with socket.create_connection((url.hostname, url.port), DEADLINE) as client:
        client.sendall(
            b"GET /hubbub/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
        (folder / "chat.py").write_text(CHAT + SAYS.format("two"))
        watched.until("this is two")  # though this client neither answers a close nor goes


def test_a_mistake_in_an_edit_is_said_and_the_next_edit_waited_for(watched: Watched, folder: Path) -> None:
    watched.until("this is one")
    watched.until("serves chat at")
    (folder / "chat.py").write_text("x = = 1")
    watched.until(r"hubbub: chat\.py:1: invalid syntax\.")
    watched.until("waiting for a change")
    (folder / "chat.py").write_text(CHAT + SAYS.format("three"))
    watched.until("this is three")


def test_a_mistake_at_the_first_start_ends_it(hubbub: Run) -> None:
    assert_mistake(hubbub("run", "nowhere", "--reload"), r"There is no module 'nowhere' in .*")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_processes(watched: Watched, number: signal.Signals) -> None:
    port = urlsplit(watched.until(r"serves chat at (\S+)").group(1)).port
    assert port is not None
    os.kill(watched.process.pid, number)
    assert watched.process.wait(DEADLINE) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), DEADLINE)
    assert secrets.find(port) is None
