"""Stopping: goodbyes in each protocol's words, after what was asked for is done, and in time."""

import asyncio
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from websockets.asyncio.client import connect

from hubbub import App, Channel, Keep, on
from hubbub.errors import BrokerError
from tests.conftest import LANES, running


class Room(Channel):
    history = Keep()
    gate: asyncio.Event

    @on("wait")
    async def wait(self):
        await self.publish("waiting")
        await self.gate.wait()
        return "done"


def application(gate=None):
    app = App()
    app.channel("room")(type("Room", (Room,), {"gate": gate}))
    return app


@asynccontextmanager
async def member(url):
    async with connect(url.replace("http", "ws") + "/hubbub/websocket") as socket:
        await socket.send('{"join": "room", "ref": "join"}')
        await until(socket, lambda told: told.get("reply") == "join")
        yield socket


async def hear(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 20))


async def until(socket, wanted):
    while not wanted(told := await hear(socket)):
        pass
    return told


def draining(app, seconds):
    return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(app.drain(seconds), app._loop))


@pytest.mark.parametrize("lane", LANES)
async def test_a_reply_leaves_before_the_goodbye(lane):
    gate = asyncio.Event()
    app = application(gate)
    with running(app, lane=lane) as url:
        async with member(url) as socket, member(url) as idle:
            await socket.send('{"send": "room", "event": "wait", "ref": 1}')
            await until(socket, lambda told: told.get("event") == "waiting")
            drained = draining(app, 10.0)
            assert (await until(idle, lambda told: "bye" in told))["bye"]["code"] == "shutdown"
            app._loop.call_soon_threadsafe(gate.set)
            assert (await hear(socket))["payload"] == "done"
            assert (await hear(socket))["bye"] == {
                "code": "shutdown", "reason": "The server is restarting.", "come_back": True,
            }  # fmt: skip
            await drained


@pytest.mark.parametrize("lane", LANES)
async def test_a_handler_that_never_ends_does_not_hold_it_up(lane):
    app = application(asyncio.Event())
    with running(app, lane=lane) as url:
        async with member(url) as socket:
            await socket.send('{"send": "room", "event": "wait", "ref": 1}')
            await until(socket, lambda told: told.get("event") == "waiting")
            drained = draining(app, 0.1)
            assert (await until(socket, lambda told: "bye" in told))["bye"]["come_back"] is True
            await drained


async def test_a_broker_that_does_not_answer_does_not_hold_it_up(redis_server):
    app = App(broker=redis_server.url)
    app.channel("room")(type("Room", (Room,), {}))
    with running(app, drain_timeout=1.0) as url:
        async with member(url):
            redis_server.pause()
            said = asyncio.create_task(asyncio.to_thread(app.publish, "room", "said"))
            await asyncio.sleep(0)
            begun = time.monotonic()
    with pytest.raises(BrokerError, match="not running"):
        await said
    assert time.monotonic() - begun < 4, "Redis would have been given 15 seconds"


@pytest.mark.parametrize("lane", LANES)
async def test_nobody_is_let_in_any_more(lane):
    app = application()
    with running(app, lane=lane) as url:
        async with aiohttp.ClientSession() as http:
            for path in ("/topics/room", "/hubbub/health"):
                async with http.get(f"{url}{path}") as response:
                    assert response.status == 200
            await draining(app, 0.0)
            async with http.get(f"{url}/hubbub/health") as response:
                assert (response.status, await response.text()) == (503, "going away")
            async with http.get(f"{url}/topics/room") as response:
                assert response.status == 503
                assert (await response.json(content_type=None))["code"] == "shutdown"
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(f"{url}/hubbub/websocket")


async def test_goodbyes_are_spread(monkeypatch):
    monkeypatch.setattr("hubbub.draining.RATE", 20.0)
    app = application()
    with running(app) as url:
        async with AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(member(url)) for _ in range(30)]
            drained = draining(app, 10.0)
            begun = time.monotonic()

            async def told(socket):
                await until(socket, lambda told: "bye" in told)
                return time.monotonic() - begun

            times = sorted(await asyncio.gather(*map(told, sockets)))
            await drained
    assert times[-1] - times[0] > 0.2


@pytest.mark.parametrize("lane", LANES)
async def test_every_door_says_goodbye_in_its_own_words(lane):
    app = application()
    with running(app, lane=lane) as url:
        async with aiohttp.ClientSession() as http, AsyncExitStack() as stack:
            engine = f"{url}/socket.io/?EIO=4&transport=polling"
            async with http.get(engine) as response:
                session = json.loads((await response.text())[1:])["sid"]
            engine += f"&sid={session}"
            async with http.post(engine, data="40/room,") as response:
                assert response.status == 200
            async with http.get(engine) as response:
                assert (await response.text()).startswith("40/room,")
            poll = asyncio.ensure_future(http.get(engine))
            phoenix = await stack.enter_async_context(http.ws_connect(f"{url}/socket/websocket?vsn=2.0.0"))
            await phoenix.send_str('["1","1","room","phx_join",{}]')
            assert "phx_reply" in await phoenix.receive_str()
            stream = await stack.enter_async_context(
                http.get(f"{url}/topics/room", headers={"accept": "text/event-stream"})
            )
            await stream.content.readuntil(b"\n\n")
            await draining(app, 1.0)
            assert b'"shutdown"' in await stream.content.read()
            assert (await phoenix.receive()).type is aiohttp.WSMsgType.CLOSE
            assert phoenix.close_code == 1012
            async with await poll as response:
                assert (await response.text()).endswith("1")
