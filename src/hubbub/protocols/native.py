"""Hubbub's own protocol: one object a message, over a WebSocket. Pure.

Specification: docs/protocols/native.md.

Rules:

1. A client that asks for the subprotocol ``hubbub.msgpack`` speaks MessagePack in binary frames; all others speak
   JSON in text frames. A frame of the other kind ends the connection.
2. A message is known by the first of ``send``, ``join``, ``leave``, ``answer``, ``ping`` that it has. Keys that nobody
   knows are ignored; a known one that does not fit ends the connection.
3. What has no ``ref`` gets no reply; but what went wrong is told all the same.
4. Bytes are bytes in MessagePack, and base64 text in JSON (RFC 4648, section 4), both ways.
5. The server asks for no sign of life: the WebSocket's own pings do, and browsers answer them by themselves.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final, NoReturn

import msgspec
from msgspec import UNSET

from hubbub.bodies import is_json, parts
from hubbub.errors import HubbubError, ProtocolError
from hubbub.history import Position
from hubbub.messages import Answer, Bye, Command, Frame, Join, Leave, Left, Message, Publication, Raw, Reply, Send
from hubbub.protocols.base import Dialect, Line, Protocol, Request, Route, Session
from hubbub.protocols.native_asked import Asked, AskedInJson

JSON = "hubbub.json"
MSGPACK = "hubbub.msgpack"

BAD_TYPE = 1003
"""RFC 6455, section 7.4.1: "it has received a type of data it cannot accept"."""
BAD_DATA = 1007
"""The same: "data within a message that was not consistent with the type of the message"."""


# -- two ways to write it ---------------------------------------------------------------------------------------------


class Wire:
    """How messages are written. All of it but four methods is the same in JSON and in MessagePack."""

    name: ClassVar[str]
    format: ClassVar[str]

    def __init__(self) -> None:
        self.dialect = Dialect(self.name, self.publication)

    def read(self, data: Frame) -> Asked:
        """Raises ProtocolError."""
        raise NotImplementedError

    def loose(self, data: Any) -> dict[str, Any]:
        """Read without looking at the types. Raises ValueError or RecursionError."""
        raise NotImplementedError

    def write(self, message: Mapping[str, Any]) -> Frame:
        """``Raw`` values have to be what ``pieces`` gave."""
        raise NotImplementedError

    def pieces(self, body: bytes) -> list[Any]:
        """The values of a body, as far as possible still encoded."""
        raise NotImplementedError

    def event(self, topic: str, body: bytes) -> dict[str, Any]:
        event, *payload = self.pieces(body)
        told = {"topic": topic, "event": event}
        _add_payload(told, payload)
        return told

    def returned(self, ref: Any, body: bytes) -> Frame:
        """The reply to a ``Send`` that was handled."""
        told: dict[str, Any] = {"reply": ref, "ok": True}
        _add_payload(told, self.pieces(body))
        return self.write(told)

    def publication(self, publication: Publication) -> tuple[Frame, ...]:
        try:
            message = self.event(publication.topic, publication.body)
            if publication.position:
                message["position"] = str(publication.position)
            return (self.write(message),)
        except (ValueError, RecursionError):  # it must not stop what others are told
            error = {"code": "unreadable", "reason": "something was published that this protocol cannot say"}
            return (self.write({"error": error, "topic": publication.topic}),)


class JsonWire(Wire):
    name = "native+json"
    format = "JSON"

    def __init__(self) -> None:
        super().__init__()
        self._decode = msgspec.json.Decoder(AskedInJson).decode
        self._decode_body = msgspec.json.Decoder(list[Raw]).decode
        self._encode = msgspec.json.Encoder().encode

    def read(self, data: Frame) -> Asked:
        if not isinstance(data, str):
            raise ProtocolError(f"binary frames are for the subprotocol {MSGPACK}", BAD_TYPE)
        try:
            return self._decode(data)
        except (ValueError, RecursionError) as error:
            _misread(self, data, error)

    def loose(self, data: Any) -> dict[str, Any]:
        return msgspec.json.decode(data, type=dict[str, Raw])

    def write(self, message: Mapping[str, Any]) -> str:
        return self._encode(message).decode()

    def pieces(self, body: bytes) -> list[Any]:
        return self._decode_body(body) if is_json(body) else parts(body)

    def returned(self, ref: Any, body: bytes) -> Frame:
        """Most of what clients are told, put together from what is encoded already."""
        if not is_json(body):
            return super().returned(ref, body)
        number = str(ref) if type(ref) is int else self._encode(ref).decode()
        if body == b"[]":
            return f'{{"reply":{number},"ok":true}}'
        several = body.find(b",") > 0 and len(self._decode_body(body)) > 1
        payload = body if several else body[1:-1]
        return f'{{"reply":{number},"ok":true,"payload":{payload.decode()}}}'


class MsgpackWire(Wire):
    name = "native+msgpack"
    format = "MessagePack"

    def __init__(self) -> None:
        super().__init__()
        self._decode = msgspec.msgpack.Decoder(Asked, ext_hook=_refuse_extension).decode
        self._decode_body = msgspec.msgpack.Decoder(list[Raw]).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def read(self, data: Frame) -> Asked:
        if not isinstance(data, bytes):
            raise ProtocolError(f"text frames are not for the subprotocol {MSGPACK}", BAD_TYPE)
        try:
            return self._decode(data)
        except (ValueError, RecursionError) as error:
            _misread(self, data, error)

    def loose(self, data: Any) -> dict[str, Any]:
        return msgspec.msgpack.decode(data, type=dict[str, Raw])

    def write(self, message: Mapping[str, Any]) -> bytes:
        try:
            return self._encode(message)
        except OverflowError:
            return self._encode(_in_64_bits(msgspec.json.encode(message)))

    def pieces(self, body: bytes) -> list[Any]:
        if not is_json(body):
            return self._decode_body(body)
        try:
            values: list[Any] = msgspec.json.decode(body)
        except msgspec.ValidationError:  # a number out of range, handed on by a channel that did not look at it
            values = _in_64_bits(body)
        return values


def _add_payload(told: dict[str, Any], values: list[Any]) -> None:
    """No value, the value, or an array of several."""
    if len(values) == 1:
        told["payload"] = values[0]
    elif values:
        told["payload"] = values


def _in_64_bits(text: bytes) -> Any:
    """Numbers as JavaScript would read them: what is too long for 64 bits is a float."""

    def number(digits: str) -> int | float:
        if len(digits) <= 20 and -(2**63) <= (whole := int(digits)) < 2**64:
            return whole
        return float(digits)

    return json.loads(text, parse_int=number)


def _refuse_extension(code: int, data: memoryview) -> NoReturn:
    raise ValueError(f"extension type {code} is not known")


# -- what was wrong with it -------------------------------------------------------------------------------------------

_KINDS = ("send", "join", "leave", "answer", "ping")
_CLOSE_REASON = 120
"""Characters; a close frame has room for 123 bytes (RFC 6455, section 5.5)."""


def _misread(wire: Wire, data: Frame, error: Exception) -> NoReturn:
    """Say what could not be read, and where."""
    if isinstance(error, RecursionError):
        raise ProtocolError("a message is nested too deeply", BAD_DATA) from None
    if not isinstance(error, msgspec.ValidationError):
        detail = str(error).rpartition(" malformed: ")[2]
        raise ProtocolError(f"this is not {wire.format}: {detail}"[:_CLOSE_REASON], BAD_DATA) from None
    fault, _, place = str(error).replace("`", "").partition(" - at $.")
    fault = fault.replace("Expected ", "must be ").replace(" | null", "").replace(", got ", ", not ")
    kind = ""
    with suppress(ValueError, RecursionError):
        kind = next((name for name in _KINDS if name in wire.loose(data)), "")
    where = ": ".join(dict.fromkeys(name for name in (kind, place) if name)) or "a message"
    raise ProtocolError(f"{where} {fault}"[:_CLOSE_REASON]) from None


def _position(text: str | None) -> Position | None:
    try:
        return None if text is None else Position.parse(text)
    except ValueError as error:
        raise ProtocolError(f"join: after: {error}") from None


# -- the conversation -------------------------------------------------------------------------------------------------

_UNSET: Final = UNSET
_JSON: Final = JsonWire()
_MSGPACK: Final = MsgpackWire()


class Native(Protocol):
    """One client of Hubbub's own protocol."""

    __slots__ = ("_limits", "_owed", "_wire", "dialect", "id", "plain")

    name = "native"
    routes = (Route("GET", "/hubbub/websocket", "socket"),)
    subprotocols = (MSGPACK, JSON)
    websocket_pings = True
    line: Line = "socket"

    def __init__(self, session: Session) -> None:
        self.id = session.id
        self._limits = session.limits
        self._owed: dict[str, Frame] = {}
        """What is owed, by kind. A later pong replaces one that has not left (as RFC 6455, section 5.5.3, allows):
        a client that asks and does not read makes nothing grow."""
        self.plain = True
        self._wire: Wire = _JSON
        self.dialect = _JSON.dialect

    def open(self, request: Request, now: float) -> Sequence[Command]:
        offered = [name.strip() for name in request.headers.get("sec-websocket-protocol", "").split(",")]
        if MSGPACK in offered:
            self._wire = _MSGPACK
            self.dialect = _MSGPACK.dialect
        limits = self._limits
        told = {"message": limits.message, "topics": limits.topics, "rate": limits.rate, "burst": limits.burst}
        self._owe("welcome", {"welcome": self.id, "limits": told})
        return ()

    def _owe(self, kind: str, message: Mapping[str, Any]) -> None:
        self._owed[kind] = self._wire.write(message)
        self.plain = False

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        return (Bye(),)

    def pack(self, frames: Sequence[Frame], line: Line) -> list[Frame]:
        if self.plain:
            return list(frames)
        owed = [*self._owed.values(), *frames]
        self._owed.clear()
        self.plain = True
        return owed

    # -- what the client says ------------------------------------------------------------------------------------------

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        asked = self._wire.read(data)
        topic = asked.send
        if topic is not None:
            event, payload, id = asked.event, asked.payload, asked.id
            if event is None:
                raise ProtocolError("send: event is missing")
            if id is not None and len(id) > self._limits.topic_length:
                raise ProtocolError(f"send: id has more than {self._limits.topic_length} characters")
            return (Send(topic, event, () if payload is _UNSET else (payload,), asked.ref, id),)
        if asked.join is not None:
            params = None if asked.params is UNSET else asked.params
            return (Join(asked.join, params, asked.ref, _position(asked.after)),)
        if asked.leave is not None:
            return (Leave(asked.leave, asked.ref),)
        if asked.answer is not None:
            if asked.topic is None:
                raise ProtocolError("answer: topic is missing")
            return (Answer(asked.topic, asked.answer, () if asked.payload is UNSET else (asked.payload,)),)
        if asked.ping is not UNSET:
            self._owe("pong", {"pong": asked.ping})
            return ()
        raise ProtocolError(f"a message has one of {', '.join(_KINDS)}")

    # -- what the client is told ---------------------------------------------------------------------------------------

    def send(self, message: Message) -> tuple[Frame, ...]:
        if isinstance(message, Reply):
            return self._reply(message)
        if isinstance(message, Left):
            return (self._wire.write({"left": message.topic, "error": _told(message.error)}),)
        told = self._wire.event(message.topic, message.body)
        if message.ref is not None:
            told["call"] = message.ref
        return (self._wire.write(told),)

    def _reply(self, reply: Reply) -> tuple[Frame, ...]:
        to = reply.to
        if reply.error is not None:
            return (self._wire.write(_refusal(to, reply.error)),)
        if type(to) is Send:
            return self.returned(to, reply.body)
        if to.ref is None:
            return ()
        told: dict[str, Any] = {"reply": to.ref, "ok": True, "topic": to.topic}
        if reply.position is not None:
            told["position"] = str(reply.position)
        if reply.recovered is not None:
            told["recovered"] = reply.recovered
        _add_payload(told, self._wire.pieces(reply.body))
        return (self._wire.write(told),)

    def returned(self, to: Send, body: bytes) -> tuple[Frame, ...]:
        ref = to.ref
        return () if ref is None else (self._wire.returned(ref, body),)

    def close(self, error: HubbubError, line: Line) -> tuple[list[Frame], int]:
        return [self._wire.write({"bye": _told(error)})], getattr(error, "close_code", 1011)


def _refusal(to: Join | Leave | Send, error: HubbubError) -> dict[str, Any]:
    told: dict[str, Any] = {} if to.ref is None else {"reply": to.ref, "ok": False}
    told["error"] = {"code": error.code, "reason": error.reason}
    if type(to) is not Send:
        told["topic"] = to.topic
    elif to.ref is None:
        told |= {"topic": to.topic, "event": to.event}
    return told


def _told(error: HubbubError) -> dict[str, Any]:
    come_back = getattr(error, "come_back", not isinstance(error, ProtocolError))
    return {"code": error.code, "reason": error.reason, "come_back": come_back}
