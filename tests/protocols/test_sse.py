"""Server-sent events: every byte of a stream, read as the standard has it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.bodies import encode
from hubbub.errors import Banned, Conflict, Forbidden, Invalid, Kicked, NotFound, ProtocolError, Shutdown
from hubbub.history import Position
from hubbub.limits import Limits
from hubbub.messages import Bye, Join, Left, Publication, Push, Reply, Send
from hubbub.protocols.base import Request
from hubbub.protocols.sse import HEARTBEAT, SSE, block
from hubbub.servers.asgi import read_query
from hubbub.testing.conversations import Conversation, check_protocol
from tests.protocols.event_streams import Reader, read_stream

E1, E2, F7 = Position("e", 1), Position("e", 2), Position("f", 7)


def asked(query="", topic="room:a", **headers):
    values, repeated = read_query(query)
    named = {"accept": "text/event-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request("GET", "/topics", values, named, {"topic": topic} if topic else {}, repeated=repeated)


class Client(Conversation):
    """A client that reads what it hears as an EventSource does."""

    def __init__(self, request=None, limits=Limits(), id="id"):  # noqa: B008
        super().__init__(SSE, request or asked(), limits, key="secret", id=id)
        self.joins, self.commands = self.commands, []
        self.attach("stream")
        self.reader = Reader()

    def joined(self, *values, position=None, recovered=None, error=None, number=0):
        """The channel's answer to a join."""
        self.tell(Reply(self.joins[number], encode(values), error, position, recovered))
        return self

    def text(self):
        return "".join(frame if isinstance(frame, str) else frame.decode() for frame in self.heard("stream"))

    def events(self):
        return self.reader.read(self.text())


def opened(**options):
    client = Client(**options).joined(position=E1)
    client.text()
    return client


def said(number, topic="room:a", event="said", position=None):
    return Publication(topic, encode([event, {"n": number}]), position or Position("e", number))


# -- the beginning -----------------------------------------------------------------------------------------------------


def test_a_stream_begins_byte_by_byte_like_this():
    client = Client(asked("name=Ada", last_event_id="e:1"))
    assert client.joins == [Join("room:a", {"name": "Ada"}, 0, E1)]
    assert client.text() == "", "nothing is written before the join is answered: its refusal is a status"
    client.joined({"welcome": "a"}, position=E1, recovered=True)
    assert client.text() == (
        "retry: 1953\n"
        "event: hubbub.open\n"
        'data: {"connection":"secret","id":"id","topics":'
        '{"room:a":{"position":"e:1","recovered":true,"reply":{"welcome":"a"}}}}\n'
        "id: e:1\n"
        "\n"
    )
    response = client.protocol.answer("stream", b"...", client.request)
    assert (response.status, response.content_type, response.body) == (200, "text/event-stream", b"...")
    assert dict(response.headers) == {"cache-control": "no-store", "vary": "accept", "x-accel-buffering": "no"}


def test_not_everyone_comes_back_in_the_same_moment():
    waits = set()
    for number in range(50):
        client = Client(id=f"c{number}").joined()
        client.events()
        waits.add(client.reader.retry)
    assert all(1_000 <= wait <= 3_000 for wait in waits)
    assert len(waits) > 25


def test_a_refused_join_is_a_problem_with_its_status_and_no_stream():
    client = Client().joined(error=Forbidden("not you"))
    assert json.loads(client.text())["detail"] == "not you"
    assert client.protocol.spent
    response = client.protocol.answer("stream", b"{}", client.request)
    assert (response.status, response.content_type) == (403, "application/problem+json")


def test_who_missed_what_cannot_be_had_is_told_so():
    client = Client(asked(last_event_id="old:5")).joined(position=F7, recovered=False)
    first, second = client.events()
    assert first.data["topics"]["room:a"] == {"position": "f:7", "recovered": False}
    assert (second.event, second.data, second.id) == ("hubbub.lost", {"topic": "room:a", "position": "f:7"}, "f:7")
    nowhere = Client(asked(last_event_id="old:5")).joined()
    assert [event.data for event in nowhere.events()][1] == {"topic": "room:a"}, "it keeps nothing (any more)"


def test_what_was_missed_follows_with_its_ids():
    client = Client(asked(last_event_id="e:1"))
    client._outbox += client.protocol.send(Reply(client.joins[0], position=E1, recovered=True))
    for number in (2, 3):
        client._outbox += client.protocol.dialect.encode(said(number))
    client._drain()
    assert [event.id for event in client.events()] == ["e:1", "e:2", "e:3"]


def test_a_url_that_does_not_fit_opens_nothing():
    with pytest.raises(Invalid):
        Client(asked("after=nowhere"))
    response = SSE.refuse(Invalid("after: no"), asked())
    assert (response.status, response.content_type) == (422, "application/problem+json")


