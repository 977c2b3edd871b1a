"""The messages of Phoenix Channels as they stand on the wire, in the protocol's versions 1 and 2. Pure.

Source: the repository phoenixframework/phoenix, lib/phoenix/socket/serializers and assets/js/phoenix/serializer.js.

    version 1   {"event": ..., "payload": ..., "ref": ..., "topic": ...}
    version 2   [join_ref, ref, topic, event, payload], or where the payload is bytes, after the size of each field in
                one byte:
                0  join_ref  ref  topic  event  data       a push of a client
                0  join_ref       topic  event  data       a push of the server
                1  join_ref  ref  topic  status data       a reply
                2                 topic  event  data       a broadcast

Rules:

1. A payload is one object, as Phoenix's clients expect. Anything else, and several values, are ``{"_values": [...]}``,
   both ways.
2. One payload that is just bytes is a binary frame, where the version has such. All other bytes are base64 text
   (RFC 4648, section 4).
3. Keys that begin with ``_`` are ours: beside ``_values`` there are ``_position`` and ``_recovered``.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NoReturn

import msgspec

from hubbub.bodies import decode, parts
from hubbub.errors import ProtocolError
from hubbub.messages import Frame, Publication, Raw
from hubbub.protocols.base import Dialect

PUSH: Final = 0
REPLY: Final = 1
BROADCAST: Final = 2

FIELD: Final = 255
"""Bytes in a field of a binary frame: its size is one byte."""

BAD_TYPE = 1003
BAD_DATA = 1007
"""RFC 6455, section 7.4.1."""

# JavaScript counts integers exactly up to here.
_Number = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Ref = Annotated[str, msgspec.Meta(max_length=FIELD)] | _Number | None
"""What clients number their messages with. phoenix.js sends digits as text."""


class Said(msgspec.Struct, array_like=True):
    """A message of a client. Further items of the array are ignored, as the reference server does."""

    join_ref: Ref
    ref: Ref
    topic: str
    event: str
    payload: Raw | bytes


class _Array(msgspec.Struct, array_like=True):
    join_ref: Ref
    ref: Ref
    topic: str
    event: str
    payload: Raw


class _Object(msgspec.Struct):
    topic: str
    event: str
    payload: Raw
    ref: Ref
    join_ref: Ref = None


class _Values(msgspec.Struct):
    values: list[Raw] = msgspec.field(name="_values")


_array = msgspec.json.Decoder(_Array)
_object = msgspec.json.Decoder(_Object)
_values = msgspec.json.Decoder(_Values)
_json = msgspec.json.Encoder()


class Serializer:
    """One way to write messages. Subclasses say how JSON is laid out, and whether there are binary frames."""

    binary = False

    def __init__(self, name: str) -> None:
        self.dialect = Dialect(name, self.broadcast)

    def read(self, data: Frame) -> Said:
        """Understand a message. Raises ProtocolError, and nothing else."""
        raise NotImplementedError

    def write(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: Any) -> str:
        """A message whose payload is an object already, ``Raw`` or not."""
        raise NotImplementedError

    def push(self, join_ref: Ref, topic: str, body: bytes, ref: Ref = None) -> Frame:
        event, *values = parts(body)
        name = decode(event)
        if self.binary and ref is None and _is_bytes(values):
            frame = _binary(PUSH, (join_ref, topic, name), values[0])
            if frame is not None:
                return frame
        return self.write(join_ref, ref, topic, name, payload(values))

    def reply(self, join_ref: Ref, ref: Ref, topic: str, body: bytes, also: Mapping[str, Any] | None = None) -> Frame:
        """The answer to what went well; ``also`` is added to it."""
        values = parts(body)
        if self.binary and not also and _is_bytes(values):
            frame = _binary(REPLY, (join_ref, ref, topic, "ok"), values[0])
            if frame is not None:
                return frame
        return self.answer(join_ref, ref, topic, "ok", payload(values, also))

    def answer(self, join_ref: Ref, ref: Ref, topic: str, status: str, response: Any) -> str:
        return self.write(join_ref, ref, topic, "phx_reply", {"status": status, "response": response})

    def broadcast(self, publication: Publication) -> tuple[Frame, ...]:
        """A message to everyone: it has no refs."""
        topic = publication.topic
        try:
            event, *values = parts(publication.body)
            name = decode(event)
            if self.binary and _is_bytes(values):
                frame = _binary(BROADCAST, (topic, name), values[0])
                if frame is not None:
                    return (frame,)
            position = publication.position
            also = {"_position": str(position)} if position else None
            return (self.write(None, None, topic, name, payload(values, also)),)
        except (ValueError, RecursionError):  # it must not stop what others are told
            reason = "something was published that this protocol cannot say"
            return (self.write(None, None, topic, "_unreadable", {"reason": reason}),)


class ArraySerializer(Serializer):
    """Version 2. With ``binary`` false, for lines that carry nothing but text, bytes never are frames of their own."""

    def __init__(self, name: str, *, binary: bool) -> None:
        super().__init__(name)
        self.binary = binary

    def read(self, data: Frame) -> Said:
        if isinstance(data, bytes):
            return _read_binary(data)
        try:
            said = _array.decode(data)
        except (ValueError, RecursionError) as error:
            _misread(error)
        return Said(said.join_ref, said.ref, said.topic, said.event, said.payload)

    def write(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: Any) -> str:
        return _json.encode((join_ref, ref, topic, event, payload)).decode()


class ObjectSerializer(Serializer):
    """Version 1. Its messages say nothing of the join they belong to."""

    def read(self, data: Frame) -> Said:
        if isinstance(data, bytes):
            raise ProtocolError("version 1 has no binary messages", BAD_TYPE)
        try:
            said = _object.decode(data)
        except (ValueError, RecursionError) as error:
            _misread(error)
        return Said(said.join_ref, said.ref, said.topic, said.event, said.payload)

    def write(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: Any) -> str:
        return _json.encode({"event": event, "payload": payload, "ref": ref, "topic": topic}).decode()


# -- payloads ---------------------------------------------------------------------------------------------------------


def payload(values: Sequence[Any], also: Mapping[str, Any] | None = None) -> Raw:
    """These values as one object, and what else it is to say."""
    if not values:
        return Raw(_json.encode(also or {}))
    text = _json.encode(values[0]).strip() if len(values) == 1 else b""
    if text[:1] != b"{":
        text = _json.encode({"_values": values})
    if also:
        inside = text[1:-1].strip()
        # Of a key that is there twice, JSON's readers take the last.
        text = b"{" + inside + (b"," if inside else b"") + _json.encode(also)[1:]
    return Raw(text)


def arguments(payload: Raw | bytes) -> Sequence[Any]:
    """The values in a client's payload."""
    if type(payload) is Raw and b'"_values"' in bytes(payload):
        try:
            return _values.decode(payload).values
        except (ValueError, RecursionError):
            pass  # then it is one value that holds such a text somewhere
    return (payload,)


