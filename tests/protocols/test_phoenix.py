"""Phoenix Channels over a WebSocket: what clients say, what they are told, and anything at all."""

import json

import pytest

from hubbub.bodies import encode
from hubbub.errors import (
    Banned,
    BrokerError,
    Disconnect,
    Expired,
    Forbidden,
    Invalid,
    Kicked,
    NotFound,
    ProtocolError,
    Shutdown,
    TooMany,
)
from hubbub.history import Position
from hubbub.limits import Limits
from hubbub.messages import Answer, Join, Leave, Left, Publication, Push, Reply, Send
from hubbub.protocols.base import Request
from hubbub.protocols.phoenix import Phoenix
from hubbub.testing.conversations import check_protocol
from tests.protocols.phoenix_clients import heard, joined, opened, plain, tell

TOPIC = "room:lobby"
UNMATCHED = {"status": "error", "response": {"reason": "unmatched topic"}}
OK = {"status": "ok", "response": {}}


def test_a_conversation_as_phoenix_s_guide_to_channels_has_it():
    """A chat: join, say, hear, be alive, leave; frame by frame."""
    ada = opened()
    [join] = tell(ada, '["3","3","room:lobby","phx_join",{}]')
    assert plain(join) == (TOPIC, {})
    ada.tell(Reply(join))
    assert ada.heard() == ['["3","3","room:lobby","phx_reply",{"status":"ok","response":{}}]']
    [send] = tell(ada, '["3","5","room:lobby","new_msg",{"body":"hello"}]')
    assert plain(send) == (TOPIC, "new_msg", [{"body": "hello"}])
    ada.publish(Publication(TOPIC, encode(["new_msg", {"body": "hello"}])))
    ada.tell(Reply(send))
    assert ada.heard() == [
        '[null,null,"room:lobby","new_msg",{"body":"hello"}]',
        '["3","5","room:lobby","phx_reply",{"status":"ok","response":{}}]',
    ]
    assert tell(ada, '[null,"6","phoenix","heartbeat",{}]') == []
    assert ada.heard() == ['[null,"6","phoenix","phx_reply",{"status":"ok","response":{}}]']
    [leave] = tell(ada, '["3","7","room:lobby","phx_leave",{}]')
    assert isinstance(leave, Leave)
    ada.tell(Reply(leave))
    assert ada.heard() == [
        '["3","7","room:lobby","phx_reply",{"status":"ok","response":{}}]',
        '["3","3","room:lobby","phx_close",{}]',
    ]


def test_a_conversation_in_version_1():
    ada = opened("1.0.0")
    [join] = tell(ada, '{"topic":"room:lobby","event":"phx_join","payload":{},"ref":"1"}')
    ada.tell(Reply(join, encode([{"a": 1}])))
    assert ada.heard() == [
        '{"event":"phx_reply","payload":{"status":"ok","response":{"a":1}},"ref":"1","topic":"room:lobby"}'
    ]
    ada.tell(Push(TOPIC, encode(["e", {"m": 1}])))
    ada.publish(Publication(TOPIC, encode(["e", b"efg"])))
    assert ada.heard() == [
        '{"event":"e","payload":{"m":1},"ref":null,"topic":"room:lobby"}',
        '{"event":"e","payload":{"_values":["ZWZn"]},"ref":null,"topic":"room:lobby"}',
    ]
    [again] = tell(ada, '{"topic":"room:lobby","event":"phx_join","payload":{},"ref":"2"}')
    assert ada.heard() == ['{"event":"phx_close","payload":{},"ref":"1","topic":"room:lobby"}']
    ada.tell(Reply(again, error=Forbidden("no")))
    [told] = heard(ada)
    assert told["payload"] == {"status": "error", "response": {"reason": "no", "code": "forbidden"}}
    assert tell(ada, '{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"3"}') == []
    assert heard(ada) == [{"event": "phx_reply", "payload": OK, "ref": "3", "topic": "phoenix"}]


# -- joining ----------------------------------------------------------------------------------------------------------


