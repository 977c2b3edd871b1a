"""Phoenix Channels by long polling: tokens, statuses, windows, and bodies of many lines."""

import base64
import json

import pytest

from hubbub.bodies import encode
from hubbub.errors import (
    Conflict,
    Expired,
    Forbidden,
    HubbubError,
    Kicked,
    NotFound,
    ProtocolError,
    Shutdown,
    TimedOut,
    TooBig,
)
from hubbub.limits import Limits
from hubbub.messages import Publication, Push, Reply
from hubbub.protocols.base import Request
from hubbub.protocols.phoenix import Phoenix
from hubbub.testing.conversations import check_protocol
from tests.protocols.phoenix_clients import plain, poll, polling, tell

TOPIC = "room:lobby"
TOKEN = "hubbub.key"


def joined(**options):
    conversation = polling(**options)
    message = ["1", "1", TOPIC, "phx_join", {}]
    if options.get("vsn") == "1.0.0":
        message = {"topic": TOPIC, "event": "phx_join", "payload": {}, "ref": "1"}
    [join] = tell(conversation, message, line="post")
    conversation.tell(Reply(join))
    assert poll(conversation)["status"] == 200
    return conversation


def test_messages_come_as_texts():
    ada = polling()
    assert poll(ada) is None
    [join] = tell(ada, ["1", "1", TOPIC, "phx_join", {}], line="post")
    assert poll(ada) is None
    ada.tell(Reply(join))
    joined = '["1","1","room:lobby","phx_reply",{"status":"ok","response":{}}]'
    assert poll(ada) == {"status": 200, "token": TOKEN, "messages": [joined]}
    ada.tell(Push(TOPIC, encode(["one", {"n": 1}])))
    ada.publish(Publication(TOPIC, encode(["two", {"n": 2}])))
    ada.publish(Publication(TOPIC, encode(["bytes", b"efg"])))
    assert poll(ada)["messages"] == [
        '["1",null,"room:lobby","one",{"n":1}]',
        '[null,null,"room:lobby","two",{"n":2}]',
        '[null,null,"room:lobby","bytes",{"_values":["ZWZn"]}]',
    ]


def test_version_1_by_long_polling():
    ada = joined(vsn="1.0.0")
    [send] = tell(ada, '{"topic":"room:lobby","event":"say","payload":{"a":1},"ref":"2"}', line="post")
    ada.tell(Reply(send))
    [message] = poll(ada)["messages"]
    assert json.loads(message)["payload"] == {"status": "ok", "response": {}}


def test_answers_of_the_protocol_itself_are_messages_too():
    ada = joined()
    tell(ada, [None, "2", "phoenix", "heartbeat", {}], line="post")
    tell(ada, [None, "3", "room:other", "say", {}], line="post")
    refs = [json.loads(message)[1] for message in poll(ada)["messages"]]
    assert refs == ["2", "3"]
    assert poll(ada) is None


def test_a_poll_is_held_for_ten_seconds():
    """phoenix.js gives up after 20, and Limits.poll is longer than that."""
    ada = polling()
    assert poll(ada) is None
    ada.sleep(9.9)
    assert poll(ada) is None
    ada.sleep(0.1)
    assert poll(ada) == {"status": 204, "token": TOKEN, "messages": []}


def test_a_poll_is_held_no_longer_than_the_limit():
    ada = polling(Limits(poll=2.0))
    assert poll(ada) is None
    ada.sleep(2.0)
    assert poll(ada)["status"] == 204


def test_who_polls_lives_and_who_does_not_has_timed_out():
    ada = polling(Limits(poll=2.0, patience=3.0))
    for _ in range(10):
        assert poll(ada) is None
        ada.sleep(2.0)
        assert poll(ada)["status"] == 204
        ada.sleep(2.9)
    assert ada.over is None
    ada.sleep(5.0)
    assert ada.over == "timeout"


def test_a_poll_that_its_client_dropped_is_waited_for_like_any():
    ada = polling(Limits(poll=2.0, patience=3.0))
    poll(ada)
    ada.detach("poll")
    assert ada.over is None
    ada.tell(Push(TOPIC, encode(["e"])))
    assert len(poll(ada)["messages"]) == 1
    ada.sleep(5.1)
    assert ada.over == "timeout"


def test_a_newer_poll_replaces_an_older_one():
    ada = polling()
    ada.attach("poll")
    ada.attach("poll")
    replaced = ada.protocol.answer("poll", b"", ada.request)
    assert json.loads(replaced.body) == {"status": 204, "token": TOKEN, "messages": []}
    ada.tell(Push(TOPIC, encode(["e"])))
    assert len(poll(ada)["messages"]) == 1


def test_the_parameters_of_a_poll_s_socket():
    ada = polling(headers={"x-phoenix-authtoken": "secret"}, name="Ada")
    [join] = tell(ada, ["1", "1", TOPIC, "phx_join", {"colour": "red"}], line="post")
    assert plain(join)[1] == {"name": "Ada", "auth_token": "secret", "colour": "red"}


# -- posts ------------------------------------------------------------------------------------------------------------


def line(number):
    return json.dumps(["1", str(number), TOPIC, "say", {"n": number}])


