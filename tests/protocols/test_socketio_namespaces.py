"""Socket.IO 5: into namespaces and out of them, as the official suite has it and as attackers try."""

import pytest

from hubbub.errors import (
    Banned,
    Forbidden,
    HubbubError,
    Invalid,
    Kicked,
    NotFound,
    ProtocolError,
    Shutdown,
    TimedOut,
    TooMany,
)
from hubbub.limits import Limits
from hubbub.messages import Join, Leave, Left, Reply, Send
from hubbub.protocols.socketio_packets import namespace_of, topic_of
from tests.protocols.socketio_clients import (
    SUITE,
    connected,
    opened,
    polling,
    said,
    serve,
)

# -- connect ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connect", "answer"),
    [
        ("40", ['40{"sid":"id"}', '42["auth",{}]']),
        ('40{"token":"123"}', ['40{"sid":"id"}', '42["auth",{"token":"123"}]']),
        ("40/custom,", ['40/custom,{"sid":"id"}', '42/custom,["auth",{}]']),
        ("40/custom", ['40/custom,{"sid":"id"}', '42/custom,["auth",{}]']),
        ('40/custom,{"token":"abc"}', ['40/custom,{"sid":"id"}', '42/custom,["auth",{"token":"abc"}]']),
        ("40/random", ['44/random,{"message":"Invalid namespace"}']),
    ],
)
def test_connecting_to_a_namespace(connect, answer):
    assert said(opened(), connect) == answer


def test_an_invalid_handshake_closes_the_connection():
    with pytest.raises(ProtocolError):
        opened().say("4abc")


def test_a_connection_without_a_handshake_is_closed():
    conversation = opened(Limits(handshake=1.0))
    conversation.sleep(0.9)
    assert conversation.over is None
    conversation.sleep(0.2)
    assert conversation.over == "timeout"


def test_a_refused_handshake_is_none():
    conversation = opened(Limits(handshake=1.0))
    said(conversation, "40/random")
    conversation.sleep(1.1)
    assert conversation.over == "timeout"


def test_a_client_that_is_in_a_namespace_may_be_silent():
    conversation = connected(limits=Limits(handshake=1.0))
    conversation.sleep(20.0)
    assert conversation.over is None


def test_the_payload_of_connect_is_the_joins_parameters_still_encoded():
    [join] = opened().say('40/room:lobby,{"name":"Ada"}')
    assert (join.topic, bytes(join.params)) == ("room:lobby", b'{"name":"Ada"}')


def test_the_query_string_of_a_namespace_is_dropped():
    [join] = opened().say("40/admin?token=1&x=/2,{}")
    assert join.topic == "admin"


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (Forbidden("Not you"), '{"message":"Not you","data":{"code":"forbidden"}}'),
        (TooMany("more than 100 topics"), '{"message":"more than 100 topics","data":{"code":"too_many"}}'),
        (Invalid("name: expected str"), '{"message":"name: expected str","data":{"code":"invalid"}}'),
        (NotFound("no such room"), '{"message":"Invalid namespace"}'),
    ],
)
def test_a_refused_join_is_a_connect_error(error, data):
    conversation = opened()
    [join] = conversation.say("40/custom,")
    conversation.tell(Reply(join, error=error))
    assert conversation.heard() == [f"44/custom,{data}"]
    with pytest.raises(ProtocolError):
        conversation.say('42/custom,["message"]')


def test_one_answer_serves_a_client_that_connects_twice_at_once():
    conversation = opened()
    [join] = conversation.say("40")
    assert conversation.say("40") == []
    conversation.tell(Reply(join))
    assert conversation.heard() == ['40{"sid":"id"}']


def test_connecting_again_changes_nothing_for_one_that_is_in():
    conversation = connected("/custom")
    assert conversation.say("40/custom,") == []
    [send] = conversation.say('42/custom,["message"]')
    assert send.topic == "custom"


def test_connecting_again_after_leaving_joins_again():
    conversation = connected("/custom")
    assert conversation.say("41/custom,") == [Leave("custom")]
    [join] = conversation.say("40/custom,")
    assert join == Join("custom")
    conversation.tell(Reply(join))
    assert conversation.heard() == ['40/custom,{"sid":"id"}']


@pytest.mark.parametrize(
    "payload", ["[]", '"invalid"', "1", "true", "null", "{", "{}x", "{'a':1}", "[" * 10_000, '{"a":' * 10_000]
)
def test_auth_is_an_object(payload):
    with pytest.raises(ProtocolError):
        opened().say(f"40/admin,{payload}")


def test_auth_may_have_any_keys_and_be_as_big_as_a_message():
    [join] = opened().say('40{"__proto__":{"a":1},"constructor":[],"text":"%s"}' % ("x" * 900_000))
    assert len(bytes(join.params)) > 900_000


