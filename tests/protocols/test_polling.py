"""HTTP polling: what a page holds, when it is answered, and where the next one goes on."""

import gzip
import json

import pytest

from hubbub.bodies import encode
from hubbub.errors import Forbidden, Kicked, NotFound, ProtocolError, Shutdown
from hubbub.history import Position
from hubbub.limits import Limits
from hubbub.messages import Join, Left, Publication, Push, Reply, Send
from hubbub.protocols.base import Request
from hubbub.protocols.http import NotAcceptable
from hubbub.protocols.polling import Polling
from hubbub.servers.asgi import read_query
from hubbub.testing.conversations import Conversation, check_protocol

E1, E2, E3 = (Position("e", number) for number in (1, 2, 3))


def asked(query="", topic="a", method="GET", **headers):
    values, repeated = read_query(query)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, "/topics", values, named, {"topic": topic} if topic else {}, repeated=repeated)


class Poll(Conversation):
    """One poll, from its request to its answer."""

    def __init__(self, query="", limits=Limits(), **options):  # noqa: B008
        super().__init__(Polling, asked(query, **options), limits)
        self.joins, self.commands = self.commands, []
        self.attach("poll")

    def joined(self, *values, position=None, recovered=None, error=None, number=0, missed=()):
        """The channel's answer to a join, and in the same tick what was missed."""
        self._outbox += self.protocol.send(Reply(self.joins[number], encode(values), error, position, recovered))
        for publication in missed:
            self._outbox += self.protocol.dialect.encode(publication)
        self._drain()
        return self

    def response(self):
        """The answer; None while it is held."""
        body = self.heard("poll")
        return self.protocol.answer("poll", str(body[0]).encode(), self.request) if body else None

    def page(self):
        response = self.response()
        return None if response is None else json.loads(response.body)


def said(number, topic="a", epoch="e"):
    return Publication(topic, encode(["said", {"n": number}]), Position(epoch, number))


def numbers(page):
    return [event["payload"]["n"] for event in page["events"]]


def test_a_page_of_nothing_says_where_to_begin():
    poll = Poll("name=Ada")
    assert poll.joins == [Join("a", {"name": "Ada"}, 0)]
    assert poll.page() is None, "it is answered when the join is"
    assert poll.joined({"hi": 1}, position=E1).page() == {
        "events": [],
        "position": "e:1",
        "complete": True,
        "more": False,
        "topics": {"a": {"position": "e:1", "reply": {"hi": 1}}},
    }


def test_what_was_missed_is_a_page_of_messages_and_moves_the_position():
    page = Poll("after=e:1&wait=5").joined(position=E1, recovered=True, missed=[said(2), said(3)]).page()
    assert page["events"] == [
        {"topic": "a", "event": "said", "payload": {"n": number}, "position": f"e:{number}"} for number in (2, 3)
    ]
    assert (page["position"], page["complete"], page["more"]) == ("e:3", True, False)


def test_a_page_waits_for_what_was_said_in_the_tick_of_the_reply():
    poll = Poll("after=e:1")
    frames = [*poll.protocol.send(Reply(poll.joins[0], position=E1, recovered=True))]
    assert poll.protocol.pack((), "poll") == [], "a line was attached, say, before the tick has ended"
    frames += poll.protocol.dialect.encode(said(2))
    (body,) = poll.protocol.pack(frames, "poll")
    assert numbers(json.loads(body)) == [2]


def test_a_long_poll_waits_for_something_and_no_longer_than_it_was_told():
    poll = Poll("after=e:1&wait=5").joined(position=E1, recovered=True)
    assert poll.page() is None
    poll.sleep(4.9)
    assert poll.page() is None
    poll.publish(said(2))
    assert numbers(poll.page()) == [2]
    poll = Poll("wait=5").joined(position=E1)
    poll.sleep(5.0)
    assert poll.page()["position"] == "e:1"


def test_a_join_that_takes_longer_than_the_wait_is_waited_for():
    poll = Poll("wait=5")
    poll.sleep(60.0)
    assert poll.page() is None
    assert poll.joined(position=E1).page()["position"] == "e:1"


def test_what_the_limit_holds_back_is_the_next_page():
    page = Poll("after=e:1&limit=2").joined(position=E1, recovered=True, missed=map(said, range(2, 7))).page()
    assert (numbers(page), page["position"], page["more"], page["complete"]) == ([2, 3], "e:3", True, True)


def test_a_page_is_no_bigger_than_the_outbox_but_holds_something():
    poll = Poll("after=e:1", limits=Limits(outbox=200))
    page = poll.joined(position=E1, recovered=True, missed=map(said, range(2, 100))).page()
    assert 1 < len(page["events"]) < 6
    assert page["more"]
    assert page["position"] == page["events"][-1]["position"]


def test_what_cannot_be_had_is_told_at_once():
    page = Poll("after=old:1&wait=5").joined(position=E3, recovered=False).page()
    assert (page["complete"], page["position"]) == (False, "e:3")
    assert Poll("after=old:1&wait=5").joined().page()["complete"] is False, "the topic keeps nothing (any more)"