def binary(number):
    return base64.b64encode(b"\x00\x01\x02\x0a\x031%02droom:lobbysay\x00\xff" % number).decode()


def test_a_body_of_many_lines():
    body = "\n".join([line(1), binary(2), "", line(3) + "\r", binary(4) + "\r", ""])
    sends = tell(joined(), body, line="post")
    assert [plain(send)[2] for send in sends] == [[{"n": 1}], [b"\x00\xff"], [{"n": 3}], [b"\x00\xff"]]


@pytest.mark.parametrize("separator", ["\n", "\r\n"])
def test_lines_beyond_the_hundredth_are_not_read(separator):
    ada = joined()
    body = separator.join([*map(line, range(100)), "this is not even JSON"])
    assert len(tell(ada, body, line="post")) == 100
    assert tell(ada, "\n" * 8_000_000 + line(1), line="post") == []


@pytest.mark.parametrize("body", ["nonsense", "[", "5", "é", line(1) + "\n!", line(1) + "\n[]", b"\xff\xfe", b""])
def test_a_body_that_is_none_ends_the_session(body):
    ada = joined()
    with pytest.raises(ProtocolError):
        tell(ada, body, line="post")
    assert ada.over == "protocol_error"


def test_a_body_without_messages_does_nothing():
    assert tell(joined(), "", line="post") == []


# -- statuses ---------------------------------------------------------------------------------------------------------


def request(method="GET", token=None, **query):
    headers = {} if token is None else {"x-phoenix-longpoll-token": token}
    return Request(method, "/socket/longpoll", {"vsn": "2.0.0", **query}, headers)


def test_sessions_are_found_by_their_token():
    assert Phoenix.session(request(token=TOKEN)) == "key"
    assert Phoenix.session(request("POST", token=TOKEN)) == "key"
    assert Phoenix.session(request()) is None
    for stranger in (None, "forged", ""):
        with pytest.raises(NotFound):
            Phoenix.session(request("POST", token=stranger))


def test_a_token_that_nobody_knows_begins_anew_with_a_poll_but_not_with_a_post():
    assert Phoenix.stranger(request()) == "renew"
    assert Phoenix.stranger(request("POST")) == "refuse"


@pytest.mark.parametrize(
    ("error", "of_a_get", "of_a_post"),
    [
        (NotFound(), 410, 410),
        (Conflict(), 410, 410),
        (Forbidden(), 403, 403),
        (ProtocolError(), 403, 400),
        (TooBig(), 403, 413),
        (TimedOut(), 403, 408),
        (HubbubError(), 500, 500),
    ],
)
def test_the_status_that_counts_is_in_the_body(error, of_a_get, of_a_post):
    for method, status in (("GET", of_a_get), ("POST", of_a_post)):
        response = Phoenix.refuse(error, request(method))
        assert (response.status, json.loads(response.body)) == (200, {"status": status})


def test_a_method_that_is_none_is_refused_in_http():
    """As the reference server does: no client of it would read the body."""
    assert Phoenix.refuse(ProtocolError(), request("DELETE")).status == 400


def test_a_post_that_was_understood_is_answered_so():
    assert json.loads(polling().protocol.answer("post", b"", request("POST")).body) == {"status": 200}


@pytest.mark.parametrize(("error", "status"), [(Shutdown(), 410), (Expired(), 410), (TimedOut(), 410)])
def test_who_may_come_back_is_told_that_the_session_is_gone(error, status):
    ada = joined()
    poll(ada)
    ada.end(error)
    assert poll(ada) == {"status": status}


def test_who_may_not_come_back_has_its_channels_closed():
    ada = joined()
    poll(ada)
    ada.end(Kicked("out"))
    [message] = poll(ada)["messages"]
    assert json.loads(message) == ["1", "1", TOPIC, "phx_close", {"reason": "out", "code": "kicked"}]
    for status in (204, 403, 403):  # phoenix.js has a moment for the message
        ada.attach("poll")
        ada.end(Kicked("out"))
        assert poll(ada)["status"] == status
    ada = polling()
    poll(ada)
    ada.end(Kicked("out"))
    assert poll(ada) == {"status": 403}


def test_a_poll_that_has_its_answer_gets_no_second():
    ada = joined()
    assert ada.protocol.close(Shutdown(), "poll")[0] == []
    assert ada.protocol.close(Shutdown(), "post")[0] == []


def test_a_client_that_posts_and_does_not_poll_is_cut_off():
    ada = polling(Limits(backlog=10))
    heartbeats = "\n".join(json.dumps([None, str(number), "phoenix", "heartbeat", {}]) for number in range(10))
    tell(ada, heartbeats, line="post")
    with pytest.raises(ProtocolError):
        tell(ada, heartbeats, line="post")


def test_the_contract():
    samples = [
        ('["1","1","room:lobby","phx_join",{"name":"Ada"}]', "post"),
        (line(2) + "\n" + binary(3), "post"),
        ('[null,"4","phoenix","heartbeat",{}]\r\n["1","5","room:lobby","phx_leave",{}]', "post"),
    ]
    check_protocol(polling, samples)
