"""Engine.IO 4: what the official suite asserts of sessions, as far as it needs no network, and what attackers try."""

import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.bodies import encode
from hubbub.errors import (
    Conflict,
    Forbidden,
    HubbubError,
    Kicked,
    NotFound,
    ProtocolError,
    Shutdown,
    TooBig,
)
from hubbub.limits import Limits
from hubbub.messages import Join, Publication, Reply
from hubbub.protocols.base import Request
from hubbub.protocols.engineio import EngineIO, routes_at
from hubbub.testing.conversations import Conversation, check_protocol
from tests.protocols.engineio_clients import (
    PATH,
    SUITE,
    TOPIC,
    body,
    echo,
    fill,
    polling,
    request,
    socket,
    websocket,
)

# -- handshake --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opening", "line", "upgrades"), [(request(), "poll", ["websocket"]), (websocket(), "socket", [])]
)
def test_a_session_opens_with_a_handshake(opening, line, upgrades):
    assert EngineIO.session(opening) is None
    conversation = Conversation(EngineIO, opening, SUITE)
    conversation.attach(line)
    [packet] = conversation.heard(line)
    assert packet[0] == "0"
    assert msgspec.json.decode(packet[1:]) == {
        "sid": "key",
        "upgrades": upgrades,
        "pingInterval": 300,
        "pingTimeout": 200,
        "maxPayload": 1_000_000,
    }
    assert conversation.commands == [Join(TOPIC)]


def test_polls_are_answered_as_plain_text_that_nobody_caches():
    response = Conversation(EngineIO, request(), SUITE).poll()
    assert (response.status, response.content_type) == (200, "text/plain; charset=UTF-8")
    assert ("cache-control", "no-store") in response.headers


def test_the_session_id_of_a_request_names_its_session():
    assert EngineIO.session(request(sid="abc")) == "abc"
    assert EngineIO.session(request("POST", sid="abc")) == "abc"
    assert EngineIO.session(websocket(sid="abc")) == "abc"
    assert EngineIO.session(request(sid="__proto__")) == "__proto__"


def test_a_websocket_is_known_by_its_scheme_too():
    query = {"EIO": "4", "transport": "websocket"}
    assert EngineIO.session(Request("GET", PATH, query, scheme="wss")) is None


BAD_REQUESTS = {
    "no transport": (request(transport=None), 0),
    "unknown transport": (request(transport="abc"), 0),
    "empty transport": (request(transport=""), 0),
    "transport of JavaScript": (request(transport="__proto__"), 0),
    "transport constructor": (request(transport="constructor"), 0),
    "transport twice": (request(repeated=["transport"]), 0),
    "webtransport": (request(transport="webtransport"), 0),
    "no version": (request(EIO=None), 5),
    "version that is none": (request(EIO="abc"), 5),
    "version 3": (request(EIO="3"), 5),
    "version 99": (request(EIO="99"), 5),
    "version twice": (request(repeated=["EIO"]), 5),
    "version in other digits": (request(EIO="\u0664"), 5),
    "websocket over HTTP": (request(transport="websocket"), 3),
    "polling over a WebSocket": (websocket(transport="polling"), 3),
    "session twice": (request(sid="a", repeated=["sid"]), 3),
    "POST without a session": (request("POST"), 2),
    "PUT without a session": (request("PUT"), 2),
    "binary body": (request("POST", {"content-type": "application/octet-stream"}, sid="a"), 3),
    "WebSocket without a version": (websocket(EIO=None), 5),
    "WebSocket without a transport": (websocket(transport=None), 0),
}


