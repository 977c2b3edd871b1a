"""One client in one topic: its commands in order, from join to leave, over a real server."""

import asyncio

import aiohttp
import pytest

from hubbub import App, Channel, on

from .conftest import LANES

DEADLINE = 20.0


@pytest.fixture
def done():
    """What the channel of ``url`` did, in order."""
    return []


@pytest.fixture(params=LANES)
def url(serve, done, request):
    app = App()
    gate = asyncio.Event()

    @app.channel("room")
    class Room(Channel):
        @on("wait")
        async def wait(self):
            await gate.wait()
            done.append("waited")

        @on("note")
        async def note(self):
            done.append("noted")

        @on("go on")
        async def go_on(self):
            gate.set()

        def leave(self, reason):
            done.append(reason)

    return serve(app, lane=request.param) + "/hubbub/websocket"


async def tell(socket, **command):
    await socket.send_json(command)


async def hear(socket):
    return await socket.receive_json(timeout=DEADLINE)


async def join(socket):
    await hear(socket)
    await tell(socket, join="room", ref=1)
    assert (await hear(socket))["ok"]


async def test_what_is_sent_after_leaving_is_refused_while_a_handler_still_runs(url, done):
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as slow, http.ws_connect(url) as other:
        await join(slow)
        await join(other)
        await tell(slow, send="room", event="wait", ref=2)
        await tell(slow, leave="room", ref=3)
        await tell(slow, send="room", event="note", ref=4)
        refusal = await hear(slow)
        assert refusal["reply"] == 4
        assert refusal["error"] == {"code": "not_found", "reason": "the topic was left"}
        await tell(other, send="room", event="go on")
        assert [(await hear(slow))["reply"] for _ in range(2)] == [2, 3]
        await tell(slow, send="room", event="note", ref=5)
        assert (await hear(slow))["error"]["code"] == "not_found"
    assert done[:2] == ["waited", "left"]
    assert "noted" not in done


async def test_commands_of_one_client_wait_for_each_other(url, done):
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as slow, http.ws_connect(url) as other:
        await join(slow)
        await join(other)
        for ref, event in enumerate(("wait", "note", "wait"), 2):
            await tell(slow, send="room", event=event, ref=ref)
        await tell(other, send="room", event="note", ref=2)
        assert (await hear(other))["reply"] == 2
        await tell(other, send="room", event="go on")
        assert [(await hear(slow))["reply"] for _ in range(3)] == [2, 3, 4]
    assert done[:4] == ["noted", "waited", "noted", "waited"]
