r"""Bodies: what clients are told, as an encoded array that is written once and shared by everyone who gets it. Pure.

    b'["say",{"text":"hi"}]'     JSON, whenever there are no bytes in it
    b'\x92\xa3say\xc4...'        MessagePack, when there are

The first byte tells them apart: ``[`` opens the one, 0x90-0x9f or 0xdc the other.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from hubbub.history import Position
from hubbub.messages import Raw

DEPTH: Final = 900
"""Levels of a value that is to be encoded. Python's own limit is hardly more, and does not count what is compiled."""


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


_encode_json: Final = msgspec.json.Encoder(enc_hook=_dump).encode
_encode_packed: Final = msgspec.msgpack.Encoder().encode
_decode_json: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_packed: Final = msgspec.msgpack.Decoder(list[Any]).decode
_SCALARS: Final = frozenset({str, int, float, bool, type(None), Raw})
_ARRAYS: Final = (list, tuple, set, frozenset)
_BYTES: Final = (bytes, bytearray, memoryview)


def encode(values: Sequence[Any]) -> bytes:
    """Encode an array of values as a body. Raises TypeError for what neither JSON nor MessagePack can say, and
    RecursionError for what is nested too deeply."""
    if _hold_bytes(values):
        return _encode_packed(msgspec.to_builtins(values, builtin_types=_BYTES, str_keys=True, enc_hook=_keep_bytes))
    return _encode_json(values)


def is_json(body: bytes) -> bool:
    """Whether this body is JSON (and not MessagePack)."""
    return body[:1] == b"["


def parts(body: bytes) -> list[Any]:
    """The values of a body: still encoded, as ``Raw``, if it is JSON; decoded if it is MessagePack."""
    if is_json(body):
        return list(_decode_json(body))
    return _decode_packed(body)


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


def _hold_bytes(values: Iterable[Any], depth: int = 0) -> bool:
    """Whether there are bytes in any of these, however deep."""
    if depth > DEPTH:
        raise RecursionError(f"more than {DEPTH} levels of values in values")
    for value in values:
        kind = type(value)
        if kind in _SCALARS:
            continue
        if kind is dict:
            if _hold_bytes(value.values(), depth + 1):
                return True
        elif kind in _ARRAYS:
            if _hold_bytes(value, depth + 1):
                return True
        elif isinstance(value, _BYTES) or _hold_bytes(_fields(value), depth + 1):
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
