"""The contract of a protocol: a conversation with one client, as pure state.

A protocol turns what a client's wire says into commands, and what the client is told into frames. It never reads a
clock, opens a socket or starts a task: the time, its ids and its limits are given to it. So everything that a wire
format can get wrong can be tested with a string.

The life of one conversation, as the servers drive it:

    key = SomeProtocol.session(request)     which conversation does this request belong to? None: a new one
    protocol = SomeProtocol(session)        (new only)
    commands = protocol.open(request, now)  what URL and headers alone ask for (new only)
    protocol.attach("poll", now, request)   a line to the client is there ...
    commands = protocol.receive(data, "socket", now)
    commands = protocol.post(request, data, now)
    frames = protocol.send(message)         ... frames queue in the connection's outbox ...
    protocol.pack(frames, "poll")           ... and leave on a line, owed control frames first
    commands = protocol.detach("poll")      the line is gone
    commands = protocol.tick(now)           not before ``deadline``: owe a heartbeat, or give up

A *line* is a way to write to the client (the design calls the server's end of it a carrier):

    socket   a WebSocket: frames side by side, both ways
    stream   one HTTP response that goes on: frames as they come
    poll     one HTTP response that ends: all frames there are, in one body
    post     one HTTP request body: nothing is written but its answer
    exchange one HTTP request that asks something, and whose response is the reply
    page     one HTTP response that needs no conversation
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

import msgspec

from hubbub.errors import Disconnect, HubbubError, WrongMethod
from hubbub.limits import Limits
from hubbub.messages import Command, Frame, Join, Leave, Message, Publication, Reply, Send

Line = Literal["socket", "stream", "poll", "post", "exchange", "page"]
Stranger = Literal["refuse", "adopt", "renew"]
"""What a request with a key that nobody knows gets: a refusal, a new conversation of that key, or one of a new key."""


class Request(msgspec.Struct, frozen=True):
    """An HTTP request, as far as a protocol may look at it. Header names are lower-case; of a query
    parameter that came more than once ``query`` holds the first value, and ``repeated`` all."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    variables: Mapping[str, str] = {}
    """What the braces of the route's path stood for."""
    scheme: str = "http"
    client: str = ""
    """The peer's address, after trusted proxies."""
    repeated: Mapping[str, tuple[str, ...]] = {}
    root: str = ""
    """Where the application is mounted: what stands before ``path`` in the URL."""


class Response(msgspec.Struct, frozen=True):
    """A whole HTTP response."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()
    more: tuple[bytes, ...] = ()
    """Further pieces of the body, each sent by itself."""


class Route(msgspec.Struct, frozen=True):
    """A row of a protocol's table: requests of this method and path are this line. ``{name}`` stands for one
    segment of the path, ``{name:path}`` at its end for all that follows. Where a POST is a ``poll`` or a ``stream``,
    its body is read and dropped."""

    method: str
    path: str
    line: Line
    protocol: "type[Protocol] | None" = None
    """Whose conversation this is, where it is not that of whose table it stands in."""


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


def challenge(response: Response) -> tuple[tuple[str, str], ...]:
    """What a server adds to the headers of this response. RFC 9110, section 15.5.2: who generates a 401 "MUST send a
    WWW-Authenticate header field". By this scheme no browser asks its user for a password."""
    if response.status != 401 or any(name.lower() == "www-authenticate" for name, _ in response.headers):
        return ()
    return (("www-authenticate", "Bearer"),)


def refusal(error: HubbubError) -> Response:
    """Where no protocol has words of its own for it."""
    if isinstance(error, WrongMethod):
        return Response(error.status, content_type="", headers=(("allow", error.allowed),))
    return Response(error.status, error.reason.encode())