@pytest.mark.parametrize(("bad", "code"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_bad_request_gets_400_and_a_number(bad, code):
    with pytest.raises(ProtocolError) as error:
        EngineIO.session(bad)
    response = EngineIO.refuse(error.value, bad)
    assert (response.status, response.content_type) == (400, "application/json")
    assert msgspec.json.decode(response.body)["code"] == code


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (NotFound("there is no such session"), 400, {"code": 1, "message": "Session ID unknown"}),
        (ProtocolError("Bad handshake method"), 400, {"code": 2, "message": "Bad handshake method"}),
        (ProtocolError("Transport unknown"), 400, {"code": 0, "message": "Transport unknown"}),
        (Forbidden("not from there"), 403, {"code": 4, "message": "not from there"}),
        (TooBig("too big"), 413, {"code": 3, "message": "too big"}),
        (Conflict("one too many"), 400, {"code": 3, "message": "one too many"}),
        (Shutdown(), 503, {"code": 3, "message": "The server is restarting."}),
    ],
)
def test_refusals_have_the_reference_servers_numbers(error, status, told):
    response = EngineIO.refuse(error, request())
    assert (response.status, msgspec.json.decode(response.body)) == (status, told)


def test_routes_cover_the_three_kinds_of_request():
    assert {(route.method, route.line) for route in routes_at("/x/")} == {
        ("GET", "poll"),
        ("GET", "socket"),
        ("POST", "post"),
    }


# -- polls and posts --------------------------------------------------------------------------------------------------


def test_a_second_poll_closes_the_session():
    conversation = polling()
    conversation.attach("poll")
    with pytest.raises(ProtocolError) as error:
        conversation.protocol.attach("poll", conversation.now, conversation.request)
    assert EngineIO.refuse(error.value, request()).status == 400
    conversation.end(error.value)
    assert conversation.heard("poll") == ["1"]


def test_a_second_post_closes_the_session():
    conversation = polling()
    conversation.attach("post")
    with pytest.raises(ProtocolError):
        conversation.attach("post")
    assert conversation.over


def test_posts_one_after_the_other_are_welcome():
    conversation = polling()
    for _ in range(3):
        conversation.attach("post")
        assert conversation.say("4x", "post")


def test_a_cancelled_poll_closes_the_session():
    conversation = polling()
    conversation.attach("poll")
    conversation.detach("poll")
    assert conversation.over == "aborted"


def test_a_cancelled_post_closes_the_session():
    conversation = polling()
    conversation.attach("post")
    conversation.detach("post")
    assert conversation.over == "aborted"


def test_a_request_that_goes_away_after_its_answer_changes_nothing():
    conversation = polling()
    conversation.attach("poll")
    conversation.attach("post")
    echo(conversation, conversation.say("4x", "post"))
    conversation.detach("post")
    conversation.detach("poll")
    assert conversation.over is None


# -- heartbeat --------------------------------------------------------------------------------------------------------


def test_pings_and_pongs_over_polling():
    conversation = polling()
    for _ in range(3):
        conversation.attach("poll")
        conversation.sleep(0.3)
        assert conversation.heard("poll") == ["2"]
        assert conversation.say("3", "post") == []


def test_pings_and_pongs_over_a_websocket():
    conversation = socket()
    for _ in range(3):
        conversation.sleep(0.3)
        assert conversation.heard() == ["2"]
        conversation.say("3")
    assert conversation.over is None


@pytest.mark.parametrize("start", [polling, socket])
def test_a_session_without_pongs_times_out(start):
    conversation = start()
    conversation.sleep(0.49)
    assert conversation.over is None
    conversation.sleep(0.02)
    assert conversation.over == "timeout"


def test_a_poll_after_the_time_is_up_is_refused_even_before_the_tick():
    conversation = polling()
    conversation.sleep(0.4)
    conversation.now += 0.1
    with pytest.raises(ProtocolError):
        conversation.attach("poll")


def test_a_tick_before_its_time_does_nothing():
    conversation = socket()
    protocol = conversation.protocol
    assert protocol.tick(protocol.deadline - 0.01) == ()
    assert protocol.plain


def test_a_pong_nobody_asked_for_delays_the_next_ping():
    conversation = socket()
    conversation.sleep(0.2)
    conversation.say("3")
    conversation.sleep(0.2)
    assert conversation.heard() == []
    conversation.sleep(0.1)
    assert conversation.heard() == ["2"]


def test_a_server_that_slept_gives_its_clients_time_to_answer():
    conversation = socket(Limits())
    protocol = conversation.protocol
    assert protocol.tick(conversation.now + 3_600) == ()
    assert protocol.deadline >= conversation.now + 3_600 + 10


# -- close ------------------------------------------------------------------------------------------------------------


