"""Socket.IO 5: packets as text, their attachments, and what attackers make of them."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.bodies import encode
from hubbub.errors import ProtocolError
from hubbub.limits import Limits
from hubbub.messages import Reply
from hubbub.protocols.socketio import TEXT
from hubbub.protocols.socketio_packets import DEPTH, EVENT, NAMESPACE, RESERVED, fill, lift, simple_event
from tests.protocols.socketio_clients import connected, opened, said

# -- invalid packets --------------------------------------------------------------------------------------------------


INVALID = [
    "4abc", "4", "47", "4\u00b2", "4\u0662[]", "4-1", '442["some","data"', "444{}", '444"x"', "44", "40[]", '40"x"',
    "41{}", "41[]", "41x", "42", "42{}", "42[]", '42abc["message-with-ack",1]', '42"x"', '42["x"', '42["x"]x',
    '42["x"],', "42null", '42[true,"x"]', '42[null,"x"]', '42[{"toString":"foo"}]', '42[["x"]]', "42[1.5]", "42[-1]",
    "42[1e3]", "42[12345678901234567]", "42[NaN]", "42[Infinity]", '42["x",NaN]', "42[01]", "42['x']", '42["x",]',
    '42["\x01"]', '42["x","a\x1e4b"]', '42[".', '42["\\ud8zz"]', '42["\ud800"]', '42\u00b2["x"]', '42\u0661["x"]',
    '42 ["x"]x', '42-1["x"]', "42" + "1" * 100 + '["x"]', "42" + "[" * 10_000,
    '42["x",' + "[" * 10_000 + "]" * 10_000 + "]", '421-["x"]', "43", "43[]", "43{}", "431", "431{}",
    "43" + "9" * 17 + "[]", "45", "451", "45a-", "451.23-", '45["x"]', '45-["x"]', '45-1-["x"]', "451-", '451-["x"',
    "451-[]", "450-[]", '450-["x"]', "451-{}", '451-["connect"]', "46[]", "4999", '45\u00b2-["x"]',
    '4511-["x"]', '455999999999-["x"]', "45" + "9" * 5_000 + '-["x"]',
]  # fmt: skip


@pytest.mark.parametrize("text", INVALID, ids=[text[:20].encode("unicode_escape").decode() for text in INVALID])
def test_an_invalid_packet_closes_the_connection(text):
    conversation = connected()
    with pytest.raises(ProtocolError):
        conversation.say(text)
    assert conversation.over == "protocol_error"


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_event_names_close_the_connection(name):
    for text in (f'42["{name}"]', f'427["{name}",1]', f'451-["{name}"]', rf'42["\u00{ord(name[0]):x}{name[1:]}"]'):
        with pytest.raises(ProtocolError):
            connected().say(text)


@given(st.sampled_from(["42", "42/a,", "42/a[,", "42/a?b,", "42/a,b,", "42#"]), st.text('0123456789,/[ \u0663"'))
def test_what_most_messages_are_is_read_as_all_are(head, rest):
    for text in (head + rest, f'{head}{rest}["x",1]'):
        namespace, commands = simple_event(text)
        if re.fullmatch(NAMESPACE, namespace) and "?" not in namespace:  # or else nobody can have joined it
            (command,) = commands
            packet = TEXT.read(text[1:])
            assert (packet.type, packet.namespace, packet.id) == (EVENT, namespace, command.ref)
            assert packet.data == [command.event, *command.arguments]


@pytest.mark.parametrize("text", ['42/other,["x"]', "43/other,1[]", "41/other,", '451-/other,["x"]', "44/other,{}"])
def test_a_packet_for_a_namespace_that_was_never_joined_closes_the_connection(text):
    with pytest.raises(ProtocolError):
        connected().say(text)
    with pytest.raises(ProtocolError):
        opened().say(text.replace("/other,", ""))


def test_an_event_before_the_answer_to_connect_closes_the_connection():
    conversation = opened()
    conversation.say("40")
    with pytest.raises(ProtocolError):
        conversation.say('42["message"]')


# -- attachments under attack -----------------------------------------------------------------------------------------


def test_more_than_ten_attachments_are_not_awaited():
    connected().say('4510-["x"]')
    with pytest.raises(ProtocolError):
        connected().say('4511-["x"]')


@pytest.mark.parametrize(
    "number",
    ["-1", "2", "1000000000", '"0"', '"splice"', "null", "true", "false", "0.0", "0.5", "[0]", "{}", "1e0", "9" * 400],
)
def test_a_placeholder_without_its_attachment_closes_the_connection(number):
    conversation = connected()
    conversation.say(f'452-["x",{{"_placeholder":true,"num":{number}}}]')
    conversation.say(b"a")
    with pytest.raises(ProtocolError):
        conversation.say(b"b")


def test_a_number_that_cannot_be_decoded_beside_an_attachment_closes_the_connection():
    conversation = connected()
    conversation.say('451-["x",' + "9" * 5_000 + "]")
    with pytest.raises(ProtocolError):
        conversation.say(b"a")


def test_a_placeholder_without_a_number_closes_the_connection():
    conversation = connected()
    conversation.say('451-["x",{"_placeholder":true}]')
    with pytest.raises(ProtocolError):
        conversation.say(b"a")


def test_what_is_no_placeholder_stays_as_it_is():
    conversation = connected()
    conversation.say('451-["x",{"_placeholder":1,"num":0},{"_placeholder":"true"},{"num":9}]')
    [send] = conversation.say(b"a")
    assert send.arguments == [{"_placeholder": 1, "num": 0}, {"_placeholder": "true"}, {"num": 9}]


def test_one_attachment_may_stand_in_two_places_and_another_in_none():
    conversation = connected()
    conversation.say('452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]')
    conversation.say(b"a")
    assert conversation.say(b"b")[0].arguments == [b"a", b"a"]


@pytest.mark.parametrize("text", ['42["x"]', "41", "40", '451-["x"]', "x"])
def test_a_text_instead_of_an_attachment_closes_the_connection(text):
    conversation = connected()
    conversation.say('451-["x",{"_placeholder":true,"num":0}]')
    with pytest.raises(ProtocolError):
        conversation.say("4" + text)


def test_bytes_that_nobody_announced_close_the_connection():
    with pytest.raises(ProtocolError):
        connected().say(b"x")
    conversation = connected()
    conversation.say('451-["x",{"_placeholder":true,"num":0}]')
    conversation.say(b"x")
    with pytest.raises(ProtocolError):
        conversation.say(b"y")


def test_attachments_together_are_no_bigger_than_a_message():
    conversation = connected(limits=Limits(message=1_000))
    conversation.say('453-["x"]')
    conversation.say(b"x" * 900)
    with pytest.raises(ProtocolError) as error:
        conversation.say(b"x" * 100)
    assert error.value.close_code == 1009


def test_a_binary_acknowledgement_of_nothing_closes_the_connection():
    conversation = connected()
    conversation.say("461-[]")
    with pytest.raises(ProtocolError):
        conversation.say(b"x")


def test_announced_attachments_are_not_awaited_for_ever():
    limits = Limits(heartbeat=3_600.0, patience=20.0)
    conversation = connected(limits=limits)
    conversation.say('452-["x"]')
    conversation.sleep(15.0)
    conversation.say(b"x")
    conversation.sleep(15.0)
    assert conversation.over is None
    said(conversation)
    conversation.sleep(6.0)
    assert conversation.over == "timeout"


def test_joining_another_namespace_does_not_stop_that_clock():
    conversation = connected(limits=Limits(heartbeat=3_600.0))
    [join] = conversation.say("40/custom,")
    conversation.say('451-["x"]')
    conversation.tell(Reply(join))
    conversation.sleep(21.0)
    assert conversation.over == "timeout"


def test_complete_attachments_stop_it():
    conversation = connected(limits=Limits(heartbeat=3_600.0))
    conversation.say('451-["x"]')
    conversation.say(b"x")
    conversation.sleep(100.0)
    assert conversation.over is None


def test_nesting_around_attachments_has_a_limit():
    conversation = connected()
    deep = "[" * (DEPTH + 2) + "]" * (DEPTH + 2)
    conversation.say(f'451-["x",{deep}]')
    with pytest.raises(ProtocolError):
        conversation.say(b"x")


def test_what_a_client_made_look_like_a_placeholder_is_none_for_others():
    body = encode(["x", b"a", {"_placeholder": True, "num": 99}])
    assert TEXT.event("/", body) == ('451-["x",{"_placeholder":true,"num":0},{"num":99}]', b"a")


def test_lift_never_fails():
    deep = [b"x"]
    for _ in range(900):
        deep = [deep]
    odd = {1: b"a", b"k": 2, (1, 2): msgspec.msgpack.Ext(1, b""), "big": 1 << 2_000, "deep": deep}
    attachments = []
    lifted = lift(odd, attachments)
    msgspec.json.encode(lifted)
    assert attachments == [b"a"]
    assert (lifted["1"], lifted["(1, 2)"]) == ({"_placeholder": True, "num": 0}, None)


json_with_bytes = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_with_bytes)
def test_lifting_and_filling_give_back_the_value(value):
    attachments = []
    assert fill(lift(value, attachments), attachments) == value