def test_ten_thousand_namespaces_are_too_many():
    conversation = opened(Limits(topics=10))
    with pytest.raises(ProtocolError):
        for number in range(10_000):
            conversation.say(f"40/{number},")
    assert number == 20


def test_a_client_may_be_shown_out_of_any_number_of_namespaces():
    conversation = opened(Limits(topics=10))
    for number in range(100):
        [join] = conversation.say(f"40/{number},")
        conversation.tell(Reply(join))
        conversation.tell(Left(join.topic, Kicked()))
    assert conversation.over is None


@pytest.mark.parametrize("name", ["/" * 10_000, "/__proto__", "/\u00e9\U0001f642", "/a b", "/a/b/c", "/%2e%2e"])
def test_a_namespace_may_have_any_name(name):
    [join] = opened().say(f"40{name},")
    assert join.topic == name[1:]


@pytest.mark.parametrize("name", ["/chat#red", "/a\x1e1", "/\n", "/\x00", "/\ud800"])
def test_a_namespace_is_neither_a_room_nor_a_way_to_smuggle_packets(name):
    with pytest.raises(ProtocolError):
        opened().say(f"40{name},")


@pytest.mark.parametrize(
    ("namespace", "topic"), [("/", "/"), ("/custom", "custom"), ("/room:lobby", "room:lobby"), ("/a/b", "a/b")]
)
def test_a_namespace_is_a_topic(namespace, topic):
    assert (topic_of(namespace), namespace_of(topic)) == (topic, namespace)


def test_a_room_is_heard_in_the_namespace_of_its_topic():
    assert (namespace_of("chat#red"), namespace_of("/#red")) == ("/chat", "/")


# -- disconnect -------------------------------------------------------------------------------------------------------


def test_disconnecting_from_the_main_namespace_keeps_the_connection():
    conversation = connected(limits=SUITE)
    assert conversation.say("41") == [Leave("/")]
    assert conversation.heard() == []
    conversation.sleep(0.3)
    assert conversation.heard() == ["2"]


def test_connecting_to_a_second_namespace_and_disconnecting_from_it():
    conversation = connected()
    assert said(conversation, "40/custom") == ['40/custom,{"sid":"id"}', '42/custom,["auth",{}]']
    frames = said(conversation, "41/custom", '42["message","message to main namespace"]')
    assert frames == ['42["message-back","message to main namespace"]']
    with pytest.raises(ProtocolError):
        conversation.say('42/custom,["message"]')


def test_nothing_answers_a_disconnect():
    conversation = connected()
    [leave] = conversation.say("41")
    conversation.tell(Reply(leave))
    assert conversation.heard() == []


def test_a_client_that_the_server_took_out_is_told_and_its_last_words_are_ignored():
    conversation = connected("/custom")
    conversation.tell(Left("custom", Kicked()))
    assert conversation.heard() == ["41/custom,"]
    for late in (
        '42/custom,["message"]',
        "43/custom,1[]",
        '451-/custom,["x",{"_placeholder":true,"num":0}]',
        b"x",
        "41/custom,",
    ):
        assert conversation.say(late) == []
    with pytest.raises(ProtocolError):
        conversation.say('42/custom,["message"]')


def test_a_client_that_was_taken_out_may_come_back():
    conversation = connected("/custom")
    conversation.tell(Left("custom", Kicked()))
    [join] = conversation.say("40/custom,")
    conversation.tell(Reply(join))
    assert conversation.say('42/custom,["x"]') == [Send("custom", "x", [])]


@pytest.mark.parametrize("error", [Kicked(), Banned()])
def test_clients_that_must_not_come_back_are_disconnected_from_every_namespace(error):
    conversation = connected()
    said(conversation, "40/custom,")
    conversation.say("40/pending,")
    conversation.end(error)
    assert (conversation.heard(), conversation.code) == (["41", "41/custom,"], 4403)


@pytest.mark.parametrize("error", [Shutdown(), TimedOut(), ProtocolError(), HubbubError()])
def test_clients_that_may_come_back_just_lose_the_line(error):
    conversation = connected()
    conversation.end(error)
    assert conversation.heard() == []


@pytest.mark.parametrize(("error", "last"), [(Kicked(), "41"), (Shutdown(), "1")])
def test_over_polling_a_client_that_is_disconnected_is_not_told_to_close_beside_it(error, last):
    """The official client would close before it has understood what stands beside the close packet."""
    conversation = polling(Limits())
    serve(conversation, conversation.say("40", "post"))
    conversation.poll()
    conversation.attach("poll")
    conversation.end(error)
    assert conversation.heard("poll") == [last]
