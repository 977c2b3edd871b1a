"""Hubbub's own protocol: every message of docs/protocols/native.md, both ways, in JSON and in MessagePack."""

import base64
import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.bodies import encode
from hubbub.errors import BrokerError, Forbidden, Invalid, Kicked, NotFound, ProtocolError, Shutdown
from hubbub.history import Position
from hubbub.limits import Limits
from hubbub.messages import Answer, Bye, Join, Leave, Left, Publication, Push, Raw, Reply, Send
from hubbub.protocols.base import Request
from hubbub.protocols.native import JSON, MSGPACK, Native
from hubbub.testing.conversations import Conversation, check_protocol


def opened(*subprotocols: str) -> Conversation:
    """A client that has read its welcome."""
    headers = {"sec-websocket-protocol": ", ".join(subprotocols)} if subprotocols else {}
    conversation = Conversation(Native, Request("GET", "/hubbub/websocket", headers=headers))
    conversation.attach("socket")
    conversation.heard()
    return conversation


def packed() -> Conversation:
    return opened(MSGPACK)


def say(message) -> list:
    """What the server understands of this message, told in JSON and in MessagePack: the same."""
    in_json = opened().say(json.dumps(message))
    in_msgpack = packed().say(msgspec.msgpack.encode(message))
    assert [decoded(command) for command in in_json] == in_msgpack
    return in_json


def decoded(command):
    """The command with no Raw in it."""
    changes = {}
    for name in ("arguments", "params"):
        value = getattr(command, name, None)
        if type(value) is Raw:
            changes[name] = msgspec.json.decode(value)
        elif isinstance(value, tuple):
            changes[name] = tuple(msgspec.json.decode(item) for item in value)
    return msgspec.structs.replace(command, **changes)


def told(message) -> list:
    """What clients are told by it, in JSON and in MessagePack: the same."""
    in_json, in_msgpack = opened(), packed()
    for conversation in (in_json, in_msgpack):
        if isinstance(message, Publication):
            conversation.publish(message)
        else:
            conversation.tell(message)
    frames = in_json.heard()
    assert all(isinstance(frame, str) for frame in frames)
    messages = [json.loads(frame) for frame in frames]
    assert messages == [msgspec.msgpack.decode(frame) for frame in in_msgpack.heard()]
    return messages


def refusal(data, conversation=None) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        (conversation or opened()).say(data)
    return caught.value


# -- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ((), json.loads),
        ((JSON,), json.loads),
        (("chat",), json.loads),
        ((MSGPACK,), msgspec.msgpack.decode),
        ((JSON, MSGPACK), msgspec.msgpack.decode),
    ],
)
def test_the_welcome_comes_first_in_the_format_that_was_asked_for(asked, read):
    limits = Limits(message=1_000, topics=5, rate=10.0, burst=20)
    request = Request("GET", "/hubbub/websocket", headers={"sec-websocket-protocol": ",".join(asked)})
    conversation = Conversation(Native, request, limits, id="c1")
    conversation.tell(Push("room", encode(["early"])))
    conversation.attach("socket")
    welcome, push = conversation.heard()
    assert read(welcome) == {"welcome": "c1", "limits": {"message": 1_000, "topics": 5, "rate": 10.0, "burst": 20}}
    assert read(push) == {"topic": "room", "event": "early"}


def test_the_subprotocol_answered_is_the_one_that_is_spoken():
    assert Native.subprotocols[0] == MSGPACK


def test_a_client_that_is_gone_is_gone():
    assert opened().protocol.detach("socket", 0.0) == (Bye(),)


def test_liveness_is_left_to_the_websocket():
    assert Native.websocket_pings
    assert opened().protocol.deadline is None


# -- what clients ask -------------------------------------------------------------------------------------------------


def test_a_join():
    assert say({"join": "room:a"}) == [Join("room:a")]
    (join,) = say({"join": "room:a", "params": {"name": "Ada"}, "after": "e:1:12", "ref": "j"})
    assert join == Join("room:a", Raw(b'{"name": "Ada"}'), "j", Position("e:1", 12))


def test_a_leave():
    assert say({"leave": "room:a", "ref": 0}) == [Leave("room:a", 0)]


def test_a_send():
    (send,) = say({"send": "room:a", "event": "say", "payload": {"text": "hi"}, "ref": 1.5, "id": "x"})
    assert send == Send("room:a", "say", (Raw(b'{"text": "hi"}'),), 1.5, "x")


