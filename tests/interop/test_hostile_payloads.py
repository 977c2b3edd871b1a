"""What a client may do to a handler annotated ``text: str``: each gets the documented error, and nobody else notices.

The answers are those of docs/guides/payloads.md.
"""

import asyncio
import io
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
import pytest_asyncio
import socketio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import LANES, running
from tests.interop.app import app

DEEP = "[" * 10_000 + "]" * 10_000
HUGE = "x" * (2 << 20)

REFUSED = {
    "another type": ('["text",{"text":5}]', "text: expected str, got int"),
    "one too many": ('["text","x","y"]', "expected 1 argument, got 2"),
    "nothing": ('["text"]', "missing: text"),
    "null": ('["text",null]', "missing: text"),
    "an array": ('["text",[]]', "text: expected str, got array"),
}
"""The packet, and the reason in its acknowledgement. The connection lives."""

ENDED = {
    "2 MiB": (f'420["text","{HUGE}"]', 1009, 413),
    "no UTF-8": (b'420["text","\xff\xfe"]', 1007, 400),
    "no JSON": ('420["text",', 1007, 400),
    "10,000 nested arrays": (f'420["text",{DEEP}]', 1007, 400),
}
"""The message, the code with which its WebSocket is closed, and the status of its POST."""


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield url


@pytest_asyncio.fixture
async def neighbours(url):
    """Two others in the topic, and afterwards the proof that one hears all that the other says."""
    ear, mouth = socketio.AsyncClient(reconnection=False), socketio.AsyncClient(reconnection=False)
    heard = asyncio.Queue()
    ear.on("said", heard.put_nowait)
    try:
        for client in (ear, mouth):
            await client.connect(url, transports=["websocket"])
        await mouth.emit("say", "before")
        yield
        await mouth.emit("say", "after")
        assert [(await asyncio.wait_for(heard.get(), 20))["text"] for _ in range(2)] == ["before", "after"]
        assert ear.connected
        assert mouth.connected
    finally:
        for client in (ear, mouth):
            await client.disconnect()


@asynccontextmanager
async def joined(url):
    """A bare WebSocket that has said what a Socket.IO client says first."""
    async with connect(url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket", max_size=None) as socket:
        await socket.send("40")
        while not (await hear(socket)).startswith("42"):  # the welcome comes last
            pass
        yield socket


async def hear(socket):
    async with asyncio.timeout(20):
        while (message := await socket.recv()) == "2":
            await socket.send("3")
    return message


@pytest.mark.usefixtures("neighbours")
@pytest.mark.parametrize("fault", REFUSED)
async def test_it_is_refused_with_its_reason_and_the_connection_lives(url, fault):
    packet, reason = REFUSED[fault]
    async with joined(url) as socket:
        await socket.send(f"421{packet}")
        answer = msgspec.json.decode((await hear(socket)).removeprefix("431"))
        assert answer == [{"error": {"code": "invalid", "reason": reason}}]
        await socket.send('422["text","still here"]')
        assert await hear(socket) == '432["STILL HERE"]'


@pytest.mark.usefixtures("neighbours")
@pytest.mark.parametrize("fault", ENDED)
async def test_it_ends_its_own_websocket_with_the_code_for_it(url, fault):
    message, code, _ = ENDED[fault]
    async with joined(url) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.send(message, text=True)
            await hear(socket)
    assert closed.value.rcvd.code == code


@pytest.mark.usefixtures("neighbours")
@pytest.mark.parametrize("fault", ENDED)
async def test_it_is_refused_by_polling_with_the_status_for_it(url, fault):
    message, _, status = ENDED[fault]
    address = url + "/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as http:
        async with http.get(address) as response:
            address += "&sid=" + msgspec.json.decode((await response.text())[1:])["sid"]
        async with http.post(address, data="40") as response:
            assert response.status == 200
        data = io.BytesIO(message if isinstance(message, bytes) else message.encode())
        async with http.post(address, data=data, headers={"Content-Type": "text/plain"}) as response:
            assert response.status == status
            assert set(await response.json(content_type=None)) == {"code", "message"}


@pytest.mark.usefixtures("neighbours")
async def test_what_just_can_be_read_is_never_a_fault_of_ours(url):
    """Reading, validating and writing it again take the stack at different depths of their own."""
    async with joined(url) as socket:
        for depth in [*range(900, 1_000), 2_000, 5_000]:
            await socket.send(f'421["echo",{"[" * depth + "]" * depth}]')
            try:
                answer = await hear(socket)
            except ConnectionClosed as closed:
                assert closed.rcvd.code == 1007
                break
            assert '"internal"' not in answer, depth
