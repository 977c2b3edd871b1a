"""What a POST asks for: every kind of body, and what is wrong with it."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import Invalid, ProtocolError, Refused
from hubbub.history import Position
from hubbub.messages import Form, Join, Leave, Raw, Send
from hubbub.protocols.base import Request
from hubbub.protocols.http import UnsupportedMediaType
from hubbub.protocols.http_posts import read_post
from hubbub.servers.asgi import read_query


def posted(data=b"", topic="room:a/say", query="", known=True, **headers):
    """What this request asks for."""
    values, repeated = read_query(query)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    variables = {} if topic is None else {"topic": topic}
    return read_post(Request("POST", "/topics", values, named, variables, repeated=repeated), data, known)


def argument(data, kind):
    (send,) = posted(data, content_type=kind)
    assert (send.topic, send.event) == ("room:a", "say")
    return send.arguments


@pytest.mark.parametrize(
    ("kind", "data", "arguments"),
    [
        ("application/json", b'{"text": "hi"}', (Raw(b'{"text": "hi"}'),)),
        ("application/json; charset=utf-8", b"[1,2]", (Raw(b"[1,2]"),)),
        ("application/merge-patch+json", b"null", (Raw(b"null"),)),
        ("", b"5", (Raw(b"5"),)),
        ("application/json", b"", ()),
        ("multipart/form-data", b"", ()),
        ("application/x-www-form-urlencoded", b"", ()),
        ("application/x-www-form-urlencoded", b"text=hi+there&n=1&text=no", (Form(text="hi there", n="1"),)),
        ("application/x-www-form-urlencoded", b"text=%C3%A9&empty=", (Form(text="\u00e9", empty=""),)),
        ("Application/X-WWW-Form-URLencoded", b'{"text":"a&b=c"}', (Raw(b'{"text":"a&b=c"}'),)),
        ("application/x-www-form-urlencoded", b'"text"', (Raw(b'"text"'),)),
        ("text/plain;charset=UTF-8", "h\u00e9".encode(), ("h\u00e9",)),
        ("text/plain", b"", ()),
        ("application/octet-stream", b"\x00\xff", (b"\x00\xff",)),
        ("application/octet-stream", b"", ()),
    ],
)
def test_the_body_is_the_payload(kind, data, arguments):
    given = argument(data, kind)
    assert given == arguments
    assert list(map(type, given)) == list(map(type, arguments))


@pytest.mark.parametrize(
    ("path", "topic", "event"),
    [
        ("room:a/say", "room:a", "say"),
        ("a/b/c", "a/b", "c"),
        ("//chat message", "/", "chat message"),
        ("/say", "/", "say"),
        ("/a/say", "a", "say"),
    ],
)
def test_the_event_is_what_follows_the_last_slash(path, topic, event):
    (send,) = posted(topic=path)
    assert (send.topic, send.event) == (topic, event)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"data": b"{"}, ProtocolError),
        ({"data": b" \r\n"}, ProtocolError),
        ({"data": b'{"a":1}x'}, ProtocolError),
        ({"data": b"NaN"}, ProtocolError),
        ({"data": b"\xff"}, ProtocolError),
        ({"data": b"[" * 100_000}, ProtocolError),
        ({"data": b"a=\xff", "content_type": "application/x-www-form-urlencoded"}, ProtocolError),
        ({"data": b"a=%ff", "content_type": "application/x-www-form-urlencoded"}, ProtocolError),
        ({"data": b"a=1&" * 1_001, "content_type": "application/x-www-form-urlencoded"}, ProtocolError),
        ({"data": b"\xff", "content_type": "text/plain"}, ProtocolError),
        ({"data": b"<a/>", "content_type": "text/xml"}, UnsupportedMediaType),
        ({"data": b"--x", "content_type": "multipart/form-data; boundary=x"}, UnsupportedMediaType),
        ({"data": b"{}", "content_encoding": "gzip"}, UnsupportedMediaType),
        ({"topic": "room:a"}, ProtocolError),
        ({"topic": "room:a/"}, ProtocolError),
        ({"idempotency_key": "x" * 256}, ProtocolError),
        ({"topic": None}, ProtocolError),
        ({"topic": None, "data": b"[]"}, ProtocolError),
        ({"topic": None, "data": b"{}"}, ProtocolError),
        ({"topic": None, "data": b'{"send":5}'}, ProtocolError),
        ({"topic": None, "data": b'{"send":"a"}'}, ProtocolError),
        ({"topic": None, "data": b'{"join":"a"}', "known": False}, ProtocolError),
        ({"topic": None, "data": b'{"join":"a","after":"b"}'}, Invalid),
        ({"query": "join=5", "known": False}, Invalid),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_done(change, error):
    with pytest.raises(error):
        posted(**change)


@given(
    st.binary(max_size=60),
    st.sampled_from(["", "application/json", "application/x-www-form-urlencoded", "text/plain", "x/y"]),
    st.sampled_from(["a/b", None]),
    st.booleans(),
)
def test_rubbish_is_refused_in_so_many_words(data, kind, topic, known):
    try:
        posted(data, topic, known=known, content_type=kind)
    except (ProtocolError, Refused) as error:
        assert error.status in (400, 415, 422)


def test_a_retry_has_the_name_of_the_first_try():
    assert posted(idempotency_key="x1")[0].id == "x1"
    assert posted(idempotency_key='"x1"')[0].id == "x1"
    assert posted()[0].id is None
    assert posted(b'{"send":"a","event":"b","id":"x2"}', None)[0].id == "x2"


def test_who_has_no_stream_joins_first():
    join, send = posted(b"{}", query="name=Ada&after=e:1", known=False)
    assert join == Join("room:a", Form(name="Ada"))
    assert send.topic == "room:a"


def test_a_message_is_what_a_websocket_would_have_said():
    (send,) = posted(b'{"send":"/a","event":"b/c","payload":[1]}', None)
    assert (send.topic, send.event, send.arguments) == ("a", "b/c", (Raw(b"[1]"),))
    (join,) = posted(b'{"join":"a","params":{"n":1},"after":"e:1"}', None)
    assert (join.topic, bytes(join.params), join.after) == ("a", b'{"n":1}', Position("e", 1))
    assert posted(b'{"leave":"a"}', None) == (Leave("a"),)
    assert isinstance(posted(b'{"send":"a","event":"b"}', None)[0], Send)


def test_a_message_of_who_has_no_stream_joins_as_its_join_parameter_says():
    asked = json.dumps({"join": "a", "params": {"age": 36}})
    message = msgspec.json.encode({"send": "a", "event": "b"})
    join, _ = posted(message, None, f"join={asked}&name=no", known=False)
    assert msgspec.json.decode(join.params) == {"age": 36}
    join, _ = posted(message, None, "name=Ada", known=False)
    assert join.params == {"name": "Ada"}
