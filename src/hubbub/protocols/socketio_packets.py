"""The packets of Socket.IO 5, as every client writes them that was not given another parser. Pure.

Source: the repository socketio/socket.io, docs/socket.io-protocol/v5-current.md, "Packet encoding":

    <packet type>[<# of binary attachments>-][<namespace>,][<acknowledgment id>]
        [JSON-stringified payload without binary]

    + binary attachments extracted

Each packet is one Engine.IO message, each attachment another; here texts still carry Engine.IO's ``4`` on the way out
and have lost it on the way in. What the specification leaves open is decided as packages/socket.io-parser does.
"""

import re
from collections.abc import Sequence
from math import inf
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from hubbub.bodies import encode, is_json, values
from hubbub.errors import ProtocolError
from hubbub.history import Position
from hubbub.messages import Frame, Publication, Raw, Send
from hubbub.protocols.base import Dialect

CONNECT: Final = 0
DISCONNECT: Final = 1
EVENT: Final = 2
ACK: Final = 3
CONNECT_ERROR: Final = 4
BINARY_EVENT: Final = 5
BINARY_ACK: Final = 6

RESERVED: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Event names that mean something to the reference implementation itself: its parser refuses packets with them."""


class Packet(NamedTuple):
    """A packet, whatever its wire form. ``BINARY_EVENT`` and ``BINARY_ACK`` are ``EVENT`` and ``ACK`` with
    ``attachments`` still to come; ``data`` is

    CONNECT     the ``auth`` object, or None
    EVENT       the event's name, then its arguments
    ACK         the arguments
    """

    type: int
    namespace: str
    id: int | None = None
    data: Any = None
    attachments: int = 0


class Packets:
    """One wire form of packets: both directions, without memory."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.dialect = Dialect(self.name, self._publication)

    def read(self, data: Frame) -> Packet:
        """Understand a message. Raises ProtocolError, and nothing else."""
        raise NotImplementedError

    def event(self, namespace: str, body: bytes, id: int | None = None) -> tuple[Frame, ...]:
        """An event, whose acknowledgement is wanted if it has an ``id``."""
        raise NotImplementedError

    def ack(self, namespace: str, body: bytes, id: int) -> tuple[Frame, ...]:
        """The acknowledgement of the client's event of this ``id``."""
        raise NotImplementedError

    def notice(self, type: int, namespace: str, data: dict[str, Any] | None = None) -> tuple[Frame, ...]:
        """A packet about the namespace itself: CONNECT, DISCONNECT or CONNECT_ERROR."""
        raise NotImplementedError

    def _publication(self, publication: Publication) -> tuple[Frame, ...]:
        body = noting(publication.body, publication.cursor, logged=bool(publication.position))
        return self.event(namespace_of(publication.topic), body)


# -- namespaces and topics ------------------------------------------------------------------------------------------


def topic_of(namespace: str) -> str:
    """The topic that a namespace stands for: its name without the slash, except for ``/`` itself."""
    return namespace[1:] or namespace


def namespace_of(topic: str) -> str:
    """The namespace that a topic is reached by. A room (``chat#red``) is heard in the namespace of its topic."""
    if "#" in topic:
        topic = topic.partition("#")[0]
    return topic if topic == "/" else "/" + topic


def noting(body: bytes, cursor: Position, *, logged: bool) -> bytes:
    """This event, with where the log stands as its last argument: "connection state recovery".

    Clients that may come back note the last argument of every event, if it is a text. So an event that is not in the
    log says it, too, where it would end in another text; else it stays as it is.
    """
    if not cursor or not (logged or _ends_in_text(body)):
        return body
    if is_json(body):
        return b'%b,"%b"]' % (body[:-1], str(cursor).encode())
    return encode([*values(body), str(cursor)])


def _ends_in_text(body: bytes) -> bool:
    return body.endswith(b'"]') if is_json(body) else isinstance(values(body)[-1], str)


# -- text -----------------------------------------------------------------------------------------------------------

NAMESPACE = r"(/[^,?#\x00-\x1f\ud800-\udfff]*)(?:\?[^,]*)?"
"""A namespace, and its query string that nobody reads. A control character might be taken for the end of a packet; what
follows a ``#`` is the name of a room, which is not the client's to choose."""

_HEAD: Final = re.compile(rf"([0-6])(?:([1-9][0-9]{{0,2}})-)?(?:{NAMESPACE}(?:,|\Z))?([0-9]{{1,16}})?")
"""Everything before the payload. Sixteen digits hold every integer that JavaScript counts exactly."""

