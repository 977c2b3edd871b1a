"""Topics over plain HTTP, with real clients on real servers, in both lanes: streams, polls, posts, and what is wrong
with any of them."""

import asyncio
import json
import queue
import re
import shlex
import shutil
import socket
import subprocess
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Mount

from hubbub import App, Channel, Forbidden, Keep, Kicked, Limits, Refused, TooMany, on
from hubbub.errors import Unauthorized
from tests.conftest import LANES, running
from tests.protocols.event_streams import Reader

DEADLINE = 20.0
STREAM = {"accept": "text/event-stream"}
came: "queue.Queue[str]" = queue.Queue()
left: "queue.Queue[tuple[str, str]]" = queue.Queue()


class Room(Channel):
    history = Keep(count=100)

    async def join(self, room: str, name: str = "nobody", age: int = 0):
        refusals = {"Eve": Forbidden("not you"), "Who": Unauthorized("who?"), "Ten": TooMany("ten are in already")}
        if name in refusals:
            raise refusals[name]
        self.name = name
        came.put(name)
        return {"room": room, "age": age}

    def leave(self, reason):
        left.put((self.name, reason))

    @on("say")
    async def say(self, text: str, times: int = 1):
        for _ in range(times):
            await self.publish("said", {"name": self.name, "text": text})
        return f"{self.name} said it"

    @on("take")
    async def take(self, data: bytes):
        return data[::-1]

    @on("nothing")
    async def nothing(self): ...

    @on("refuse")
    async def refuse(self):
        raise Refused("the table is full", code="table_full")

    @on("break")
    async def break_down(self):
        raise RuntimeError("the application is at fault")

    @on("kick")
    async def kick(self):
        raise Kicked("out")


class Deep(Channel):
    @on("say")
    async def say(self, text: str):
        await self.publish("said", text)


def make_app():
    app = App(origins="https://friend.example", limits=Limits(message=5_000, outbox=200_000, stalled=1.0))
    app.channel("room:{room}")(Room)
    app.channel("a/b")(Deep)
    app.channel("/")(Deep)
    return app


app = make_app()
"""What all tests but a few talk to."""


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield url


class Register:
    """Who came and who left, during one test."""

    def __init__(self):
        self.inside = 0

    async def has_come(self, name):
        while await asyncio.to_thread(came.get, timeout=DEADLINE) != name:
            self.inside += 1
        self.inside += 1

    async def has_left(self, name):
        """The reason."""
        while True:
            who, reason = await asyncio.to_thread(left.get, timeout=DEADLINE)
            self.inside -= 1
            if who == name:
                return reason

    def close(self):
        """Everyone who came leaves, once."""
        self.inside += came.qsize()
        while self.inside:
            left.get(timeout=DEADLINE)
            self.inside -= 1
        assert left.empty()
        came.queue.clear()


@pytest.fixture(autouse=True)
def register():
    register = Register()
    yield register
    register.close()


@pytest_asyncio.fixture
async def http(url):
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(DEADLINE)) as session:
        yield session


class Listener:
    """The client of a stream."""

    def __init__(self, response):
        self.response = response
        self._reader = Reader()
        self._events = []

    async def next(self):
        while not self._events:
            data = await self.response.content.readany()
            assert data, "the stream has ended"
            self._events += self._reader.feed(data)
        return self._events.pop(0)

    async def said(self):
        event = await self.next()
        return event.data["text"]


