"""The server's end of each line, apart from how bytes come and go; and who may come in.

Nothing here knows ASGI or transports; both lanes stand on it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from hubbub.auth import Origins, origin_of
from hubbub.connection import Connection
from hubbub.eager import Eager
from hubbub.errors import Forbidden, NotFound
from hubbub.history import Position
from hubbub.limits import Limits
from hubbub.lines import Carrier
from hubbub.messages import Frame, as_bytes
from hubbub.protocols.base import Line, Request, Session
from hubbub.protocols.base import Protocol as Conversation
from hubbub.servers.files import Files
from hubbub.servers.routes import Door, Routes

log = logging.getLogger("hubbub")

FAREWELL = 5.0
"""Seconds a client that was sent away has to take its last words, or to answer a Close frame, before it is cut off."""

PENDING = 65_536
"""Bytes handed to the server and not yet taken by it at which a line counts as full: asyncio's own mark."""


class Host(Protocol):
    """The application, as far as the servers need it."""

    eager: Eager
    limits: Limits
    origins: Origins
    routes: Routes
    files: Files
    fallback: Callable[..., Awaitable[None]] | None
    secret: str | None
    patience: float
    """Seconds that stopping may take."""
    hosted: bool
    """Whether a server of others runs it."""

    @property
    def closed(self) -> bool:
        """Whether nobody is let in any more."""

    async def start(self) -> None:
        """Start, if it has not started."""

    async def close(self) -> None:
        """Stop."""

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Start, and stop."""

    async def drain(self, seconds: float) -> None:
        """Let nobody in any more, and tell every client to come back."""

    def session(self) -> Session:
        """What a new conversation is given."""

    def connect(self, protocol: type[Conversation], request: Request, key: str | None = None) -> Connection:
        """A new client, whose session may have a ``key`` already."""

    def find(self, key: str) -> Connection:
        """The client of a session. Raises NotFound."""

    def publish(
        self,
        topic: str,
        event: str,
        *payload: Any,
        to: str = "",
        keep: bool = True,
        volatile: bool = False,
        key: str = "",
        id: str | None = None,
    ) -> Awaitable[Position]:
        """Tell everyone in a topic, or in its room ``to``."""

    def metrics(self) -> str:
        """What this node says of itself in numbers."""

    def complain(self, what: str, error: BaseException) -> None:
        """Tell the operator of a fault."""


# -- who may come in --------------------------------------------------------------------------------------------------


def check_origin(host: Host, request: Request) -> None:
    """Raises Forbidden for what a page asks that may not. A browser tells its page nothing of the reason, so whoever
    runs the server is told, once for each origin."""
    origin, own = origin_of(request.headers), request.headers.get("host")
    if origin is None or host.origins.allows(origin, own):
        return
    if host.origins.is_news(origin):
        told = {"origin": origin[:200], "host": own}
        log.warning("pages of this origin may not connect: App(origins=...) lists those that may", extra=told)
    raise Forbidden("pages of this origin may not connect")


def admit(host: Host, door: Door, request: Request) -> Connection:
    """The client this request belongs to, known or new. Raises HubbubError: ``Conversation.refuse`` says it."""
    check_origin(host, request)
    key = door.protocol.session(request)
    if key is None:
        return host.connect(door.protocol, request)
    try:
        return host.find(key)
    except NotFound:
        stranger = door.protocol.stranger(request)
        if stranger == "refuse":
            raise
        return host.connect(door.protocol, request, key if stranger == "adopt" else None)


def subprotocol(protocol: type[Conversation], headers: Mapping[str, str]) -> str | None:
    """The WebSocket subprotocol both sides speak, by the server's preference (RFC 6455, section 4.2.2)."""
    if not protocol.subprotocols or "sec-websocket-protocol" not in headers:
        return None
    offered = {name.strip() for name in headers["sec-websocket-protocol"].split(",")}
    return next((name for name in protocol.subprotocols if name in offered), None)


# -- the server's ends ------------------------------------------------------------------------------------------------


class Poll(Carrier):
    """One response that waits for something to say."""

    line: Line = "poll"
    once = True
    full = False
    unsent = 0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.body: asyncio.Future[bytes] = loop.create_future()

    def write(self, frames: list[Frame]) -> None:
        if not self.body.done():
            self.body.set_result(b"".join(map(as_bytes, frames)))

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        self.write(frames)

    def hold(self, on: bool) -> None:
        """Nothing is read from it."""


class Post(Carrier):
    """One request whose body is on its way. Nothing is written to it."""

    line: Line = "post"
    once = True
    full = False
    unsent = 0

    def write(self, frames: list[Frame]) -> None:
        """Its answer is the server's."""

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        """It ends with its answer."""

    def hold(self, on: bool) -> None:
        """It is one body, and that has its limit."""


class Queue(Carrier):
    """A line that goes on. Its frames wait until the server takes them, and its ``size`` says when it has enough."""

    once = False

    def __init__(self, connection: Connection, line: Line) -> None:
        self.connection = connection
        self.line = line
        self.full = False
        self.waiting: deque[Frame] = deque()
        self.size = 0
        self.closing: tuple[int, str] | None = None
        self.reading = asyncio.Event()
        """Set while more may be read of what the client sends."""
        self.reading.set()

    @property
    def unsent(self) -> int:
        return self.size

    def write(self, frames: list[Frame]) -> None:
        self.waiting.extend(frames)
        self.size += sum(map(len, frames))
        if not self.full and self.size > PENDING:
            self.full = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self.connection.flowing, self, loop.time())

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        self.closing = (code, reason)
        self.write(frames)
        self.reading.set()

    def hold(self, on: bool) -> None:
        if on:
            self.reading.clear()
        else:
            self.reading.set()

    def sent(self, *frames: Frame) -> None:
        """The server took these."""
        self.size -= sum(map(len, frames))
        if self.full and self.size <= PENDING // 4:
            self.full = False
            self.connection.flowing(self, asyncio.get_running_loop().time())
