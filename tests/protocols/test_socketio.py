"""Socket.IO 5: events and acknowledgements, as the official suite has them; and anything at all."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.bodies import encode
from hubbub.errors import (
    Invalid,
    ProtocolError,
)
from hubbub.messages import Answer, Join, Leave, Publication, Push, Reply, Send
from hubbub.testing.conversations import check_protocol
from tests.protocols.socketio_clients import (
    ACK,
    CONNECT_ADMIN,
    DISCONNECT,
    EVENT,
    EVENT_BYTES,
    SUITE,
    connected,
    opened,
    packed,
    plain,
    polling,
    said,
    serve,
)

# -- messages ---------------------------------------------------------------------------------------------------------


def test_a_plain_text_packet():
    assert said(connected(), '42["message",1,"2",{"3":[true]}]') == ['42["message-back",1,"2",{"3":[true]}]']


def test_a_packet_with_attachments():
    frames = said(
        connected(),
        '452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"\x01\x02\x03",
        b"\x04\x05\x06",
    )
    assert frames == [
        '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"\x01\x02\x03",
        b"\x04\x05\x06",
    ]


def test_a_plain_text_packet_with_an_ack():
    assert said(connected(), '42456["message-with-ack",1,"2",{"3":[false]}]') == ['43456[1,"2",{"3":[false]}]']


def test_a_packet_with_attachments_and_an_ack():
    frames = said(
        connected(),
        '452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"\x01\x02\x03",
        b"\x04\x05\x06",
    )
    assert frames == [
        '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"\x01\x02\x03",
        b"\x04\x05\x06",
    ]


def test_the_examples_of_the_specification():
    conversation = opened()
    [join] = conversation.say("40/admin,")
    conversation.tell(Reply(join))
    assert conversation.say('42/admin,["bar"]') == [Send("admin", "bar", [])]
    [answer] = conversation.say('43/admin,13["bar"]')
    assert (answer.topic, answer.ref, plain(answer.arguments)) == ("admin", 13, ["bar"])
    for frame in ('452-/admin,["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"\x01\x02"):
        assert conversation.say(frame) == []
    assert conversation.say(b"\x03\x04") == [Send("admin", "baz", [b"\x01\x02", b"\x03\x04"])]
    assert conversation.say("41/admin,") == [Leave("admin")]


def test_arguments_stay_encoded():
    [send] = connected().say('42["say",{"text":"hi"}, [1] ]')
    assert (send.topic, send.event, send.ref) == ("/", "say", None)
    assert [bytes(argument) for argument in send.arguments] == [b'{"text":"hi"}', b"[1]"]


def test_attachments_stand_wherever_their_placeholders_did():
    conversation = connected()
    conversation.say('452-7["x",{"a":[{"_placeholder":true,"num":1},2],"b":{"_placeholder":true,"num":0}},"c"]')
    conversation.say(b"zero")
    [send] = conversation.say(b"one")
    assert send == Send("/", "x", [{"a": [b"one", 2], "b": b"zero"}, "c"], 7)


def test_attachments_arrive_over_polling_too():
    conversation = polling()
    serve(conversation, conversation.say("40", "post"))
    conversation.poll()
    serve(conversation, conversation.say('451-["message",{"_placeholder":true,"num":0}]\x1ebAQID', "post"))
    assert conversation.poll().body == b'451-["message-back",{"_placeholder":true,"num":0}]\x1ebAQID'


def test_pings_may_come_between_attachments():
    conversation = connected(limits=SUITE)
    conversation.say('451-["x",{"_placeholder":true,"num":0}]')
    conversation.sleep(0.1)
    conversation.say("3")
    [send] = conversation.say(b"late")
    assert send.arguments == [b"late"]


def test_an_answer_to_a_call_of_the_server():
    conversation = connected("/custom")
    conversation.tell(Push("custom", encode(["question", 1]), ref=12))
    assert conversation.heard() == ['42/custom,12["question",1]']
    [answer] = conversation.say('43/custom,12["yes",{"a":1}]')
    assert isinstance(answer, Answer)
    assert (answer.topic, answer.ref, plain(answer.arguments)) == ("custom", 12, ["yes", {"a": 1}])


def test_a_call_and_its_answer_may_hold_bytes():
    conversation = connected()
    conversation.tell(Push("/", encode(["question", b"?"]), ref=3))
    assert conversation.heard() == ['451-3["question",{"_placeholder":true,"num":0}]', b"?"]
    conversation.say('461-3[{"_placeholder":true,"num":0}]')
    assert conversation.say(b"!") == [Answer("/", 3, [b"!"])]


def test_a_refusal_is_an_ack_with_an_error():
    conversation = connected()
    [send] = conversation.say('427["say"]')
    conversation.tell(Reply(send, error=Invalid("text: missing")))
    assert conversation.heard() == ['437[{"error":{"code":"invalid","reason":"text: missing"}}]']


def test_nobody_waits_for_the_reply_to_an_event_without_an_id():
    conversation = connected()
    [send] = conversation.say('42["say"]')
    conversation.tell(Reply(send, b"[1]"))
    conversation.tell(Reply(send, error=Invalid()))
    assert conversation.heard() == []


def test_publications_are_events():
    conversation = connected()
    conversation.publish(Publication("/", encode(["news", "\u00e9"])))
    conversation.publish(Publication("room:lobby", encode(["news", 1])))
    conversation.publish(Publication("room:lobby#red", encode(["news", [b"\x00"]])))
    assert conversation.heard() == [
        '42["news","\u00e9"]',
        '42/room:lobby,["news",1]',
        '451-/room:lobby,["news",[{"_placeholder":true,"num":0}]]',
        b"\x00",
    ]


@pytest.mark.parametrize("id", ["0", "1", "9007199254740991", "9999999999999999"])
def test_ack_ids_come_back_as_they_were(id):
    assert said(connected(), f'42{id}["message-with-ack"]') == [f"43{id}[]"]


@pytest.mark.parametrize(("name", "event"), [("1", "1"), ("0", "0"), ("1234567890", "1234567890")])
def test_a_number_may_be_an_events_name(name, event):
    assert connected().say(f'42[{name},"x"]')[0].event == event


ODD_NAMES = ["__proto__", "constructor", "toString", "", "*", "error", "\u00b2", "a\x1eb", "x" * 65_536]


@pytest.mark.parametrize("name", ODD_NAMES, ids=[name[:9] for name in ODD_NAMES])
def test_an_odd_event_name_is_a_name_like_any_other(name):
    assert connected().say("42" + msgspec.json.encode([name]).decode())[0].event == name


def test_half_of_a_surrogate_pair_becomes_a_replacement_character():
    [send] = connected().say(r'42["say","cut \ud83d","\\ud83d \ud83d\ude00 \udc00"]')
    assert plain(send.arguments) == ["cut \ufffd", "\\ud83d \U0001f600 \ufffd"]


# -- anything at all --------------------------------------------------------------------------------------------------


TEXT_SAMPLES = [
    ('42["a",1,{"b":"\\ud83d\\ude00"}]', "socket"),
    ('4217["x"]', "socket"),
    ('452-7["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]', "socket"),
    (b"\x01", "socket"),
    (b"\x02", "socket"),
    ("433[1]", "socket"),
    ('40/room:lobby,{"token":"x"}', "socket"),
    ("41", "socket"),
]
PACKED_SAMPLES = [
    (EVENT, "socket"),
    (EVENT_BYTES, "socket"),
    (ACK, "socket"),
    (CONNECT_ADMIN, "socket"),
    (DISCONNECT, "socket"),
]


def test_the_contract_in_text():
    check_protocol(connected, TEXT_SAMPLES)


def test_the_contract_in_messagepack():
    check_protocol(packed, PACKED_SAMPLES)


heads = st.sampled_from(
    ["", "0", "1", "2", "3", "40", "41", "42", "42/custom,", "4212", "43", "431", "44", "451-", "452-3", "461-1"]
)
tails = st.sampled_from(
    ["", "[]", "{}", '["x"]', '["x",{"_placeholder":true,"num":0}]', "/custom,", "\u00b2", "[[", '"']
)
words = st.builds("".join, st.tuples(heads, tails, st.text(max_size=8), tails))
anything = st.one_of(
    words, words, st.binary(max_size=12), st.sampled_from([sample for sample, _ in TEXT_SAMPLES + PACKED_SAMPLES])
)


@given(st.sampled_from([opened, connected, packed]), st.lists(anything, max_size=8))
@settings(max_examples=500, deadline=None)
def test_whatever_a_client_says_only_protocol_errors_leave(start, script):
    protocol = start().protocol
    for data in script:
        try:
            for command in protocol.receive(data, "socket", 1_000.0):
                if isinstance(command, Join):
                    protocol.send(Reply(command))
        except ProtocolError:
            return


@given(
    st.recursive(
        st.none() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@settings(deadline=None)
def test_every_json_value_passes_unharmed(value):
    text = msgspec.json.encode(["x", value]).decode()
    [send] = connected().say("42" + text)
    assert plain(send.arguments) == [msgspec.json.decode(msgspec.json.encode(value))]
