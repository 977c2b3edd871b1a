"""The contract of a protocol: a conversation with one client, as pure state.

A protocol turns what a client's wire says into commands, and what the client is told into frames. It never reads a
clock, opens a socket or starts a task: the time, its ids and its limits are given to it. So everything that a wire
format can get wrong can be tested with a string.

The life of one conversation, as the servers drive it:

    key = SomeProtocol.session(request)     which conversation does this request belong to? None: a new one
    protocol = SomeProtocol(session)        (new only)
    commands = protocol.open(request, now)  what URL and headers alone ask for (new only)
    protocol.attach("poll", now)            a line to the client is there ...
    commands = protocol.receive(data, "poll", now)
    frames = protocol.send(message)         ... frames queue in the connection's outbox ...
    protocol.pack(frames, "poll")           ... and leave on a line, owed control frames first
    commands = protocol.detach("poll")      the line is gone
    commands = protocol.tick(now)           not before ``deadline``: owe a heartbeat, or give up

A *line* is a way to write to the client (the design calls the server's end of it a carrier):

    socket   a WebSocket: frames side by side, both ways
    stream   one HTTP response that goes on: frames as they come
    poll     one HTTP response that ends: all frames there are, in one body
    post     one HTTP request body: nothing is written but its answer
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

import msgspec

from hubbub.errors import Disconnect, HubbubError
from hubbub.limits import Limits
from hubbub.messages import Command, Frame, Message, Publication

Line = Literal["socket", "stream", "poll", "post"]


class Request(msgspec.Struct, frozen=True):
    """An HTTP request, as far as a protocol may look at it. Header names are lower-case; of a repeated query
    parameter ``query`` holds the first value and ``repeated`` names it."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    variables: Mapping[str, str] = {}
    """What the braces of the route's path stood for."""
    scheme: str = "http"
    client: str = ""
    """The peer's address, after trusted proxies."""
    repeated: frozenset[str] = frozenset()


class Response(msgspec.Struct, frozen=True):
    """A whole HTTP response."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()


class Route(msgspec.Struct, frozen=True):
    """A row of a protocol's table: requests of this method and path are this line. ``{name}`` stands for one
    segment of the path."""

    method: str
    path: str
    line: Line


class Session(msgspec.Struct, frozen=True):
    """What a new conversation is given: ``key`` is secret and names it in later requests, ``id`` is public and
    names the client."""

    key: str
    id: str
    limits: Limits
    now: float


class Dialect(msgspec.Struct, frozen=True, eq=False):
    """How publications look on a wire. Clients of one dialect share what ``encode`` made, so it depends on nothing
    but the publication."""

    name: str
    encode: Callable[[Publication], tuple[Frame, ...]]


class Protocol:
    """One conversation. Subclasses override everything but the docstrings."""

    name: ClassVar[str]
    """What it is called in ``hubbub.protocols``."""
    title: ClassVar[str] = ""
    """As the world names it, where that is another name."""
    routes: ClassVar[tuple[Route, ...]]
    subprotocols: ClassVar[tuple[str, ...]] = ()
    """WebSocket subprotocols that this protocol can agree to, best first."""

    websocket_pings: ClassVar[bool] = False
    """Whether the server's WebSocket layer is to ask silent clients for a sign of life (RFC 6455, section 5.5.2):
    for protocols that have no heartbeat of their own."""

    dialect: Dialect
    line: Line
    """The line on which frames leave now. Others that are attached get only the control frames owed to them."""
    deadline: float | None = None
    """When ``tick`` wants to be called; moving it needs no notice unless it moves nearer."""
    plain: bool = False
    """True while ``pack`` would give back, for ``line``, just the frames that it was given: nothing is owed. The hub
    may then write joined bytes without asking."""

    def __init__(self, session: Session) -> None:
        raise NotImplementedError

    @classmethod
    def session(cls, request: Request) -> str | None:
        """The key of the conversation that this request belongs to; None opens a new one.

        Raises ProtocolError or Refused; ``refuse`` says it in HTTP.
        """
        return None

    @classmethod
    def refuse(cls, error: HubbubError, request: Request) -> Response:
        """The HTTP answer to a request that has no conversation, or whose conversation ended by it."""
        return Response(error.status, error.reason.encode())

    def open(self, request: Request, now: float) -> Sequence[Command]:
        """What URL and headers alone ask for."""
        return ()

    def attach(self, line: Line, now: float) -> None:
        """A line is there. Raises Conflict to have just this line closed, ProtocolError to end the conversation."""

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        """A line is gone without having been answered. A Bye ends the conversation."""
        return ()

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        """Understand one message, or one request's body. Only ProtocolError may leave."""
        raise NotImplementedError

    def send(self, message: Message) -> tuple[Frame, ...]:
        """What the client is told."""
        raise NotImplementedError

    def pack(self, frames: Sequence[Frame], line: Line) -> list[Frame]:
        """What goes out on this line: owed control frames, then ``frames``; [] when there is nothing.

        For ``poll`` and ``stream`` the list holds pieces of the response's body.
        """
        return list(frames)

    def answer(self, line: Line, body: bytes) -> Response:
        """The HTTP response around ``body`` (for ``stream``: only its status and headers count). For ``post``, the
        answer to a body that was understood."""
        return Response(body=body)

    def close(self, error: HubbubError, line: Line) -> tuple[list[Frame], int]:
        """The last frames on a line before the server closes it, and the WebSocket close code."""
        code = getattr(error, "close_code", 1011)
        return [], code if isinstance(error, Disconnect | HubbubError) else 1011

    def tick(self, now: float) -> Sequence[Command]:
        """The deadline has come: owe a heartbeat, or give up with a Bye."""
        return ()