def test_a_posted_close_ends_the_open_poll_with_a_noop():
    conversation = polling()
    conversation.attach("poll")
    assert conversation.say("1", "post") == []
    assert conversation.heard("poll") == ["6"]
    assert conversation.over == "closed"


def test_a_close_over_a_websocket_ends_the_session():
    conversation = socket()
    conversation.say("1")
    assert conversation.over == "closed"


def test_a_websocket_that_goes_away_ends_the_session():
    conversation = socket()
    conversation.detach("socket")
    assert conversation.over == "closed"


@pytest.mark.parametrize("error", [Kicked(), Shutdown(), HubbubError()])
def test_the_server_says_goodbye_to_a_poll_after_all_else(error):
    conversation = polling()
    conversation.attach("poll")
    conversation.end(error)
    assert conversation.heard("poll") == ["1"]


def test_what_is_held_goes_out_before_the_goodbye():
    conversation = polling()
    fill(conversation, 18)
    conversation.poll()
    conversation.protocol.attach("poll", conversation.now, conversation.request)
    assert conversation.protocol.close(Kicked(), "poll")[0] == ["416x\x1e417x\x1e1"]
    assert conversation.protocol.pack((), "poll") == []


def test_a_refused_join_ends_the_session():
    conversation = socket(Limits())
    conversation.tell(Reply(Join(TOPIC), error=Forbidden()))
    conversation.sleep(0)
    assert conversation.over == "timeout"


# -- anything at all --------------------------------------------------------------------------------------------------


def test_the_contract():
    check_protocol(socket, [("4hello", "socket"), (b"\x01\x02", "socket"), ("3", "socket"), ("6", "socket")])
    check_protocol(polling, [("4a\x1e4b", "post"), ("bAQIDBA==\x1e3", "post"), ("6", "post")])


packets = st.one_of(
    st.text(max_size=20), st.binary(max_size=20), st.sampled_from(["2probe", "5", "3", "1", "6", "4x", "bAQ=="])
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["attach", "detach", "say", "wait", "pack"]),
        st.sampled_from(["socket", "poll", "post"]),
        packets,
    )
)


@given(st.booleans(), steps)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_in_whatever_order_only_the_contracts_errors_leave(over_websocket, steps):
    asked = websocket() if over_websocket else request()
    protocol = Conversation(EngineIO, asked, SUITE).protocol
    now = 1_000.0
    for step, line, data in steps:
        try:
            match step:
                case "attach":
                    protocol.attach(line, now, asked)
                case "detach":
                    protocol.detach(line, now)
                case "say":
                    protocol.receive(data, line, now)
                case "wait":
                    now += 0.15
                    assert protocol.tick(now) or protocol.deadline > now
                case "pack":
                    protocol.pack([data] if line == protocol.line else (), line)
            if protocol.plain:
                assert (protocol.line, protocol.pack([data], "socket")) == ("socket", [data])
        except Conflict:
            assert step == "attach"
        except ProtocolError:
            assert step in ("attach", "say")


texts = st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(texts | st.binary(max_size=30), st.sampled_from(["poll", "wait", "upgrade"])), max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_message_is_lost_doubled_or_out_of_order_on_the_way_from_polls_to_a_websocket(script):
    conversation = polling(Limits())
    received = []
    stage = iter(["socket", "2probe", "5"])
    for message, action in script:
        conversation.publish(Publication(TOPIC, encode(["message", message])))
        upgraded = conversation.protocol.line == "socket"
        if action == "poll" and not upgraded:
            received += body(conversation.poll()).split("\x1e")
        elif action == "upgrade" and not upgraded:
            step = next(stage)
            conversation.attach("socket") if step == "socket" else conversation.say(step)
    if conversation.protocol.line == "socket":
        received += conversation.heard()
    else:
        while (answer := body(conversation.poll())) not in (None, "6"):
            received += answer.split("\x1e")
    messages = [message for message, _ in script]
    assert [decoded(packet) for packet in received if packet not in ("6", "3probe")] == messages


def decoded(packet):
    if isinstance(packet, bytes):
        return packet
    return base64.b64decode(packet[1:]) if packet[0] == "b" else packet[1:]