def test_parameters_of_the_channel_go_over_those_of_the_socket():
    token = {"sec-websocket-protocol": "phoenix, base64url.bearer.phx.c2VjcmV0"}
    ada = opened(headers=token, name="socket", colour="red")
    joins = tell(
        ada,
        ["1", "1", "a", "phx_join", {"name": "channel", "deep": [1]}],
        ["2", "2", "b", "phx_join", None],
        ["3", "3", "c", "phx_join", [1]],
        b"\x00\x01\x01\x01\x0844dphx_joinefg",
    )
    socket = {"name": "socket", "colour": "red", "auth_token": "secret"}
    assert [plain(join)[1] for join in joins[:3]] == [{**socket, "name": "channel", "deep": [1]}, socket, [1]]
    assert joins[3].params == b"efg"


def test_a_join_that_is_refused_may_be_tried_again():
    ada = opened()
    for error, response in (
        (Forbidden("not you"), {"reason": "not you", "code": "forbidden"}),
        (Invalid("missing: name"), {"reason": "missing: name", "code": "invalid"}),
        (BrokerError("no disk"), {"reason": "no disk", "code": "unavailable"}),
    ):
        [join] = tell(ada, ["1", "1", TOPIC, "phx_join", {}])
        ada.tell(Reply(join, error=error))
        assert heard(ada) == [["1", "1", TOPIC, "phx_reply", {"status": "error", "response": response}]]


def test_a_topic_that_nobody_serves_is_unmatched():
    ada = opened()
    [join] = tell(ada, ["1", "1", "nowhere", "phx_join", {}])
    ada.tell(Reply(join, error=NotFound("there is no topic 'nowhere'")))
    assert heard(ada) == [[None, "1", "nowhere", "phx_reply", UNMATCHED]]


def test_a_topic_with_a_leading_slash_is_unmatched_but_for_the_slash_itself():
    """Publications would come under another name than the client listens to."""
    ada = opened()
    assert tell(ada, ["1", "1", "/room:lobby", "phx_join", {}]) == []
    assert heard(ada) == [[None, "1", "/room:lobby", "phx_reply", UNMATCHED]]
    [join] = tell(ada, ["2", "2", "/", "phx_join", {}])
    assert join.topic == "/"


def test_a_second_join_closes_the_first():
    ada = joined()
    [first] = tell(ada, ["1", "2", TOPIC, "slow", {}])
    [again] = tell(ada, ["5", "5", TOPIC, "phx_join", {}])
    assert heard(ada) == [["1", "1", TOPIC, "phx_close", {}]]
    ada.tell(Reply(again))
    ada.tell(Reply(first))  # it ended after all, and the client will know from its join_ref that it is late
    assert heard(ada) == [["5", "5", TOPIC, "phx_reply", OK], ["1", "2", TOPIC, "phx_reply", OK]]
    ada.tell(Push(TOPIC, encode(["e"])))
    assert heard(ada) == [["5", None, TOPIC, "e", {}]]


def test_a_late_refusal_of_an_earlier_join_does_not_touch_the_later_one():
    ada = opened()
    first, second = tell(ada, ["1", "1", TOPIC, "phx_join", {}], ["2", "2", TOPIC, "phx_join", {}])
    ada.tell(Reply(first, error=Forbidden("no")))
    ada.tell(Reply(second))
    assert len(tell(ada, ["2", "3", TOPIC, "say", {}])) == 1


def test_a_join_resumes_after_a_position():
    ada = opened()
    [join] = tell(ada, ["1", "1", TOPIC, "phx_join", {"name": "Ada", "_position": "epoch:7"}])
    assert join.after == Position("epoch", 7)
    assert plain(join)[1]["name"] == "Ada"
    joins = tell(ada, ["2", "2", "b", "phx_join", {"_position": None}], ["3", "3", "c", "phx_join", {"a": "_position"}])
    assert [join.after for join in joins] == [None, None]


