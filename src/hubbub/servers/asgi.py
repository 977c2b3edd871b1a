"""The portable lane: the application under any ASGI server, or mounted in any ASGI application."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from hubbub.errors import Conflict, HubbubError, ProtocolError
from hubbub.protocols.base import Request
from hubbub.servers import asgi_http, asgi_lifespan, carriers
from hubbub.servers.carriers import Host
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
    elif await asgi_http.serve(host, door, request, receive, send):
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
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text[:65_536], keep_blank_values=True)[:1_000]:
        values.setdefault(name, []).append(value)
    repeated = {name: tuple(given) for name, given in values.items() if len(given) > 1}
    return {name: given[0] for name, given in values.items()}, repeated


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
    carrier = carriers.Queue(connection, "socket")
    accept: dict[str, Any] = {"type": "websocket.accept"}
    chosen = carriers.subprotocol(door.protocol, request.headers)
    if chosen is not None:
        accept["subprotocol"] = chosen
    try:
        connection.attach(carrier, loop.time(), request)
    except (Conflict, ProtocolError) as error:
        carrier.close([], 1008, error.reason)
    writer = asyncio.ensure_future(_write(carrier, accept, send))
    try:
        while not writer.done() and (message := await _next(carrier, receive)) is not None:
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


async def _next(carrier: carriers.Queue, receive: Receive) -> MutableMapping[str, Any] | None:
    await carrier.reading.wait()
    message = await receive()
    return message if message["type"] == "websocket.receive" else None


async def _write(carrier: carriers.Queue, accept: dict[str, Any], send: Send) -> None:
    """Accept the client, then empty the queue as fast as the server takes it."""
    try:
        await send(accept)
        while (frame := await carrier.next()) is not None:
            await send({"type": "websocket.send", "text" if type(frame) is str else "bytes": frame})
            carrier.sent(frame)
        code, reason = carrier.closing or (1000, "")
        await send({"type": "websocket.close", "code": code, "reason": short(reason)})
    except (OSError, RuntimeError):
        pass  # the client is gone: receive() says so too
