"""`hubbub listen`: what is published is printed, through restarts too, and what did not come is told."""

import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from hubbub.cli.listen import _visible

from .conftest import CHAT, DEADLINE, HUBBUB, Run, Running, assert_mistake

Start = Callable[..., Running]
ROOMS = """
from hubbub import Forbidden

@app.channel("room:{room}")
class Room(Channel):
    async def join(self, room: str, name: str) -> None:
        await self.publish("came", name, [room])

@app.authenticate
def who(handshake):
    return handshake.token

@app.channel("inbox:{user}")
class Inbox(Channel):
    async def join(self, user: str) -> None:
        if user != self.connection.identity:
            raise Forbidden("not yours")
        await self.publish("came", user)

@app.channel("closed")
class Closed(Channel):
    async def join(self) -> None:
        raise Forbidden("members only")
"""


class Listening:
    """A `hubbub listen` whose lines can be waited for."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*HUBBUB, "listen", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said: Queue[str] = Queue()
        self.warned: Queue[str] = Queue()
        pipes = ((self.process.stdout, self.said), (self.process.stderr, self.warned))
        self.readers = [threading.Thread(target=self._read, args=pipe) for pipe in pipes]
        for reader in self.readers:
            reader.start()

    def _read(self, pipe: Any, lines: Queue[str]) -> None:
        with pipe:
            for line in pipe:
                lines.put(line)

    def next(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self.said.get(timeout=DEADLINE))
        return heard

    def until(self, pattern: str) -> None:
        while not re.search(pattern, self.warned.get(timeout=DEADLINE)):
            pass

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE)
        for reader in self.readers:
            reader.join(DEADLINE)
        return code


@pytest.fixture
def listen(folder: Path) -> Iterator[Callable[..., Listening]]:
    begun: list[Listening] = []

    def begin(*arguments: str) -> Listening:
        begun.append(Listening(*arguments))
        return begun[-1]

    yield begin
    for each in begun:
        each.end(signal.SIGTERM)


@pytest.fixture
def chat(folder: Path) -> str:
    (folder / "chat.py").write_text(CHAT + ROOMS)
    return "chat"


def test_each_publication_is_a_line_of_json(
    hubbub: Run, start: Start, listen: Callable[..., Listening], chat: str
) -> None:
    url = start("run", chat).url
    listening = listen("room:lobby", "--params", '{"name": "ann"}', "--url", url)
    assert listening.next() == {"topic": "room:lobby", "event": "came", "payload": ["ann", ["lobby"]]}
    hubbub("publish", "room:lobby", "said", '{"text": "two\\nlines"}', "--url", url)
    assert listening.next() == {"topic": "room:lobby", "event": "said", "payload": {"text": "two\nlines"}}


def test_a_token_says_who_listens(
    hubbub: Run, start: Start, listen: Callable[..., Listening], chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = start("run", chat).url
    assert listen("inbox:ann", "--token", "ann", "--url", url).next()["payload"] == "ann"
    assert_mistake(hubbub("listen", "inbox:ann", "--url", url), r".* refused inbox:ann: not yours\.", 1)
    assert_mistake(hubbub("listen", "inbox:ann", "--token", "a\nb", "--url", url), r"--token must be printable ASCII\.")
    monkeypatch.setenv("HUBBUB_TOKEN", "bob")
    assert listen("inbox:bob", "--url", url).next()["payload"] == "bob"


def test_a_kept_topic_has_positions(hubbub: Run, start: Start, listen: Callable[..., Listening], chat: str) -> None:
    url = start("run", chat).url
    with_join = listen("room:x", "--params", '{"name": "y"}', "--url", url)
    with_join.next()  # so this machine was given time to start a listener
    listening = listen("/", "--url", url)
    published = []
    while listening.said.empty():
        published.append(hubbub("publish", "/", "said", "1", "--url", url).stdout.strip())
    heard = listening.next()
    assert (heard["topic"], heard["event"], heard["payload"]) == ("/", "said", 1)
    assert heard["position"] in published


def test_ctrl_c_ends_it_with_code_zero(start: Start, listen: Callable[..., Listening], chat: str) -> None:
    listening = listen("room:lobby", "--params", '{"name": "ann"}', "--url", start("run", chat).url)
    listening.next()
    assert listening.end(signal.SIGINT) == 0
    assert listening.said.empty()
    assert [line for line in listening.warned.queue if line.strip()] == []


def test_it_comes_back_to_a_server_that_was_started_again(
    hubbub: Run, start: Start, listen: Callable[..., Listening], chat: str, free_tcp_port: int
) -> None:
    first = start("run", chat, "--broker", "sqlite:///chat.db", port=free_tcp_port)
    listening = listen("room:lobby", "--params", '{"name": "ann"}', "--url", first.url)
    listening.next()
    first.rest()
    listening.until("trying again in")
    start("run", chat, "--broker", "sqlite:///chat.db", port=free_tcp_port)
    listening.until("back again")
    assert listening.next()["event"] == "came"


def test_what_did_not_come_in_between_is_told(
    hubbub: Run, start: Start, listen: Callable[..., Listening], folder: Path, free_tcp_port: int
) -> None:
    (folder / "chat.py").write_text(CHAT + GREETING)
    first = start("run", "chat", "--broker", "memory://", port=free_tcp_port)
    listening = listen("/greeted", "--url", first.url)
    listening.next()
    first.process.kill()
    listening.until("trying again in")
    start("run", "chat", "--broker", "memory://", port=free_tcp_port)
    listening.until(r"what was published between \S+:1 and \S+:1 did not come")


GREETING = """
@app.channel("greeted")
class Greeted(Channel):
    history = Keep(count=10)

    async def join(self) -> None:
        await self.publish("hello")
"""


def test_on_a_terminal_nobody_moves_the_cursor() -> None:
    line = '{"text":"h\u00e9 \u009b2J \u007f \U000e0001"}'
    assert _visible(line) == '{"text":"h\u00e9 \\u009b2J \\u007f \\udb40\\udc01"}'
    assert json.loads(_visible(line)) == json.loads(line)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["closed"], r"refused closed: members only\."),
        (["nowhere"], r"refused nowhere: .*"),
        (["room:lobby"], r"refused room:lobby: .*name.*"),
    ],
)
def test_a_refusal_is_one_sentence(hubbub: Run, start: Start, chat: str, arguments: list[str], sentence: str) -> None:
    url = start("run", chat).url
    assert_mistake(hubbub("listen", *arguments, "--url", url), f"{url} {sentence}", 1)


def test_nobody_there(hubbub: Run, free_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{free_tcp_port}"
    assert_mistake(hubbub("listen", "/", "--url", url), rf"{url} cannot be reached: .*connect.*\.", 1)


def test_no_hubbub_at_that_path(hubbub: Run, start: Start, chat: str) -> None:
    url = start("run", chat).url
    done = hubbub("listen", "/", "--url", f"{url}/elsewhere")
    assert_mistake(done, rf"{url}/elsewhere cannot be reached: it answered with HTTP status 40[34]\.", 1)


@pytest.mark.parametrize("params", ["", "x", "[1]", "1", '{"a":'])
def test_parameters_that_are_no_object(hubbub: Run, params: str) -> None:
    assert_mistake(hubbub("listen", "/", "--params", params), r"--params must be one JSON object: .*\.")
