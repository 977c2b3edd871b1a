"""SockJS 0.3: one conversation over whatever a browser can do. Pure.

Source: as of sockjs_transports, where the wire is; the pages around it are in sockjs_pages. Sentences in quotes are
from there.

Rules:

1. The conversation that SockJS carries is another protocol's, ``inner``: Hubbub's own, or an application's messages. It
   is given texts and gives texts, as if on a WebSocket of its own, and knows nothing of us.
2. The session outlives the requests that hear of it, and the *receiver* is the one that does so now. There is one at
   most. Each takes frames in its transport's way; a poll takes one.
3. Frames in the connection's outbox are messages that ``quote`` has written; on a WebSocket whole frames, which the hub
   may write without asking us.
4. A session that is over says so to every receiver for a while. "Until the timeout occurs, the server must constantly
   serve the close message."
"""

from collections.abc import Sequence
from functools import cache
from http.cookies import CookieError, SimpleCookie
from typing import ClassVar

import msgspec

from hubbub.errors import Conflict, HubbubError, Invalid, ProtocolError, UsageError, WrongMethod
from hubbub.messages import Bye, Command, Frame, Message, Publication
from hubbub.protocols import sockjs_pages as pages
from hubbub.protocols import sockjs_transports as wire
from hubbub.protocols.base import Dialect, Line, Protocol, Request, Response, Route, Session, Stranger
from hubbub.protocols.native import Native
from hubbub.protocols.sockjs_pages import SockJS
from hubbub.protocols.sockjs_transports import SENDERS, TRANSPORTS, WEBSOCKET, Transport

ANOTHER = "Another connection still open"
NOBODY: Line = "page"
"""The line on which frames leave while they are to leave on none."""


def routes_at(path: str, inner: type[Protocol], options: SockJS) -> tuple[Route, ...]:
    """The routes of a SockJS server at this path."""
    session = path + "/{server}/{session}/"
    receivers = [Route(each.method, session + each.name, each.line) for each in TRANSPORTS.values()]
    senders = [Route("POST", session + name, "post") for name in SENDERS]
    rows = [
        *(Route("GET", path + page, "page") for page in ("", "/info", "/iframe.html", "/iframe{version}.html")),
        *receivers,
        *senders,
        *(Route("OPTIONS", row.path, "page") for row in (*receivers, *senders)),
        Route("OPTIONS", path + "/info", "page"),
    ]
    if options.websocket:
        rows += [
            Route("GET", session + WEBSOCKET, "socket"),
            Route("GET", session + WEBSOCKET, "page"),
            # "It is special and doesn't use any additional custom framing, no open frame, no heartbeats."
            Route("GET", f"{path}/{WEBSOCKET}", "socket", inner),
        ]
    return tuple(rows)


class BrokenFraming(ProtocolError):
    """Broken framing."""


# -- dialects: what clients who hear of the same publication share ---------------------------------------------------


@cache
def quoted(inner: Dialect) -> Dialect:
    """Messages, to be joined into a frame."""

    def encode(publication: Publication) -> tuple[Frame, ...]:
        return tuple(_quote(message) for message in inner.encode(publication))

    return Dialect(f"sockjs+{inner.name}", encode)


@cache
def framed(inner: Dialect) -> Dialect:
    """Whole frames, for WebSockets."""

    def encode(publication: Publication) -> tuple[Frame, ...]:
        return (wire.array([_quote(message) for message in inner.encode(publication)]),)

    return Dialect(f"sockjs+websocket+{inner.name}", encode)


def _quote(message: Frame) -> str:
    if isinstance(message, bytes):
        raise UsageError("SockJS carries texts, not bytes")
    return wire.quote(message)


# -- the conversation -------------------------------------------------------------------------------------------------


