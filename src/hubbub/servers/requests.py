"""What becomes of an HTTP request at a door, line by line: a poll waits, a stream goes on, a post is understood, an
exchange is done and answered, a page is just given.

Nothing here knows ASGI: a server is what ``Incoming`` says of it.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from hubbub.connection import Connection
from hubbub.errors import Conflict, HubbubError, TimedOut, TooBig, WrongMethod
from hubbub.messages import Frame, as_bytes
from hubbub.protocols.base import Request, Response
from hubbub.servers.carriers import FAREWELL, PENDING, Host, Poll, Post, Queue, admit, check_origin
from hubbub.servers.outlet import Outlet, ResponseOutlet, as_chunk
from hubbub.servers.routes import Door

SLOWEST = 15.0
"""Seconds for a request's body. One of 1 MB at 64 kB/s, a poor line by any measure, takes as long."""

SETTLE = 0.05
"""Seconds in which the end of a request that was broken off is heard of, though the next one came with it; and in which
a client looks at the last words, before its next poll is told that there will be no more."""


class Incoming(Protocol):
    """A request, as a server has it."""

    request: Request

    async def chunk(self) -> tuple[bytes, bool]:
        """The next piece of the body, and whether there is more. Raises ProtocolError when there will be no more."""

    async def gone(self) -> None:
        """Return when the client has gone away."""

    async def begin(self, response: Response) -> None:
        """Send a response's status and headers, and its first piece. Raises OSError when the client has gone away."""

    async def go_on(self, piece: bytes, more: bool) -> None:
        """Send a further piece, and say whether it is the last. Raises as ``begin``."""

    def lay(self, outlet: Outlet) -> bool:
        """Between ``begin`` and the last ``go_on``: let this outlet take chunks of the response, and tell it what the
        transport says, if there is such a short cut."""


async def respond(host: Host, door: Door, incoming: Incoming) -> Response | None:
    """The response to this request; None where it has been sent already, or nobody is there to read it."""
    request = incoming.request
    route = door.routes.get(request.method)
    try:
        if route is None or route.line == "socket":
            return door.protocol.refuse(WrongMethod(door.methods), request)
        if route.line == "page":
            check_origin(host, request)
            return door.protocol.page(request, host.session())
        if route.line == "post":
            return await post(host, door, incoming)
        if route.line == "exchange":
            return await exchange(host, door, incoming)
        if request.method == "POST":  # a client that asks by POST has nothing to say all the same
            await read_body(incoming, host.limits.message)
        return await (stream if route.line == "stream" else poll)(host, door, incoming)
    except HubbubError as error:
        return door.protocol.refuse(error, request)


async def poll(host: Host, door: Door, incoming: Incoming) -> Response | None:
    """Answer as soon as there is something to say."""
    loop, request = asyncio.get_running_loop(), incoming.request
    connection = admit(host, door, request)
    carrier = Poll(loop)
    try:
        await _attach(connection, carrier, request)
        # phoenix.js forgets the last words, if it hears within a millisecond that they were the last
        if connection.ended and door.protocol.repeats_farewell:
            await asyncio.sleep(SETTLE)
        if not carrier.body.done():
            await _first_of(carrier.body, incoming)
        return connection.protocol.answer("poll", carrier.body.result(), request) if carrier.body.done() else None
    finally:
        if not carrier.body.done():
            connection.detach(carrier, loop.time())
        if door.protocol.one_shot:
            connection.end(None, "closed")


async def stream(host: Host, door: Door, incoming: Incoming) -> None:
    """Answer for as long as both sides want it."""
    loop, request = asyncio.get_running_loop(), incoming.request
    connection = admit(host, door, request)
    carrier = _Stream(connection)
    await _attach(connection, carrier, request)
    writer = asyncio.ensure_future(_write(connection, carrier, incoming))
    try:
        await _first_of(writer, incoming)
    finally:
        connection.detach(carrier, loop.time())
        if door.protocol.one_shot:
            connection.end(None, "closed")
        writer.cancel()
        await asyncio.wait((writer,))
    if not writer.cancelled():
        writer.result()


async def _attach(connection: Connection, carrier: Poll | Queue, request: Request) -> None:
    """Raises as ``Connection.attach``, but not before a client that has just broken off is known to have done so."""
    loop = asyncio.get_running_loop()
    try:
        connection.attach(carrier, loop.time(), request)
    except Conflict:
        await asyncio.sleep(SETTLE)
        connection.attach(carrier, loop.time(), request)


