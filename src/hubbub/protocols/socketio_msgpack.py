"""The packets of Socket.IO 5 as MessagePack: what ``/socket.io/socket.io.msgpack.min.js`` speaks. Pure.

Source: the npm package socket.io-msgpack-parser 3.0 and the notepack.io 2.2 that it encodes with. A packet is one
binary message, a map of ``type`` (0 to 4: bytes need no attachments here), ``nsp``, ``data`` and ``id``; clients add
``options``, which are their own business.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from hubbub.bodies import is_json, values
from hubbub.errors import ProtocolError
from hubbub.messages import Frame, Raw
from hubbub.protocols.socketio_packets import (
    ACK,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    NAMESPACE,
    Packet,
    Packets,
    checked_event,
    fill,
    lift,
)
from hubbub.protocols.socketio_wire import Wire


def _extension(code: int, data: memoryview) -> Any:
    """notepack.io's own: ``undefined``, dates in milliseconds and, from Node.js, array buffers share the code 0.

    They differ only in how their length is written, which is not told here. One zero byte is taken for undefined, and
    eight bytes for a date if they make one; for an array buffer of eight bytes that is one chance in a hundred.
    """
    if code != 0:
        raise ValueError("unknown extension")
    if bytes(data) == b"\0":
        return None
    milliseconds = int.from_bytes(data, "big", signed=True)
    if len(data) == 8 and _FIRST <= milliseconds <= _LAST:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    return bytes(data)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999  # the years 1 and 9999

_namespace = re.compile(NAMESPACE)
_wire = msgspec.msgpack.Decoder(Wire, ext_hook=_extension)
_pack = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()


class PackedPackets(Packets):
    """The form of socket.io-msgpack-parser: one binary message a packet."""

    name = "socketio-msgpack"

    def read(self, data: Frame) -> Packet:
        try:
            if not isinstance(data, bytes):
                raise ProtocolError("a text from a client that speaks MessagePack", 1003)
            wire = _wire.decode(data)
            namespace = _namespace.fullmatch(wire.nsp)
            if namespace is None or (wire.id is not None and not 0 <= wire.id < 10**16):
                raise ProtocolError("invalid packet")
            return Packet(wire.type, namespace[1], wire.id, _data(wire.type, wire.data))
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
            raise ProtocolError("invalid packet", 1007) from None

    def event(self, namespace: str, body: bytes, id: int | None = None) -> tuple[Frame, ...]:
        return _payload(EVENT, namespace, body, id)

    def ack(self, namespace: str, body: bytes, id: int) -> tuple[Frame, ...]:
        return _payload(ACK, namespace, body, id)

    def notice(self, type: int, namespace: str, data: dict[str, Any] | None = None) -> tuple[Frame, ...]:
        packet = {"type": type, "nsp": namespace}
        return (_pack.encode(packet if data is None else packet | {"data": data}),)


def _data(type: int, data: Any) -> Any:
    if type == CONNECT and (data is None or isinstance(data, dict)):
        return None if data is None else _arguments([data])[0]
    if type == DISCONNECT and data is None:
        return None
    if type == CONNECT_ERROR and isinstance(data, str | dict):
        return None
    if type == EVENT and isinstance(data, list) and data:
        name, *arguments = data
        if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < 10**16:
            name = str(name)
        if isinstance(name, str):
            return [checked_event(name), *_arguments(arguments)]
    if type == ACK and isinstance(data, list):
        return _arguments(data)
    raise ProtocolError("invalid packet")


def _arguments(values: list[Any]) -> list[Any]:
    """What a client with the text parser would have sent: JSON, or with bytes among it plain values."""
    attachments: list[bytes] = []
    lifted = lift(values, attachments)
    if attachments:
        return [fill(value, attachments) for value in lifted]
    return [Raw(_json.encode(value)) for value in lifted]


def _payload(type: int, namespace: str, body: bytes, id: int | None) -> tuple[Frame, ...]:
    packet: dict[str, Any] = {"type": type, "nsp": namespace}
    if id is not None:
        packet["id"] = id
    try:
        packet["data"] = values(body)
    except (msgspec.DecodeError, RecursionError):
        return ()  # JSON that was passed on unread, and that only a text can carry: a number of 5,000 digits, say
    try:
        if is_json(body):
            return (_pack.encode(packet),)
    except (OverflowError, RecursionError):
        pass  # an integer that is none in MessagePack: as for the rest, lift knows what to do
    attachments: list[bytes] = []
    packet["data"] = fill(lift(packet["data"], attachments), attachments)
    return (_pack.encode(packet),)