_array: Final = msgspec.json.Decoder(list[Raw])
_value: Final = msgspec.json.Decoder(Raw)
_name: Final = msgspec.json.Decoder(str)
_json: Final = msgspec.json.Encoder(enc_hook=lambda value: None)

_decode_simple: Final = msgspec.json.Decoder(tuple[str, Raw]).decode
"""An event with one argument, as most are: understood in one call, not in three."""


_OTHER: tuple[str, tuple[Send, ...]] = ("", ())


def simple_event(text: str) -> tuple[str, tuple[Send, ...]]:
    """What most messages are: an event with one argument, still with Engine.IO's ``4`` before it. Gives what stands in
    the namespace's place, which may be none, and the event as commands. What is anything else, or wrong, is for no
    namespace here, and for ``TextPackets.read`` to understand."""
    start = text.find("[")
    head = text[2:start]
    namespace = "/"
    if head.startswith("/"):
        namespace, _, head = head.rpartition(",")
    numbered = head.isdigit() and head.isascii() and len(head) <= 16
    if not text.startswith("42") or (head and not numbered):
        return _OTHER
    try:
        name, argument = _decode_simple(text[start:])
    except (ValueError, RecursionError):
        return _OTHER
    if name in RESERVED:
        return _OTHER
    return namespace, (Send(topic_of(namespace), name, (argument,), int(head) if numbered else None),)


class TextPackets(Packets):
    """The default parser's form: a text, and a binary message for each attachment."""

    name = "socketio"

    def read(self, data: Frame) -> Packet:
        head = _HEAD.match(data) if isinstance(data, str) else None
        if head is None or not isinstance(data, str):
            raise ProtocolError("unknown packet type")
        digit, attachments, namespace, id = head.groups()
        type = int(digit)
        if (attachments is not None) != (type >= BINARY_EVENT) or (id is not None and type < EVENT):
            raise ProtocolError("illegal attachments, or an id where none belongs")
        return Packet(
            EVENT if type == BINARY_EVENT else ACK if type == BINARY_ACK else type,
            namespace or "/",
            None if id is None else int(id),
            _payload(type, data[head.end() :]),
            0 if attachments is None else int(attachments),
        )

    def event(self, namespace: str, body: bytes, id: int | None = None) -> tuple[Frame, ...]:
        head = "" if namespace == "/" else namespace + ","
        if is_json(body):
            return (f"42{head}{'' if id is None else id}{body.decode()}",)
        return _with_attachments(BINARY_EVENT, head, id, body)

    def ack(self, namespace: str, body: bytes, id: int) -> tuple[Frame, ...]:
        head = "" if namespace == "/" else namespace + ","
        if is_json(body):
            return (f"43{head}{id}{body.decode()}",)
        return _with_attachments(BINARY_ACK, head, id, body)

    def notice(self, type: int, namespace: str, data: dict[str, Any] | None = None) -> tuple[Frame, ...]:
        head = "" if namespace == "/" else namespace + ","
        return (f"4{type}{head}{'' if data is None else _json.encode(data).decode()}",)


def _payload(type: int, text: str) -> Any:
    if type == CONNECT:
        return _object(text) if text else None
    if type == DISCONNECT:
        if text:
            raise ProtocolError("invalid payload")
        return None
    # EVENT: "The payload is mandatory and MUST be a non-empty array. If that's not the case, then the receiver MUST
    # close the connection." ACK: "The payload is mandatory and MUST be an array (possibly empty)."
    array: list[Any] = _parse(_array, text)
    if type == EVENT or type == BINARY_EVENT:
        if not array:
            raise ProtocolError("invalid payload")
        array[0] = _event_name(array[0])
    return array


def _object(text: str) -> Raw:
    value: Raw = _parse(_value, text)
    if memoryview(value)[0] != ord("{"):
        raise ProtocolError("invalid payload")
    return value


def _event_name(value: Raw) -> str:
    """The name of an event. Numbers may be names too, and to a JavaScript emitter ``1`` and ``"1"`` are the same."""
    try:
        return checked_event(_name.decode(value))
    except msgspec.DecodeError:
        digits = bytes(memoryview(value)[:17])
        if len(digits) == 17 or not digits.isdigit():
            raise ProtocolError("invalid payload") from None
        return digits.decode()


