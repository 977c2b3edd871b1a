"""Phoenix Channels, versions 1 and 2, over a WebSocket or by long polling. Pure.

Source: the repository phoenixframework/phoenix, lib/phoenix/socket.ex, lib/phoenix/transports, lib/phoenix/channel, and
assets/js/phoenix for what the official client makes of it. For people: docs/protocols/phoenix.md.

Rules:

1. ``phx_join`` joins a topic. Its ``join_ref`` names that stay in it: a message with another one is of an earlier
   stay, and is dropped. A second join closes the first, by ``phx_close``.
2. Every message with a ``ref`` is answered by ``phx_reply``, ok or error.
3. ``phx_close`` tells the official client to give up a channel, ``phx_error`` to join it again after a pause; a
   WebSocket's close code of 1000 to stay away, any other to come back.
4. Join parameters are those of the channel over those of the socket; ``auth_token`` is one of the latter.
5. Long polling always gets the HTTP status 200: the one that counts is in the body. An open poll is ended after the
   ``WINDOW``; a session whose client has not come again within ``Limits.patience`` has timed out.
"""

import binascii
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from hubbub.errors import Disconnect, HubbubError, NotFound, ProtocolError
from hubbub.history import Position
from hubbub.messages import Answer, Bye, Command, Frame, Join, Leave, Left, Message, Push, Raw, Reply, Send
from hubbub.protocols.base import Line, Protocol, Request, Response, Route, Session, Stranger
from hubbub.protocols.phoenix_request import SESSION, auth_token, is_longpoll, session_key, socket_params, version
from hubbub.protocols.phoenix_serializer import ArraySerializer, ObjectSerializer, Ref, Said, Serializer, arguments

VERSION_1 = ObjectSerializer("phoenix-1")
VERSION_2 = ArraySerializer("phoenix-2", binary=True)
VERSION_2_IN_TEXT = ArraySerializer("phoenix-2-text", binary=False)

WINDOW: Final = 10.0
"""Seconds that a poll is held at most: phoenix.js gives up after 20."""

BATCH: Final = 100
"""Messages in one POST. The reference server takes as many, and phoenix.js sends no more."""


class Refs(NamedTuple):
    """Where the reply to a command belongs."""

    join_ref: Ref
    ref: Ref
    closes: bool = False
    """The topic was joined, and is left by this."""


class _Resumes(msgspec.Struct):
    position: str | None = msgspec.field(name="_position", default=None)


class _Answers(msgspec.Struct):
    ref: int
    value: Raw | UnsetType = UNSET


_parameters = msgspec.json.Decoder(dict[str, Raw] | None)
_resumes = msgspec.json.Decoder(_Resumes)
_answers = msgspec.json.Decoder(_Answers)


