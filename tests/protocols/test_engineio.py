"""Engine.IO 4: every assertion of the official suite that needs no network, and what attackers try."""

import base64
from itertools import chain

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.errors import Conflict, Forbidden, HubbubError, Kicked, NotFound, ProtocolError, Shutdown, TooBig
from hubbub.limits import Limits
from hubbub.messages import Join, Publication, Push, Reply, Send, encode
from hubbub.protocols.base import Request
from hubbub.protocols.engineio import EngineIO, routes_at
from hubbub.testing.conversations import Conversation, check_protocol

SUITE = Limits(heartbeat=0.3, patience=0.2, message=1_000_000, handshake=1.0)
PATH, TOPIC = "/engine.io/", "engine.io/"


def request(method="GET", headers=(), repeated=(), **query):
    query = {"EIO": "4", "transport": "polling"} | query
    given = {name: value for name, value in query.items() if value is not None}
    return Request(method, PATH, given, dict(headers), repeated=frozenset(repeated))


def websocket(**query):
    return request(headers={"upgrade": "websocket"}, **({"transport": "websocket"} | query))


def polling(limits=SUITE):
    """A session whose handshake is done, over polling."""
    conversation = Conversation(EngineIO, request(), limits)
    assert conversation.poll() is not None
    conversation.commands.clear()
    return conversation


def socket(limits=SUITE):
    conversation = Conversation(EngineIO, websocket(), limits)
    conversation.attach("socket")
    assert conversation.heard()
    conversation.commands.clear()
    return conversation


def upgraded():
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.say("5")
    assert conversation.heard() == ["3probe"]
    return conversation


def body(response):
    return None if response is None else response.body.decode()


def echo(conversation, commands):
    for command in commands:
        conversation.publish(Publication(command.topic, encode([command.event, *command.arguments])))


# -- handshake ------------------------------------------------------------------------------------------------------


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


# -- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="])
def test_a_payload_is_echoed_over_polling(payload):
    conversation = polling()
    echo(conversation, conversation.say(payload, "post"))
    assert conversation.protocol.answer("post", b"").body == b"ok"
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


# -- what a poll has room for ---------------------------------------------------------------------------------------


def fill(conversation, count, text="x"):
    for number in range(count):
        conversation.publish(Publication(TOPIC, encode(["message", f"{number}{text}"])))


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


# -- polls and posts ------------------------------------------------------------------------------------------------


def test_a_second_poll_closes_the_session():
    conversation = polling()
    conversation.attach("poll")
    with pytest.raises(ProtocolError) as error:
        conversation.protocol.attach("poll", conversation.now)
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


# -- heartbeat ------------------------------------------------------------------------------------------------------


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


# -- close ----------------------------------------------------------------------------------------------------------


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
    conversation.protocol.attach("poll", conversation.now)
    assert conversation.protocol.close(Kicked(), "poll")[0] == ["416x\x1e417x\x1e1"]
    assert conversation.protocol.pack((), "poll") == []


def test_a_refused_join_ends_the_session():
    conversation = socket(Limits())
    conversation.tell(Reply(Join(TOPIC), error=Forbidden()))
    conversation.sleep(0)
    assert conversation.over == "timeout"


# -- upgrade --------------------------------------------------------------------------------------------------------


def test_a_polling_session_moves_to_a_websocket():
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    assert conversation.heard() == ["3probe"]
    assert body(conversation.poll()) == "6"
    conversation.say("5")
    assert conversation.protocol.plain
    echo(conversation, conversation.say("4hello"))
    assert conversation.heard() == ["4hello"]


def test_an_open_poll_ends_when_the_probe_arrives():
    conversation = polling()
    conversation.attach("poll")
    conversation.attach("socket")
    assert conversation.heard("poll") == []
    conversation.say("2probe")
    assert conversation.heard("poll") == ["6"]


def test_every_poll_ends_at_once_while_the_client_has_not_read_our_answer_to_its_probe():
    conversation = polling(Limits())
    conversation.attach("poll")
    conversation.attach("socket")
    conversation.say("2probe")
    assert conversation.heard("poll") == ["6"]
    assert [body(conversation.poll()) for _ in range(3)] == ["6", "6", "6"]
    conversation.now += 10.0
    assert conversation.poll() is None


def test_messages_end_a_poll_just_as_well_as_a_noop():
    conversation = polling()
    conversation.attach("socket")
    fill(conversation, 1)
    conversation.say("2probe")
    assert body(conversation.poll()) == "40x"


def test_after_the_upgrade_requests_are_refused_and_the_session_lives_on():
    conversation = upgraded()
    for line in ("poll", "post", "socket"):
        with pytest.raises(Conflict) as error:
            conversation.protocol.attach(line, conversation.now)
        assert EngineIO.refuse(error.value, request()).status == 400
    echo(conversation, conversation.say("4hello"))
    assert conversation.heard() == ["4hello"]


def test_a_poll_that_is_open_at_the_upgrade_ends_with_a_noop():
    conversation = polling(Limits())
    conversation.attach("socket")
    conversation.say("2probe")
    assert body(conversation.poll()) == "6"
    conversation.now += 10.0
    conversation.attach("poll")
    assert conversation.heard("poll") == []
    conversation.say("5")
    assert conversation.heard("poll") == ["6"]


def test_a_post_that_is_under_way_at_the_upgrade_still_counts():
    conversation = polling()
    conversation.attach("post")
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.say("5")
    assert conversation.say("4late", "post") == [Send(TOPIC, "message", ("late",))]
    with pytest.raises(ProtocolError):
        conversation.say("4later", "post")


def test_a_second_websocket_is_refused_during_the_upgrade_too():
    conversation = polling()
    conversation.attach("socket")
    with pytest.raises(Conflict):
        conversation.attach("socket")
    assert conversation.over is None


def test_a_probing_websocket_that_goes_away_changes_nothing():
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.detach("socket")
    assert conversation.over is None
    assert body(conversation.poll()) == "6"
    assert conversation.poll() is None
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.say("5")
    assert conversation.protocol.line == "socket"


@pytest.mark.parametrize(
    "first", ["5", "3probe", "2", "2prob", "2probe ", "4hello", "1", "", b"2probe", b"\x05", '0{"sid":"1"}']
)
def test_a_websocket_that_begins_with_anything_but_a_probe_ends_the_session(first):
    conversation = polling()
    conversation.attach("socket")
    with pytest.raises(ProtocolError):
        conversation.say(first)


@pytest.mark.parametrize("second", ["4hello", "3", b"", "5x"])
def test_nothing_but_the_upgrade_follows_the_probe(second):
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    with pytest.raises(ProtocolError):
        conversation.say(second)


def test_a_ping_that_is_owed_at_the_upgrade_goes_out_on_the_websocket():
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.sleep(0.3)
    conversation.say("5")
    assert conversation.heard() == ["3probe", "2"]


def test_kicking_during_a_probe_says_goodbye_on_the_poll_only():
    conversation = polling()
    conversation.attach("poll")
    conversation.attach("socket")
    conversation.end(Kicked())
    assert conversation.heard("poll") == ["1"]
    assert conversation.heard() == []


# -- anything at all ------------------------------------------------------------------------------------------------


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
    protocol = Conversation(EngineIO, websocket() if over_websocket else request(), SUITE).protocol
    now = 1_000.0
    for step, line, data in steps:
        try:
            match step:
                case "attach":
                    protocol.attach(line, now)
                case "detach":
                    protocol.detach(line, now)
                case "say":
                    protocol.receive(data, line, now)
                case "wait":
                    now += 0.15
                    protocol.tick(now)
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