def test_a_payload_is_one_argument_and_none_is_none():
    assert say({"send": "room", "event": "say", "payload": [1, 2]}) == [Send("room", "say", (Raw(b"[1, 2]"),))]
    assert say({"send": "room", "event": "say", "payload": None}) == [Send("room", "say", (Raw(b"null"),))]
    assert say({"send": "room", "event": "say"}) == [Send("room", "say")]


def test_an_answer_to_a_call():
    assert say({"answer": 7, "topic": "room", "payload": "yes"}) == [Answer("room", 7, (Raw(b'"yes"'),))]
    assert say({"answer": 7, "topic": "room"}) == [Answer("room", 7)]


def test_bytes_from_a_messagepack_client_stay_bytes():
    data = msgspec.msgpack.encode({"send": "room", "event": "put", "payload": {"data": b"\x00\xff"}})
    assert packed().say(data) == [Send("room", "put", ({"data": b"\x00\xff"},))]


def test_keys_that_nobody_knows_are_ignored():
    assert say({"leave": "room", "colour": [1, {}]}) == [Leave("room")]


def test_a_message_is_known_by_the_first_of_its_kinds():
    assert say({"ping": 1, "leave": "a", "join": "b"}) == [Join("b")]


@pytest.mark.parametrize("token", [1, "a", None, True, [1, {"b": None}]])
def test_a_ping_is_answered_at_once_with_the_same(token):
    in_json, in_msgpack = opened(), packed()
    assert in_json.say(json.dumps({"ping": token})) == []
    assert in_msgpack.say(msgspec.msgpack.encode({"ping": token})) == []
    assert [json.loads(frame) for frame in in_json.heard()] == [{"pong": token}]
    assert [msgspec.msgpack.decode(frame) for frame in in_msgpack.heard()] == [{"pong": token}]


def test_pongs_do_not_pile_up_for_a_client_that_does_not_read():
    protocol = opened().protocol
    for number in range(1_000):
        protocol.receive(f'{{"ping":{number}}}', "socket", 0.0)
        assert not protocol.plain
    assert protocol.pack(("next",), "socket") == ['{"pong":999}', "next"]
    assert protocol.plain


# -- what breaks the protocol -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"send": "room"}, "send: event is missing"),
        ({"send": "room", "event": 5}, "send: event must be str, not int"),
        ({"send": 5, "event": "say"}, "send must be str, not int"),
        ({"join": ["a"]}, "join must be str, not array"),
        ({"join": "a", "after": 5}, "join: after must be str, not int"),
        ({"join": "a", "after": "5"}, "join: after: a position is written epoch:offset"),
        ({"leave": "a", "ref": {}}, "leave: ref must be bool | int | float | str, not object"),
        ({"answer": "5", "topic": "a"}, "answer must be int, not str"),
        ({"answer": 5}, "answer: topic is missing"),
        ({"send": "a", "event": "b", "id": "x" * 256}, "send: id has more than 255 characters"),
        ({"event": 5}, "event must be str, not int"),
        ({"subscribe": "a"}, "a message has one of send, join, leave, answer, ping"),
        ({}, "a message has one of send, join, leave, answer, ping"),
        ([], "a message must be object, not array"),
        ("join", "a message must be object, not str"),
    ],
)
def test_a_malformed_message_ends_the_connection_and_says_why(message, reason):
    for error in (refusal(json.dumps(message)), refusal(msgspec.msgpack.encode(message), packed())):
        assert (error.reason, error.close_code) == (reason, 1002)


def test_a_number_without_end_ends_the_connection():
    assert refusal('{"topic":"a","answer":1' + "0" * 5_000 + "}").reason == "answer Integer value out of range"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "this is not JSON: Input data was truncated"),
        ("{", "this is not JSON: Input data was truncated"),
        ('{"join":"a"} x', "this is not JSON: trailing characters"),
        ('{"ping":NaN}', "this is not JSON: "),
        (r'{"join":"\ud800"}', "this is not JSON: "),
        ('{"send":"a","event":"b","payload":' + "[" * 10_000 + "]" * 10_000 + "}", "a message is nested too deeply"),
    ],
)
def test_what_is_no_json_at_all_ends_the_connection_with_1007(text, reason):
    error = refusal(text)
    assert error.reason.startswith(reason)
    assert error.close_code == 1007


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x81\xa4ping", b"\x81\xa1a\xd4\x05\x00" + b"\x00", b"\x81\xa1a" + b"\x91" * 100_000]
)
def test_what_is_no_messagepack_at_all_ends_the_connection_with_1007(data):
    assert refusal(data, packed()).close_code == 1007


