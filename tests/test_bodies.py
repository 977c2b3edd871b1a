"""Bodies: what is encoded comes back, as JSON where it can and as MessagePack where there are bytes in it."""

import dataclasses
import datetime as dt
import enum
import math
import uuid
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.bodies import decode, encode, event_and_payload, is_json, parts, values
from hubbub.history import Position
from hubbub.messages import Raw

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | text


def payloads(leaves):
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4))


@given(st.lists(payloads(scalars), max_size=20))
def test_json_comes_back(payload):
    body = encode(payload)
    assert is_json(body)
    assert values(body) == payload
    assert msgspec.json.decode(body) == payload
    assert all(type(part) is Raw for part in parts(body))


@given(st.lists(payloads(scalars | st.binary(max_size=10)), max_size=20), st.binary(max_size=10))
def test_bytes_come_back(payload, data):
    body = encode([*payload, data])
    assert not is_json(body)
    assert values(body) == [*payload, data]
    assert msgspec.msgpack.decode(body) == [*payload, data]


@given(st.lists(payloads(scalars | st.binary(max_size=3)), max_size=20))
def test_the_first_byte_tells_them_apart(payload):
    first = encode(payload)[0]
    assert first == ord("[") or 0x90 <= first <= 0x9F or first == 0xDC
    assert first != 0x01, "by which the hub knows its envelope"


@given(text, st.lists(payloads(scalars), max_size=3))
def test_an_event_has_a_name_and_a_payload(name, payload):
    event, rest = event_and_payload(encode([name, *payload]))
    assert event == name
    assert [decode(part) for part in rest] == payload


@given(payloads(scalars), st.binary(max_size=5))
def test_what_is_encoded_already_is_passed_on(value, data):
    raw = Raw(msgspec.json.encode(value))
    assert encode([raw, {"in": [raw]}]) == b'[%b,{"in":[%b]}]' % (bytes(raw), bytes(raw))
    assert values(encode([raw, {"in": [raw]}, data])) == [value, {"in": [value]}, data]


# -- records of every make ------------------------------------------------------------------------------------------


class Struct(msgspec.Struct):
    inner: object


@dataclasses.dataclass
class Data:
    inner: object


class Named(NamedTuple):
    inner: object


class Color(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(("record", "plain"), [
    (Struct, lambda inner: {"inner": inner}),
    (Data, lambda inner: {"inner": inner}),
    (Named, lambda inner: [inner]),
    (lambda inner: {"inner": inner}, lambda inner: {"inner": inner}),
    (lambda inner: (inner,), lambda inner: [inner]),
])  # fmt: skip
@pytest.mark.parametrize("inner", ["text", b"bytes", [b"\x00\xff", "both"], {"deep": {"er": b""}}])
def test_a_record_is_sent_as_what_is_in_it(record, plain, inner):
    assert values(encode(["event", record(inner)])) == ["event", plain(inner)]
    assert values(encode([record(record(inner))])) == [plain(plain(inner))]


@pytest.mark.parametrize("data", [b"\x00", bytearray(b"\x00"), memoryview(b"\x00")])
def test_bytes_of_every_make_are_bytes(data):
    assert values(encode([{"data": data}])) == [{"data": b"\x00"}]


@pytest.mark.parametrize("more", [[], [b"\x00"]])
@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Color.RED, "red"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02T03:04:05Z"),
        (Position("e", 7), "e:7"),
        (frozenset({1}), [1]),
        ({1: 2}, {"1": 2}),
    ],
)
def test_other_values_are_the_same_in_both(value, plain, more):
    assert values(encode([value, {"in": value}, *more])) == [plain, {"in": plain}, *more]


@pytest.mark.parametrize("more", [[], [b"\x00"]])
@pytest.mark.parametrize("value", [object(), 1j, {"in": [object()]}, lambda: None, 2**70 * 1j])
def test_what_neither_can_say_is_a_type_error(value, more):
    with pytest.raises(TypeError):
        encode([value, *more])


def test_no_number_is_null():
    assert values(encode([math.nan, math.inf])) == [None, None]


@pytest.mark.parametrize("kind", [lambda inner: [inner], lambda inner: {"in": inner}, Struct])
def test_what_is_nested_too_deeply_is_refused(kind):
    value = "text"
    for _ in range(2_000):
        value = kind(value)
    with pytest.raises(RecursionError):
        encode([value])


def test_what_is_inside_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(RecursionError):
        encode(value)