def test_a_topic_that_keeps_nothing_has_no_position():
    poll = Poll("wait=5").joined()
    poll.publish(Publication("a", encode(["said", {"n": 1}])))
    page = poll.page()
    assert (numbers(page), page["position"], page["complete"]) == ([1], None, True)
    assert "position" not in page["events"][0]


def test_what_is_pushed_to_the_client_is_in_its_page():
    poll = Poll("wait=5").joined(position=E1)
    poll.tell(Push("a", encode(["psst"])))
    page = poll.page()
    assert page["events"] == [{"topic": "a", "event": "psst"}]
    assert page["position"] == "e:1"


def test_several_topics_in_one_page():
    poll = Poll("topic=b&topic=c&after=e:1,,", topic="a")
    assert [(join.topic, join.after) for join in poll.joins] == [("a", E1), ("b", None), ("c", None)]
    poll.joined(position=E1, recovered=True, missed=[said(2)])
    assert poll.page() is None
    poll.joined(number=1, position=Position("f", 7)).joined(number=2, error=Forbidden("no"))
    page = poll.page()
    assert (numbers(page), page["position"]) == ([2], "e:2,f:7,")
    assert page["topics"]["c"] == {"error": {"code": "forbidden", "reason": "no"}}


@pytest.mark.parametrize(("error", "status"), [(Forbidden("no"), 403), (NotFound("no"), 404)])
def test_a_refused_join_is_a_problem(error, status):
    response = Poll("wait=5").joined(error=error).response()
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert json.loads(response.body)["detail"] == "no"


def test_if_no_topic_lets_the_client_in_the_first_refusal_is_the_answer():
    poll = Poll("topic=b&wait=5").joined(error=Forbidden("first")).joined(error=NotFound("second"), number=1)
    response = poll.response()
    assert (response.status, json.loads(response.body)["detail"]) == (403, "first")


def test_who_is_taken_out_while_it_waits_is_told():
    poll = Poll("wait=5").joined(position=E1)
    poll.tell(Left("a", Kicked("out")))
    assert poll.response().status == 403


def test_a_shutdown_ends_a_poll_with_503():
    poll = Poll("wait=5").joined(position=E1)
    poll.end(Shutdown())
    response = poll.response()
    assert (response.status, dict(response.headers)["retry-after"]) == (503, "2")


def test_who_is_sent_away_before_all_joins_were_answered_is_told_of_each():
    poll = Poll("topic=a&topic=b&after=e:1,e:2&wait=5", topic=None)
    poll.joined(position=E1, recovered=True, missed=[said(2)])
    poll.end(Shutdown())
    page = poll.page()
    assert numbers(page) == [2]
    assert page["topics"]["a"]["recovered"]
    assert page["topics"]["b"]["error"]["code"] == "shutdown"
    assert page["position"] == "e:2,e:2", "where the next one begins, for both"


def test_head_asks_whether_one_may_come_in_and_does_not_wait():
    assert Poll("wait=5", method="HEAD").joined(position=E1).response().status == 200
    assert Poll("wait=5", method="HEAD").joined(error=Forbidden()).response().status == 403


@pytest.mark.parametrize(
    ("accept", "packed"), [("gzip, br", True), ("*", True), ("gzip;q=0", False), ("br", False), ("", False)]
)
def test_large_pages_are_compressed_for_who_takes_it(accept, packed):
    poll = Poll("after=e:1", accept_encoding=accept)
    response = poll.joined(position=E1, recovered=True, missed=map(said, range(2, 100))).response()
    assert (dict(response.headers).get("content-encoding") == "gzip") is packed
    page = json.loads(gzip.decompress(response.body) if packed else response.body)
    assert numbers(page) == list(range(2, 100))
    assert ("vary", "accept, accept-encoding") in response.headers


def test_small_pages_are_not_compressed():
    response = Poll(accept_encoding="gzip").joined(position=E1).response()
    assert "content-encoding" not in dict(response.headers)


def test_who_takes_no_json_gets_406():
    with pytest.raises(NotAcceptable) as caught:
        Polling.session(asked(accept="text/html"))
    assert Polling.refuse(caught.value, asked()).status == 406


def test_a_post_hears_nothing():
    post = Conversation(Polling, asked(method="POST"))
    assert post.commands == []
    assert post.protocol.dialect.encode(said(1)) == ()
    (send,) = Polling.exchange(asked(topic="a/say", method="POST"), b"{}", known=True)
    assert isinstance(send, Send)
    assert Polling.respond(Reply(send, encode(["ok"])), asked()).body == b'"ok"'


def test_who_goes_away_is_gone_and_nothing_is_said_on_a_poll():
    poll = Poll("wait=5").joined(position=E1)
    with pytest.raises(ProtocolError):
        poll.protocol.receive("x", "poll", 0.0)
    poll.detach("poll")
    assert poll.over == "closed"


def test_the_contract():
    check_protocol(lambda: Poll("wait=5").joined(position=E1), [])