def test_messagepack_extensions_are_refused():
    data = msgspec.msgpack.encode({"send": "a", "event": "b", "payload": msgspec.msgpack.Ext(5, b"")})
    assert refusal(data, packed()).reason == "this is not MessagePack: extension type 5 is not known"


def test_a_frame_of_the_other_kind_ends_the_connection_with_1003():
    assert refusal(b'{"join":"a"}').close_code == 1003
    assert refusal('{"join":"a"}', packed()).close_code == 1003


# -- replies ----------------------------------------------------------------------------------------------------------

SEND = Send("room", "say", (), 7)


@pytest.mark.parametrize(
    ("values", "payload"),
    [
        ((), {}),
        ((None,), {"payload": None}),
        (({"a": 1},), {"payload": {"a": 1}}),
        (([1, 2],), {"payload": [1, 2]}),
        ((1, 2), {"payload": [1, 2]}),
        (("a,b",), {"payload": "a,b"}),
        (("],[",), {"payload": "],["}),
    ],
)
def test_a_reply_holds_what_the_handler_returned(values, payload):
    assert told(Reply(SEND, encode(values))) == [{"reply": 7, "ok": True, **payload}]


@pytest.mark.parametrize("ref", [0, "", False, 1.5, 'a"b'])
def test_any_scalar_is_a_ref(ref):
    assert told(Reply(Send("room", "say", (), ref))) == [{"reply": ref, "ok": True}]
    assert told(Reply(Send("room", "say", (), ref), encode([{"a": 1, "b": 2}]))) == [
        {"reply": ref, "ok": True, "payload": {"a": 1, "b": 2}}
    ]


def test_replies_to_joins_and_leaves_name_the_topic():
    assert told(Reply(Join("room", None, 1), encode([{"hi": 1}]))) == [
        {"reply": 1, "ok": True, "topic": "room", "payload": {"hi": 1}}
    ]
    assert told(Reply(Leave("room", 2))) == [{"reply": 2, "ok": True, "topic": "room"}]
    assert told(Reply(Join("room", None, 3), error=Forbidden("not today"))) == [
        {"reply": 3, "ok": False, "topic": "room", "error": {"code": "forbidden", "reason": "not today"}}
    ]


def test_without_a_ref_there_is_no_reply():
    for command in (Send("room", "say"), Join("room"), Leave("room")):
        assert told(Reply(command, encode(["ignored"]))) == []


def test_an_error_is_told_even_without_a_ref():
    error = Invalid("text: expected str, got int")
    described = {"code": "invalid", "reason": "text: expected str, got int"}
    assert told(Reply(SEND, error=error)) == [{"reply": 7, "ok": False, "error": described}]
    assert told(Reply(Send("room", "say"), error=error)) == [{"error": described, "topic": "room", "event": "say"}]
    assert told(Reply(Join("room"), error=error)) == [{"error": described, "topic": "room"}]


def test_errors_of_applications_keep_their_code():
    error = NotFound("no such card", code="no_card")
    assert told(Reply(SEND, error=error))[0]["error"] == {"code": "no_card", "reason": "no such card"}


# -- pushes, calls, publications --------------------------------------------------------------------------------------


def test_a_push_and_a_call():
    assert told(Push("room", encode(["say", "hi"]))) == [{"topic": "room", "event": "say", "payload": "hi"}]
    assert told(Push("room", encode(["sure?"]), ref=9)) == [{"topic": "room", "event": "sure?", "call": 9}]


def test_a_publication_has_its_position_if_it_is_kept():
    body = encode(["said", {"text": "\u00e9\u2028\U0001f642"}])
    message = {"topic": 'ro"om', "event": "said", "payload": {"text": "\u00e9\u2028\U0001f642"}}
    assert told(Publication('ro"om', body)) == [message]
    assert told(Publication('ro"om', body, Position("e:1", 12))) == [{**message, "position": "e:1:12"}]


def test_several_values_come_as_an_array():
    assert told(Publication("room", encode(["moved", 1, 2]))) == [
        {"topic": "room", "event": "moved", "payload": [1, 2]}
    ]


def test_json_is_passed_on_as_it_is():
    body = b'["said",{"a" : 1.50,"n":1e999}]'
    assert opened().protocol.dialect.encode(Publication("room", body)) == (
        '{"topic":"room","event":"said","payload":{"a" : 1.50,"n":1e999}}',
    )


def test_bytes_are_bytes_in_messagepack_and_base64_text_in_json():
    publication = Publication("room", encode(["drawn", {"pixels": b"\x00\xff\xfe"}]))
    (text,) = opened().protocol.dialect.encode(publication)
    (data,) = packed().protocol.dialect.encode(publication)
    assert json.loads(text)["payload"] == {"pixels": base64.b64encode(b"\x00\xff\xfe").decode()}
    assert msgspec.msgpack.decode(data)["payload"] == {"pixels": b"\x00\xff\xfe"}


