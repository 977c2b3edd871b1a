"""The server's end of each line, apart from how bytes come in: what a poll is, what a POST is, who may come in.

Nothing here knows ASGI or transports; both lanes stand on it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from hubbub.auth import Origins
from hubbub.connection import Connection
from hubbub.errors import Forbidden, HubbubError, NotFound, ProtocolError, TooBig
from hubbub.history import Position
from hubbub.limits import Limits
from hubbub.messages import Frame
from hubbub.protocols.base import Line, Request, Response
from hubbub.protocols.base import Protocol as Conversation
from hubbub.servers.files import Files
from hubbub.servers.routes import Door, Routes


class Host(Protocol):
    """The application, as far as the servers need it."""

    limits: Limits
    origins: Origins
    routes: Routes
    files: Files
    fallback: Callable[..., Awaitable[None]] | None
    secret: str | None

    async def start(self) -> None:
        """Start, if it has not started."""

    async def close(self) -> None:
        """Stop."""

    def dismiss(self) -> None:
        """Tell every client to come back later, and close its lines."""

    def connect(self, protocol: type[Conversation], request: Request) -> Connection:
        """A new client."""

    def find(self, key: str) -> Connection:
        """The client of a session. Raises NotFound."""

    def publish(self, topic: str, event: str, *payload: Any) -> Awaitable[Position]:
        """Tell everyone in a topic."""

    def complain(self, what: str, error: BaseException) -> None:
        """Tell the operator of a fault."""


def admit(host: Host, door: Door, request: Request) -> Connection:
    """The client this request belongs to, known or new. Raises HubbubError: ``Conversation.refuse`` says it."""
    if not host.origins.allows(request.headers.get("origin"), request.headers.get("host")):
        raise Forbidden("pages of this origin may not connect")
    key = door.protocol.session(request)
    return host.connect(door.protocol, request) if key is None else host.find(key)


def subprotocol(protocol: type[Conversation], headers: Mapping[str, str]) -> str | None:
    """The WebSocket subprotocol both sides speak, by the server's preference (RFC 6455, section 4.2.2)."""
    offered = {name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")}
    return next((name for name in protocol.subprotocols if name in offered), None)


class Poll:
    """One response that waits for something to say."""

    line: Line = "poll"
    once = True
    full = False
    wire: Callable[[bytes], None] | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.body: asyncio.Future[bytes] = loop.create_future()

    def write(self, frames: list[Frame]) -> None:
        if not self.body.done():
            self.body.set_result(b"".join(frame.encode() if isinstance(frame, str) else frame for frame in frames))

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        self.write(frames)


async def poll(host: Host, door: Door, request: Request, gone: Callable[[], Awaitable[Any]]) -> Response | None:
    """Answer a GET as soon as there is something to say. None when the client went away first (``gone``)."""
    loop = asyncio.get_running_loop()
    try:
        connection = admit(host, door, request)
        carrier = Poll(loop)
        connection.attach(carrier, loop.time())
    except HubbubError as error:
        return door.protocol.refuse(error, request)
    if not carrier.body.done():
        left = asyncio.ensure_future(gone())
        try:
            await asyncio.wait((carrier.body, left), return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            if not carrier.body.done():
                connection.detach(carrier, loop.time())
    if not carrier.body.done():
        return None
    return connection.protocol.answer("poll", carrier.body.result())


async def post(
    host: Host, door: Door, request: Request, chunks: Callable[[], Awaitable[tuple[bytes, bool]]]
) -> Response:
    """Take a body, as far as the limits go, and let the protocol understand it."""
    try:
        connection = admit(host, door, request)
        body = await read_body(request, chunks, host.limits.message)
        text: Frame
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = body
        connection.receive(text, "post", asyncio.get_running_loop().time())
    except HubbubError as error:
        return door.protocol.refuse(error, request)
    return connection.protocol.answer("post", b"")


async def read_body(request: Request, chunks: Callable[[], Awaitable[tuple[bytes, bool]]], limit: int) -> bytes:
    """The whole body. Raises TooBig as soon as it is, ProtocolError when it takes too long."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:18]) > limit:
        raise TooBig(f"more than {limit} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(15):  # a body of 1 MB at 64 kB/s, a poor line by any measure, takes as long
            more = True
            while more:
                chunk, more = await chunks()
                body += chunk
                if len(body) > limit:
                    raise TooBig(f"more than {limit} bytes")
    except TimeoutError:
        raise ProtocolError("the body took too long") from None
    return bytes(body)


def refuse_method(door: Door, request: Request) -> Response:
    """The protocol's own answer to a method it has no row for."""
    return door.protocol.refuse(ProtocolError("Bad handshake method"), request)


def find_file(host: Host, request: Request) -> Path:
    """Raises NotFound."""
    file = host.files.find(request.path)
    if file is None or request.method not in ("GET", "HEAD"):
        raise NotFound(f"there is nothing at {request.path}")
    return file
