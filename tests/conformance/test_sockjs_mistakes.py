"""What goes wrong at SockJS's door gets the protocol's own answer, and the room does not notice."""

import asyncio
import json

import aiohttp
import pytest

from hubbub import App, Channel, Limits, on
from tests.conformance.sockjs_clients import FORM, Http, new_session
from tests.conftest import LANES, running

app = App(limits=Limits(message=10_000, packets=100), protocols=("sockjs",))


@app.channel("room")
class Room(Channel):
    @on("say")
    async def say(self, text: str) -> None:
        await self.publish("said", text)


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield f"{url}/sockjs"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as client:
        yield Http(client)


def array(*messages):
    return json.dumps([json.dumps(message) for message in messages])


async def hears(socket):
    """The next message of a WebSocket."""
    frame = await socket.read()
    assert frame[0] == "a", frame
    (message,) = json.loads(frame[1:])
    return json.loads(message)


@pytest.fixture(autouse=True)
async def member(http, url):
    """Someone in the room, who afterwards is there as before."""
    async with http.socket(f"{new_session(url)}/websocket") as socket:
        assert await socket.read() == "o"
        assert "welcome" in await hears(socket)
        await socket.send(array({"join": "room", "ref": 1}))
        assert (await hears(socket))["ok"]
        yield socket
        await socket.send(array({"send": "room", "event": "say", "payload": "still here"}))
        assert await hears(socket) == {"topic": "room", "event": "said", "payload": "still here"}


@pytest.fixture
async def session(http, url):
    """A session that polls, and is in the room."""
    session = new_session(url)
    assert await http.poll(session) == "o\n"
    assert await http.send(session, array({"join": "room", "ref": 1})) == 204
    assert '\\"ok\\":true' in await http.poll(session)
    return session


async def is_alive(http, session):
    assert await http.send(session, array({"send": "room", "event": "say", "payload": "me too"})) == 204
    assert "me too" in await http.poll(session)


@pytest.fixture
async def joined(http, session, member):
    """The same, with what the member hears of it looked after."""
    yield session
    await is_alive(http, session)
    assert (await hears(member))["payload"] == "me too"


@pytest.mark.parametrize(
    ("name", "body", "status", "reason"),
    [
        ("xhr_send", "", 500, "Payload expected."),
        ("xhr_send", '["x', 500, "Broken JSON encoding."),
        ("xhr_send", "{}", 500, "Broken JSON encoding."),
        ("xhr_send", "[[]]", 500, "Broken JSON encoding."),
        ("xhr_send", "[" * 9_000, 500, "Broken JSON encoding."),
        ("xhr_send", b"\xff\xfe", 500, "Broken JSON encoding."),
        ("xhr_send", "x" * 10_001, 413, "more than 10000 bytes"),
        ("jsonp_send", "d=", 500, "Payload expected."),
        ("jsonp_send", "d=%5B%22x", 500, "Broken JSON encoding."),
        ("jsonp_send", "d=" + "x" * 10_000, 413, "more than 10000 bytes"),
    ],
)
async def test_a_body_that_cannot_be_read(http, joined, name, body, status, reason):
    answer = await http.post(f"{joined}/{name}", body, headers=FORM if name == "jsonp_send" else {})
    assert (answer.status, answer.text.strip()) == (status, reason)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/xml", "text/plain", "", "image/png", FORM["content-type"]]
)
async def test_a_content_type_of_any_kind_is_taken(http, joined, kind):
    """As the suite has it: browsers of its day could not always choose."""
    ping = array({"ping": kind})
    assert (await http.post(f"{joined}/xhr_send", ping, headers={"content-type": kind})).status == 204
    assert json.dumps(json.dumps({"pong": kind}, separators=(",", ":"))) in await http.poll(joined)


async def test_an_unknown_topic_is_refused_and_the_session_lives(http, joined):
    assert await http.send(joined, array({"join": "cellar", "ref": 2})) == 204
    assert '\\"code\\":\\"not_found\\"' in await http.poll(joined)


async def test_two_polls_at_once(http, joined):
    first = asyncio.ensure_future(http.poll(joined))
    await asyncio.sleep(0.05)  # whichever is second is told so, and the session goes on with the other
    second = asyncio.ensure_future(http.poll(joined))
    done, (waiting,) = await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED, timeout=20)
    assert [poll.result() for poll in done] == ['c[2010,"Another connection still open"]\n']
    assert await http.send(joined, array({"ping": 1})) == 204
    assert "pong" in await waiting


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("name", ["xhr", "xhr_send", "xhr_streaming"])
async def test_a_wrong_method(http, joined, method, name):
    answer = await http.ask(method, f"{joined}/{name}")
    assert (answer.status, answer.text) == (405, "")
    assert answer.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("name", ["telepathy", "xhr_sen", "xhr/xhr", "XHR", "websocket2", "xhr_send.html"])
async def test_an_unknown_transport(http, joined, name):
    for method in ("GET", "POST"):
        assert (await http.ask(method, f"{joined}/{name}")).status == 404


@pytest.mark.parametrize("name", ["xhr_send", "jsonp_send"])
async def test_an_unknown_session(http, url, name):
    assert (await http.post(f"{new_session(url)}/{name}", '["x"]')).status == 404


async def test_a_message_that_is_none_of_ours_ends_its_session_in_words(http, session):
    assert (await http.post(f"{session}/xhr_send", '["hello"]')).status == 400
    assert "protocol_error" in await http.poll(session)
    for _ in range(2):
        assert (await http.poll(session)).startswith("c[1007,")
    assert (await http.post(f"{session}/xhr_send", '["x"]')).status == 404


async def test_too_many_messages_in_one_body(http, session):
    assert (await http.post(f"{session}/xhr_send", json.dumps(["x"] * 101))).status == 400
    await http.poll(session)
    assert (await http.poll(session)).startswith("c[1009,")


@pytest.mark.parametrize("message", ["x" * 10_001, '["x', b"\xff"])
async def test_a_websocket_that_says_what_is_no_frame(http, url, message):
    async with http.socket(f"{new_session(url)}/websocket") as socket:
        assert await socket.read() == "o"
        await hears(socket)
        await (socket.send(message) if isinstance(message, str) else socket.socket.send_bytes(message))
        while (answer := await socket.socket.receive(timeout=20)).type == aiohttp.WSMsgType.TEXT:
            pass
        assert answer.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


@pytest.mark.parametrize("path", ["xhr", "xhr_send", "jsonp_send", "eventsource", "jsonp?c=c", "htmlfile?c=c"])
async def test_a_page_that_may_not_connect(http, joined, path):
    method = "POST" if path in ("xhr", "xhr_send", "jsonp_send") else "GET"
    answer = await http.ask(method, f"{joined}/{path}", headers={"origin": "https://evil.example"})
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["info", "iframe.html", "0/0/jsonp?c=c", "0/0/htmlfile?c=c", "0/0/eventsource"])
async def test_nor_may_what_it_embeds(http, url, path):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "script", "referer": "https://evil.example/"}
    assert (await http.get(f"{url}/{path}", headers=headers)).status == 403