# -- events ------------------------------------------------------------------------------------------------------------


def test_a_publication_byte_by_byte():
    client = opened()
    client.publish(said(2))
    assert client.text() == 'event: said\ndata: {"n":2}\nid: e:2\n\n'
    client.publish(Publication("room:a", encode(["said", 1, "two"])))
    assert client.text() == 'event: said\ndata: [1,"two"]\n\n'
    client.publish(Publication("room:a", encode(["typing"])))
    assert client.text() == "event: typing\ndata: null\n\n", "an event without data would not happen"
    client.publish(Publication("room:a", encode(["drawn", {"pixels": b"\x00\xff"}])))
    assert client.text() == 'event: drawn\ndata: {"pixels":"AP8="}\n\n'
    client.tell(Push("room:a", encode(["said", "to you"])))
    assert client.text() == 'event: said\ndata: "to you"\n\n'


def test_data_of_several_lines_is_one_event():
    client = opened()
    client.publish(Publication("room:a", b'["said",{\r\n"a":\r1,\n"b":"x"}]', E2))
    assert client.text() == 'event: said\ndata: {\ndata: "a":\ndata: 1,\ndata: "b":"x"}\nid: e:2\n\n'


def test_text_of_any_kind_arrives_whole_for_readers_of_every_kind():
    client = opened()
    text = "\u00e9\u2028\u2029\x85\U0001f642 \r\n\x0b\x0c\x1c\x1e\x00:data: id: "
    client.publish(Publication("room:a", encode(["said", text]), E2))
    stream = client.text()
    assert len(stream.splitlines()) == 4, "no line ends anywhere for anyone, but where it should"
    (event,) = read_stream(stream)
    assert (event.event, event.data, event.id) == ("said", text, "e:2")


def test_a_stream_may_be_cut_anywhere():
    client = opened()
    for number in (2, 3):
        client.publish(Publication("room:a", encode(["sa\u00efd", "\U0001f642" * number]), Position("e", number)))
    data = client.text().encode()
    whole = read_stream(data.decode())
    assert [event.data for event in whole] == ["\U0001f642" * 2, "\U0001f642" * 3]
    for cut in range(len(data)):
        reader = Reader()
        assert reader.feed(data[:cut]) + reader.feed(data[cut:]) == whole
    reader = Reader()
    assert [event for byte in data for event in reader.feed(bytes([byte]))] == whole


@pytest.mark.parametrize(
    "name", ["a\nid: x", "a\r", "\n\ndata: x", "a\x00", "a\u2028b", "a\x85", "\x7f", "hubbub.open", "hubbub."]
)
def test_a_name_that_would_end_its_line_or_pass_for_ours_is_not_said(name):
    client = opened()
    client.publish(Publication("room:a", encode([name, "secret"]), E2))
    (event,) = client.events()
    assert (event.event, event.data["error"]["code"], event.id) == ("hubbub.error", "unreadable", "e:2")


@pytest.mark.parametrize("name", ["say", " say ", "a:b", "hubbub", "chat message", "\u00e9\U0001f642", "message"])
def test_other_names_arrive_as_they_are(name):
    client = opened()
    client.publish(Publication("room:a", encode([name]), E2))
    assert client.events()[0].event == name


@given(st.text(), st.text())
def test_no_text_of_anybody_makes_an_event_a_field_or_an_end(name, text):
    client = opened()
    client.publish(Publication("room:a", encode([name, {name: text}]), E2))
    (event,) = client.events()
    assert event.id == "e:2"
    if event.event != "hubbub.error":
        assert (event.event, event.data) == (name or "message", {name: text})


def test_what_cannot_be_read_does_not_stop_what_can():
    client = opened()
    client.publish(Publication("room:a", b'["said",', E2))
    client.publish(said(3))
    assert [event.event for event in client.events()] == ["hubbub.error", "said"]


def test_a_block_without_a_name_reaches_onmessage():
    assert block("", '{"a":1}', "e:1") == 'data: {"a":1}\nid: e:1\n\n'


# -- several topics ----------------------------------------------------------------------------------------------------


def several(query="topic=b&topic=c", **headers):
    client = Client(asked(query, "a", **headers))
    assert [join.topic for join in client.joins] == ["a", "b", "c"]
    return client


def test_several_topics_are_one_stream_of_messages_with_all_positions():
    client = several()
    client.joined(position=E1).joined(number=1)
    client.publish(said(2, "a"))
    assert client.text() == "", "the stream begins when all joins are answered"
    client.joined(position=F7, number=2)
    opening, message = client.events()
    assert opening.data["topics"] == {"a": {"position": "e:1"}, "b": {}, "c": {"position": "f:7"}}
    assert opening.id == "e:1,,f:7"
    assert (message.event, message.id) == ("message", "e:2,,f:7")
    assert message.data == {"topic": "a", "event": "said", "payload": {"n": 2}, "position": "e:2"}
    client.publish(said(8, "c", position=Position("f", 8)))
    client.publish(Publication("b", encode(["said"])))
    client.tell(Push("a", encode(["psst"])))
    first, second, third = client.events()
    assert (first.id, second.data, third.data) == (
        "e:2,,f:8", {"topic": "b", "event": "said"}, {"topic": "a", "event": "psst"},
    )  # fmt: skip
    again = several(last_event_id=third.id)
    assert [join.after for join in again.joins] == [E2, None, Position("f", 8)]


