"""Raw sockets over the network, in both lanes: what an ``@app.socket`` function is given, and how it ends."""

import asyncio
import logging
import re
from pathlib import Path

import aiohttp
import pytest

from hubbub import App, Disconnect, Forbidden, Limits, Shutdown, UsageError
from tests.conftest import LANES, running

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "raw-sockets.md"


@pytest.fixture(params=LANES)
def lane(request):
    return request.param


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


def connect(http, url, path="/echo", **options):
    return http.ws_connect(url + path, timeout=aiohttp.ClientWSTimeout(ws_close=5), **options)


async def close_of(websocket):
    """The close code and reason, after whatever else came."""
    while (message := await websocket.receive(timeout=20)).type is not aiohttp.WSMsgType.CLOSE:
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
    return message.data, message.extra


class Report:
    """What a function in the server's thread has to say to the test."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.queue = asyncio.Queue()

    def __call__(self, *what):
        self.loop.call_soon_threadsafe(self.queue.put_nowait, what)

    async def next(self):
        return await asyncio.wait_for(self.queue.get(), 100)


# -- a conversation -------------------------------------------------------------------------------------------------


async def test_text_and_bytes_are_echoed_as_they_are(serve, lane, http):
    app = App()

    @app.socket("/echo")
    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    async with connect(http, serve(app, lane=lane)) as websocket:
        for text in ("hello", "", "{", "\u2028\U0001f642"):
            await websocket.send_str(text)
            assert await websocket.receive_str(timeout=20) == text
        for data in (b"", b"\x00\xff", bytes(100_000)):
            await websocket.send_bytes(data)
            assert await websocket.receive_bytes(timeout=20) == data


async def test_the_function_sees_how_it_was_opened(serve, lane, http):
    app = App()

    @app.socket("/rooms/{room}", subprotocols=("second", "first"))
    async def tell(socket):
        await socket.send(f"{socket.params['room']} {socket.subprotocol} {socket.client} {socket.request.query['a']}")
        await socket.send(f"{socket.request.headers['x-name']} {socket.closed}")

    url = serve(app, lane=lane)
    headers = {"x-name": "Ada"}
    async with connect(http, url, "/rooms/red?a=1", protocols=("first", "second"), headers=headers) as websocket:
        assert websocket.protocol == "second"
        assert await websocket.receive_str(timeout=20) == "red second 127.0.0.1 1"
        assert await websocket.receive_str(timeout=20) == "Ada False"
        assert await close_of(websocket) == (1000, "")
    async with connect(http, url, "/rooms/red?a=1", protocols=("third",), headers=headers) as websocket:
        assert websocket.protocol is None
        assert await websocket.receive_str(timeout=20) == "red None 127.0.0.1 1"


async def test_two_clients_have_a_call_each(serve, lane, http):
    app, sockets = App(), []

    @app.socket("/chat")
    async def chat(socket):
        sockets.append(socket)
        async for message in socket:
            for other in sockets:
                await other.send(f"{sockets.index(socket)}: {message}")

    url = serve(app, lane=lane)
    async with connect(http, url, "/chat") as ada:
        await ada.send_str("one")
        assert await ada.receive_str(timeout=20) == "0: one"
        async with connect(http, url, "/chat") as bob:
            await bob.send_str("two")
            assert await ada.receive_str(timeout=20) == await bob.receive_str(timeout=20) == "1: two"


# -- how it ends ----------------------------------------------------------------------------------------------------


async def test_it_closes_with_the_code_and_reason_it_likes(serve, lane, http):
    app, report = App(), Report()

    @app.socket("/echo")
    async def bye(socket):
        await socket.send("last")
        await socket.close(4001, "ü" * 100)
        with pytest.raises(Disconnect):
            await socket.send("too late")
        report(socket.closed)

    async with connect(http, serve(app, lane=lane)) as websocket:
        assert await close_of(websocket) == (4001, "ü" * 61)  # 122 of the 123 bytes there are
    assert await report.next() == (True,)


@pytest.mark.parametrize("code", [0, 999, 1002, 1005, 1006, 1015, 2000, 5000])
async def test_a_code_that_may_not_be_sent_is_the_developers_mistake(serve, http, code):
    app, report = App(), Report()

    @app.socket("/echo")
    async def bye(socket):
        with pytest.raises(UsageError):
            await socket.close(code)
        with pytest.raises(UsageError):
            await socket.send({"no": "JSON"})
        with pytest.raises(UnicodeEncodeError):
            await socket.send("half a pair: \ud800")
        report("raised")

    async with connect(http, serve(app)):
        assert await report.next() == ("raised",)


@pytest.mark.parametrize(
    ("error", "code", "logged"),
    [
        (ZeroDivisionError(), 1011, True),
        (UsageError("no"), 1011, True),
        (Forbidden("no"), 1011, False),
        (Shutdown(), 1012, False),
    ],
)
async def test_what_it_raises_closes_the_socket(serve, lane, http, caplog, error, code, logged):
    app = App()

    @app.socket("/echo")
    async def fail(socket):
        await socket.receive()
        raise error

    with caplog.at_level(logging.ERROR, logger="hubbub"):
        async with connect(http, serve(app, lane=lane)) as websocket:
            await websocket.send_str("go")
            assert (await close_of(websocket))[0] == code
    assert [record.message for record in caplog.records] == ["fail, at the raw socket /echo, failed"] * logged


async def test_the_loop_over_messages_ends_when_the_client_goes(serve, lane, http):
    app, report = App(), Report()

    @app.socket("/echo")
    async def listen(socket):
        async for message in socket:
            report(message)
        with pytest.raises(Disconnect):
            await socket.receive()
        report("over", socket.closed)

    async with connect(http, serve(app, lane=lane)) as websocket:
        await websocket.send_str("one")
        await websocket.send_str("two")
    assert [await report.next() for _ in range(3)] == [("one",), ("two",), ("over", True)]


async def test_who_only_sends_hears_that_the_client_is_gone(serve, lane, http):
    app, report = App(), Report()

    @app.socket("/echo")
    async def tick(socket):
        with pytest.raises(Disconnect):
            while True:
                await socket.send("tick")
                await asyncio.sleep(0.01)
        report("over")

    async with connect(http, serve(app, lane=lane)) as websocket:
        await websocket.receive_str(timeout=20)
    assert await report.next() == ("over",)


async def test_who_does_not_look_is_cancelled_once_patience_is_over(serve, lane, http, caplog):
    app, report = App(limits=Limits(patience=0.1)), Report()

    @app.socket("/echo")
    async def sleep(socket):
        report("there")
        try:
            await asyncio.Event().wait()
        finally:
            report("cancelled")

    async with connect(http, serve(app, lane=lane)):
        assert await report.next() == ("there",)
    assert await report.next() == ("cancelled",)
    assert not caplog.records


async def test_stopping_the_server_ends_all_calls(lane, http):
    app, report = App(), Report()

    @app.socket("/echo")
    async def listen(socket):
        report("there")
        async for _ in socket:
            pass
        report("over")

    with running(app, lane=lane) as url:
        websocket = await connect(http, url)
        assert await report.next() == ("there",)
        asyncio.run_coroutine_threadsafe(app.drain(0.0), app._loop)
        assert await close_of(websocket) == (1012, "The server is restarting.")
        assert await report.next() == ("over",)


# -- the guide ------------------------------------------------------------------------------------------------------


async def test_the_guides_example_does_what_the_guide_says(serve, lane, http):
    (example, *_) = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names = {}
    exec(example, names)
    async with connect(http, serve(names["app"], lane=lane), "/rooms/red", protocols=("chat.v1",)) as websocket:
        assert await websocket.receive_str(timeout=20) == "you are in red, and speak chat.v1"
        await websocket.send_str("hello")
        assert await websocket.receive_str(timeout=20) == "HELLO"
        await websocket.send_bytes(b"\x01\x02")
        assert await websocket.receive_bytes(timeout=20) == b"\x02\x01"
        await websocket.send_str("bye")
        assert await close_of(websocket) == (4000, "you said so")


# -- bounds ---------------------------------------------------------------------------------------------------------


async def test_a_client_that_sends_faster_than_it_is_heard_is_slowed_and_loses_nothing(serve, lane, http):
    app, report = App(limits=Limits(inbox=200_000)), Report()
    gate = asyncio.Event()

    @app.socket("/echo")
    async def slow(socket):
        report(socket)
        await gate.wait()
        count = 0
        async for message in socket:
            assert message == f"{count:04}" + "x" * 50_000
            count += 1
            if count == 400:
                break
        report(count)

    async with connect(http, serve(app, lane=lane), compress=0) as websocket:
        (socket,) = await report.next()

        async def flood():
            for number in range(400):
                await websocket.send_str(f"{number:04}" + "x" * 50_000)

        flooding = asyncio.ensure_future(flood())
        done, _ = await asyncio.wait((flooding,), timeout=1.0)
        assert not done, "20 MB were taken in though nobody looked at them"
        assert socket._inbox.size < 200_000 + 300_000  # and one read of the transport's
        app._loop.call_soon_threadsafe(gate.set)
        assert await report.next() == (400,)
        await flooding


async def test_sending_waits_for_who_reads_slowly(serve, lane, http):
    app, report = App(), Report()

    @app.socket("/echo")
    async def flood(socket):
        for number in range(400):
            await socket.send(bytes(100_000))
            report(number)

    async with connect(http, serve(app, lane=lane)) as websocket:
        await report.next()
        sent = 1
        with pytest.raises(TimeoutError):
            while True:
                await asyncio.wait_for(report.queue.get(), 1)
                sent += 1
        assert 0 < sent < 350
        for _ in range(400):
            assert len(await websocket.receive_bytes(timeout=20)) == 100_000
        assert await close_of(websocket) == (1000, "")


# -- who may come in ------------------------------------------------------------------------------------------------


async def test_a_page_of_another_origin_may_not_connect(serve, lane, http):
    app, report = App(origins="https://friend.example"), Report()

    @app.socket("/echo")
    async def echo(socket):
        report("called")

    url = serve(app, lane=lane)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await connect(http, url, origin="https://evil.example")
    assert refused.value.status == 403
    assert report.queue.empty()
    async with connect(http, url, origin="https://friend.example"):
        assert await report.next() == ("called",)


def test_what_cannot_be_served_is_refused_when_it_is_written():
    app = App()

    async def function(socket):
        pass

    app.socket("/echo/{name}")(function)
    for path in ("/echo/{name}", "/echo/x", "/hubbub/websocket", "echo", "/a/{", "/{a}/{a}"):
        with pytest.raises(UsageError):
            app.socket(path)(function)
    with pytest.raises(UsageError):
        app.socket("/plain")(lambda socket: None)
