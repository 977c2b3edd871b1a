"""``@app.authenticate``: asked once for each client, before its first topic; and again when a pass runs out."""

import asyncio
import base64
import json
import logging
import re
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import socketio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hubbub import App, Banned, Channel, Handshake, Keep, Pass, Unauthorized, UsageError, introduction, on
from hubbub.protocols.base import Request
from tests.conftest import LANES

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "authentication.md"
LOOK = 20
"""Seconds for what has to happen."""


@pytest.fixture(params=LANES)
def lane(request):
    return request.param


def application(answers, **options):
    """Identities are tokens backwards; ``answers`` has what is said instead, or first."""
    app = App(**options)
    app.asked = []

    @app.authenticate
    async def who(handshake):
        app.asked.append(handshake)
        answer = answers.pop(0) if answers else None
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            return answer
        if handshake.token is None:
            raise Unauthorized("show a token")
        return handshake.token[::-1]

    @app.channel("room:{room}")
    class Room(Channel):
        history = Keep(count=100)

        async def join(self):
            return self.connection.identity

        @on("who")
        async def who(self):
            return self.connection.identity

    @app.socket("/raw")
    async def raw(socket):
        async for _ in socket:
            await socket.send(socket.identity)

    return app


def native(url, **options):
    return connect(url.replace("http", "ws") + "/hubbub/websocket", **options)


@asynccontextmanager
async def talking(url, **options):
    async with asyncio.timeout(LOOK), native(url, **options) as line:
        assert "welcome" in json.loads(await line.recv())

        async def ask(message):
            await line.send(json.dumps({**message, "ref": 1}))
            return json.loads(await line.recv())

        ask.line = line
        yield ask


JOIN = {"join": "room:a", "params": {"token": "ada"}}


async def test_it_is_asked_once_for_each_client_and_before_any_join(serve, lane):
    app = application([])
    async with talking(serve(app, lane=lane)) as ask:
        assert (await ask(JOIN))["payload"] == "ada"[::-1]
        assert (await ask({"join": "room:b"}))["payload"] == "ada"[::-1]
        assert (await ask({"send": "room:b", "event": "who"}))["payload"] == "ada"[::-1]
    (handshake,) = app.asked
    assert handshake.params == {"token": "ada"}
    assert handshake.client == "127.0.0.1"
    assert len(app.reception.introductions) == 0


async def test_joins_that_come_together_wait_for_one_answer(serve, lane):
    app, opened = application([]), threading.Event()
    url, hook = serve(app, lane=lane), app.reception.introductions.hook

    async def slow(handshake):
        await asyncio.to_thread(opened.wait, LOOK)
        return await hook(handshake)

    app.reception.introductions.hook = slow
    async with talking(url) as ask:
        for number in range(3):
            await ask.line.send(json.dumps({**JOIN, "join": f"room:{number}", "ref": number}))
        opened.set()
        replies = [json.loads(await ask.line.recv()) for _ in range(3)]
    assert {reply["payload"] for reply in replies} == {"ada"[::-1]}
    assert len(app.asked) == 1


async def test_who_is_refused_is_in_no_topic_and_may_try_again(serve, lane):
    app = application([])
    async with talking(serve(app, lane=lane)) as ask:
        refused = await ask({"join": "room:a"})
        assert (refused["ok"], refused["error"]["code"], refused["error"]["reason"]) == (
            False, "unauthorized", "show a token",
        )  # fmt: skip
        assert (await ask({"send": "room:a", "event": "who"}))["error"]["code"] == "not_found"
        assert (await ask(JOIN))["payload"] == "ada"[::-1]
    assert [handshake.params for handshake in app.asked] == [{}, {"token": "ada"}]


async def test_a_disconnect_that_it_raises_ends_the_connection(serve, lane):
    app = application([Banned("for good")])
    async with talking(serve(app, lane=lane)) as ask:
        assert (await ask(JOIN))["error"]["code"] == "banned"
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(ask.line.recv(), LOOK)
            await asyncio.wait_for(ask.line.recv(), LOOK)
    assert closed.value.rcvd.code == 4403


async def test_its_own_fault_is_told_to_the_operator_and_not_to_the_client(serve, lane, caplog):
    app = application([ValueError("secret-of-the-database")])
    async with talking(serve(app, lane=lane)) as ask:
        refused = await ask(JOIN)
        assert refused["error"]["code"] == "internal"
        assert "secret" not in json.dumps(refused)
        assert (await ask(JOIN))["ok"] is True
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message == "the authentication hook failed"
    assert "secret-of-the-database" in str(record.exc_info[1])