class SockJSSession(Protocol):
    """One SockJS session."""

    __slots__ = (
        "_beat", "_callback", "_closed", "_code", "_inner", "_last", "_open", "_prelude", "_receiver", "_size",
        "deadline", "dialect", "id", "limits", "line", "plain", "spent",
    )  # fmt: skip

    name = "sockjs"
    title = "SockJS"
    path: ClassVar[str] = "/sockjs"
    inner: ClassVar[type[Protocol]] = Native
    options: ClassVar[SockJS] = SockJS()
    routes = routes_at("/sockjs", Native, SockJS())
    websocket_pings = True
    repeats_farewell = True

    def __init__(self, session: Session) -> None:
        self.id = session.id
        self.limits = session.limits
        self.line: Line = NOBODY
        self.plain = False
        self.spent = False
        self.deadline: float | None = session.now + self.options.disconnect_delay
        self._inner = self.inner(session)
        self._receiver: Transport | None = None
        self._callback = ""
        self._prelude = False  # the receiver's response has not begun
        self._size = 0  # of what was written on it
        self._open = True  # the open frame is owed
        self._beat = False  # a heartbeat is owed
        self._last: tuple[Frame, ...] = ()  # messages that came with the end
        self._closed = ""  # the close frame, once it is over
        self._code = 1000

    # -- HTTP --------------------------------------------------------------------------------------------------------

    @classmethod
    def accepts(cls, request: Request) -> bool:
        parts = request.path.split("/")[cls.path.count("/") + 1 :]
        if any(parts):
            return len(parts) < 3 or wire.is_session(parts)
        # A WebSocket at the very path is for whoever else is there: we have a page at it.
        return request.scheme not in ("ws", "wss") and request.headers.get("upgrade", "").lower() != "websocket"

    @classmethod
    def page(cls, request: Request, session: Session) -> Response:
        return pages.page(request, cls.path, cls.options, session)

    @classmethod
    def session(cls, request: Request) -> str | None:
        if request.path.endswith(f"/{WEBSOCKET}"):
            # "For WebSockets, as opposed to other transports, it is valid to reuse `session_id`."
            return None
        transport = wire.transport(request)
        if transport is not None and transport.calls_back:
            wire.callback(request)
        # Session ids are the clients' to choose: what stands before them keeps the services apart.
        base, _, session, _ = request.path.rsplit("/", 3)
        return f"{base} {session}"

    @classmethod
    def stranger(cls, request: Request) -> Stranger:
        return "refuse" if wire.transport(request) is None else "adopt"

    @classmethod
    def refuse(cls, error: HubbubError, request: Request) -> Response:
        transport = wire.transport(request)
        if isinstance(error, Conflict) and transport is not None:
            name = wire.callback(request) if transport.calls_back else ""
            pieces = transport.prelude(name), transport.write(wire.close(2010, error.reason), name)
            body, *more = [piece.encode() for piece in pieces if piece]
            return Response(200, body, transport.content_type, cls._headers(request), tuple(more))
        if isinstance(error, WrongMethod):
            return super().refuse(error, request)
        status = 500 if isinstance(error, Invalid) else 404 if isinstance(error, Conflict) else error.status
        return Response(status, f"{error.reason}\n".encode(), headers=pages.NOT_CACHED)

    def answer(self, line: Line, body: bytes, request: Request) -> Response:
        headers = self._headers(request)
        transport = wire.transport(request)
        if transport is not None:
            return Response(200, body, transport.content_type, headers)
        if request.path.endswith("/jsonp_send"):
            return Response(200, b"ok", headers=headers)  # "Konqueror does weird things on 204."
        return Response(204, headers=headers)

    @classmethod
    def _headers(cls, request: Request) -> pages.Headers:
        headers = (*pages.NOT_CACHED, ("x-content-type-options", "nosniff"))
        if cls.options.cookie:
            headers += (("set-cookie", f"JSESSIONID={_cookie(request)}; path=/"),)
        return headers

    # -- lines -------------------------------------------------------------------------------------------------------

    def open(self, request: Request, now: float) -> Sequence[Command]:
        socket = request.path.endswith(f"/{WEBSOCKET}")
        # Whatever is asked for as a subprotocol is asked of SockJS, which has none.
        headers = {name: value for name, value in request.headers.items() if name != "sec-websocket-protocol"}
        commands = self._inner.open(msgspec.structs.replace(request, headers=headers), now)
        self.dialect = (framed if socket else quoted)(self._inner.dialect)
        if socket:
            self.line = "socket"
        return commands

    def attach(self, line: Line, now: float, request: Request) -> None:
        if line == "post":
            return
        if self._receiver is not None:
            raise Conflict(ANOTHER)
        transport = wire.transport(request)
        self._receiver = _WEBSOCKET if transport is None else transport
        self._callback = wire.callback(request) if self._receiver.calls_back else ""
        self._prelude = line == "stream"
        self._size = 0
        self.spent = False
        # The first poll is answered by the open frame alone: what there is to say waits for the second.
        self.line = NOBODY if line == "poll" and self._open else line
        self.deadline = now + self.limits.heartbeat
        self._inner.attach("socket", now, request)

    def answered(self, line: Line, now: float) -> None:
        self._receiver = None
        self.deadline = now + self.options.disconnect_delay

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        if line == "post":
            return ()
        # "Some messages may have been lost, there is not much we can do about it."
        self._receiver = None
        self._closed = self._closed or wire.close(1002, "Connection interrupted")
        return (Bye(),) if line == "socket" else (Bye("aborted"),)

    def pack(self, frames: Sequence[Frame], line: Line) -> list[Frame]:
        if self.plain and line == "socket":
            return list(frames)
        receiver = self._receiver
        if receiver is None or line != receiver.line:
            return []
        due = self._take(frames, receiver)
        pieces: list[Frame] = [receiver.write(frame, self._callback) for frame in due]
        if line == "stream":
            # "close a streaming request every 128KiB messages was send"
            self._size += sum(len(str(piece).encode()) for piece in pieces)
            self.spent = self._size >= self.options.response_limit
            if self._prelude:
                pieces.insert(0, receiver.prelude(self._callback))
                self._prelude = False
        return pieces

    def _take(self, frames: Sequence[Frame], receiver: Transport) -> list[str]:
        """The frames that are due, as far as the receiver takes them."""
        due = []
        if self._open:
            self._open = False
            due.append(wire.OPEN)
        if not due or receiver.line != "poll":
            due += self._messages(frames, receiver)
        if not due and self._beat:
            due.append(wire.HEARTBEAT)
        self._beat = False
        if self._closed and not (due and receiver.line == "poll"):
            due.append(self._closed)
            self._receiver = None
        if due and receiver.line == "poll":
            self._receiver = None
        self.plain = receiver.line == "socket" and not self._closed
        return due

    def _messages(self, frames: Sequence[Frame], receiver: Transport) -> list[str]:
        owed = () if self._inner.plain else self._inner.pack((), "socket")
        last, self._last = self._last, ()
        if receiver.line == "socket":
            return [*_framed(owed), *map(str, frames), *_framed(last)]
        messages = [*map(_quote, owed), *frames, *map(_quote, last)]
        return [wire.array(messages)] if messages else []

    def close(self, error: HubbubError, line: Line) -> tuple[list[Frame], int]:
        if isinstance(error, BrokenFraming):  # "the server must abruptly terminate the ws connection"
            return [], error.close_code
        if not self._closed:
            last, self._code = self._inner.close(error, "socket")
            self._last = tuple(last)
            self._closed = wire.close(self._code, error.reason)
            self.plain = False
        return self.pack((), line), self._code

    # -- what the client says ----------------------------------------------------------------------------------------

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        if isinstance(data, bytes):
            raise BrokenFraming("SockJS is spoken in texts", 1003)
        if not data:
            return ()  # "Server must ignore empty messages."
        try:
            messages = wire.texts(data, self.limits.packets)
        except ValueError:
            raise BrokenFraming from None
        return self._understand(messages, now)

    def post(self, request: Request, data: Frame, now: float) -> Sequence[Command]:
        return self._understand(wire.posted(request, data, self.limits.packets), now)

    def _understand(self, messages: Sequence[str], now: float) -> Sequence[Command]:
        commands: list[Command] = []
        for message in messages:
            commands += self._inner.receive(message, "socket", now)
        self.plain = self.plain and self._inner.plain
        return commands

    # -- what the client is told -------------------------------------------------------------------------------------

    def send(self, message: Message) -> tuple[Frame, ...]:
        messages = self._inner.send(message)
        return tuple(_framed(messages) if self.line == "socket" else map(_quote, messages))

    def carry(self, data: Frame) -> tuple[Frame, ...]:
        # Not the inner one's to say: in JSON, unlike on a WebSocket, a text may hold half a surrogate pair.
        return tuple(_framed((data,))) if self.line == "socket" else (_quote(data),)

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> Sequence[Command]:
        if self.deadline is None or now < self.deadline:
            return ()
        if self._receiver is None:
            return (Bye("timeout"),)
        self._beat = True
        self.plain = False
        self.deadline = now + self.limits.heartbeat
        return ()


_WEBSOCKET = Transport(WEBSOCKET, "GET", "socket", "", lambda frame, callback: frame)


def _framed(messages: Sequence[Frame]) -> list[str]:
    return [wire.array([_quote(message)]) for message in messages]


def _cookie(request: Request) -> str:
    """What the client has already, or anything: "JSESSIONID=dummy"."""
    try:
        held = SimpleCookie(request.headers.get("cookie", "")).get("JSESSIONID")
    except CookieError:
        held = None
    return held.coded_value if held is not None else "dummy"


def at(path: str, inner: type[Protocol], asked: SockJS | bool) -> type[Protocol]:
    """SockJS at another path, around another conversation."""
    options = asked if isinstance(asked, SockJS) else SockJS()
    routes = routes_at(path, inner, options)
    names = {"__slots__": (), "path": path, "inner": inner, "options": options, "routes": routes}
    return type("SockJSSession", (SockJSSession,), names)
