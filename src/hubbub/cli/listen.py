"""`hubbub listen TOPIC`: join a topic over the native protocol, and print what is published in it.

When the server goes it is asked again after a while, for what came after the position that was seen. What did not
come is told: positions have no holes.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from hubbub.cli.plain import plain
from hubbub.cli.server import Server, at
from hubbub.errors import HubbubError, UsageError
from hubbub.history import Position

PATIENCE = 15.0
"""Seconds for the server to answer the join: the channel may read a long history first."""
SLOWEST = 30.0
"""The longest pause between two attempts, in seconds."""


@click.command("listen", short_help="Print what is published in a topic.")
@click.argument("topic")
@click.option("--params", metavar="JSON", help="The join parameters: one object.")
@click.option("--token", envvar="HUBBUB_TOKEN", help="Who you are, to a server that asks; safer as HUBBUB_TOKEN.")
@at
def command(topic: str, params: str | None, token: str | None, url: str | None) -> int:
    """Join TOPIC and print each publication as one line of JSON, until Ctrl-C."""
    listener = Listener(Server.find(url, None), topic, _object(params), _headers(token))
    asyncio.run(_print(listener))
    return 0


async def _print(listener: "Listener") -> None:
    console, paint = Console(), JSONHighlighter()
    async for line in listener.publications():
        if console.is_terminal:
            console.print(paint(Text(_visible(line))), soft_wrap=True)
        else:
            click.echo(line)


def _visible(line: str) -> str:
    """What people write into a topic must not move the cursor of who reads along (CWE-150): JSON lets the control
    characters from U+007F on stand as they are."""
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--params must be one JSON object: {error}.") from None


def _headers(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    if not (token.isascii() and token.isprintable()):
        raise UsageError("--token must be printable ASCII.")
    return {"authorization": f"Bearer {token}"}


class Fault(msgspec.Struct):
    """Why something was refused, or ended."""

    reason: str = "it was not said why"
    come_back: bool = False


class Told(msgspec.Struct):
    """What the server says, as far as it matters here (docs/protocols/native.md)."""

    reply: Any = None
    event: str | None = None
    position: str | None = None
    error: Fault | None = None
    left: str | None = None
    bye: Fault | None = None


class Gone(Exception):
    """This connection is over, and another may be tried."""


class Listener:
    """One topic, and where in it we are."""

    def __init__(self, server: Server, topic: str, params: dict[str, Any] | None, headers: dict[str, str]) -> None:
        self.server = server
        self.topic = topic
        self.params = params
        self.headers = headers
        self.position: Position | None = None
        self.joined = False  # on this connection
        self.known = False  # on an earlier one: the server is there, and will be again
        self.returned = False  # and nothing with a position came since
        self.attempts = 0  # to come back

    async def publications(self) -> AsyncIterator[str]:
        """Every publication, as the server's JSON, for ever. Raises HubbubError when the server is not there at
        first, or does not want us."""
        while True:
            try:
                async with self._line() as socket:
                    await socket.send(self._request())
                    while True:
                        async with asyncio.timeout(None if self.joined else PATIENCE):
                            frame = await socket.recv()
                        line = self._hear(frame)
                        if line is not None:
                            yield line
            except (OSError, TimeoutError, WebSocketException, Gone) as error:
                await self._pause(_reason(error))

    def _line(self) -> connect:
        address = f"ws{str(self.server).removeprefix('http')}/hubbub/websocket"
        return connect(address, max_size=None, proxy=None, additional_headers=self.headers)

    def _request(self) -> str:
        asked: dict[str, Any] = {"join": self.topic, "ref": 1}
        if self.params is not None:
            asked["params"] = self.params
        if self.position is not None:
            asked["after"] = str(self.position)
        return msgspec.json.encode(asked).decode()

    def _hear(self, frame: str | bytes) -> str | None:
        """Understand one frame, and give the line that is to be printed. Raises Gone, and HubbubError when there is
        no use in coming back."""
        try:
            told = msgspec.json.decode(frame, type=Told)
            position = None if told.position is None else Position.parse(told.position)
        except (ValueError, RecursionError):
            raise HubbubError(f"{self.server} does not speak Hubbub's own protocol.") from None
        if told.event is not None:
            if position is not None:
                self._advance(position)
            return frame if isinstance(frame, str) else None
        ended = told.bye or (told.error if told.left is not None else None)
        if ended is not None:
            if ended.come_back:
                raise Gone(ended.reason)
            raise HubbubError(f"{self.server} ended it: {ended.reason}.")
        if told.reply == 1:
            if told.error is not None:
                raise HubbubError(f"{self.server} refused {self.topic}: {told.error.reason}.")
            self._enter()
        elif told.error is not None:
            self._say(told.error.reason)
        return None

    def _enter(self) -> None:
        if self.known:
            self._say("back again")
        self.joined = self.known = True
        self.attempts = 0

    def _advance(self, position: Position) -> None:
        """Say so when something between two publications did not come. What went to a room of the topic that we are
        not in has a position too, so this looks only across a broken line."""
        before, self.position = self.position, position
        if before is None or not self.returned:
            return
        self.returned = False
        if position.epoch != before.epoch or position.offset > before.offset + 1:
            self._say(f"what was published between {before} and {position} did not come")

    async def _pause(self, reason: str) -> None:
        if not self.known:
            raise HubbubError(f"{self.server} cannot be reached: {reason}.")
        self.joined, self.returned = False, True
        # Full jitter: when a server restarts, its clients must not come back all at once.
        pause = random.uniform(0.1, min(SLOWEST, 0.5 * 2.0 ** min(self.attempts, 10)))
        self.attempts += 1
        self._say(f"{reason}; trying again in {pause:.1f} s")
        await asyncio.sleep(pause)

    def _say(self, sentence: str) -> None:
        click.echo(f"hubbub: {self.server}: {sentence}", err=True)


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionClosed):
        return "the connection is closed"
    if isinstance(error, InvalidStatus):
        return f"it answered with HTTP status {error.response.status_code}"
    if isinstance(error, Gone):
        return str(error)
    return plain(error)