class Protocol:
    """One conversation. Subclasses override everything but the docstrings."""

    name: ClassVar[str]
    """What it is called in ``hubbub.protocols``."""
    title: ClassVar[str] = ""
    """As the world names it, where that is another name."""
    routes: ClassVar[tuple[Route, ...]]
    subprotocols: ClassVar[tuple[str, ...]] = ()
    """WebSocket subprotocols that this protocol can agree to, best first."""

    one_shot: ClassVar[bool] = False
    """Whether each request is a conversation of its own, over when its response is. Until then an exchange may speak
    for it by its key."""

    repeats_farewell: ClassVar[bool] = False
    """Whether everyone who comes soon after the end is told of it on a line of their own, and not only who was between
    two polls, once."""

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

    spent: bool = False
    """True after a ``pack`` for a stream that is to be its last: the server ends that response. The next ``attach``
    begins another."""

    def __init__(self, session: Session) -> None:
        raise NotImplementedError

    # -- before there is a conversation --------------------------------------------------------------------------------

    @classmethod
    def accepts(cls, request: Request) -> bool:
        """Whether this request is for us, where several protocols share a path: the first that says so gets it."""
        return True

    @classmethod
    def page(cls, request: Request, session: Session) -> Response:
        """The answer to a request on the line ``page``. ``session`` brings time, chance and limits. Raises Refused."""
        raise NotImplementedError

    @classmethod
    def session(cls, request: Request) -> str | None:
        """The key of the conversation that this request belongs to; None opens a new one.

        Raises ProtocolError or Refused; ``refuse`` says it in HTTP.
        """
        return None

    @classmethod
    def stranger(cls, request: Request) -> Stranger:
        """What a request whose key nobody knows gets."""
        return "refuse"

    @classmethod
    def refuse(cls, error: HubbubError, request: Request) -> Response:
        """The HTTP answer to a request that has no conversation, or whose conversation ended by it."""
        return refusal(error)

    # -- exchanges -----------------------------------------------------------------------------------------------------

    @classmethod
    def exchange(cls, request: Request, data: bytes, known: bool) -> Sequence[Join | Leave | Send]:
        """What this request asks, in order: the first that is refused, or else the last one, makes the response.
        ``known`` says that it speaks for a client that has a conversation already.

        Raises ProtocolError or Refused.
        """
        raise NotImplementedError

    @classmethod
    def respond(cls, reply: Reply, request: Request) -> Response:
        """The response that tells of the reply."""
        raise NotImplementedError

    # -- a conversation ------------------------------------------------------------------------------------------------

    def open(self, request: Request, now: float) -> Sequence[Command]:
        """What URL and headers alone ask for."""
        return ()

    def attach(self, line: Line, now: float, request: Request) -> None:
        """A line is there, by this request; it replaces an older one of its kind. Raises Conflict to have just this
        line closed, ProtocolError to end the conversation."""

    def answered(self, line: Line, now: float) -> None:
        """What ``pack`` gave last was all for this line, a ``poll`` or a spent ``stream``: it is gone."""

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        """A line is gone without having been answered. A Bye ends the conversation."""
        return ()

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        """Understand one message. Only ProtocolError may leave."""
        raise NotImplementedError

    def post(self, request: Request, data: Frame, now: float) -> Sequence[Command]:
        """Understand the body of a request on the line ``post``. Only ProtocolError may leave, by which the
        conversation ends, and Refused, by which just this request does."""
        return self.receive(data, "post", now)

    def send(self, message: Message) -> tuple[Frame, ...]:
        """What the client is told."""
        raise NotImplementedError

    def returned(self, to: Send, body: bytes) -> tuple[Frame, ...]:
        """What the client is told whose ``Send`` was handled, as of ``Reply(to, body)``. It owes nothing more."""
        return self.send(Reply(to, body))

    def carry(self, data: Frame) -> tuple[Frame, ...]:
        """What a raw socket sends, text or bytes: for protocols that serve one."""
        return (data,)

    def pack(self, frames: Sequence[Frame], line: Line) -> list[Frame]:
        """What goes out on this line: owed control frames, then ``frames``; [] when there is nothing.

        For ``poll`` and ``stream`` the list holds pieces of the response's body.
        """
        return list(frames)

    def answer(self, line: Line, body: bytes, request: Request) -> Response:
        """The HTTP response around ``body``: for ``stream``, the beginning of one, asked for when its first piece is
        there. For ``post``, the answer to a body that was understood."""
        return Response(body=body)

    def close(self, error: HubbubError, line: Line) -> tuple[list[Frame], int]:
        """The last frames on a line before the server closes it, and the WebSocket close code."""
        code = getattr(error, "close_code", 1011)
        return [], code if isinstance(error, Disconnect | HubbubError) else 1011

    def tick(self, now: float) -> Sequence[Command]:
        """The deadline has come: owe a heartbeat, or give up with a Bye."""
        return ()
