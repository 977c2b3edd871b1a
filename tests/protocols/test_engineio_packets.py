"""Engine.IO 4: packets, payloads, and what a poll has room for."""

from itertools import chain

import pytest

from hubbub.bodies import encode
from hubbub.errors import ProtocolError
from hubbub.limits import Limits
from hubbub.messages import Push, Send
from tests.protocols.engineio_clients import (
    TOPIC,
    body,
    echo,
    fill,
    polling,
    socket,
)

# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="])
def test_a_payload_is_echoed_over_polling(payload):
    conversation = polling()
    echo(conversation, conversation.say(payload, "post"))
    assert conversation.protocol.answer("post", b"", conversation.request).body == b"ok"
    assert body(conversation.poll()) == payload


@pytest.mark.parametrize(
    ("data", "message"), [("4hello", "hello"), (b"\x01\x02\x03\x04", b"\x01\x02\x03\x04"), ("4", "")]
)
def test_a_packet_is_echoed_over_a_websocket(data, message):
    conversation = socket()
    commands = conversation.say(data)
    assert commands == [Send(TOPIC, "message", (message,))]
    echo(conversation, commands)
    assert conversation.heard() == [data]


def test_base64_decodes_to_the_bytes_it_stands_for():
    assert polling().say("bAQIDBA==", "post") == [Send(TOPIC, "message", (b"\x01\x02\x03\x04",))]


def test_a_message_of_any_other_value_travels_as_json_and_other_events_do_not():
    conversation = socket()
    conversation.tell(Push(TOPIC, encode(["message", {"a": [1]}])))
    conversation.tell(Push(TOPIC, encode(["news", "x"])))
    conversation.tell(Push(TOPIC, encode(["message"])))
    assert conversation.heard() == ['4{"a":[1]}']


INVALID = [
    "abc",
    "",
    "9",
    "\u00b2",
    "\u0664x",
    "4a\x1e",
    "\x1e4a",
    "b====",
    "bAQ",
    "bAQ=\n",
    "b\u00e9",
    "2",
    "2probe",
    "5",
    "0",
    '0{"sid":"1"}',
]


@pytest.mark.parametrize("payload", INVALID)
def test_an_invalid_payload_closes_the_session(payload):
    conversation = polling()
    conversation.attach("poll")
    with pytest.raises(ProtocolError):
        conversation.say(payload, "post")
    assert conversation.heard("poll") == ["1"]


@pytest.mark.parametrize(
    "packet", ["abc", "", "9", "\u00b2", "b", "bAQIDBA==", "2", "2probe", "5", '0{"sid":"111111111"}']
)
def test_an_invalid_packet_closes_the_websocket(packet):
    conversation = socket()
    with pytest.raises(ProtocolError):
        conversation.say(packet)
    assert (conversation.over, conversation.code, conversation.heard()) == ("protocol_error", 1002, [])


def test_a_binary_body_closes_the_session():
    with pytest.raises(ProtocolError):
        polling().say(b"4hello", "post")


def test_packets_in_a_payload_are_counted_before_they_are_split():
    assert len(polling(Limits(packets=3)).say("4a\x1e4b\x1e4c", "post")) == 3
    with pytest.raises(ProtocolError):
        polling(Limits(packets=3)).say("4a\x1e4b\x1e4c\x1e4d", "post")
    with pytest.raises(ProtocolError):
        polling().say("\x1e" * 1_000_000, "post")


def test_what_follows_a_close_in_a_payload_is_not_done():
    conversation = polling()
    assert conversation.say("4a\x1e1\x1e4b", "post") == [Send(TOPIC, "message", ("a",))]
    assert conversation.over == "closed"


def test_a_separator_in_a_message_does_not_become_a_packet_of_someone_else():
    conversation = polling()
    echo(conversation, socket().say("4hello\x1e1"))
    assert body(conversation.poll()) == "4hello\ufffd1"


# -- what a poll has room for -----------------------------------------------------------------------------------------


def test_a_poll_answers_with_sixteen_packets_and_the_next_with_the_rest():
    conversation = polling()
    fill(conversation, 40)
    polls = [body(conversation.poll()).split("\x1e") for _ in range(3)]
    assert [len(packets) for packets in polls] == [16, 16, 8]
    assert list(chain(*polls)) == [f"4{number}x" for number in range(40)]
    assert conversation.poll() is None


def test_a_ping_is_one_of_the_sixteen():
    conversation = polling()
    fill(conversation, 20)
    conversation.sleep(0.3)
    packets = body(conversation.poll()).split("\x1e")
    assert (len(packets), packets[0], packets[-1]) == (16, "2", "414x")


def test_a_poll_carries_about_as_many_bytes_as_one_message_may_have():
    conversation = polling(Limits(message=1_000))
    fill(conversation, 5, "\u20ac" * 100)
    assert [len(body(conversation.poll()).split("\x1e")) for _ in range(2)] == [3, 2]


def test_one_message_that_is_too_big_for_any_poll_goes_alone():
    conversation = polling(Limits(message=10))
    fill(conversation, 2, "y" * 100)
    assert [body(conversation.poll())[:3] for _ in range(2)] == ["40y", "41y"]


def test_what_a_poll_had_no_room_for_goes_first_on_the_websocket():
    conversation = polling()
    fill(conversation, 20)
    assert body(conversation.poll()).count("\x1e") == 15
    conversation.attach("socket")
    conversation.say("2probe")
    fill(conversation, 1, "after")
    assert not conversation.protocol.plain
    conversation.say("5")
    assert conversation.heard() == ["3probe", "416x", "417x", "418x", "419x", "40after"]
    assert conversation.protocol.plain


def test_a_client_that_polls_too_slowly_is_given_up():
    conversation = polling(Limits(outbox=10_000))
    fill(conversation, 30, "z" * 1_000)
    conversation.attach("poll")
    assert conversation.heard("poll")
    with pytest.raises(ProtocolError):
        conversation.attach("poll")
