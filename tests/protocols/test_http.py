"""Topics in HTTP: what URLs and headers ask for, and how refusals and events look."""

import json

import pytest

from hubbub.bodies import encode
from hubbub.errors import BrokerError, Disconnect, Forbidden, Invalid, NotFound, Refused, TooMany, Unauthorized
from hubbub.history import Position
from hubbub.limits import Limits
from hubbub.messages import Join, Leave, Publication, Reply, Send
from hubbub.protocols import http
from hubbub.protocols.base import Request
from hubbub.servers.asgi import read_query

LIMITS = Limits()


def asks(query="", topic=None, **headers):
    """A GET of this URL."""
    values, repeated = read_query(query)
    variables = {} if topic is None else {"topic": topic}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", "/topics", values, named, variables, repeated=repeated)


def read(query="", topic=None, **headers):
    return http.read_asked(asks(query, topic, **headers), LIMITS)


@pytest.mark.parametrize(
    ("accept", "stream"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream", True),
        ("text/event-stream;q=0.1", True),
        ("text/event-stream, */*", True),
        ("application/json, text/event-stream", True),
        ("application/json;q=0.5, text/event-stream", True),
        ("application/json, text/event-stream;q=0.5", False),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=x", False),
        ("text/event-stream;q=2", False),
        ("text/event-streams", False),
        ("text/*", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_stream_is_for_who_asks_for_one(accept, stream):
    assert http.wants_stream(asks(accept=accept)) is stream


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", True),
        ("*/*", True),
        ("application/*", True),
        ("text/html, */*;q=0.1", True),
        ("text/html", False),
        ("*/*, application/json;q=0", False),
        ("application/json;q=0.000", False),
    ],
)
def test_who_takes_json(accept, json):
    assert http.takes_json(asks(accept=accept)) is json


def test_only_a_get_is_a_stream():
    assert not http.wants_stream(Request("POST", "/", headers={"accept": "text/event-stream"}))


# -- what a URL asks for -----------------------------------------------------------------------------------------------


def test_the_topic_of_the_path_with_the_query_as_parameters():
    asked = read("name=Ada&age=36&wait=3&limit=7", "room:a")
    assert asked.joins == (Join("room:a", {"name": "Ada", "age": "36"}, 0),)
    assert (asked.several, asked.wait, asked.limit) == (False, 3.0, 7)


def test_a_leading_slash_makes_no_other_topic():
    assert [join.topic for join in read("topic=/a&topic=a&topic=/", "/a").joins] == ["a", "/"]


def test_several_topics_in_the_order_of_the_url():
    asked = read("topic=b&name=Ada&topic=c", "a")
    assert [(join.topic, join.params, join.ref) for join in asked.joins] == [
        (topic, {"name": "Ada"}, number) for number, topic in enumerate("abc")
    ]
    assert asked.several
    assert read("topic=a").several


def test_a_join_as_a_message_has_typed_parameters_and_a_position():
    asked = read('name=no&join={"join":"/a","params":{"age":36},"after":"e:1"}&join={"join":"b"}')
    first, second = asked.joins
    assert (first.topic, bytes(first.params), first.after) == ("a", b'{"age":36}', Position("e", 1))
    assert second == Join("b", None, 1)


def test_where_to_begin_is_said_by_header_or_by_query():
    assert read("after=e:1", "a").joins[0].after == Position("e", 1)
    assert read("after=e:1", "a", last_event_id="e:2").joins[0].after == Position("e", 2)
    assert read("after=", "a").joins[0].after is None
    assert [join.after for join in read("topic=a&topic=b&topic=c&after=e:1,,f:3").joins] == [
        Position("e", 1), None, Position("f", 3),
    ]  # fmt: skip
    assert read('join={"join":"a","after":"e:1"}', last_event_id="e:2").joins[0].after == Position("e", 2)


@pytest.mark.parametrize(
    ("query", "topic", "reason"),
    [
        ("", None, "topic: missing"),
        ("topic=", None, "topic: missing"),
        ("after=5", "a", "after: a position is written epoch:offset"),
        ("after=e:-1", "a", "after: a position is written epoch:offset"),
        ("after=e:1&topic=b", "a", "after: expected 2 positions, separated by commas, got 1"),
        ("after=" + "x" * 60_000, "a", "after: a position is written epoch:offset"),
        ("wait=soon", "a", "wait: expected a number from 0"),
        ("wait=-1", "a", "wait: expected a number from 0"),
        ("wait=nan", "a", "wait: expected a number from 0"),
        ("wait=inf", "a", "wait: expected a number from 0"),
        ("limit=0", "a", "limit: expected a number from 1"),
        ("limit=1e999", "a", "limit: expected a number from 1"),
        ("join=a", None, "join: expected "),
        ("join={}", None, "join: expected "),
        ('join={"join":""}', None, "topic: missing"),
        ('join={"join":"a","after":"b"}', None, "after: a position is written epoch:offset"),
        ("join=" + "[" * 60_000, None, "join: expected "),
    ],
)
def test_a_url_that_does_not_fit_is_invalid_and_says_where(query, topic, reason):
    with pytest.raises(Invalid) as caught:
        read(query, topic)
    assert caught.value.reason.startswith(reason)


def test_nobody_waits_longer_or_gets_more_than_the_limits_allow():
    asked = read("wait=1e9&limit=1e9", "a")
    assert (asked.wait, asked.limit) == (LIMITS.poll, LIMITS.history)


# -- what is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (Invalid("age: expected int, got str"), 422, {}),
        (Refused("the table is full", code="table_full"), 400, {}),
        (Forbidden(), 403, {}),
        (Unauthorized(), 401, {}),
        (TooMany(), 429, {"retry-after": "1"}),
        (BrokerError(), 503, {"retry-after": "2"}),
        (http.UnsupportedMediaType(), 415, {"accept": http.TAKEN}),
    ],
)
def test_a_refusal_is_problem_details_with_its_status(error, status, headers):
    response = http.problem(error)
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert dict(response.headers) == headers
    told = json.loads(response.body)
    assert told == {
        "title": error.code.replace("_", " "), "status": status, "detail": error.reason, "code": error.code,
    }  # fmt: skip


