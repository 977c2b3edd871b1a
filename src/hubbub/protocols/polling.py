"""HTTP polling: each request is a client of its own, which joins, is told what there is, and leaves. Pure.

Specification: docs/protocols/http.md.

Rules:

1. A page is answered when all joins are, and there is something to tell, or the time is up.
2. A page's position is that of its last event, topic by topic: what ``limit`` held back comes with the next page.
3. A POST hears nothing: no event is encoded for it.
"""

import gzip
from collections.abc import Sequence

import msgspec

from hubbub.errors import Disconnect, HubbubError, ProtocolError
from hubbub.history import Position
from hubbub.messages import Bye, Command, Frame, Join, Leave, Left, Message, Raw, Reply, Send
from hubbub.protocols import http, http_posts
from hubbub.protocols.base import Dialect, Line, Protocol, Request, Response, Route, Session

METHODS = ("GET", "HEAD", "POST")

WORTH = 1_000
"""Bytes from which a page is compressed: less fits in one packet anyway. A page holds no secret that its compressed
size could tell."""

ANSWERED = ""
"""A frame that says nothing: a join has its reply."""

SILENT = Dialect("http+none", lambda publication: ())


class Polling(Protocol):
    """One request."""

    __slots__ = (
        "_asked", "_complete", "_due", "_events", "_expected", "_limits", "_more", "_owed", "_positions",
        "_refusal", "_refused", "_results", "_size", "deadline", "dialect",
    )  # fmt: skip

    name = "polling"
    title = "HTTP polling"
    routes = (
        Route("GET", "/topics", "poll"),
        Route("HEAD", "/topics", "poll"),
        Route("POST", "/topics", "exchange"),
        Route("GET", "/topics/{topic:path}", "poll"),
        Route("HEAD", "/topics/{topic:path}", "poll"),
        Route("POST", "/topics/{topic:path}", "exchange"),
    )
    one_shot = True
    line: Line = "poll"

    def __init__(self, session: Session) -> None:
        self._limits = session.limits
        self._asked = http.Asked((), several=False, wait=0.0, limit=0)
        self.dialect = SILENT
        self.deadline: float | None = None
        self._expected = 0
        """Joins that have no reply yet."""
        self._owed = 0
        """Answers on their way to ``pack``. What was missed comes with them: a page without it would be too early."""
        self._results: dict[str, dict[str, object]] = {}
        self._positions: dict[str, Position | None] = {}
        self._events: list[Raw] = []
        self._size = 0
        self._complete = True
        self._more = False
        self._due = False
        self._refusal: HubbubError | None = None
        """The first of them."""
        self._refused = 0

    # -- requests ------------------------------------------------------------------------------------------------------

    @classmethod
    def accepts(cls, request: Request) -> bool:
        return not http.wants_stream(request)

    @classmethod
    def session(cls, request: Request) -> str | None:
        if request.method == "POST":
            return request.headers.get(http.CONNECTION)
        if request.method == "GET" and not http.takes_json(request):
            raise http.NotAcceptable
        return None

    @classmethod
    def refuse(cls, error: HubbubError, request: Request) -> Response:
        return http.refuse(error, request, METHODS)

    @classmethod
    def exchange(cls, request: Request, data: bytes, known: bool) -> Sequence[Join | Leave | Send]:
        return http_posts.read_post(request, data, known)

    @classmethod
    def respond(cls, reply: Reply, request: Request) -> Response:
        return http.respond(reply)

    # -- a page --------------------------------------------------------------------------------------------------------

    def open(self, request: Request, now: float) -> Sequence[Command]:
        if request.method == "POST":
            return ()
        asked = self._asked = http.read_asked(request, self._limits)
        self.dialect = http.MESSAGES
        self._expected = len(asked.joins)
        self._positions = {join.topic: join.after for join in asked.joins}
        if asked.wait and request.method == "GET":
            self.deadline = now + asked.wait
        else:
            self._due = True
        return asked.joins

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        return (Bye(),)

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        raise ProtocolError("a poll says nothing")

    def tick(self, now: float) -> Sequence[Command]:
        if self.deadline is not None and now >= self.deadline:
            self._due, self.deadline = True, None
        return ()

    def send(self, message: Message) -> tuple[Frame, ...]:
        if isinstance(message, Reply):
            if isinstance(message.to, Join):
                self._joined(message)
            self._owed += 1
            return (ANSWERED,)
        if isinstance(message, Left):
            self._left(message.topic, message.error)
            self._owed += 1
            return (ANSWERED,)
        return (http.message(message.topic, message.body),)

    def _joined(self, reply: Reply) -> None:
        topic = reply.to.topic
        self._expected -= 1
        self._results[topic] = http.result(reply)
        self._positions[topic] = reply.position
        if reply.error is not None:
            self._refuse(reply.error)
        elif http.lost(reply):
            self._complete, self._due = False, True

    def _left(self, topic: str, error: Disconnect) -> None:
        self._results[topic] = {"error": {"code": error.code, "reason": error.reason}}
        self._refuse(error)

    def _refuse(self, error: HubbubError) -> None:
        """Where no topic is left, there is nothing to wait for."""
        self._refusal = self._refusal or error
        self._refused += 1
        self._due |= self._refused == len(self._asked.joins)

    def _problem(self) -> Response | None:
        if self._refusal is not None and self._refused >= len(self._asked.joins) and not self._events:
            return http.problem(self._refusal)
        return None

    # -- its answer ----------------------------------------------------------------------------------------------------

    def pack(self, frames: Sequence[Frame], line: Line) -> list[Frame]:
        for frame in frames:
            self._take(frame)
        if self._expected or self._owed or not (self._due or self._events):
            return []
        return [self._page()]

    def _take(self, frame: Frame) -> None:
        if frame == ANSWERED:
            self._owed -= 1
            return
        full = len(self._events) >= self._asked.limit or (self._events and self._size > self._limits.outbox)
        if full or self._more:
            self._more = True
            return
        place = http.place(frame)
        if place.position:
            self._positions[place.topic] = Position.parse(place.position)
        self._events.append(Raw(frame.encode() if isinstance(frame, str) else frame))
        self._size += len(frame)

    def _page(self) -> bytes:
        if (problem := self._problem()) is not None:
            return problem.body
        told = {
            "events": self._events,
            "position": http.join_positions(self._positions[join.topic] for join in self._asked.joins),
            "complete": self._complete,
            "more": self._more,
            "topics": self._results,
        }
        return msgspec.json.encode(told)

    def close(self, error: HubbubError, line: Line) -> tuple[list[Frame], int]:
        self._refusal, self._refused = error, len(self._asked.joins)
        for join in self._asked.joins:
            self._results.setdefault(join.topic, {"error": {"code": error.code, "reason": error.reason}})
        return [self._page()], 1000

    def answer(self, line: Line, body: bytes, request: Request) -> Response:
        if (problem := self._problem()) is not None:
            return problem
        headers: tuple[tuple[str, str], ...] = (("vary", "accept, accept-encoding"),)
        body = body or self._page()
        welcome = http.quality(request.headers.get("accept-encoding", ""), "gzip", "*") > 0
        if welcome and len(body) >= WORTH:
            body = gzip.compress(body, 6, mtime=0)
            headers += (("content-encoding", "gzip"),)
        return Response(200, body, http.JSON, headers)