async def test_one_that_takes_too_long_has_failed(serve, lane, monkeypatch, caplog):
    monkeypatch.setattr(introduction, "PATIENCE", 0.05)
    app = App()

    @app.authenticate
    async def who(handshake):
        await asyncio.sleep(LOOK)

    app.channel("room:{room}")(Channel)
    async with talking(serve(app, lane=lane)) as ask:
        assert (await ask(JOIN))["error"]["code"] == "unavailable"
    assert "takes too long" in caplog.text


async def test_a_plain_function_runs_in_a_thread(serve, lane):
    app, threads = App(), []

    @app.authenticate
    def who(handshake):
        threads.append(threading.current_thread())
        return "Ada"

    @app.channel("room:{room}")
    class Room(Channel):
        async def join(self):
            threads.append(threading.current_thread())
            return self.connection.identity

    async with talking(serve(app, lane=lane)) as ask:
        assert (await ask(JOIN))["payload"] == "Ada"
    assert threads[0] is not threads[1]


# -- every door -------------------------------------------------------------------------------------------------------


async def test_socketio_shows_its_auth(serve, lane):
    url = serve(application([]), lane=lane)
    async with asyncio.timeout(LOOK), socketio.AsyncSimpleClient() as client:
        await client.connect(url, namespace="/room:a", auth={"token": "ada"})
        assert await client.call("who") == "ada"[::-1]
    client = socketio.AsyncClient(reconnection=False)
    refused = asyncio.get_running_loop().create_future()
    client.on("connect_error", refused.set_result, namespace="/room:a")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(url, namespaces=["/room:a"], wait_timeout=LOOK)
    assert (await asyncio.wait_for(refused, LOOK))["message"] == "show a token"
    await client.disconnect()


async def test_phoenix_shows_its_params_and_its_auth_token(serve, lane):
    url = serve(application([]), lane=lane).replace("http", "ws") + "/socket/websocket?vsn=2.0.0"
    bearer = "base64url.bearer.phx." + base64.urlsafe_b64encode(b"ada").decode().rstrip("=")
    join = json.dumps(["1", "1", "room:a", "phx_join", {}])
    for address, protocols in ((f"{url}&token=ada", None), (url, ["phoenix", bearer])):
        async with asyncio.timeout(LOOK), connect(address, subprotocols=protocols) as line:
            await line.send(join)
            *_, told = json.loads(await line.recv())
            assert told["status"] == "ok", told
    async with asyncio.timeout(LOOK), connect(url) as line:
        await line.send(join)
        *_, told = json.loads(await line.recv())
        assert told["status"] == "error"
        assert told["response"]["reason"] == "show a token"


async def test_http_shows_a_bearer_token(serve, lane):
    url = serve(application([]), lane=lane)
    async with httpx.AsyncClient(base_url=url, timeout=LOOK) as client:
        refused = await client.get("/topics/room:a")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["code"] == "unauthorized"
        shown = {"authorization": "Bearer ada"}
        assert (await client.get("/topics/room:a", headers=shown)).status_code == 200
        assert (await client.post("/topics/room:a/who", headers=shown)).json() == "ada"[::-1]
        assert (await client.post("/topics/room:a/who")).status_code == 401
        assert (await client.get("/topics/room:a?token=ada")).status_code == 200


async def test_a_raw_socket_has_its_identity_and_a_stranger_is_sent_away(serve, lane):
    url = serve(application([]), lane=lane).replace("http", "ws") + "/raw"
    async with asyncio.timeout(LOOK), connect(url, additional_headers={"authorization": "Bearer ada"}) as line:
        await line.send("who am I?")
        assert await line.recv() == "ada"[::-1]
    async with asyncio.timeout(LOOK), connect(url) as line:
        with pytest.raises(ConnectionClosed) as closed:
            await line.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "show a token")


# -- passes -----------------------------------------------------------------------------------------------------------


async def test_a_pass_is_renewed_and_the_client_notices_nothing(serve, lane):
    app = application([Pass("first", 0.05), "for good"])
    async with talking(serve(app, lane=lane)) as ask:
        assert (await ask(JOIN))["payload"] == "first"
        async with asyncio.timeout(LOOK):
            while (await ask({"send": "room:a", "event": "who"}))["payload"] != "for good":
                pass  # it is asked as fast as it answers
    first, second = app.asked
    assert first == second
    assert len(app.reception.introductions) == 0


async def test_a_pass_that_is_not_renewed_ends_the_connection(serve, lane):
    app = application([Pass("first", 0.05), Unauthorized("you were removed")])
    async with talking(serve(app, lane=lane)) as ask:
        assert (await ask(JOIN))["payload"] == "first"
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await asyncio.wait_for(ask.line.recv(), LOOK)
    assert closed.value.rcvd.code == 4401
    assert closed.value.rcvd.reason == "you were removed"