@pytest.mark.parametrize(
    ("position", "recovered", "told"),
    [
        (None, None, {}),
        (Position("e", 0), None, {"_position": "e:0"}),
        (Position("e", 9), True, {"_position": "e:9", "_recovered": True}),
        (Position("e", 9), False, {"_position": "e:9", "_recovered": False}),
        (None, False, {"_recovered": False}),
    ],
)
def test_the_reply_to_a_join_says_where_the_client_stands(position, recovered, told):
    for values, response in (((), {}), (({"a": 1},), {"a": 1}), ((b"efg",), {"_values": ["ZWZn"]})):
        ada = opened()
        [join] = tell(ada, ["1", "1", TOPIC, "phx_join", {}])
        ada.tell(Reply(join, encode(values), position=position, recovered=recovered))
        if values == (b"efg",) and not told:
            assert ada.heard() == [b"\x01\x01\x01\x0a\x0211room:lobbyokefg"]
        else:
            reply = {"status": "ok", "response": {**response, **told}}
            assert heard(ada) == [["1", "1", TOPIC, "phx_reply", reply]]


@pytest.mark.parametrize("position", ["", "7", "epoch:", ":7", "epoch:x", 7, {}, [], True])
def test_a_position_that_is_none_is_refused(position):
    ada = opened()
    assert tell(ada, ["1", "1", TOPIC, "phx_join", {"_position": position}]) == []
    [[join_ref, ref, _, event, reply]] = heard(ada)
    assert (join_ref, ref, event, reply["status"]) == ("1", "1", "phx_reply", "error")
    assert reply["response"]["code"] == "invalid"
    assert reply["response"]["reason"].startswith("_position: ")


# -- sending ----------------------------------------------------------------------------------------------------------


def test_payloads_that_are_said():
    sends = tell(
        joined(),
        ["1", "2", TOPIC, "e", {}],
        ["1", "3", TOPIC, "e", {"_values": [1, "two"]}],
        ["1", "4", TOPIC, "e", "text"],
        [None, "5", TOPIC, "e", None],
        b"\x00\x01\x01\x0a\x0116room:lobbyeefg",
        b"\x00\x00\x00\x0a\x01room:lobbye",
    )
    assert [plain(send)[2] for send in sends] == [[{}], [1, "two"], ["text"], [None], [b"efg"], [b""]]
    assert [send.ref and send.ref.ref for send in sends] == ["2", "3", "4", "5", "6", None]


def test_replies_carry_what_was_returned():
    ada = joined()
    for values, response in (
        ((), {}),
        (({"a": 1},), {"a": 1}),
        ((5,), {"_values": [5]}),
        ((1, 2), {"_values": [1, 2]}),
    ):
        [send] = tell(ada, ["1", "2", TOPIC, "e", {}])
        ada.tell(Reply(send, encode(values)))
        assert heard(ada) == [["1", "2", TOPIC, "phx_reply", {"status": "ok", "response": response}]]
    ada.tell(Reply(send, encode([b"efg"])))
    assert heard(ada) == [b"\x01\x01\x01\x0a\x0212room:lobbyokefg"]


def test_refusals_say_why():
    ada = joined()
    for error in (
        Forbidden("no"),
        Invalid("text: expected str, got int"),
        TooMany("slowly"),
        NotFound("no such event"),
    ):
        [send] = tell(ada, ["1", "2", TOPIC, "e", {}])
        ada.tell(Reply(send, error=error))
        response = {"reason": error.reason, "code": error.code}
        assert heard(ada) == [["1", "2", TOPIC, "phx_reply", {"status": "error", "response": response}]]
    [send] = tell(ada, ["1", None, TOPIC, "e", {}])
    assert send.ref is None
    ada.tell(Reply(send, error=Forbidden("no")))
    [[join_ref, ref, _, event, reply]] = heard(ada)
    assert (join_ref, ref, event, reply["status"]) == ("1", None, "phx_reply", "error")