def test_numbers_that_messagepack_cannot_say_become_what_javascript_reads():
    body = b'["count",[100000000000000000000000,-9223372036854775808,18446744073709551615,1.5,%s,1e999]]' % (
        b"9" * 5_000
    )
    (data,) = packed().protocol.dialect.encode(Publication("room", body))
    assert msgspec.msgpack.decode(data)["payload"] == [1e23, -(2**63), 2**64 - 1, 1.5, math.inf, math.inf]
    (data,) = packed().protocol.send(Push("room", encode(["count", 10**23])))
    assert msgspec.msgpack.decode(data)["payload"] == 1e23


@pytest.mark.parametrize(
    "body", [b'["said",' + b"[" * 100_000 + b"]" * 100_000 + b"]", b"[", b"[]", b"\x92\x01", b'["\xff"]']
)
def test_a_publication_that_cannot_be_said_stops_nobody(body):
    for protocol, read in ((opened().protocol, json.loads), (packed().protocol, msgspec.msgpack.decode)):
        (frame,) = protocol.dialect.encode(Publication("room", body, Position("e", 1)))
        assert read(frame)["error"]["code"] == "unreadable"
        assert read(frame)["topic"] == "room"


# -- endings ----------------------------------------------------------------------------------------------------------


def test_left_and_bye_say_whether_to_come_back():
    kicked = {"code": "kicked", "reason": "too loud", "come_back": False}
    assert told(Left("room", Kicked("too loud"))) == [{"left": "room", "error": kicked}]
    for error, code, come_back in (
        (Shutdown(), 1012, True),
        (Kicked(), 4403, False),
        (ProtocolError("no", 1007), 1007, False),
        (BrokerError(), 1011, True),
    ):
        frames, close_code = opened().protocol.close(error, "socket")
        assert close_code == code
        assert [json.loads(frame) for frame in frames] == [
            {"bye": {"code": error.code, "reason": error.reason, "come_back": come_back}}
        ]


# -- properties -------------------------------------------------------------------------------------------------------

SAMPLES = [
    {"join": "room:a", "params": {"name": "Ada"}, "after": "e:12", "ref": 1},
    {"send": "room:a", "event": "say", "payload": {"text": "h\u00e9"}, "ref": "2", "id": "x"},
    {"answer": 3, "topic": "room:a", "payload": [True, None]},
    {"ping": {"at": 1.5}},
    {"leave": "room:a"},
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
KEYS = st.sampled_from(
    ["send", "join", "leave", "answer", "ping", "topic", "event", "ref", "id", "after", "params", "payload"]
)


def test_the_contract():
    check_protocol(opened, [(json.dumps(sample), "socket") for sample in SAMPLES])


def test_the_contract_in_messagepack():
    check_protocol(packed, [(msgspec.msgpack.encode(sample), "socket") for sample in SAMPLES])


def _in_json(value) -> str:
    return msgspec.json.encode(value).decode()


MESSAGES = st.dictionaries(KEYS, VALUES, max_size=6)
SAID = (
    st.tuples(st.just(opened), st.text(st.characters()) | st.binary() | MESSAGES.map(_in_json))
    | st.tuples(st.just(packed), st.text() | st.binary() | MESSAGES.map(msgspec.msgpack.encode))
)  # fmt: skip


@given(SAID)
def test_only_protocol_errors_leave_receive(said):
    start, data = said
    protocol = start().protocol
    try:
        commands = protocol.receive(data, "socket", 0.0)
    except ProtocolError as error:
        assert len(error.reason.encode()) <= 123
    else:
        assert all(type(command) in (Join, Leave, Send, Answer) for command in commands)


@given(
    st.text(min_size=1),
    st.text(),
    st.lists(VALUES, max_size=2),
    st.builds(Position, st.text("ab:", min_size=1), st.integers(0)),
)
def test_what_is_published_arrives(topic, event, values, position):
    publication = Publication(topic, encode([event, *values]), position)
    (text,) = opened().protocol.dialect.encode(publication)
    (data,) = packed().protocol.dialect.encode(publication)
    expected = {"topic": topic, "event": event, "position": str(position)}
    if values:
        expected["payload"] = values[0] if len(values) == 1 else values
    assert msgspec.msgpack.decode(data) == expected
    assert msgspec.json.decode(text) == msgspec.json.decode(msgspec.json.encode(expected))