async def test_a_hook_that_fails_to_renew_is_asked_again_but_not_for_ever(serve, lane, monkeypatch, caplog):
    monkeypatch.setattr(introduction, "PAUSE", 0.05)
    monkeypatch.setattr(introduction, "GRACE", 0.12)
    app = application([Pass("first", 0.05), *(OSError("the database is away") for _ in range(3))])
    async with talking(serve(app, lane=lane)) as ask:
        assert (await ask(JOIN))["payload"] == "first"
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await asyncio.wait_for(ask.line.recv(), LOOK)
    assert closed.value.rcvd.code == 4401
    assert len(app.asked) == 4
    assert caplog.text.count("the database is away") == 3


async def test_nothing_is_kept_of_a_client_that_is_gone(serve, lane):
    app, gone = application([Pass("first", 600)]), threading.Event()

    @app.channel("door")
    class Door(Channel):
        async def leave(self, reason):
            gone.set()

    async with talking(serve(app, lane=lane)) as ask:
        await ask({**JOIN, "join": "door"})
        assert len(app.reception.introductions) == 1
    assert await asyncio.to_thread(gone.wait, LOOK)
    assert len(app.reception.introductions) == 0


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
async def test_a_pass_for_ever_is_the_operators_to_mend_and_lets_nobody_in(serve, lane, seconds, caplog):
    app = App()
    app.channel("room:{room}")(Channel)

    @app.authenticate
    async def who(handshake):
        return Pass("Ada", seconds)

    async with talking(serve(app, lane=lane)) as ask:
        for _ in range(2):
            assert (await ask(JOIN))["error"]["code"] == "internal"
    told = [str(record.exc_info[1]) for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 2
    assert all("for good is the identity alone" in reason for reason in told)


async def test_a_client_that_leaves_while_it_is_asked_about_is_known_to_its_last_hook(serve, lane):
    app, asked, opened, known = App(), threading.Event(), threading.Event(), []
    seen = threading.Event()

    @app.authenticate
    def who(handshake):
        asked.set()
        assert opened.wait(LOOK)
        return Pass("Ada", 600)

    @app.channel("room:{room}")
    class Room(Channel):
        async def join(self):
            known.append(self.connection.identity)
            seen.set()

    async with talking(serve(app, lane=lane)) as ask:
        await ask.line.send(json.dumps(JOIN))
        assert await asyncio.to_thread(asked.wait, LOOK)
        (connection,) = app.reception.connections.values()
    async with asyncio.timeout(LOOK):
        while not connection.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    opened.set()
    assert await asyncio.to_thread(seen.wait, LOOK)
    assert known == ["Ada"]
    assert len(app.reception.introductions) == 0


async def test_the_identity_ends_on_every_line(serve, lane):
    app = application([])
    url = serve(app, lane=lane)
    async with talking(url) as first, talking(url) as second:
        await first(JOIN)
        await second(JOIN)
        ended = asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(app.disconnect("ada"[::-1], Banned("spam")), app._loop)
        )
        assert await asyncio.wait_for(ended, LOOK) == 2


# -- the handshake ----------------------------------------------------------------------------------------------------


def test_what_a_handshake_shows():
    def of(params=(), **headers):
        return Handshake(Request("GET", "/", headers=headers), dict(params))

    assert of(cookie='session=abc; theme="dark"; broken; a=b=c').cookies == {
        "session": "abc", "theme": "dark", "a": "b=c",
    }  # fmt: skip
    assert of().cookies == {}
    assert of(authorization="Bearer x.y").token == "x.y"
    assert of(authorization="bearer  x.y ").token == "x.y"
    assert of(authorization="Basic x.y").token is None
    assert of({"token": "p"}, authorization="Basic x.y").token == "p"
    assert of({"auth_token": "q"}).token == "q"
    assert of({"token": 5}).token is None
    assert of({"token": ""}).token is None


def test_there_is_one_hook():
    app = App()
    app.authenticate(lambda handshake: None)
    with pytest.raises(UsageError, match="the second"):
        app.authenticate(lambda handshake: None)


async def test_the_application_of_the_guide(serve, lane):
    names = {}
    exec(re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[1], names)
    url = serve(names["app"], lane=lane)
    async with talking(url, additional_headers={"cookie": "session=s3cret"}) as ask:
        assert (await ask({"join": "room:staff"}))["ok"] is True
    async with talking(url) as ask:
        assert (await ask({"join": "room:a"}))["error"]["code"] == "unauthorized"
        assert (await ask({"join": "room:staff", "params": {"token": "t0ps3cret"}}))["error"]["code"] == "forbidden"
        assert (await ask({"join": "room:a"}))["ok"] is True
        await ask.line.send(json.dumps({"send": "room:a", "event": "say", "payload": "hi"}))
        assert json.loads(await ask.line.recv())["payload"] == {"name": "Eve", "text": "hi"}
