"""Server-sent events: one response that goes on, and tells of a topic, or of several. Pure.

Specification: docs/protocols/http.md, and https://html.spec.whatwg.org/multipage/server-sent-events.html; sentences in
quotes are from there.

Rules:

1. The response begins when the joins are answered: until then nothing is written, so a refusal can be a status.
2. A stream of one topic shares its blocks with all others like it. In one of several topics each client has an ``id``
   of its own, the positions of all its topics, so there the publications are shared without their ``id``.
3. No text of anybody can begin a line: data is split into lines, and a name that would need one is not said.
"""

import re
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import msgspec

from hubbub.bodies import event_and_payload
from hubbub.errors import Conflict, Disconnect, HubbubError, ProtocolError
from hubbub.history import Position
from hubbub.messages import Bye, Command, Frame, Join, Left, Message, Publication, Reply
from hubbub.protocols import http
from hubbub.protocols.base import Dialect, Line, Protocol, Request, Response, Route, Session

HEARTBEAT = 15.0
"""Seconds between two comments: "authors can include a comment line (one starting with a ':' character) every 15
seconds or so", because proxies cut what is silent. ``Limits.heartbeat`` may want them sooner."""

END = "end"
"""The id of a goodbye to a client that is not to come back."""

ANSWERED = ""
"""A frame that says nothing: a join has its reply."""

_UNSAYABLE = re.compile("^hubbub\\.|[\x00-\x1f\x7f\x85\u2028\u2029]")
"""Names of events that are ours, or that might end their line: for some clients more characters do than for others."""