def test_what_is_said_where_the_client_is_not_is_unmatched():
    ada = joined()
    assert tell(ada, [None, "2", "room:other", "e", {}], ["9", "3", "room:other", "e", {}]) == []
    replies = [[None, ref, "room:other", "phx_reply", UNMATCHED] for ref in ("2", "3")]
    assert heard(ada) == replies


def test_what_belongs_to_an_earlier_join_is_dropped():
    ada = joined()
    tell(ada, ["5", "5", TOPIC, "phx_join", {}])
    ada.heard()
    stale = ["1", "6", TOPIC, "e", {}], ["1", "7", TOPIC, "phx_leave", {}], ["1", "8", TOPIC, "_answer", {"ref": 1}]
    assert tell(ada, *stale, b"\x00\x01\x01\x0a\x0119room:lobbyeefg") == []
    assert heard(ada) == []
    for join_ref in ("5", None, 5):
        assert len(tell(ada, [join_ref, "9", TOPIC, "e", {}])) == 1


def test_events_of_the_protocol_itself_reach_nobody_but_the_channel_s_refusal():
    """`phx_close` and the like are ordinary names to a channel, and it has no such event."""
    for event in ("phx_close", "phx_error", "phx_reply", "presence_state", "presence_diff", ""):
        [send] = tell(joined(), ["1", "2", TOPIC, event, {}])
        assert isinstance(send, Send)
        assert send.event == event


# -- leaving ----------------------------------------------------------------------------------------------------------


def test_leaving_twice_and_leaving_what_was_not_joined():
    ada = joined()
    first, second = tell(ada, ["1", "2", TOPIC, "phx_leave", {}], ["1", "3", TOPIC, "phx_leave", {}])
    ada.tell(Reply(first))
    ada.tell(Reply(second))
    assert heard(ada) == [
        ["1", "2", TOPIC, "phx_reply", OK],
        ["1", "1", TOPIC, "phx_close", {}],
        ["1", "3", TOPIC, "phx_reply", OK],
    ]


def test_a_leave_may_come_without_a_join_ref():
    ada = joined()
    [leave] = tell(ada, [None, "2", TOPIC, "phx_leave", {}])
    ada.tell(Reply(leave))
    assert heard(ada) == [["1", "2", TOPIC, "phx_reply", OK], ["1", "1", TOPIC, "phx_close", {}]]


def test_a_leave_that_came_too_often_has_not_left():
    ada = joined()
    [leave] = tell(ada, ["1", "2", TOPIC, "phx_leave", {}])
    ada.tell(Reply(leave, error=TooMany("slowly")))
    [[*_, reply]] = heard(ada)
    assert reply["response"] == {"reason": "slowly", "code": "too_many"}
    assert len(tell(ada, ["1", "3", TOPIC, "e", {}])) == 1


@pytest.mark.parametrize(("error", "event"), [(Kicked("out"), "phx_close"), (Disconnect("pause"), "phx_error")])
def test_who_is_taken_out_is_told_whether_to_come_back(error, event):
    ada = joined()
    ada.tell(Left(TOPIC, error))
    assert heard(ada) == [["1", "1", TOPIC, event, {"reason": error.reason, "code": error.code}]]
    assert tell(ada, ["1", "2", TOPIC, "e", {}]) == []
    assert heard(ada) == [[None, "2", TOPIC, "phx_reply", UNMATCHED]]


# -- the server's calls -----------------------------------------------------------------------------------------------


def test_a_call_is_a_push_with_a_ref_and_its_answer_a_push_of_the_client():
    ada = joined()
    ada.tell(Push(TOPIC, encode(["question", {"text": "why?"}]), 12))
    assert heard(ada) == [["1", 12, TOPIC, "question", {"text": "why?"}]]
    answers = tell(
        ada,
        ["1", "2", TOPIC, "_answer", {"ref": 12, "value": "because"}],
        ["1", None, TOPIC, "_answer", {"ref": 12, "value": {"_values": [1, 2]}}],
        ["1", "3", TOPIC, "_answer", {"ref": 12}],
    )
    assert all(isinstance(answer, Answer) and answer.ref == 12 for answer in answers)
    assert [[json.loads(bytes(value)) for value in answer.arguments] for answer in answers] == [["because"], [1, 2], []]
    assert heard(ada) == [["1", "2", TOPIC, "phx_reply", OK], ["1", "3", TOPIC, "phx_reply", OK]]


