"""The HTTP side of the portable lane: doors, files, health, numbers, and publishing from outside."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from hubbub.errors import HubbubError, Invalid, ProtocolError, Unauthorized
from hubbub.exposition import CONTENT_TYPE
from hubbub.protocols.base import Request, Response, challenge
from hubbub.servers import requests
from hubbub.servers.carriers import Host
from hubbub.servers.outlet import Outlet
from hubbub.servers.routes import Door

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OUTLET = "hubbub.outlet"
"""An extension of the ASGI scope, where it is ``responses`` that serves: its ``lay``."""


class Incoming:
    """A request, as ASGI has it: what ``requests.Incoming`` asks for. Every response gets ``headers``, too."""

    def __init__(
        self,
        request: Request,
        receive: Receive,
        send: Send,
        headers: tuple[tuple[str, str], ...] = (),
        lay: Callable[[Outlet, Send], bool] | None = None,
    ) -> None:
        self.request = request
        self._receive = receive
        self._send = send
        self._headers = headers
        self._lay = lay

    async def chunk(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ProtocolError("the request ended before its body did")
        return message.get("body", b""), message.get("more_body", False)

    async def gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def begin(self, response: Response) -> None:
        await self._head(response, ())
        await self.go_on(response.body, True)

    async def go_on(self, piece: bytes, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})

    def lay(self, outlet: Outlet) -> bool:
        return self._lay is not None and self._lay(outlet, self._send)

    async def answer(self, response: Response) -> None:
        """Send a whole response."""
        # RFC 9110, section 8.6: a 204 has no Content-Length, a 304 another's
        bare = response.status in (204, 304) or response.more
        await self._head(response, () if bare else (("content-length", str(len(response.body))),))
        for piece in (response.body, *response.more) if response.more else ():
            await self.go_on(piece, True)
        whole = self.request.method != "HEAD" and not response.more
        await self.go_on(response.body if whole else b"", False)

    async def _head(self, response: Response, more: tuple[tuple[str, str], ...]) -> None:
        said = {name for name, _ in response.headers if name != "vary"}  # which is a list: each adds to it
        fields = [*response.headers, *(field for field in self._headers if field[0] not in said), *more]
        fields += challenge(response)
        if response.content_type:
            fields.append(("content-type", response.content_type))
        if not any(name == "cache-control" for name, _ in fields):
            fields.append(("cache-control", "no-store"))
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})


async def serve(
    host: Host, door: Door | None, request: Request, receive: Receive, send: Send, extensions: Mapping[str, Any]
) -> bool:
    """Answer this request. False, and nothing done, where it is not ours to answer."""
    lay = extensions.get(OUTLET, {}).get("lay")
    incoming = Incoming(request, receive, send, _cors(host, request, door) if door is not None else (), lay)
    response: Response | None
    file = host.files.find(request.path) if request.method in ("GET", "HEAD") else None
    if door is not None:
        await host.start()
        if request.method == "OPTIONS" and "OPTIONS" not in door.routes:
            response = Response(204, content_type="", headers=(("allow", door.methods),))
        else:
            response = await requests.respond(host, door, incoming)
    elif request.path == "/hubbub/health":
        response = Response(503, b"going away") if host.closed else Response(body=b"ok")
    elif request.path == "/hubbub/publish" and request.method == "POST":
        await host.start()
        response = await _publish(host, incoming)
    elif request.path == "/hubbub/metrics" and request.method in ("GET", "HEAD"):
        await host.start()
        response = _metrics(host, request)
    elif file is not None:
        response = host.files.respond(file, request)
    elif host.fallback is not None:
        return False
    else:
        response = Response(404, b"There is nothing here.\n")
    if response is not None:
        await incoming.answer(response)
    return True


def _cors(host: Host, request: Request, door: Door) -> tuple[tuple[str, str], ...]:
    """Let a page of another origin read the answer, if it may connect: https://fetch.spec.whatwg.org/#http-cors-protocol"""
    origin = request.headers.get("origin")
    if origin is None or not host.origins.allows(origin, request.headers.get("host")):
        return ()
    headers: tuple[tuple[str, str], ...] = (
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("vary", "origin"),
    )
    if request.method == "OPTIONS":
        headers += (("access-control-allow-methods", door.methods), ("access-control-max-age", "7200"))
        if asked := request.headers.get("access-control-request-headers"):
            headers += (("access-control-allow-headers", asked[:1_000]),)
    return headers


def _check_secret(host: Host, request: Request) -> None:
    """Raises Unauthorized. Where there is no secret nobody knows it."""
    given = request.headers.get("authorization", "")
    if host.secret is None or not hmac.compare_digest(given.encode(), f"Bearer {host.secret}".encode()):
        raise Unauthorized("this needs the server's secret")


def _metrics(host: Host, request: Request) -> Response:
    """``GET /hubbub/metrics``: how this node is, for who has the secret."""
    try:
        _check_secret(host, request)
    except Unauthorized as error:
        return problem(error)
    return Response(body=host.metrics().encode(), content_type=CONTENT_TYPE)


class _Publish(msgspec.Struct):
    topic: str
    event: str
    payload: list[msgspec.Raw] = []
    to: str = ""
    keep: bool = True
    volatile: bool = False
    key: str = ""
    id: str | None = None


async def _publish(host: Host, incoming: Incoming) -> Response:
    """``POST /hubbub/publish``: publish from outside, with the secret."""
    try:
        _check_secret(host, incoming.request)
        body = await requests.read_body(incoming, host.limits.message)
        asked = msgspec.json.decode(body, type=_Publish)
        position = await host.publish(
            asked.topic,
            asked.event,
            *asked.payload,
            to=asked.to,
            keep=asked.keep,
            volatile=asked.volatile,
            key=asked.key,
            id=asked.id,
        )
    except msgspec.MsgspecError as error:
        return problem(Invalid(str(error)))
    except HubbubError as error:
        return problem(error)
    told = msgspec.json.encode({"position": str(position) if position else None})
    return Response(body=told, content_type="application/json")


def problem(error: HubbubError) -> Response:
    """RFC 9457, section 3."""
    body = {"title": error.code.replace("_", " "), "status": error.status, "detail": error.reason, "code": error.code}
    return Response(error.status, msgspec.json.encode(body), "application/problem+json")
