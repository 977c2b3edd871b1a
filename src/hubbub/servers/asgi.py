"""The portable lane: the application under any ASGI server, or mounted in any ASGI application."""

import asyncio
import hmac
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from hubbub.connection import Connection
from hubbub.errors import Conflict, HubbubError, Invalid, ProtocolError, Unauthorized, UsageError
from hubbub.messages import Frame
from hubbub.protocols.base import Line, Request, Response
from hubbub.servers import carriers
from hubbub.servers.carriers import Host
from hubbub.servers.routes import Door

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PENDING = 65_536
"""Bytes handed to the server and not yet taken by it at which a WebSocket counts as full: asyncio's own mark."""


async def serve(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    """One ASGI call."""
    if scope["type"] == "lifespan":
        await _lifespan(host, scope, receive, send)
        return
    request = read_request(scope)
    found = host.routes.find(request.path)
    if scope["type"] == "websocket":
        if found is not None and "WEBSOCKET" in found[0].routes:
            await host.start()
            await _websocket(host, found[0], with_variables(request, found[1]), receive, send)
        elif host.fallback is not None:
            await host.fallback(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        return
    response: Response | None
    file = host.files.find(request.path) if request.method in ("GET", "HEAD") else None
    if found is not None:
        await host.start()
        response = await _door(host, found[0], with_variables(request, found[1]), receive)
    elif request.path == "/hubbub/health":
        response = Response(body=b"ok")
    elif request.path == "/hubbub/publish" and request.method == "POST":
        await host.start()
        response = await _publish(host, request, receive)
    elif file is not None:
        response = host.files.respond(file, request)
    elif host.fallback is not None:
        await host.fallback(scope, receive, send)
        return
    else:
        response = Response(404, b"There is nothing here.\n")
    if response is not None:
        await _respond(response, request, send)


def read_request(scope: Scope) -> Request:
    """What protocols may know of an ASGI scope. A mounted application sees its own part of the path."""
    path = scope["path"]
    root = scope.get("root_path", "")
    if root and path.startswith(root):
        path = path[len(root) :] or "/"
    client = scope.get("client")
    return Request(
        method=scope.get("method", "GET"),
        path=path,
        query=(query := read_query(scope.get("query_string", b"").decode("latin-1")))[0],
        repeated=query[1],
        headers=read_headers(scope["headers"]),
        scheme=scope.get("scheme", "http"),
        client=client[0] if client else "",
    )


def read_query(text: str) -> tuple[dict[str, str], frozenset[str]]:
    """The first value of each parameter, and the names that came more than once. More than 100 are cut off."""
    query: dict[str, str] = {}
    repeated = set()
    for name, value in parse_qsl(text[:65_536], keep_blank_values=True)[:100]:
        if name in query:
            repeated.add(name)
        else:
            query[name] = value
    return query, frozenset(repeated)


def read_headers(pairs: Any) -> dict[str, str]:
    """Header names are lower-case already. Repeated ones are one list (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def with_variables(request: Request, variables: Any) -> Request:
    return msgspec.structs.replace(request, variables=variables) if variables else request


# -- HTTP -----------------------------------------------------------------------------------------------------------


async def _door(host: Host, door: Door, request: Request, receive: Receive) -> Response | None:
    if request.method == "OPTIONS":
        return _cors(host, request, Response(204, content_type="", headers=(("allow", "GET, POST, OPTIONS"),)))
    route = door.routes.get(request.method)
    if route is None:
        return _cors(host, request, carriers.refuse_method(door, request))
    if route.line == "post":
        response: Response | None = await carriers.post(host, door, request, lambda: _chunk(receive))
    else:
        response = await carriers.poll(host, door, request, lambda: _gone(receive))
    return None if response is None else _cors(host, request, response)


def _cors(host: Host, request: Request, response: Response) -> Response:
    """Let a page of another origin read this, if it may connect. https://fetch.spec.whatwg.org/#http-cors-protocol"""
    origin = request.headers.get("origin")
    if origin is None or not host.origins.allows(origin, request.headers.get("host")):
        return response
    headers: tuple[tuple[str, str], ...] = (
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("vary", "origin"),
    )
    if request.method == "OPTIONS":
        asked = request.headers.get("access-control-request-headers", "content-type")
        headers += (
            ("access-control-allow-methods", "GET, POST, OPTIONS"),
            ("access-control-allow-headers", asked[:1_000]),
            ("access-control-max-age", "7200"),
        )
    return msgspec.structs.replace(response, headers=(*response.headers, *headers))


class _Publish(msgspec.Struct):
    topic: str
    event: str
    payload: list[msgspec.Raw] = []


async def _publish(host: Host, request: Request, receive: Receive) -> Response:
    """``POST /hubbub/publish``: publish from outside, with the secret."""
    try:
        given = request.headers.get("authorization", "")
        if host.secret is None or not hmac.compare_digest(given.encode(), f"Bearer {host.secret}".encode()):
            raise Unauthorized("this needs the server's secret")
        body = await carriers.read_body(request, lambda: _chunk(receive), host.limits.message)
        asked = msgspec.json.decode(body, type=_Publish)
        position = await host.publish(asked.topic, asked.event, *asked.payload)
    except msgspec.MsgspecError as error:
        return _problem(Invalid(str(error)))
    except HubbubError as error:
        return _problem(error)
    return Response(
        body=msgspec.json.encode({"position": str(position) if position else None}), content_type="application/json"
    )


def _problem(error: HubbubError) -> Response:
    """RFC 9457, section 3."""
    body = {"title": error.code.replace("_", " "), "status": error.status, "detail": error.reason, "code": error.code}
    return Response(error.status, msgspec.json.encode(body), "application/problem+json")


async def _chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ProtocolError("the request ended before its body did")
    return message.get("body", b""), message.get("more_body", False)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(response: Response, request: Request, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if response.content_type:
        headers.append((b"content-type", response.content_type.encode("latin-1")))
    if response.status not in (204, 304):
        headers.append((b"content-length", str(len(response.body)).encode()))
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else response.body})


async def _lifespan(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    if host.fallback is not None:
        # The fallback's own start and stop are inside ours; one that knows no lifespan simply raises (ASGI 3.0).
        async with _FallbackLifespan(host.fallback, scope):
            await _own_lifespan(host, receive, send)
    else:
        await _own_lifespan(host, receive, send)


async def _own_lifespan(host: Host, receive: Receive, send: Send) -> None:
    await receive()
    try:
        await host.start()
    except UsageError as error:
        await send({"type": "lifespan.startup.failed", "message": error.reason})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await host.close()
    await send({"type": "lifespan.shutdown.complete"})


class _FallbackLifespan:
    """Runs another ASGI application's lifespan around a block."""

    def __init__(self, app: Callable[..., Awaitable[None]], scope: Scope) -> None:
        self._app = app
        self._scope = dict(scope)
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(self._app(self._scope, self._inbox.get, self._outbox.put))
        await self._ask("lifespan.startup")

    async def __aexit__(self, *_: object) -> None:
        await self._ask("lifespan.shutdown")
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()

    async def _ask(self, kind: str) -> None:
        if self._task.done():
            return
        await self._inbox.put({"type": kind})
        answer = asyncio.ensure_future(self._outbox.get())
        await asyncio.wait((answer, self._task), return_when=asyncio.FIRST_COMPLETED)
        if answer.done() and answer.result()["type"].endswith("failed"):
            raise UsageError(answer.result().get("message", "the fallback application did not start"))
        answer.cancel()


# -- WebSocket ------------------------------------------------------------------------------------------------------


class Socket:
    """A WebSocket of an ASGI server. Frames wait in a queue that one task empties."""

    line: Line = "socket"
    once = False
    wire: Callable[[bytes], None] | None = None

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.full = False
        self.waiting: deque[Frame] = deque()
        self.size = 0
        self.wake = asyncio.Event()
        self.closing: tuple[int, str] | None = None

    def write(self, frames: list[Frame]) -> None:
        self.waiting.extend(frames)
        self.size += sum(map(len, frames))
        self.wake.set()
        if not self.full and self.size > PENDING:
            self.full = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self.connection.flowing, self, loop.time())

    def sent(self, size: int) -> None:
        """The server took so many bytes."""
        self.size -= size
        if self.full and self.size <= PENDING // 4:
            self.full = False
            self.connection.flowing(self, asyncio.get_running_loop().time())

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        self.write(frames)
        self.closing = (code, reason)
        self.wake.set()


async def _websocket(host: Host, door: Door, request: Request, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    loop = asyncio.get_running_loop()
    try:
        connection = carriers.admit(host, door, request)
    except HubbubError:
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        return
    carrier = Socket(connection)
    accept: dict[str, Any] = {"type": "websocket.accept"}
    chosen = carriers.subprotocol(door.protocol, request.headers)
    if chosen is not None:
        accept["subprotocol"] = chosen
    await send(accept)
    try:
        connection.attach(carrier, loop.time())
    except (Conflict, ProtocolError) as error:
        await send({"type": "websocket.close", "code": 1008, "reason": error.reason[:120]})
        return
    writer = asyncio.ensure_future(_write(carrier, send))
    try:
        while not writer.done() and (message := await _next(receive)) is not None:
            data = message.get("text")
            if data is None:
                data = message.get("bytes") or b""
            if len(data) > host.limits.message or (type(data) is str and len(data.encode()) > host.limits.message):
                connection.end(ProtocolError(f"more than {host.limits.message} bytes", 1009), "protocol error")
            elif carrier.closing is None:
                try:
                    connection.receive(data, "socket", loop.time())
                except ProtocolError:
                    pass  # the connection has ended by it, and the writer says so
    finally:
        connection.detach(carrier, loop.time())
        if carrier.closing is None:
            writer.cancel()
        await asyncio.wait((writer,), timeout=5.0)
        writer.cancel()


async def _next(receive: Receive) -> MutableMapping[str, Any] | None:
    message = await receive()
    return message if message["type"] == "websocket.receive" else None


async def _write(carrier: Socket, send: Send) -> None:
    """Empty the queue as fast as the server takes it."""
    while True:
        while carrier.waiting:
            frame = carrier.waiting.popleft()
            kind = "text" if type(frame) is str else "bytes"
            try:
                await send({"type": "websocket.send", kind: frame})
            except (OSError, RuntimeError):
                return  # the client is gone: receive() says so too
            carrier.sent(len(frame))
        if carrier.closing is not None:
            code, reason = carrier.closing
            try:
                await send({"type": "websocket.close", "code": code, "reason": reason[:120]})
            except (OSError, RuntimeError):
                pass
            return
        carrier.wake.clear()
        if not carrier.waiting and carrier.closing is None:
            await carrier.wake.wait()
