r"""What clients ask, and what they are told: the few words that every protocol is translated to and from. Pure.

Payloads stay encoded. What a client sends is a tuple of *arguments*: each either ``msgspec.Raw``, a piece of JSON
that nobody has decoded yet, or, where bytes were among them, a plain Python value. What a client is told is a
*body*: an encoded array, written once and shared by everyone who gets it:

    b'["say",{"text":"hi"}]'     JSON, whenever there are no bytes in it
    b'\x92\xa3say\xc4...'        MessagePack, when there are

The first byte tells them apart: ``[`` opens the one, 0x90-0x9f or 0xdc the other.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from hubbub.errors import Disconnect, HubbubError
from hubbub.history import NOWHERE, Position

Raw = msgspec.Raw
Arguments = Sequence[Any]  # each a Raw or a decoded value: what they are is the handler's signature to say


class Form(dict[str, str]):
    """An object whose values came as text, in a URL or a form: they are read as the types that the handler's
    signature declares. It may stand for one argument, or for join parameters."""


Frame = str | bytes
"""One message on a client's wire: ``str`` travels as text, ``bytes`` as binary."""


def as_bytes(frame: Frame) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


# -- what clients ask -----------------------------------------------------------------------------------------------


class Join(msgspec.Struct, frozen=True):
    """Enter ``topic``. ``params`` is the client's one object of join parameters, ``after`` where it left off: all that
    followed is wanted."""

    topic: str
    params: Any = None
    ref: Any = None
    after: Position | None = None


class Leave(msgspec.Struct, frozen=True):
    """Exit ``topic``."""

    topic: str
    ref: Any = None


class Send(msgspec.Struct, frozen=True):
    """Do ``event`` in ``topic``. Without a ``ref`` nobody waits for the reply. What its handler publishes goes by the
    ``id``: so a retry is one publication."""

    topic: str
    event: str
    arguments: Arguments = ()
    ref: Any = None
    id: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """The client's answer to the server's call ``ref``."""

    topic: str
    ref: int
    arguments: Arguments = ()


class Verbatim(msgspec.Struct, frozen=True, gc=False):
    """A message for a raw socket: text or bytes, as they came. What the socket says goes through ``Protocol.carry``."""

    data: Frame


class Bye(msgspec.Struct, frozen=True):
    """The client is done, and said so."""

    reason: str = "closed"


Command = Join | Leave | Send | Answer | Verbatim | Bye


# -- what they are told ---------------------------------------------------------------------------------------------


class Reply(msgspec.Struct, frozen=True):
    """The answer to a command: ``body`` is an encoded array of the values returned, ``error`` what was raised.

    After a ``Join`` of a kept topic, ``position`` is where the client stands: it is told what follows from there.
    ``recovered`` says whether that is where it asked to go on (``Join.after``); None when it did not ask.
    """

    to: Join | Leave | Send
    body: bytes = b"[]"
    error: HubbubError | None = None
    position: Position | None = None
    recovered: bool | None = None


class Push(msgspec.Struct, frozen=True):
    """An event for one client. With a ``ref`` an ``Answer`` is asked for. ``cursor`` is as in a ``Publication``."""

    topic: str
    body: bytes
    ref: int | None = None
    cursor: Position = NOWHERE


class Left(msgspec.Struct, frozen=True):
    """The server took the client out of ``topic``."""

    topic: str
    error: Disconnect


class Publication(msgspec.Struct, frozen=True):
    """An event for everyone in ``topic``. ``body`` is the encoded array of its name and payload.

    ``position`` is its own in the topic's log. ``cursor`` is where that log stands once this has been told, also when
    this itself is not in it: for protocols whose every message has to say where its reader is.
    """

    topic: str
    body: bytes
    position: Position = NOWHERE
    cursor: Position = NOWHERE


Message = Reply | Push | Left


def canonical(topic: str) -> str:
    """A topic's one name: without its leading slash, unless that is all of it."""
    return topic if topic == "/" else topic.removeprefix("/")


# -- bodies ---------------------------------------------------------------------------------------------------------


def _dump(value: Any) -> Any:
    """A pydantic model, or a position, as JSON knows it."""
    if type(value) is Position:
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__qualname__} cannot be sent")


def _keep_bytes(value: Any) -> Any:
    """A pydantic model, or what is encoded already, as Python knows it."""
    if type(value) is Raw:
        return decode(value)
    if type(value) is Position:
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump()
    raise TypeError(f"{type(value).__qualname__} cannot be sent")


_json = msgspec.json.Encoder(enc_hook=_dump)
_pack = msgspec.msgpack.Encoder()
_raw_array = msgspec.json.Decoder(list[Raw])
_packed_array = msgspec.msgpack.Decoder(list[Any])
_SCALARS = frozenset({str, int, float, bool, type(None), Raw})
_ARRAYS = (list, tuple, set, frozenset)
_BYTES = (bytes, bytearray, memoryview)


def encode(values: Sequence[Any]) -> bytes:
    """Encode an array of values as a body. Raises TypeError for what neither JSON nor MessagePack can say."""
    if _hold_bytes(values):
        return _pack.encode(msgspec.to_builtins(values, builtin_types=_BYTES, str_keys=True, enc_hook=_keep_bytes))
    return _json.encode(values)


def is_json(body: bytes) -> bool:
    """Whether this body is JSON (and not MessagePack)."""
    return body[:1] == b"["


def parts(body: bytes) -> list[Any]:
    """The values of a body: still encoded, as ``Raw``, if it is JSON; decoded if it is MessagePack."""
    if is_json(body):
        return list(_raw_array.decode(body))
    return _packed_array.decode(body)


def values(body: bytes) -> list[Any]:
    """The values of a body, decoded."""
    return [decode(part) for part in parts(body)]


def event_and_payload(body: bytes) -> tuple[str, list[Any]]:
    """The event's name, and its payload as ``parts``."""
    event, *payload = parts(body)
    return decode(event), payload


def decode(value: Any) -> Any:
    """A value as Python knows it."""
    return msgspec.json.decode(value) if type(value) is Raw else value


def _hold_bytes(values: Iterable[Any]) -> bool:
    """Whether there are bytes in any of these, however deep."""
    for value in values:
        kind = type(value)
        if kind in _SCALARS:
            continue
        if kind is dict:
            if _hold_bytes(value.values()):
                return True
        elif kind in _ARRAYS:
            if _hold_bytes(value):
                return True
        elif isinstance(value, _BYTES) or _hold_bytes(_fields(value)):
            return True
    return False


def _fields(record: Any) -> Iterable[Any]:
    """The values inside a record of any make; nothing for what is no record."""
    kind = type(record)
    if issubclass(kind, msgspec.Struct):
        return msgspec.structs.astuple(record)
    if hasattr(kind, "__dataclass_fields__"):
        return [getattr(record, name, None) for name in kind.__dataclass_fields__]
    if hasattr(kind, "__attrs_attrs__"):
        return [getattr(record, field.name, None) for field in kind.__attrs_attrs__]
    if hasattr(kind, "model_dump"):
        return [value for _, value in record]
    if isinstance(record, dict):
        return record.values()
    return record if isinstance(record, _ARRAYS) else ()