_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Such characters in JSON, where they can only be inside a text."""


# -- blocks ------------------------------------------------------------------------------------------------------------


def block(event: str, data: str, id: str = "") -> str:
    """One event of a stream. ``data`` is JSON."""
    if not data.isascii():
        data = data.translate(_LINE_ENDS)
    fields = [("event", event)] if event else []
    fields += [("data", line) for line in data.splitlines()]
    if id:
        fields.append(("id", id))
    return "".join([f"{name}: {value}\n" for name, value in fields]) + "\n"


def own(event: str, told: Any, id: str = "") -> str:
    """An event of this protocol itself."""
    return block(f"hubbub.{event}", msgspec.json.encode(told).decode(), id)


def told_of(topic: str, body: bytes, id: str = "") -> str:
    try:
        event, payload = event_and_payload(body)
        if not _UNSAYABLE.search(event):
            # "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty
            # string and return": an event without data would not happen, so no payload is null.
            return block(event, msgspec.json.encode(http.payload(payload)).decode(), id)
    except (ValueError, RecursionError):
        pass  # it must not stop what others are told
    return own("error", {"topic": topic, "error": http.UNREADABLE}, id)


def encode(publication: Publication) -> tuple[str, ...]:
    position = publication.position
    return (told_of(publication.topic, publication.body, str(position) if position else ""),)


BLOCKS = Dialect("sse", encode)


# -- the conversation --------------------------------------------------------------------------------------------------


class SSE(Protocol):
    """One stream."""

    __slots__ = (
        "_asked", "_early", "_expected", "_last", "_limits", "_lost", "_opened", "_owed", "_positions", "_refusal",
        "_refused",        "_results", "_session", "_size", "deadline", "dialect", "plain", "spent",
    )  # fmt: skip

    name = "sse"
    title = "Server-sent events"
    routes = (Route("GET", "/topics", "stream"), Route("GET", "/topics/{topic:path}", "stream"))
    one_shot = True
    line: Line = "stream"

    def __init__(self, session: Session) -> None:
        self._session = session
        self._limits = session.limits
        self._asked = http.Asked((), several=False, wait=0.0, limit=0)
        self.dialect = BLOCKS
        self.deadline: float | None = None
        self.plain = False
        self.spent = False
        self._expected = 0
        """Joins that have no reply yet."""
        self._early: list[Frame] = []
        """What came before all of them had one."""
        self._size = 0
        self._results: dict[str, dict[str, Any]] = {}
        self._positions: dict[str, Position | None] = {}
        self._lost: list[dict[str, Any]] = []
        self._owed: list[str] = []
        self._opened = False
        self._last = ""
        """The event after which the stream ends."""
        self._refusal: HubbubError | None = None
        """The first of them."""
        self._refused = 0

    # -- the request ---------------------------------------------------------------------------------------------------

    @classmethod
    def accepts(cls, request: Request) -> bool:
        return http.wants_stream(request)

    @classmethod
    def session(cls, request: Request) -> str | None:
        if request.headers.get("last-event-id") == END:
            raise Conflict("this client was told not to come back")
        return None

    @classmethod
    def refuse(cls, error: HubbubError, request: Request) -> Response:
        if request.headers.get("last-event-id") == END:
            # "Clients will reconnect if the connection is closed; a client can be told to stop reconnecting using the
            # HTTP 204 No Content response code."
            return Response(204, content_type="")
        return http.refuse(error, request, ("GET", "HEAD", "POST"))

    def open(self, request: Request, now: float) -> Sequence[Command]:
        asked = self._asked = http.read_asked(request, self._limits)
        if asked.several:
            self.dialect = http.MESSAGES
        self._expected = len(asked.joins)
        self._positions = {join.topic: None for join in asked.joins}
        self.deadline = now + min(HEARTBEAT, self._limits.heartbeat)
        return asked.joins

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        raise ProtocolError("a stream goes one way")

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        return (Bye(),)

    def tick(self, now: float) -> Sequence[Command]:
        if self.deadline is not None and now >= self.deadline:
            self.deadline = now + min(HEARTBEAT, self._limits.heartbeat)
            if self._size > self._limits.outbox:
                return (Bye("too slow"),)  # one of its joins is, and the other topics cannot wait for ever
            if self._opened and not self._owed:
                self._owed, self.plain = [":\n\n"], False
        return ()

    # -- what the client is told ---------------------------------------------------------------------------------------

    def send(self, message: Message) -> tuple[Frame, ...]:
        if isinstance(message, Reply):
            if not self._expected or not isinstance(message.to, Join):
                return ()
            self._joined(message)
            return (ANSWERED,)
        if isinstance(message, Left):
            return (self._left(message.topic, message.error),)
        if self._asked.several:
            return (http.message(message.topic, message.body),)
        return (told_of(message.topic, message.body),)

    def _joined(self, reply: Reply) -> None:
        topic = reply.to.topic
        self._expected -= 1
        self._results[topic] = http.result(reply)
        self._positions[topic] = reply.position
        if http.lost(reply):
            at = {"position": str(reply.position)} if reply.position else {}
            self._lost.append({"topic": topic, **at})
        if reply.error is not None:
            self._refusal = self._refusal or reply.error
            self._refused += 1

    def _left(self, topic: str, error: Disconnect) -> str:
        told = {"topic": topic, "error": _told(error)}
        if self._asked.several:
            return own("left", told)
        self.plain = False
        self._last = own("left", told, _farewell_id(error))
        return self._last

    def pack(self, frames: Sequence[Frame], line: Line) -> list[Frame]:
        if self.plain:
            return list(frames)
        if self._expected:
            self._early += [frame for frame in frames if frame != ANSWERED]
            self._size += sum(map(len, frames))
            return []
        if self._refusal is not None and self._refused == len(self._asked.joins):
            self.spent = True
            return [http.problem(self._refusal).body]
        if not self._opened:
            self._begin()
        packed: list[Frame] = [*self._owed]
        packed += [self._finish(frame) for frame in (*self._early, *frames) if frame != ANSWERED]
        self._owed, self._early, self._size = [], [], 0
        self.spent = bool(self._last) and self._last in packed
        self.plain = not self._asked.several and not self._last
        return packed

    def _begin(self) -> None:
        self._opened = True
        told = {"connection": self._session.key, "id": self._session.id, "topics": self._results}
        # Clients that a restart has cut off do not all come back in the same moment.
        retry = 1_000 + crc32(self._session.id.encode()) % 2_001
        self._owed = [f"retry: {retry}\n" + own("open", told, self._id()), *(own("lost", told) for told in self._lost)]

    def _finish(self, frame: Frame) -> Frame:
        """In a stream of several topics: the message, as an event with an id of this client's own."""
        if not self._asked.several or not isinstance(frame, str) or not frame.startswith("{"):
            return frame
        place = http.place(frame)
        if not place.position or place.topic not in self._positions:
            return block("", frame)
        self._positions[place.topic] = Position.parse(place.position)
        return block("", frame, self._id())

    def _id(self) -> str:
        return http.join_positions(self._positions.values()) or ""

    def answer(self, line: Line, body: bytes, request: Request) -> Response:
        if self._refusal is not None and not self._opened:
            return http.problem(self._refusal)
        # What stands between would rather send large pieces: nginx is told so by a header of its own.
        headers = (("cache-control", "no-store"), ("vary", "accept"), ("x-accel-buffering", "no"))
        return Response(200, body, http.EVENT_STREAM, headers)

    def close(self, error: HubbubError, line: Line) -> tuple[list[Frame], int]:
        if self._opened:
            return [own("bye", _told(error), _farewell_id(error))], 1000
        self._refusal = error
        return [http.problem(error).body], 1000


def _told(error: HubbubError) -> dict[str, Any]:
    come_back = getattr(error, "come_back", not isinstance(error, ProtocolError))
    return {"code": error.code, "reason": error.reason, "come_back": come_back}


def _farewell_id(error: HubbubError) -> str:
    return END if isinstance(error, Disconnect) and not error.come_back else ""
