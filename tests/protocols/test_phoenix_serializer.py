"""Phoenix's messages, byte by byte: the vectors that the reference serializers are tested with, then our own rules."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.bodies import decode, encode
from hubbub.errors import ProtocolError
from hubbub.history import Position
from hubbub.messages import Publication, Raw
from hubbub.protocols.phoenix_serializer import ArraySerializer, ObjectSerializer, Said, arguments, payload

V1 = ObjectSerializer("one")
V2 = ArraySerializer("two", binary=True)
TEXT = ArraySerializer("two in text", binary=False)

# test/phoenix/socket/v2_json_serializer_test.exs, v1_json_serializer_test.exs
DATA = bytes((101, 102, 103))
CLIENT_PUSH = b"\x00\x02\x03\x05\x0512123topicevent" + DATA
SERVER_PUSH = b"\x00\x02\x05\x0512topicevent" + DATA
REPLY = b"\x01\x02\x03\x05\x0212123topicok" + DATA
BROADCAST = b"\x02\x05\x05topicevent" + DATA
V2_TEXT = '[null,null,"t","e",{"m":1}]'
V1_TEXT = '{"event":"e","payload":"m","ref":null,"topic":"t"}'


def plain(said):
    return (said.join_ref, said.ref, said.topic, said.event, decode(said.payload))


# -- the published vectors --------------------------------------------------------------------------------------------


def test_a_message_as_an_array():
    assert V2.push(None, "t", encode(["e", {"m": 1}])) == V2_TEXT
    assert V2.broadcast(Publication("t", encode(["e", {"m": 1}]))) == (V2_TEXT,)
    assert plain(V2.read(V2_TEXT)) == (None, None, "t", "e", {"m": 1})


def test_a_reply_as_an_array():
    frame = V2.answer(None, None, "t", "ok", {"m": 1})
    assert json.loads(frame) == [None, None, "t", "phx_reply", {"response": {"m": 1}, "status": "ok"}]


def test_binary_frames():
    assert V2.push("12", "topic", encode(["event", DATA])) == SERVER_PUSH
    assert V2.reply("12", "123", "topic", encode([DATA])) == REPLY
    assert V2.broadcast(Publication("topic", encode(["event", DATA]))) == (BROADCAST,)
    assert V2.read(CLIENT_PUSH) == Said("12", "123", "topic", "event", DATA)


def test_a_message_as_an_object():
    assert plain(V1.read(V1_TEXT)) == (None, None, "t", "e", "m")
    assert V1.write(None, None, "t", "e", "m") == V1_TEXT
    assert V1.push("1", "t", encode(["e", {"m": 1}])) == V1_TEXT.replace('"m"', '{"m":1}')
    frame = V1.answer("1", "null", "t", "ok", {})
    assert json.loads(frame) == {
        "event": "phx_reply",
        "payload": {"response": {}, "status": "ok"},
        "ref": "null",
        "topic": "t",
    }
    with pytest.raises(ProtocolError):
        V1.read(V2_TEXT)


@pytest.mark.parametrize("field", ["topic", "event", "join_ref", "ref"])
def test_a_field_too_long_for_a_binary_frame_makes_it_text(field):
    """Where the reference serializer raises."""
    fields = {"topic": "topic", "event": "event", "join_ref": "1", "ref": "2"} | {field: "x" * 256}
    for frame in (
        V2.push(fields["join_ref"], fields["topic"], encode([fields["event"], DATA])),
        V2.reply(fields["join_ref"], fields["ref"], fields["topic"], encode([DATA])),
        *V2.broadcast(Publication(fields["topic"], encode([fields["event"], DATA]))),
    ):
        assert isinstance(frame, str) == ("x" * 256 in str(frame))
        if isinstance(frame, str):
            assert '{"_values":["ZWZn"]}' in frame


def test_fields_of_255_bytes_fit():
    topic = "é" * 127 + "x"
    (frame,) = V2.broadcast(Publication(topic, encode(["e", b""])))
    assert frame == b"\x02\xff\x01" + topic.encode() + b"e"


# -- what a payload is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), "{}"),
        (({},), "{}"),
        (({"a": [1]},), '{"a":[1]}'),
        ((None,), '{"_values":[null]}'),
        (("hi",), '{"_values":["hi"]}'),
        (([1, 2],), '{"_values":[[1,2]]}'),
        ((1, {"a": "é"}), '{"_values":[1,{"a":"é"}]}'),
        ((b"efg",), '{"_values":["ZWZn"]}'),
        (({"b": b"efg"},), '{"b":"ZWZn"}'),
        ((Raw(b'{"a" : 1 }'),), '{"a" : 1 }'),
    ],
)
def test_values_as_one_object(values, text):
    assert bytes(payload(values)).decode() == text


@pytest.mark.parametrize("inside", [b"{}", b"{ }", b'{"a":1}', b' {"a":1 } ', b'{"a":1,"_position":"older"}'])
def test_what_is_added_to_an_object(inside):
    added = json.loads(bytes(payload([Raw(inside)], {"_position": "e:1", "_recovered": True})))
    assert added == {**json.loads(inside), "_position": "e:1", "_recovered": True}


def test_publications_of_kept_topics_carry_their_position():
    for serializer in (V2, TEXT):
        for body, told in (
            (["e", {"m": 1}], {"m": 1, "_position": "epoch:7"}),
            (["e"], {"_position": "epoch:7"}),
            (["e", 1, 2], {"_values": [1, 2], "_position": "epoch:7"}),
            (["e", 1, b"efg"], {"_values": [1, "ZWZn"], "_position": "epoch:7"}),
        ):
            (frame,) = serializer.broadcast(Publication("t", encode(body), Position("epoch", 7)))
            assert json.loads(frame) == [None, None, "t", "e", told]


def test_where_there_are_no_binary_frames_bytes_are_base64():
    assert TEXT.push("1", "t", encode(["e", DATA])) == '["1",null,"t","e",{"_values":["ZWZn"]}]'
    assert (
        V1.push("1", "t", encode(["e", DATA])) == '{"event":"e","payload":{"_values":["ZWZn"]},"ref":null,"topic":"t"}'
    )
    (frame,) = TEXT.broadcast(Publication("t", encode(["e", DATA])))
    assert frame == '[null,null,"t","e",{"_values":["ZWZn"]}]'


def test_a_call_is_text_for_a_binary_push_has_no_room_for_its_ref():
    assert V2.push("1", "t", encode(["e", DATA]), 12) == '["1",12,"t","e",{"_values":["ZWZn"]}]'


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"a":1}', [{"a": 1}]),
        ('{"_values":[]}', []),
        ('{"_values":["hi"],"_position":"e:1"}', ["hi"]),
        ('{"_values":{"a":1}}', [{"_values": {"a": 1}}]),
        ('{"a":{"_values":[1]}}', [{"a": {"_values": [1]}}]),
        ('["_values"]', [["_values"]]),
        ("null", [None]),
    ],
)
def test_what_a_client_says_with_a_payload(text, values):
    assert [decode(value) for value in arguments(Raw(text.encode()))] == values


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=10,
)


@given(st.lists(JSON | st.binary(), max_size=3))
def test_what_was_told_can_be_said_again(values):
    for serializer in (V1, V2, TEXT):
        frame = serializer.push("1", "t", encode(["e", *values]))
        if isinstance(frame, bytes):
            assert values == [frame[len(b"0123" + b"1te") :]]
            continue
        told = [decode(value) for value in arguments(serializer.read(frame).payload)]
        bytes_as_text = json.loads(msgspec.json.encode(values))
        assert told == (bytes_as_text or [{}]) or "_values" in str(values)


# -- what is no message -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", 1007),
        ("nonsense", 1007),
        ('["1","2","t","e",{}', 1007),
        ('["1","2","t","e",{}]]', 1007),
        ('["1","2","t","e",' + "[" * 5_000, 1007),
        ("[]", 1002),
        ('["1","2","t","e"]', 1002),
        ("[null,null,null,null,null]", 1002),
        ('["1","2",3,"e",{}]', 1002),
        ('["1",true,"t","e",{}]', 1002),
        ('["1",{},"t","e",{}]', 1002),
        (f'["1","{"2" * 256}","t","e",{{}}]', 1002),
        (f'["1",{"9" * 400},"t","e",{{}}]', 1002),
        (V1_TEXT, 1002),
        ("5", 1002),
        (b"", 1002),
        (b"\x00\x02\x03", 1002),
        (b"\x00\x02\x03\x05\x0512123topi", 1002),
        (b"\x00\xff\xff\xff\xff", 1002),
        (b"\x01" + CLIENT_PUSH[1:], 1002),
        (b"\x00\x00\x00\x01\x01\xffe", 1007),
    ],
)
def test_what_is_no_message(data, code):
    for serializer in (V2, TEXT):
        with pytest.raises(ProtocolError) as refused:
            serializer.read(data)
        assert refused.value.close_code == code


def test_what_is_no_message_of_version_1():
    for data in (
        "",
        "[]",
        "{}",
        '{"topic":"t","event":"e","payload":{}}',
        '{"topic":1,"event":"e","payload":{},"ref":"1"}',
    ):
        with pytest.raises(ProtocolError):
            V1.read(data)
    with pytest.raises(ProtocolError) as refused:
        V1.read(CLIENT_PUSH)
    assert refused.value.close_code == 1003


def test_items_beyond_the_fifth_are_ignored():
    assert plain(V2.read('["1","2","t","e",{},6,7]')) == ("1", "2", "t", "e", {})


def test_a_binary_push_without_anything():
    assert V2.read(b"\x00\x00\x00\x00\x00") == Said(None, None, "", "", b"")