def test_a_topic_that_refuses_is_told_where_others_do_not():
    client = several()
    client.joined(number=0, error=Forbidden("no")).joined(position=E1, number=1).joined(
        number=2, error=NotFound("where?")
    )
    (opening,) = client.events()
    assert opening.data["topics"]["a"] == {"error": {"code": "forbidden", "reason": "no"}}
    assert opening.id == ",e:1,"
    refused = several()
    for number in range(3):
        refused.joined(number=number, error=Forbidden(f"no {number}"))
    assert json.loads(refused.text())["detail"] == "no 0"


def test_a_topic_that_was_joined_later_is_no_part_of_the_id():
    client = several()
    for number in range(3):
        client.joined(position=E1, number=number)
    client.events()
    client.publish(said(9, "d"))
    (event,) = client.events()
    assert (event.data["position"], event.id) == ("e:9", "e:1,e:1,e:1")


def test_a_join_that_takes_for_ever_does_not_fill_the_memory():
    client = Client(asked("topic=b", "a"), Limits(outbox=1_000))
    client.joined(number=0)
    for number in range(1, 100):
        client.publish(said(number, "a"))
    client.sleep(HEARTBEAT)
    assert client.over == "too slow"


# -- time, and the end -------------------------------------------------------------------------------------------------


def test_a_comment_comes_every_fifteen_seconds():
    client = Client()
    client.sleep(40.0)
    assert client.text() == "", "also not a comment, before the join is answered"
    client.joined(position=E1)
    client.text()
    client.sleep(45.0)
    assert client.text() == ":\n\n" * 3
    assert client.over is None
    client.publish(said(2))
    assert [event.data for event in client.events()] == [{"n": 2}]


def test_comments_come_sooner_where_heartbeats_are_to():
    client = Client(limits=Limits(heartbeat=5.0))
    client.joined(position=E1)
    client.text()
    client.sleep(15.0)
    assert client.text() == ":\n\n" * 3


def test_a_shutdown_says_come_back_and_a_ban_says_do_not():
    client = opened()
    client.end(Shutdown())
    (event,) = client.events()
    assert (event.event, event.id) == ("hubbub.bye", "")
    assert event.data == {"code": "shutdown", "reason": "The server is restarting.", "come_back": True}
    client = opened()
    client.end(Banned("enough"))
    (event,) = client.events()
    assert (event.data["come_back"], event.id) == (False, "end")


def test_who_was_told_not_to_come_back_gets_204():
    request = asked(last_event_id="end")
    with pytest.raises(Conflict) as caught:
        SSE.session(request)
    response = SSE.refuse(caught.value, request)
    assert (response.status, response.body, response.content_type) == (204, b"", "")


def test_being_taken_out_of_the_only_topic_ends_the_stream():
    client = opened()
    client.publish(said(2))
    client.tell(Left("room:a", Kicked("out")))
    event, left = client.events()
    assert event.id == "e:2"
    assert (left.event, left.id) == ("hubbub.left", "end")
    assert left.data == {"topic": "room:a", "error": {"code": "kicked", "reason": "out", "come_back": False}}
    assert client.protocol.spent


def test_being_taken_out_of_one_of_several_does_not():
    client = several()
    for number in range(3):
        client.joined(position=E1, number=number)
    client.tell(Left("b", Kicked("out")))
    assert client.events()[1].event == "hubbub.left"
    assert not client.protocol.spent


def test_an_end_before_the_beginning_is_a_status():
    client = Client()
    client.end(Shutdown())
    assert json.loads(client.text())["code"] == "shutdown"
    assert client.protocol.answer("stream", b"", client.request).status == 503


def test_a_client_that_is_gone_is_gone():
    client = opened()
    client.detach("stream")
    assert client.over == "closed"
    assert isinstance(client.protocol.detach("stream", 0.0)[0], Bye)


def test_nothing_is_said_on_a_stream():
    with pytest.raises(ProtocolError):
        opened().say("hello", "stream")


def test_a_refused_send_is_not_told_twice():
    client = opened()
    client.tell(Reply(Send("room:a", "say"), error=Forbidden()))
    assert client.text() == ""


def test_the_contract():
    check_protocol(opened, [])
    check_protocol(lambda: several().joined().joined(number=1).joined(number=2), [])