def checked_event(name: str) -> str:
    """The name of an event. Raises ProtocolError for one that is reserved."""
    if name in RESERVED:
        raise ProtocolError("reserved event name")
    return name


def _parse(decoder: msgspec.json.Decoder[Any], text: str) -> Any:
    try:
        return decoder.decode(text)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(_mend, text)
        if mended == text:
            raise ProtocolError("invalid payload", 1007) from None
    except (UnicodeEncodeError, RecursionError):
        raise ProtocolError("invalid payload", 1007) from None
    return _parse(decoder, mended)


_HIGH, _LOW = "u[dD][89abAB][0-9a-fA-F]{2}", "u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE: Final = re.compile(rf"\\(?:{_HIGH}\\{_LOW}|({_HIGH}|{_LOW})|.)", re.DOTALL)
"""Escapes in JSON, so that those of a lone surrogate (group 1) can be told from all others."""


def _mend(escape: re.Match[str]) -> str:
    """JavaScript's strings may hold half of a surrogate pair (an emoji that a length limit cut in two), and then so
    does its JSON; UTF-8 cannot. It becomes what every UTF-8 encoder makes of it."""
    return escape[0] if escape[1] is None else "\\ufffd"


# -- attachments ----------------------------------------------------------------------------------------------------

DEPTH = 100
"""Levels of a value that has bytes in it. It is walked in Python, whose stack has 1,000 frames for everything."""


class Assembly:
    """A packet whose attachments are arriving: at most ``limit`` bytes of them."""

    __slots__ = ("_attachments", "_limit", "_packet")

    def __init__(self, packet: Packet, limit: int) -> None:
        self._packet = packet
        self._limit = limit
        self._attachments: list[bytes] = []

    def add(self, data: Frame) -> Packet | None:
        """Take the next attachment; the last one completes the packet. Raises ProtocolError."""
        if not isinstance(data, bytes):
            raise ProtocolError("a packet before all attachments of the last one")
        self._limit -= len(data)
        if self._limit < 0:
            raise ProtocolError("attachments are too big", 1009)
        self._attachments.append(data)
        if len(self._attachments) < self._packet.attachments:
            return None
        return self._packet._replace(data=self._filled(), attachments=0)

    def _filled(self) -> list[Any]:
        try:
            return [
                fill(msgspec.json.decode(value), self._attachments) if type(value) is Raw else value
                for value in self._packet.data
            ]
        except (msgspec.DecodeError, RecursionError):
            raise ProtocolError("invalid payload", 1007) from None


def fill(value: Any, attachments: Sequence[bytes], depth: int = 0) -> Any:
    """Put the attachments where their placeholders stand: ``{"_placeholder": true, "num": 0}``.

    Raises ProtocolError for a placeholder without its attachment, and for a value that is nested too deeply.
    """
    kind = type(value)
    if kind is not dict and kind is not list:
        return value
    if depth > DEPTH:
        raise ProtocolError("nested too deeply")
    if kind is list:
        return [fill(item, attachments, depth + 1) for item in value]
    if value.get("_placeholder") is not True:
        return {key: fill(item, attachments, depth + 1) for key, item in value.items()}
    number = value.get("num")
    if type(number) is not int or not 0 <= number < len(attachments):
        raise ProtocolError("illegal attachments")
    return attachments[number]


def lift(value: Any, attachments: list[bytes], depth: int = 0) -> Any:
    """The reverse: a value as JSON can say it, its bytes moved to ``attachments``. It never fails: what cannot be
    said, or is nested too deeply, becomes null.

    An object that just looks like a placeholder loses that key: whoever gets it would look for the attachment, find
    none and give up its connection.
    """
    kind = type(value)
    if kind is str or kind is float or kind is bool or value is None:
        return value
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 64 else _double(value)
    if kind is bytes:
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if depth > DEPTH:
        return None
    if kind is list:
        return [lift(item, attachments, depth + 1) for item in value]
    if kind is dict:
        return {
            key if type(key) is str else str(key): lift(item, attachments, depth + 1)
            for key, item in value.items()
            if key != "_placeholder"
        }
    return msgspec.json.decode(_json.encode(value))


def _double(value: int) -> float:
    """JSON has integers of any size; JavaScript and MessagePack do not."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _with_attachments(type: int, head: str, id: int | None, body: bytes) -> tuple[Frame, ...]:
    attachments: list[bytes] = []
    text = _json.encode(lift(values(body), attachments)).decode()
    return f"4{type}{len(attachments)}-{head}{'' if id is None else id}{text}", *attachments