def _is_bytes(values: Sequence[Any]) -> bool:
    return len(values) == 1 and type(values[0]) is bytes


# -- binary frames ----------------------------------------------------------------------------------------------------


def _binary(kind: int, fields: Sequence[Ref], data: bytes) -> bytes | None:
    """None when a field is too long for it."""
    encoded = [b"" if field is None else str(field).encode() for field in fields]
    if any(len(field) > FIELD for field in encoded):
        return None
    return bytes((kind, *map(len, encoded))) + b"".join(encoded) + data


def _read_binary(data: bytes) -> Said:
    if len(data) < 5 or data[0] != PUSH:
        raise ProtocolError("a binary message of a client is a push")
    fields = []
    start = 5
    for size in data[1:5]:
        fields.append(data[start : start + size])
        start += size
    if start > len(data):
        raise ProtocolError("a binary message ends before its fields do")
    try:
        join_ref, ref, topic, event = (field.decode() for field in fields)
    except UnicodeDecodeError:
        raise ProtocolError("a field of a binary message is not UTF-8", BAD_DATA) from None
    return Said(join_ref or None, ref or None, topic, event, data[start:])


def _misread(error: Exception) -> NoReturn:
    if isinstance(error, RecursionError):
        raise ProtocolError("a message is nested too deeply", BAD_DATA) from None
    if isinstance(error, msgspec.ValidationError):
        raise ProtocolError("a message is not laid out as this version has it") from None
    raise ProtocolError("this is not JSON", BAD_DATA) from None
