"""Socket.IO 5 as MessagePack: what socket.io-msgpack-parser sends and reads."""

import msgspec
import pytest

from hubbub.bodies import encode
from hubbub.errors import Forbidden, Kicked, ProtocolError
from hubbub.messages import Answer, Join, Leave, Left, Publication, Push, Raw, Reply, Send
from hubbub.protocols.socketio import PACKED, TEXT
from tests.protocols.socketio_clients import (
    ACK,
    CONNECT,
    CONNECT_ADMIN,
    DISCONNECT,
    EVENT,
    EVENT_ACK,
    EVENT_BYTES,
    connected,
    opened,
    packed,
    packet,
    plain,
)


def unpacked(frames):
    return [msgspec.msgpack.decode(frame) for frame in frames]


def test_a_client_that_begins_in_messagepack_is_answered_in_it():
    conversation = opened()
    assert conversation.protocol.dialect is TEXT.dialect
    [join] = conversation.say(CONNECT)
    assert join == Join("/")
    assert conversation.protocol.dialect is PACKED.dialect
    conversation.tell(Reply(join))
    assert unpacked(conversation.heard()) == [{"type": 0, "nsp": "/", "data": {"sid": "id"}}]


def test_a_client_of_pythons_messagepack_form_is_understood():
    assert opened().say(packet(type=0, data=None, nsp="/")) == [Join("/")]


def test_packets_in_messagepack():
    [join] = opened().say(CONNECT_ADMIN)
    assert (join.topic, bytes(join.params)) == ("admin", b'{"token":"123"}')
    conversation = packed()
    [event] = conversation.say(EVENT)
    assert (event.topic, event.event, event.ref) == ("/", "say", None)
    assert [bytes(argument) for argument in event.arguments] == [b'"hi"', b"1.5", b"-3", b"70000"]
    assert conversation.say(ACK) == [Answer("/", 12, [Raw(b'"ok"')])]
    assert conversation.say(DISCONNECT) == [Leave("/")]
    [event] = packed(packet(type=0, nsp="/room")).say(EVENT_ACK)
    assert (event.topic, event.ref, plain(event.arguments)) == ("room", 7, [{"a": [True, None, None]}])


def test_bytes_and_dates_in_messagepack():
    [event] = packed().say(EVENT_BYTES)
    assert event.arguments == [b"\x01\x02\x03", {"d": "1970-01-02T00:00:00Z"}]


def test_what_a_messagepack_client_is_told():
    conversation = packed()
    conversation.tell(Push("/", encode(["a", 1]), ref=5))
    conversation.tell(Reply(Send("/", "x", (), 7), encode([b"\x01"])))
    conversation.tell(Reply(Send("/", "x", (), 8), error=Forbidden("no")))
    conversation.tell(Left("/", Kicked()))
    conversation.publish(Publication("chat#red", encode(["b", {"c": b"\x02"}])))
    assert unpacked(conversation.heard()) == [
        {"type": 2, "nsp": "/", "data": ["a", 1], "id": 5},
        {"type": 3, "nsp": "/", "data": [b"\x01"], "id": 7},
        {"type": 3, "nsp": "/", "data": [{"error": {"code": "forbidden", "reason": "no"}}], "id": 8},
        {"type": 1, "nsp": "/"},
        {"type": 2, "nsp": "/chat", "data": ["b", {"c": b"\x02"}]},
    ]


def test_integers_that_messagepack_cannot_hold_become_doubles():
    [frame] = PACKED.event("/", b'["x",%d,%d,[%d]]' % (2**63, 2**64, -(10**400)))
    assert msgspec.msgpack.decode(frame)["data"] == ["x", 2**63, float(2**64), [float("-inf")]]


@pytest.mark.parametrize("body", [b'["x",%s]' % (b"9" * 5_000), b'["x",' + b"[" * 990 + b"]" * 990 + b"]"])
def test_json_that_only_text_can_carry_does_not_hurt_the_others(body):
    assert all(isinstance(frame, bytes) for frame in PACKED.event("/", body))


BAD_PACKETS = {
    "nothing": b"",
    "rubbish": b"\xc1",
    "not a map": packet()[:0] + b"\x93\x01\x02\x03",
    "trailing bytes": EVENT + b"\x00",
    "no type": packet(nsp="/", data=["x"]),
    "no namespace": packet(type=2, data=["x"]),
    "type 5": packet(type=5, nsp="/", data=["x"]),
    "type -1": packet(type=-1, nsp="/", data=["x"]),
    "type true": packet(type=True, nsp="/", data=["x"]),
    "type text": packet(type="2", nsp="/", data=["x"]),
    "type float": packet(type=2.0, nsp="/", data=["x"]),
    "namespace number": packet(type=2, nsp=1, data=["x"]),
    "namespace without slash": packet(type=2, nsp="chat", data=["x"]),
    "namespace with comma": packet(type=0, nsp="/a,b"),
    "room": packet(type=0, nsp="/a#b"),
    "never joined": packet(type=2, nsp="/other", data=["x"]),
    "event without data": packet(type=2, nsp="/"),
    "event of nothing": packet(type=2, nsp="/", data=[]),
    "event of a map": packet(type=2, nsp="/", data={}),
    "event of null": packet(type=2, nsp="/", data=[None]),
    "event of true": packet(type=2, nsp="/", data=[True]),
    "event of bytes": packet(type=2, nsp="/", data=[b"x"]),
    "reserved event": packet(type=2, nsp="/", data=["connect"]),
    "auth list": packet(type=0, nsp="/x", data=[]),
    "auth text": packet(type=0, nsp="/x", data="x"),
    "disconnect with data": packet(type=1, nsp="/", data={}),
    "connect error": packet(type=4, nsp="/", data="x"),
    "ack without id": packet(type=3, nsp="/", data=[]),
    "ack without data": packet(type=3, nsp="/", id=1),
    "id text": packet(type=2, nsp="/", data=["x"], id="1"),
    "id float": packet(type=2, nsp="/", data=["x"], id=1.5),
    "id true": packet(type=2, nsp="/", data=["x"], id=True),
    "id below zero": packet(type=2, nsp="/", data=["x"], id=-1),
    "id too big": packet(type=2, nsp="/", data=["x"], id=10**16),
    "unknown extension": packet(type=2, nsp="/", data=["x", msgspec.msgpack.Ext(5, b"x")]),
    "invalid UTF-8": EVENT.replace(b"say", b"\xff\xff\xff"),
    "nested": b"\x91" * 100_000,
    "nested in data": EVENT[:12] + b"\x91" * 100_000,
    "array of four billion": b"\xdd\xff\xff\xff\xff",
    "text of four billion": b"\xdb\xff\xff\xff\xff",
    "text": "2[]",
}


@pytest.mark.parametrize("bad", BAD_PACKETS.values(), ids=BAD_PACKETS)
def test_an_invalid_messagepack_packet_closes_the_connection(bad):
    conversation = packed()
    with pytest.raises(ProtocolError):
        conversation.say("4" + bad if isinstance(bad, str) else bad)


def test_a_client_keeps_to_the_form_it_began_with():
    with pytest.raises(ProtocolError):
        packed().say('42["x"]')
    with pytest.raises(ProtocolError):
        connected().say(EVENT)