class Phoenix(Protocol):
    """One Phoenix socket, and its channels."""

    __slots__ = (
        "_expired", "_fresh", "_limits", "_owed", "_params", "_parting", "_places", "_poll", "_serializer", "_token",
        "_waits", "deadline", "dialect", "line", "plain",
    )  # fmt: skip

    name = "phoenix"
    title = "Phoenix"
    routes = (
        Route("GET", "/socket/websocket", "socket"),
        Route("GET", "/socket/longpoll", "poll"),
        Route("POST", "/socket/longpoll", "post"),
    )
    subprotocols = ("phoenix",)
    websocket_pings = True
    repeats_farewell = True

    def __init__(self, session: Session) -> None:
        self._token = SESSION + session.key
        self._limits = session.limits
        self._serializer: Serializer = VERSION_2
        self.dialect = VERSION_2.dialect
        self.line: Line = "socket"
        self.plain = True
        self.deadline: float | None = None
        self._params: dict[str, Any] = {}
        self._places: dict[str, Ref] = {}  # the join_ref of each topic that the client is in, or on its way to
        self._owed: list[Frame] = []  # before any message
        self._fresh = True  # a long poll that has not heard its token
        self._poll = False  # a poll is open
        self._expired = False  # ... and is to end
        self._waits = True  # for the next one
        self._parting = False  # its last messages have just left

    # -- HTTP ----------------------------------------------------------------------------------------------------------

    @classmethod
    def session(cls, request: Request) -> str | None:
        version(request)
        auth_token(request)
        if not is_longpoll(request):
            return None
        key = session_key(request)
        if key is None and request.method != "GET":
            raise NotFound("there is no such session")
        return key

    @classmethod
    def stranger(cls, request: Request) -> Stranger:
        return "renew" if request.method == "GET" else "refuse"

    @classmethod
    def refuse(cls, error: HubbubError, request: Request) -> Response:
        if not is_longpoll(request) or request.method not in ("GET", "POST"):
            return Response(error.status, error.reason.encode())
        status = error.status
        if error.code in ("not_found", "conflict"):
            status = 410
        elif request.method == "GET":  # phoenix.js knows no others here
            status = 403 if status < 500 else 500
        return _in_body(_text({"status": status}))

    def answer(self, line: Line, body: bytes, request: Request) -> Response:
        if line == "post":
            return _in_body(_text({"status": 200}))
        # A poll that was replaced by a newer one ends without a body.
        return _in_body(body.decode() or self._said(204, ()))

    # -- lines ---------------------------------------------------------------------------------------------------------

    def open(self, request: Request, now: float) -> Sequence[Command]:
        polls = is_longpoll(request)
        if version(request) == 1:
            self._serializer = VERSION_1
        elif polls:
            self._serializer = VERSION_2_IN_TEXT
        self.dialect = self._serializer.dialect
        self._params = socket_params(request)
        if polls:
            self.line, self.plain = "poll", False
            self.deadline = now + self._limits.patience
        return ()

    def attach(self, line: Line, now: float, request: Request) -> None:
        if line == "poll":
            self._poll, self._expired, self._waits = True, False, False
            self.deadline = now + min(self._limits.poll, WINDOW)

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        if line == "poll":
            self._poll, self._waits = False, True
            self.deadline = now + self._limits.patience
        return (Bye(),) if line == "socket" else ()

    def pack(self, frames: Sequence[Frame], line: Line) -> list[Frame]:
        if line != self.line:
            return []
        if line == "socket" and self.plain:
            return list(frames)
        told = [*self._owed, *frames]
        self._owed = []
        if line == "socket":
            self.plain = True
            return told
        if not self._poll or self._fresh:
            self._owed = told
        if not self._poll or not (told or self._fresh or self._expired):
            return []
        status = 410 if self._fresh else 200 if told else 204
        messages = () if self._fresh else told
        self._poll = self._fresh = False
        return [self._said(status, messages)]

    def close(self, error: HubbubError, line: Line) -> tuple[list[Frame], int]:
        code, status = getattr(error, "close_code", 1011), 410
        last: list[Frame] = []
        if isinstance(error, Disconnect) and error.come_back:
            code = 1001 if code == 1000 else code
        elif isinstance(error, Disconnect):
            code, status = 1000, 403
            last = [self._closed(topic, error) for topic in self._places]
        if line == "socket":
            return last, code
        if line == "post" or not self._poll:
            return [], code
        self._poll = False
        if last:
            self._places.clear()
            self._parting = True
            return [self._said(200, last)], code
        if self._parting:  # were this an error, phoenix.js would forget what it has just got and not yet looked at
            self._parting = False
            return [self._said(204, ())], code
        return [_text({"status": status})], code

    def tick(self, now: float) -> Sequence[Command]:
        if self.deadline is None or now < self.deadline:
            return ()
        if self._waits:
            return (Bye("timeout"),)
        self._waits, self._expired = True, self._poll
        self.deadline = now + self._limits.patience
        return ()

    def _said(self, status: int, messages: Sequence[Frame]) -> str:
        return _text({"status": status, "token": self._token, "messages": messages})

    def _owe(self, frame: Frame) -> None:
        if len(self._owed) >= self._limits.backlog:
            raise ProtocolError("more was asked than is read", 1008)
        self._owed.append(frame)
        self.plain = False

    # -- what the client says ------------------------------------------------------------------------------------------

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        if line == "socket":
            return self._message(data)
        if not isinstance(data, str):
            raise ProtocolError("a body is text", 1007)
        return [command for piece in _pieces(data) for command in self._message(piece)]

    def _message(self, data: Frame) -> Sequence[Command]:
        said = self._serializer.read(data)
        topic, event = said.topic, said.event
        if event == "heartbeat" and topic == "phoenix":
            self._owe(self._serializer.answer(None, said.ref, topic, "ok", {}))
            return ()
        if event == "phx_join":
            return self._join(said)
        joined = topic in self._places
        join_ref = self._places.get(topic, said.join_ref)
        if joined and said.join_ref is not None and str(said.join_ref) != str(join_ref):
            return ()  # it was said before the last join, or on its way while the server closed the one before
        if event == "phx_leave":
            self._places.pop(topic, None)
            return (Leave(topic, Refs(join_ref, said.ref, joined)),)
        if not joined:
            self._deny(None, said, {"reason": "unmatched topic"})
            return ()
        if event == "_answer":
            return self._answer(said, join_ref)
        return (Send(topic, event, arguments(said.payload), None if said.ref is None else Refs(join_ref, said.ref)),)

    def _join(self, said: Said) -> Sequence[Command]:
        topic = said.topic
        # Version 1 has no word for it; its joins are known by their ref.
        join_ref = said.ref if said.join_ref is None and self._serializer is VERSION_1 else said.join_ref
        if topic[:1] == "/" and len(topic) > 1:  # to everyone else it goes without the slash, this client would not
            self._deny(None, said, {"reason": "unmatched topic"})
            return ()
        try:
            after = _position(said.payload)
        except ValueError:
            reason = "_position: a position is written epoch:offset"
            self._deny(join_ref, said, {"reason": reason, "code": "invalid"})
            return ()
        if topic in self._places:
            self._owe(self._closed(topic))
        self._places[topic] = join_ref
        return (Join(topic, self._with_socket_params(said.payload), Refs(join_ref, said.ref), after),)

    def _with_socket_params(self, payload: Any) -> Any:
        if not self._params or type(payload) is not Raw:
            return payload
        try:
            own = _parameters.decode(payload) or {}
        except (ValueError, RecursionError):
            return payload  # the binding says what is wrong with it
        return Raw(msgspec.json.encode({**self._params, **own}))

    def _answer(self, said: Said, join_ref: Ref) -> Sequence[Command]:
        """What a client makes of a server's call; Phoenix has no such thing."""
        try:
            answer = _answers.decode(said.payload)
        except (ValueError, RecursionError):
            reason = "_answer: its payload is the ref of the server's push, and a value"
            self._deny(join_ref, said, {"reason": reason, "code": "invalid"})
            return ()
        if said.ref is not None:
            self._owe(self._serializer.answer(join_ref, said.ref, said.topic, "ok", {}))
        return (Answer(said.topic, answer.ref, () if answer.value is UNSET else arguments(answer.value)),)

    def _deny(self, join_ref: Ref, said: Said, response: dict[str, str]) -> None:
        self._owe(self._serializer.answer(join_ref, said.ref, said.topic, "error", response))

    # -- what the client is told ---------------------------------------------------------------------------------------

    def send(self, message: Message) -> tuple[Frame, ...]:
        if isinstance(message, Push):
            topic = message.topic
            return (self._serializer.push(self._places.get(topic), topic, message.body, message.ref),)
        if isinstance(message, Left):
            frame = self._closed(message.topic, message.error)
            self._places.pop(message.topic, None)
            return (frame,)
        refs = message.to.ref
        if refs is None:  # a push that nobody waits for has failed
            refs = Refs(self._places.get(message.to.topic), None)
        if message.error is not None:
            return self._refused(message, message.error, refs)
        return self._replied(message, refs)

    def _replied(self, reply: Reply, refs: Refs) -> tuple[Frame, ...]:
        topic, serializer = reply.to.topic, self._serializer
        also: dict[str, Any] = {}
        if isinstance(reply.to, Join) and reply.position is not None:
            also["_position"] = str(reply.position)
        if isinstance(reply.to, Join) and reply.recovered is not None:
            also["_recovered"] = reply.recovered
        frame = serializer.reply(refs.join_ref, refs.ref, topic, reply.body, also)
        if not refs.closes:
            return (frame,)
        return (frame, serializer.write(refs.join_ref, refs.join_ref, topic, "phx_close", {}))

    def _refused(self, reply: Reply, error: HubbubError, refs: Refs) -> tuple[Frame, ...]:
        topic, join_ref = reply.to.topic, refs.join_ref
        response = {"reason": error.reason, "code": error.code}
        if isinstance(reply.to, Join):
            if self._places.get(topic) == join_ref:
                self._places.pop(topic, None)
            if isinstance(error, NotFound):
                join_ref, response = None, {"reason": "unmatched topic"}
        elif refs.closes:
            self._places.setdefault(topic, join_ref)  # it came too often, and the topic was not left
        return (self._serializer.answer(join_ref, refs.ref, topic, "error", response),)

    def _closed(self, topic: str, error: Disconnect | None = None) -> str:
        """The client is out of this topic: for good, unless the error says that it may come back."""
        event = "phx_error" if error is not None and error.come_back else "phx_close"
        payload = {} if error is None else {"reason": error.reason, "code": error.code}
        join_ref = self._places.get(topic)
        return self._serializer.write(join_ref, join_ref, topic, event, payload)


def _text(content: dict[str, Any]) -> str:
    return msgspec.json.encode(content).decode()


def _in_body(text: str) -> Response:
    return Response(body=text.encode(), content_type="application/json; charset=utf-8")


def _pieces(body: str) -> list[Frame]:
    """The messages of a POST, one a line: JSON, or a binary one in base64. What is more than a batch is not read, as
    with the reference server, and not even split."""
    pieces: list[Frame] = []
    for line in body.split("\n", BATCH)[:BATCH]:
        text = line.strip()
        if text[:1] in ("[", "{"):
            pieces.append(text)
        elif text:
            try:
                pieces.append(binascii.a2b_base64(text, strict_mode=True))
            except ValueError:
                raise ProtocolError("a line of a body is JSON, or base64", 1007) from None
    return pieces


def _position(payload: Any) -> Position | None:
    """Where the client left off. Raises ValueError."""
    if type(payload) is not Raw or b'"_position"' not in bytes(payload):
        return None
    try:
        said = _resumes.decode(payload).position
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return None if said is None else Position.parse(said)
