"""The portable lane: the application under any ASGI server, or mounted in any ASGI application."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from hubbub.connection import Connection
from hubbub.eager import Eager
from hubbub.errors import Conflict, HubbubError, ProtocolError
from hubbub.messages import Frame
from hubbub.protocols.base import Request
from hubbub.servers import asgi_http, asgi_lifespan, carriers
from hubbub.servers.carriers import FAREWELL, Host
from hubbub.servers.routes import Door
from hubbub.servers.websocket import short

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def serve(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    """One ASGI call."""
    if scope["type"] == "lifespan":
        await asgi_lifespan.serve(host, scope, receive, send)
        return
    request = read_request(scope)
    door, request = host.routes.find(request)
    if scope["type"] == "websocket":
        if door is not None and "WEBSOCKET" in door.routes:
            await host.start()
            await _websocket(host, door, request, receive, send)
            return
        if host.fallback is None:
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
    elif await asgi_http.serve(host, door, request, receive, send, scope.get("extensions") or {}):
        return
    assert host.fallback is not None
    await host.fallback(scope, receive, send)


def read_request(scope: Scope) -> Request:
    """What protocols may know of an ASGI scope. A mounted application sees its own part of the path."""
    path = scope["path"]
    root = scope.get("root_path", "")
    if root and path.startswith(root):
        path = path[len(root) :] or "/"
    client = scope.get("client")
    query, repeated = read_query(scope.get("query_string", b"").decode("latin-1"))
    return Request(
        method=scope.get("method", "GET"),
        path=path,
        query=query,
        repeated=repeated,
        headers=read_headers(scope["headers"]),
        scheme=scope.get("scheme", "http"),
        client=client[0] if client else "",
        root=root,
    )


def read_query(text: str) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """The first value of each parameter, and all values of those that came more than once. More than 1,000 are cut
    off."""
    values: dict[str, str] = {}
    repeated: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl(text[:65_536], keep_blank_values=True)[:1_000]:
        if name not in values:
            values[name] = value
        else:
            repeated[name] = (*repeated.get(name, (values[name],)), value)
    return values, repeated


def read_headers(pairs: Any) -> dict[str, str]:
    """Header names are lower-case already. Repeated ones are one list (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


# -- WebSocket ------------------------------------------------------------------------------------------------------


async def _websocket(host: Host, door: Door, request: Request, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    loop = asyncio.get_running_loop()
    try:
        connection = carriers.admit(host, door, request)
    except HubbubError:
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        return
    carrier = _Socket(connection, host.eager, send)
    accept: dict[str, Any] = {"type": "websocket.accept"}
    chosen = carriers.subprotocol(door.protocol, request.headers)
    if chosen is not None:
        accept["subprotocol"] = chosen
    try:
        connection.attach(carrier, loop.time(), request)
    except (Conflict, ProtocolError) as error:
        carrier.close([], 1008, error.reason)
    try:
        await carrier.accept(accept)
        while not carrier.over and (message := await _next(carrier, receive)) is not None:
            data = message.get("text")
            if data is None:
                data = message.get("bytes") or b""
            if len(data) > host.limits.message or (type(data) is str and len(data.encode()) > host.limits.message):
                connection.end(ProtocolError(f"more than {host.limits.message} bytes", 1009), "protocol error")
            elif carrier.closing is None:
                try:
                    connection.receive(data, "socket", loop.time())
                except ProtocolError:
                    pass  # the connection has ended by it, and the carrier says so
    finally:
        connection.detach(carrier, loop.time())
        await carrier.finish()


async def _next(carrier: carriers.Queue, receive: Receive) -> MutableMapping[str, Any] | None:
    await carrier.reading.wait()
    message = await receive()
    return message if message["type"] == "websocket.receive" else None


class _Socket(carriers.Queue):
    """A WebSocket of the server. A frame goes to it in the turn in which it is written; only a server that makes us
    wait costs a task."""

    def __init__(self, connection: Connection, eager: Eager, send: Send) -> None:
        super().__init__(connection, "socket")
        self.over = False
        """The close has been sent, or the client is gone: nothing more is written."""
        self._eager = eager
        self._send = send
        self._busy = True  # until the client is accepted
        self._writer: asyncio.Task[None] | None = None

    async def accept(self, message: dict[str, Any]) -> None:
        """Let the client in, with all that has waited for that."""
        try:
            await self._send(message)
        except Exception:  # each server has its own for a client that is gone: receive() says so too
            self.over = True
        self._busy = False
        self._go()

    def write(self, frames: list[Frame]) -> None:
        super().write(frames)
        self._go()

    async def finish(self) -> None:
        """Have the last words sent, within a few seconds; without last words, end at once."""
        if self._writer is not None and not self._writer.done():
            if self.closing is None:
                self._writer.cancel()
            await asyncio.wait((self._writer,), timeout=FAREWELL)
            self._writer.cancel()

    def _go(self) -> None:
        if not self._busy and not self.over:
            self._busy = True
            self._writer = self._eager.start(self._empty())

    async def _empty(self) -> None:
        """Empty the queue as fast as the server takes it."""
        try:
            while self.waiting:
                frame = self.waiting.popleft()
                await self._send({"type": "websocket.send", "text" if type(frame) is str else "bytes": frame})
                self.sent(frame)
            if self.closing is not None:
                self.over = True
                code, reason = self.closing
                await self._send({"type": "websocket.close", "code": code, "reason": short(reason)})
        except Exception:  # as above
            self.over = True
        finally:
            self._busy = False