class _Stream(Queue):
    """A response that goes on. Its frames leave at once where the server lets them; else one task empties it, as fast
    as the server takes it."""

    frame: Callable[[Frame], bytes] = staticmethod(as_chunk)

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "stream")
        self._wake = asyncio.Event()
        self._outlet: Outlet | None = None

    @property
    def unsent(self) -> int:
        return self.size if self._outlet is None else self._outlet.unsent

    def write(self, frames: list[Frame]) -> None:
        if self.wire is None:
            super().write(frames)
            self._wake.set()
        elif frames:
            self.wire(b"".join(map(as_chunk, frames)))

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        super().close(frames, code, reason)
        self.wire = None
        self._wake.set()

    def begun(self, incoming: Incoming) -> None:
        """The response has begun: take the short cut, if there is one, with all that waits."""
        outlet = ResponseOutlet(self)
        if not incoming.lay(outlet):
            return
        self._outlet, self.wire = outlet, outlet.wire
        waiting, self.size = list(self.waiting), 0
        self.waiting.clear()
        self.write(waiting)
        if self.closing is not None:
            self.wire = None
        self.flow(outlet.full)

    def flow(self, full: bool) -> None:
        self.full = full
        self.connection.flowing(self, asyncio.get_running_loop().time())

    async def finish(self, incoming: Incoming) -> None:
        """End the response, when all of it has left. By the short cut the line of who reads nothing more is cut; ASGI
        has no word for that."""
        while (outlet := self._outlet) is not None:
            unsent = outlet.unsent
            try:
                async with asyncio.timeout(FAREWELL if self.connection.ended else self.connection.desk.limits.stalled):
                    await incoming.go_on(b"", False)
                    return
            except TimeoutError:
                if outlet.unsent == unsent:
                    outlet.transport.abort()
        await incoming.go_on(b"", False)

    def lost(self) -> None:
        self._outlet = self.wire = None
        self.connection.detach(self, asyncio.get_running_loop().time())

    async def next(self) -> Frame | None:
        """The next frame to write, when there is one; None when the line is to be closed."""
        while not self.waiting:
            if self.closing is not None:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self.waiting.popleft()

    def rest(self) -> list[Frame]:
        """What else there is to write, if it is more than fits into one piece the beginning of that."""
        taken, size = [], 0
        while self.waiting and size < PENDING:
            taken.append(self.waiting.popleft())
            size += len(taken[-1])
        return taken


async def _write(connection: Connection, carrier: _Stream, incoming: Incoming) -> None:
    """The first piece by itself, with which the response begins; from then on what comes together leaves together, or
    all leaves without us, until the end."""
    begun = False
    try:
        while (frame := await carrier.next()) is not None:
            frames = [frame, *carrier.rest()] if begun else [frame]
            piece = b"".join(map(as_bytes, frames))
            if begun:
                await incoming.go_on(piece, True)
            else:
                await incoming.begin(connection.protocol.answer("stream", piece, incoming.request))
            carrier.sent(*frames)
            if not begun:
                begun = True
                carrier.begun(incoming)
        if not begun:
            await incoming.begin(connection.protocol.answer("stream", b"", incoming.request))
        await carrier.finish(incoming)
    except OSError:
        pass  # the client is gone: ``gone`` says so too


async def post(host: Host, door: Door, incoming: Incoming) -> Response:
    """Take a body, as far as the limits go, and let the protocol understand it."""
    loop, request = asyncio.get_running_loop(), incoming.request
    connection = admit(host, door, request)
    carrier = Post()
    connection.attach(carrier, loop.time(), request)
    try:
        body = await read_body(incoming, host.limits.message)
        connection.post(request, _as_frame(body), loop.time())
    finally:
        connection.detach(carrier, loop.time())
    return connection.protocol.answer("post", b"", request)


async def exchange(host: Host, door: Door, incoming: Incoming) -> Response:
    """Do what a request asks, step by step; the last reply, or the first refusal, is the response."""
    loop, request = asyncio.get_running_loop(), incoming.request
    connection = admit(host, door, request)
    known = door.protocol.session(request) is not None
    try:
        body = await read_body(incoming, host.limits.message)
        for command in door.protocol.exchange(request, body, known):
            reply = await connection.ask(command, loop.time())
            if reply.error is not None:
                break
    finally:
        if not known:
            connection.end(None, "closed")
    return door.protocol.respond(reply, request)


async def read_body(incoming: Incoming, limit: int) -> bytes:
    """The whole body. Raises TooBig as soon as it is, TimedOut when it takes too long."""
    announced = incoming.request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:18]) > limit:
        raise TooBig(f"more than {limit} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST):
            more = True
            while more:
                chunk, more = await incoming.chunk()
                body += chunk
                if len(body) > limit:
                    raise TooBig(f"more than {limit} bytes")
    except TimeoutError:
        raise TimedOut("the body took too long") from None
    return bytes(body)


async def _first_of(work: "asyncio.Future[bytes] | asyncio.Task[None]", incoming: Incoming) -> None:
    """Wait until this is done, or the client is gone."""
    left = asyncio.ensure_future(incoming.gone())
    try:
        await asyncio.wait((work, left), return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()


def _as_frame(body: bytes) -> Frame:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