@asynccontextmanager
async def listening(http, topic="room:a", name="Ada", **headers):
    """A stream, after its first event, which is ``opening``."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    async with http.get(f"/topics/{topic}", params={"name": name}, headers={**STREAM, **named}) as response:
        assert response.status == 200, await response.text()
        listener = Listener(response)
        listener.opening = await listener.next()
        assert listener.opening.event == "hubbub.open"
        yield listener


async def say(http, text="hello", topic="room:a", **options):
    async with http.post(f"/topics/{topic}/say", json={"text": text}, **options) as response:
        assert response.status in (200, 204), await response.text()
        return await response.json() if response.status == 200 else None


# -- streams -----------------------------------------------------------------------------------------------------------


async def test_a_stream_hears_what_is_posted(http, register):
    async with listening(http) as ada, listening(http, name="Bob") as bob:
        assert ada.response.headers["content-type"] == "text/event-stream"
        assert ada.opening.data["topics"]["room:a"]["reply"] == {"room": "a", "age": 0}
        assert await say(http, "h\u00e9llo\u2028", params={"name": "Cid"}) == "Cid said it"
        assert await register.has_left("Cid") == "closed"
        for listener in (ada, bob):
            event = await listener.next()
            assert (event.event, event.data) == ("said", {"name": "Cid", "text": "h\u00e9llo\u2028"})
            assert event.id.rpartition(":")[2].isdigit()


async def test_a_post_may_be_that_of_the_streams_client(http, register):
    async with listening(http) as ada:
        connection = {"hubbub-connection": ada.opening.data["connection"]}
        replies = await asyncio.gather(*(say(http, str(number), headers=connection) for number in range(20)))
        assert set(replies) == {"Ada said it"}
        assert {await ada.said() for _ in range(20)} == set(map(str, range(20)))
    assert await register.has_left("Ada") == "closed"
    assert left.empty(), "no post joined by itself"
    async with http.post("/topics/room:a/say", json={"text": "late"}, headers=connection) as response:
        assert (response.status, (await response.json())["code"]) == (404, "no_connection")


async def test_who_goes_away_has_left_and_nothing_is_kept_of_it(http, register):
    async with listening(http) as ada:
        assert any(connection.id == ada.opening.data["id"] for connection in list(app.reception.connections.values()))
    assert await register.has_left("Ada") == "closed"
    async with asyncio.timeout(DEADLINE):  # what is left of others goes, too
        while app.reception.connections or app.reception._sessions or "room:a" in app.hub.topics:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_who_does_not_read_is_dropped_and_the_others_hear_on(url, http, register):
    address = urlsplit(url)
    async with listening(http) as ada:
        with socket.create_connection((address.hostname, address.port)) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            line.sendall(b"GET /topics/room:a?name=Sloth HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n")
            assert b"200 OK" in await asyncio.to_thread(line.recv, 15)
            gone = asyncio.ensure_future(register.has_left("Sloth"))
            while not gone.done():
                await say(http, "x" * 4_000, params={"name": "Bob"})
                assert len(await ada.said()) == 4_000
            assert await gone == "too slow"


async def test_two_streams_of_one_browser_are_two_clients(http):
    async with listening(http) as one, listening(http) as other:
        assert one.opening.data["id"] != other.opening.data["id"]
        assert one.opening.data["connection"] != other.opening.data["connection"]


async def test_several_topics_in_one_stream_joined_and_left_while_it_goes_on(http, register):
    async with listening(http, "room:a?topic=room:b") as ada:
        connection = {"hubbub-connection": ada.opening.data["connection"]}
        assert set(ada.opening.data["topics"]) == {"room:a", "room:b"}
        await say(http, "to b", "room:b")
        event = await ada.next()
        assert (event.event, event.data["topic"], event.data["event"]) == ("message", "room:b", "said")
        join = {"join": "room:c", "params": {"name": "Ada", "age": 36}}
        async with http.post("/topics", json=join, headers=connection) as response:
            assert (await response.json())["reply"] == {"room": "c", "age": 36}
        async with http.post("/topics", json={"leave": "room:a"}, headers=connection) as response:
            assert response.status == 204
        assert await register.has_left("Ada") == "left"
        await say(http, "to a", "room:a")
        await say(http, "to c", "room:c")
        event = await ada.next()
        assert (event.data["topic"], event.data["payload"]["text"]) == ("room:c", "to c")
        message = {"send": "room:c", "event": "say", "payload": {"text": "mine"}}
        async with http.post("/topics", json=message, headers=connection) as response:
            assert await response.json() == "Ada said it"


async def test_topics_with_slashes(http):
    for written, topic in (("a/b", "a/b"), ("a%2Fb", "a/b"), ("%2F", "/")):
        async with http.get(aiohttp.client.URL(f"/topics/{written}", encoded=True), headers=STREAM) as response:
            listener = Listener(response)
            assert list((await listener.next()).data["topics"]) == [topic]
            target = aiohttp.client.URL(f"/topics/{written}/say", encoded=True)
            async with http.post(target, data={"text": "deep"}) as reply:
                assert reply.status == 204
            assert (await listener.next()).data == "deep"


async def test_a_kick_ends_the_stream_for_good(http):
    async with listening(http) as ada:
        connection = {"hubbub-connection": ada.opening.data["connection"]}
        async with http.post("/topics/room:a/kick", headers=connection) as response:
            assert (response.status, (await response.json())["code"]) == (403, "kicked")
        bye = await ada.next()
        assert (bye.event, bye.data["come_back"], bye.id) == ("hubbub.bye", False, "end")
        assert await ada.response.content.read() == b""
    async with http.get("/topics/room:a", headers={**STREAM, "last-event-id": bye.id}) as response:
        assert (response.status, await response.read()) == (204, b"")


@pytest.mark.parametrize("lane", LANES)
async def test_a_server_that_goes_away_says_so(lane):
    async with aiohttp.ClientSession() as http:
        with running(make_app(), lane=lane) as url:
            response = await http.get(f"{url}/topics/room:a", headers=STREAM)
            listener = Listener(response)
            await listener.next()
        bye = await listener.next()
        assert (bye.event, bye.data["code"], bye.data["come_back"]) == ("hubbub.bye", "shutdown", True)
        response.close()


# -- polling -----------------------------------------------------------------------------------------------------------


async def page(http, topic="room:a", **query):
    async with http.get(f"/topics/{topic}", params=query) as response:
        assert response.status == 200, await response.text()
        assert response.headers["content-type"] == "application/json"
        return await response.json()


async def test_a_long_poll_is_answered_by_what_happens(http, register):
    polls = [asyncio.ensure_future(page(http, name=name, wait="9")) for name in ("Ada", "Bob")]
    await register.has_come("Ada")
    await register.has_come("Bob")
    await say(http, "hello")
    for poll in polls:
        (event,) = (await poll)["events"]
        assert (event["event"], event["payload"]["text"]) == ("said", "hello")


async def test_a_poll_with_nothing_to_tell_ends_in_time(http):
    told = await page(http, wait="0.05")
    assert told["events"] == []
    assert told["topics"]["room:a"]["reply"] == {"room": "a", "age": 0}


async def test_who_gives_up_a_poll_has_left(http, register):
    poll = asyncio.ensure_future(http.get("/topics/room:a?name=Ada&wait=20"))
    await register.has_come("Ada")
    poll.cancel()
    assert await register.has_left("Ada") == "closed"


# -- coming back -------------------------------------------------------------------------------------------------------


async def posting(http, topic, numbers):
    for number in numbers:
        await say(http, str(number), topic)


async def test_polls_that_pass_the_position_on_miss_nothing(http):
    topic = f"room:{uuid.uuid4()}"
    position, heard = (await page(http, topic))["position"], []
    poster = asyncio.ensure_future(posting(http, topic, range(60)))
    while len(heard) < 60:
        told = await page(http, topic, after=position, wait="5", limit="7")
        assert told["complete"]
        assert len(told["events"]) <= 7
        heard += [event["payload"]["text"] for event in told["events"]]
        position = told["position"]
    assert heard == [str(number) for number in range(60)]
    await poster
    epoch = position.rpartition(":")[0]
    told = await page(http, topic, after=f"{epoch}:0")
    assert [event["payload"]["text"] for event in told["events"]] == heard, "the beginning is an epoch's position 0"


async def test_a_stream_that_breaks_again_and_again_misses_nothing(http):
    topic = f"room:{uuid.uuid4()}"
    async with listening(http, topic) as ada:
        last = ada.opening.id
    poster = asyncio.ensure_future(posting(http, topic, range(60)))
    heard = []
    while len(heard) < 60:
        async with listening(http, topic, last_event_id=last) as ada:
            assert ada.opening.data["topics"][topic]["recovered"] is True
            for _ in range(min(7, 60 - len(heard))):
                event = await ada.next()
                heard.append(event.data["text"])
                last = event.id
    assert heard == [str(number) for number in range(60)]
    await poster


async def test_what_cannot_be_had_any_more_is_told(http):
    topic = f"room:{uuid.uuid4()}"
    start = (await page(http, topic))["position"]
    await say(http, "x", topic, params={"times": "1"})
    async with http.post(f"/topics/{topic}/say", json={"text": "x", "times": 150}) as response:
        assert response.status == 200
    told = await page(http, topic, after=start, wait="5")
    assert (told["complete"], told["events"]) == (False, [])
    async with listening(http, topic, last_event_id=start) as ada:
        assert ada.opening.data["topics"][topic]["recovered"] is False
        lost = await ada.next()
        assert (lost.event, lost.data) == ("hubbub.lost", {"topic": topic, "position": told["position"]})
        await say(http, "live", topic)
        assert await ada.said() == "live"


async def test_a_topic_that_keeps_nothing_says_so(http):
    assert (await page(http, "a/b"))["position"] is None
    told = await page(http, "a/b", after="e:1")
    assert (told["position"], told["complete"]) == (None, False)


async def test_a_retry_is_one_publication(http):
    async with listening(http) as ada:
        for _ in range(3):
            assert await say(http, "once", headers={"idempotency-key": "k1"}) == "nobody said it"
        await say(http, "twice", headers={"idempotency-key": "k2"})
        assert [await ada.said(), await ada.said()] == ["once", "twice"]


# -- posts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "kind", "body", "status", "answer"),
    [
        ("say", "application/json", b'{"text":"hi"}', 200, b'"Ada said it"'),
        ("say", "application/x-www-form-urlencoded", b"text=hi&times=2", 200, b'"Ada said it"'),
        ("say", "application/x-www-form-urlencoded", b'{"text":"hi"}', 200, b'"Ada said it"'),
        ("say", "text/plain", b"hi", 200, b'"Ada said it"'),
        ("take", "application/octet-stream", b"\x00\xff", 200, b"\xff\x00"),
        ("nothing", "application/json", b"", 204, b""),
        ("refuse", "", b"", 400, "table_full"),
        ("break", "", b"", 500, "internal"),
        ("say", "application/json", b'{"text":5}', 422, "invalid"),
        ("say", "application/x-www-form-urlencoded", b"text=hi&times=two", 422, "invalid"),
        ("say", "application/json", b"", 422, "invalid"),
        ("shout", "application/json", b"{}", 404, "not_found"),
    ],
)
async def test_the_reply_is_the_response(http, event, kind, body, status, answer, register):
    headers = {"content-type": kind} if kind else {}
    async with http.post(f"/topics/room:a/{event}?name=Ada", data=body or None, headers=headers) as response:
        content = await response.read()
        assert response.status == status, content
        assert response.headers["cache-control"] == "no-store"
        if status >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            assert json.loads(content)["code"] == answer
            assert json.loads(content)["status"] == status
        else:
            assert content == answer
    assert await register.has_left("Ada") == "closed"


async def test_the_path_of_the_fault_is_told(http):
    async with http.post("/topics/room:a/say", json={"text": "x", "times": "y"}) as response:
        assert (await response.json())["detail"] == "times: expected int, got str"
    async with http.get("/topics/room:a?age=old") as response:
        assert (response.status, (await response.json())["detail"]) == (422, "age: expected int, got str")


# -- who may, and how --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "status"), [("Eve", 403), ("Who", 401), ("Ten", 429)])
async def test_a_refused_join_is_a_status_at_every_door(http, name, status):
    asks = [
        http.get("/topics/room:a", params={"name": name, "wait": "5"}),
        http.get("/topics/room:a", params={"name": name}, headers=STREAM),
        http.get("/topics", params={"name": name, "topic": "room:a"}, headers=STREAM),
        http.post("/topics/room:a/say", params={"name": name}, json={"text": "hi"}),
    ]
    for ask in asks:
        async with ask as response:
            assert response.status == status
            assert response.headers["content-type"] == "application/problem+json"
            assert (await response.json())["status"] == status
            assert ("retry-after" in response.headers) is (status == 429)
            assert ("www-authenticate" in response.headers) is (status == 401)
    async with http.head("/topics/room:a", params={"name": name}) as response:
        assert response.status == status


async def test_head_and_options(http):
    async with http.head("/topics/room:a?wait=20") as response:
        assert (response.status, await response.read()) == (200, b"")
    async with http.options("/topics/room:a/say") as response:
        assert (response.status, response.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    async with http.put("/topics/room:a") as response:
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")


FRIEND, STRANGER = {"origin": "https://friend.example"}, {"origin": "https://stranger.example"}


async def test_pages_of_other_origins_may_come_in_if_they_are_on_the_list(http):
    for ask in (
        http.get("/topics/room:a", headers=FRIEND),
        http.get("/topics/room:a", headers={**STREAM, **FRIEND}),
        http.post("/topics/room:a/say", data={"text": "hi"}, headers=FRIEND),
        http.post("/topics/room:a/shout", headers=FRIEND),
    ):
        async with ask as response:
            assert response.headers["access-control-allow-origin"] == "https://friend.example"
            assert response.headers["access-control-allow-credentials"] == "true"
            assert "origin" in ", ".join(response.headers.getall("vary"))
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "hubbub-connection"}
    async with http.options("/topics/room:a/say", headers={**FRIEND, **asked}) as response:
        assert response.status == 204
        assert "POST" in response.headers["access-control-allow-methods"]
        assert response.headers["access-control-allow-headers"] == "hubbub-connection"


async def test_a_page_of_a_stranger_does_nothing_and_reads_nothing(http):
    async with listening(http) as ada:
        known = {"hubbub-connection": ada.opening.data["connection"]}
        for ask in (
            http.get("/topics/room:a", headers=STRANGER),
            http.get("/topics/room:a", headers={**STREAM, **STRANGER}),
            http.post("/topics/room:a/say", data={"text": "forged"}, headers=STRANGER),
            http.post("/topics/room:a/say", data="forged", headers={**STRANGER, "content-type": "text/plain"}),
            http.post("/topics/room:a/say", json={"text": "forged"}, headers={**STRANGER, **known}),
            http.post("/topics/room:a/say", data={"text": "forged"}, headers={"origin": "null"}),
        ):
            async with ask as response:
                assert response.status == 403
                assert "access-control-allow-origin" not in response.headers
        await say(http, "true")
        assert await ada.said() == "true"


# -- what is wrong -----------------------------------------------------------------------------------------------------

JSON = {"content-type": "application/json"}
BAD = {
    "a wrong method": ("DELETE", "/topics/room:a", {}, b"", 405),
    "a post to a stream's URL": ("POST", "/topics/room:a", STREAM, b"{}", 400),
    "a post without an event": ("POST", "/topics/room:a/", JSON, b"{}", 400),
    "an unknown topic": ("GET", "/topics/nowhere", {}, b"", 404),
    "an unknown topic's stream": ("GET", "/topics/nowhere", STREAM, b"", 404),
    "a room": ("GET", "/topics/room:a%23red", {}, b"", 422),
    "a topic too long": ("GET", "/topics/room:" + "x" * 300, {}, b"", 422),
    "no topic": ("GET", "/topics", {}, b"", 422),
    "too many topics": ("GET", "/topics?" + "&".join(f"topic=none{n}" for n in range(101)), STREAM, b"", 404),
    "no such representation": ("GET", "/topics/room:a", {"accept": "text/html"}, b"", 406),
    "a bad position": ("GET", "/topics/room:a?after=5", {}, b"", 422),
    "a bad Last-Event-ID": ("GET", "/topics/room:a", {**STREAM, "last-event-id": "five"}, b"", 422),
    "a Last-Event-ID of 10 kB": ("GET", "/topics/room:a", {**STREAM, "last-event-id": "x" * 10_000}, b"", 422),
    "a bad wait": ("GET", "/topics/room:a?wait=long", {}, b"", 422),
    "a bad limit": ("GET", "/topics/room:a?limit=0", {}, b"", 422),
    "a bad join": ("GET", "/topics?join={", {}, b"", 422),
    "malformed JSON": ("POST", "/topics/room:a/say", JSON, b'{"text":', 400),
    "NaN": ("POST", "/topics/room:a/say", JSON, b'{"text":NaN}', 400),
    "no UTF-8": ("POST", "/topics/room:a/say", JSON, b'{"text":"\xff"}', 400),
    "JSON too deep": ("POST", "/topics/room:a/say", JSON, b'{"text":' + b"[" * 4_000, 400),
    "another type": ("POST", "/topics/room:a/say", {"content-type": "text/xml"}, b"<text/>", 415),
    "a compressed body": ("POST", "/topics/room:a/say", {**JSON, "content-encoding": "gzip"}, b"\x1f\x8b", 415),
    "a body too big": ("POST", "/topics/room:a/say", JSON, b'{"text":"' + b"x" * 5_000 + b'"}', 413),
    "no body": ("POST", "/topics/room:a/say", {}, b"", 422),
    "an id too long": ("POST", "/topics/room:a/say", {**JSON, "idempotency-key": "x" * 256}, b"{}", 400),
    "an unknown stream": ("POST", "/topics/room:a/say", {**JSON, "hubbub-connection": "x"}, b'{"text":"x"}', 404),
    "an empty stream": ("POST", "/topics/room:a/say", {**JSON, "hubbub-connection": ""}, b'{"text":"x"}', 404),
    "no message": ("POST", "/topics", JSON, b"[]", 400),
    "a message without a stream": ("POST", "/topics", JSON, b'{"join":"room:a"}', 400),
    "a file as a message": ("POST", "/topics", {"content-type": "image/png"}, b"{}", 415),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_request_that_is_wrong_is_told_so_and_the_room_is_unharmed(http, what):
    method, target, headers, body, status = BAD[what]
    async with listening(http) as ada:
        async with http.request(method, target, headers=headers, data=body) as response:
            problem = await response.json(content_type="application/problem+json")
            assert (response.status, problem["status"]) == (status, status), problem
            assert problem["detail"]
        await say(http, "still here")
        assert await ada.said() == "still here"


async def test_the_public_id_of_a_client_opens_nothing(http):
    async with listening(http) as ada:
        stolen = {"hubbub-connection": ada.opening.data["id"]}
        async with http.post("/topics/room:a/say", json={"text": "x"}, headers=stolen) as response:
            assert response.status == 404


async def test_a_stream_does_nothing_in_a_topic_that_it_does_not_hear(http):
    async with listening(http) as ada:
        known = {"hubbub-connection": ada.opening.data["connection"]}
        async with http.post("/topics/room:b/say", json={"text": "x"}, headers=known) as response:
            assert (response.status, (await response.json())["code"]) == (404, "not_found")


CHUNKS = "3e8\r\n" + "x" * 1_000 + "\r\n"


@pytest.mark.parametrize(
    "body", ["content-length: 1000000000\r\n\r\n", f"transfer-encoding: chunked\r\n\r\n{CHUNKS * 6}"]
)
async def test_a_body_that_is_too_big_is_refused_before_its_end(url, body):
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"POST /topics/room:a/say HTTP/1.1\r\nhost: a\r\n{body}".encode())
    async with asyncio.timeout(DEADLINE):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()
    await writer.wait_closed()


# -- curl, and mounted -------------------------------------------------------------------------------------------------


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on PATH")


@needs_curl
def test_curl_as_the_readme_shows_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its database is there
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    channel = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "sqlite:///" in block)
    lines = next(block for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "curl" in block).splitlines()
    namespace: dict = {}
    exec(channel, namespace)
    with running(namespace["app"]) as url:
        listen, send, poll = (
            ["curl", "-sS", "--max-time", "20", *shlex.split(line.replace("localhost:3000", url), comments=True)[1:]]
            for line in lines
        )
        listener = subprocess.Popen(listen, stdout=subprocess.PIPE, text=True)
        try:
            told = iter(listener.stdout.readline, "")
            assert any(line == "event: hubbub.open\n" for line in told)
            sent = subprocess.run(send, stdout=subprocess.PIPE, check=True, timeout=20)
            position = json.loads(sent.stdout)
            assert any(line == "event: said\n" for line in told)
            assert json.loads(next(told).removeprefix("data: ")) == {"name": "Bob", "text": "hello"}
            assert next(told) == f"id: {position}\n"
            polled = json.loads(subprocess.run(poll, stdout=subprocess.PIPE, check=True, timeout=20).stdout)
            assert (polled["events"][0]["event"], polled["position"]) == ("past", position)
        finally:
            listener.kill()
            listener.communicate(timeout=10)


@needs_curl
def test_curl_is_a_whole_client(url):
    room = f"{url}/topics/room:a"
    command = ["curl", "--silent", "--show-error", "--max-time", "20"]
    listener = subprocess.Popen(
        [*command, "-N", "-H", "Accept: text/event-stream", f"{room}?name=Ada"], stdout=subprocess.PIPE
    )
    try:
        reader = Reader()
        events = []

        def hear():
            while not events:
                events.extend(reader.feed(listener.stdout.readline()))
            return events.pop(0)

        assert hear().event == "hubbub.open"
        for data in ("text=hello", '{"text": "hello"}'):
            sent = subprocess.run(
                [*command, "-d", data, f"{room}/say?name=Bob"], stdout=subprocess.PIPE, check=True, timeout=20
            )
            assert sent.stdout == b'"Bob said it"'
            assert hear().data == {"name": "Bob", "text": "hello"}
        polled = subprocess.run([*command, f"{room}?name=Bob"], stdout=subprocess.PIPE, check=True, timeout=20)
        assert json.loads(polled.stdout)["complete"] is True
    finally:
        listener.kill()
        listener.communicate(timeout=10)


async def test_mounted_in_another_application(serve):
    app = make_app()
    host = Starlette(routes=[Mount("/rt", app)])
    host.start, host.drain, host.close = app.start, app.drain, app.close
    url = serve(host, lane="asgi")
    async with aiohttp.ClientSession() as http, http.get(f"{url}/rt/topics/room:a", headers=STREAM) as response:
        listener = Listener(response)
        await listener.next()
        async with http.post(f"{url}/rt/topics/room:a/say", data={"text": "inside"}) as reply:
            assert reply.status == 200
        assert await listener.said() == "inside"