@pytest.mark.parametrize("payload", [{}, {"ref": "12"}, [], None, 5])
def test_an_answer_that_is_none_is_refused(payload):
    ada = joined()
    assert tell(ada, ["1", "2", TOPIC, "_answer", payload]) == []
    [[*_, reply]] = heard(ada)
    assert (reply["status"], reply["response"]["code"]) == ("error", "invalid")


# -- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Shutdown(), 1012),
        (Expired(), 4401),
        (Disconnect(), 1001),  # with 1000, phoenix.js stays away
        (ProtocolError("no", 1007), 1007),
        (BrokerError(), 1011),
    ],
)
def test_who_may_come_back_hears_it_from_the_close_code(error, code):
    ada = joined()
    ada.end(error)
    assert (ada.heard(), ada.code) == ([], code)


@pytest.mark.parametrize("error", [Kicked("out"), Banned("for good")])
def test_who_may_not_come_back_has_its_channels_closed(error):
    ada = joined()
    tell(ada, ["2", "2", "room:other", "phx_join", {}])
    ada.end(error)
    told = {"reason": error.reason, "code": error.code}
    assert heard(ada) == [["1", "1", TOPIC, "phx_close", told], ["2", "2", "room:other", "phx_close", told]]
    assert ada.code == 1000


def test_a_client_that_asks_and_does_not_read_is_cut_off():
    limits = Limits(backlog=10)
    ada = opened(limits=limits)
    ada.detach("socket")
    for number in range(10):
        tell(ada, [None, str(number), "phoenix", "heartbeat", {}])
    with pytest.raises(ProtocolError) as refused:
        tell(ada, [None, "10", "phoenix", "heartbeat", {}])
    assert refused.value.close_code == 1008


# -- refusals before there is a conversation, and anything at all ----------------------------------------------------


def test_a_version_or_token_that_cannot_be_served_is_refused_at_the_upgrade():
    for request in (
        Request("GET", "/socket/websocket", {"vsn": "4.0.0"}),
        Request("GET", "/socket/websocket", {}, {"sec-websocket-protocol": "base64url.bearer.phx.=secret="}),
    ):
        with pytest.raises(Forbidden) as refused:
            Phoenix.session(request)
        response = Phoenix.refuse(refused.value, request)
        assert response.status == 403
        assert b"secret" not in response.body


SAMPLES = [
    ('["1","1","room:lobby","phx_join",{"name":"Ada","_position":"e:1"}]', "socket"),
    ('["1","2","room:lobby","say",{"_values":["hi"]}]', "socket"),
    (b"\x00\x01\x01\x0a\x0313room:lobbysay\x00\xff", "socket"),
    ('[null,"4","phoenix","heartbeat",{}]', "socket"),
    ('["1","5","room:lobby","_answer",{"ref":1,"value":[2]}]', "socket"),
    ('["6","6","room:lobby","phx_join",{}]', "socket"),
    ('["1","7","room:lobby","say",{}]', "socket"),
    ('[null,"8","room:other","say",{}]', "socket"),
    ('["6","9","room:lobby","phx_leave",{}]', "socket"),
]
SAMPLES_OF_VERSION_1 = [
    ('{"topic":"room:lobby","event":"phx_join","payload":{"name":"Ada"},"ref":"1"}', "socket"),
    ('{"topic":"room:lobby","event":"say","payload":{"text":"hi"},"ref":"2"}', "socket"),
    ('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"3"}', "socket"),
]


def test_the_contract():
    check_protocol(lambda: opened(name="socket"), SAMPLES)
    check_protocol(lambda: opened("1.0.0"), SAMPLES_OF_VERSION_1)


def test_joins_are_commands():
    assert isinstance(tell(opened(), SAMPLES[0][0])[0], Join)