def test_a_method_that_does_nothing_is_told_what_does():
    response = http.refuse(Refused(), Request("PUT", "/topics/a"), ("GET", "POST"))
    assert (response.status, dict(response.headers)["allow"]) == (405, "GET, POST, OPTIONS")


def test_an_unknown_stream_is_told_from_an_unknown_topic():
    request = Request("POST", "/topics/a/b", headers={"hubbub-connection": "x"})
    response = http.refuse(NotFound("there is no such session"), request, ("GET", "POST"))
    assert (response.status, json.loads(response.body)["code"]) == (404, "no_connection")
    gone = http.refuse(Disconnect("the client is gone"), request, ("GET", "POST"))
    assert gone == response, "it went while it was asked for"


@pytest.mark.parametrize(
    ("to", "values", "response"),
    [
        (Send("a", "b"), (), (204, b"", "")),
        (Send("a", "b"), (None,), (200, b"null", http.JSON)),
        (Send("a", "b"), ({"x": 1},), (200, b'{"x":1}', http.JSON)),
        (Send("a", "b"), (1, "two"), (200, b'[1,"two"]', http.JSON)),
        (Send("a", "b"), (b"\x00\xff",), (200, b"\x00\xff", http.BYTES)),
        (Send("a", "b"), ({"x": b"\x00\xff"},), (200, b'{"x":"AP8="}', http.JSON)),
        (Leave("a"), (), (204, b"", "")),
        (Join("a"), (), (200, b"{}", http.JSON)),
        (Join("a"), ({"hi": 1},), (200, b'{"reply":{"hi":1}}', http.JSON)),
    ],
)
def test_a_reply_is_the_response(to, values, response):
    told = http.respond(Reply(to, encode(values)))
    assert (told.status, told.body, told.content_type) == response


def test_the_reply_to_a_join_says_where_one_stands():
    join = Join("a", after=Position("e", 1))
    told = http.respond(Reply(join, position=Position("e", 1), recovered=True))
    assert json.loads(told.body) == {"position": "e:1", "recovered": True}
    assert json.loads(http.respond(Reply(join, error=Forbidden("no"))).body)["detail"] == "no"


def test_an_event_is_a_message_of_the_native_protocol():
    position = Position("e", 1)
    assert http.encode_message(Publication("a", encode(["said", {"n": 1}]), position)) == (
        '{"topic":"a","event":"said","payload":{"n":1},"position":"e:1"}',
    )
    assert http.encode_message(Publication("a", encode(["said"]))) == ('{"topic":"a","event":"said"}',)
    assert json.loads(http.encode_message(Publication("a", encode(["said", 1, b"\xff"])))[0])["payload"] == [1, "/w=="]


def test_what_cannot_be_said_is_told_and_keeps_its_place():
    (text,) = http.encode_message(Publication("a", b'["said",', Position("e", 1)))
    assert json.loads(text) == {"topic": "a", "error": dict(http.UNREADABLE), "position": "e:1"}
