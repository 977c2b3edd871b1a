"""Clients in a room, and a server of their own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

SERVE = [sys.executable, "-m", "hubbub", "run", "app", "--port", "0", "--broker"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server with an empty database."""
    command = [*SERVE, f"sqlite:///{tmp_path}/chat.db"]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://(\S+)", process.stdout.readline())
        assert found, "the server did not start"
        yield found.group(1)
        process.terminate()


class Client:
    """One client in the room, over Hubbub's own protocol: JSON objects on a WebSocket."""

    def __init__(self, socket: ClientConnection, **params: str) -> None:
        self.socket = socket
        self.joined = self.ask(join="room:test", params=params)

    def ask(self, **message: Any) -> dict[str, Any]:
        self.socket.send(json.dumps({**message, "ref": 1}))
        return self.next("reply")

    def next(self, key: str) -> dict[str, Any]:
        """The next message that has this key."""
        while True:
            message: dict[str, Any] = json.loads(self.socket.recv(timeout=10))
            if key in message:
                return message


@contextmanager
def client(server: str, **params: str) -> Iterator[Client]:
    """A client that has asked to come in; ``joined`` is the answer."""
    with connect(f"ws://{server}/hubbub/websocket", proxy=None) as socket:
        yield Client(socket, **params)


def test_everyone_in_the_room_hears_what_one_says(server: str) -> None:
    with client(server, name="Ann") as ann, client(server, name="Bo") as bo:
        ann.socket.send(json.dumps({"send": "room:test", "event": "say", "payload": "hello"}))
        for each in (ann, bo):
            assert each.next("event")["payload"] == {"name": "Ann", "text": "hello"}


def test_who_comes_later_is_told_what_was_said(server: str) -> None:
    with client(server, name="Ann") as ann:
        assert ann.ask(send="room:test", event="say", payload="hello")["ok"]
    with client(server, name="Bo") as bo:
        assert bo.next("event")["payload"] == {"name": "Ann", "text": "hello"}


def test_a_message_needs_a_text(server: str) -> None:
    with client(server, name="Ann") as ann:
        assert ann.ask(send="room:test", event="say", payload="")["error"]["code"] == "invalid"


def test_nobody_comes_in_without_a_name(server: str) -> None:
    with client(server) as nobody:
        assert not nobody.joined["ok"]
