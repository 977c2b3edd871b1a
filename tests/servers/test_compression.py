"""Compression over the network: what is agreed on, what is shared, and what it may cost."""

import asyncio
import json
import zlib

import pytest

from hubbub import App, Channel, Limits, on
from hubbub.servers import websocket
from tests.conftest import LANES
from tests.servers.clients import BINARY, COMPRESSED, TEXT, connect
from tests.servers.frames import client_frame

OFFER = "permessage-deflate; client_max_window_bits"
LONG = "a message of some length, " * 40


def deflate(payload, final=zlib.Z_SYNC_FLUSH, window=12):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -window)
    return (compressor.compress(payload) + compressor.flush(final)).removesuffix(b"\x00\x00\xff\xff")


def inflate(payload):
    return zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")


def application(**limits):
    app = App(limits=Limits(**limits))

    @app.socket("/echo")
    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    @app.channel("room")
    class Room(Channel):
        @on("say")
        async def say(self, text: str):
            await self.publish("said", text)

    return app


async def joined(client):
    client.send(b'{"join": "room", "ref": 1}')
    for _ in range(2):  # the welcome, and the reply
        assert (await client.read())[1] == TEXT


@pytest.mark.parametrize("lane", LANES)
async def test_it_is_agreed_on_and_used_both_ways(serve, lane):
    async with connect(serve(application(), lane=lane), "/echo", OFFER) as client:
        assert "sec-websocket-extensions: permessage-deflate" in client.response
        client.send(deflate(LONG.encode()), reserved=COMPRESSED)
        reserved, opcode, payload = await client.read()
        assert (reserved, opcode, inflate(payload)) == (COMPRESSED, TEXT, LONG.encode())
        assert len(payload) < len(LONG) / 5
        client.send(b"plain", BINARY)
        reserved, opcode, payload = await client.read()
        assert (opcode, payload) == (BINARY, b"plain") or reserved == COMPRESSED


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(("offer", "settings"), [(None, {}), (OFFER, {"compression": False}), ("unknown", {})])
async def test_without_agreement_a_compressed_message_is_an_error(serve, lane, offer, settings):
    async with connect(serve(application(), lane=lane, **settings), "/echo", offer) as client:
        assert "sec-websocket-extensions" not in client.response
        client.send(LONG.encode())
        assert await client.read() == (0, TEXT, LONG.encode())
        client.send(deflate(LONG.encode()), reserved=COMPRESSED)
        assert await client.closed() == 1002


async def test_an_offer_that_is_no_list_is_refused(serve):
    async with connect(serve(application()), "/echo", "; permessage-deflate") as client:
        assert client.response.startswith("http/1.1 400 ")


async def test_what_is_short_stays_as_it_is(serve):
    async with connect(serve(application()), "/echo", OFFER) as client:
        short = b"x" * (websocket.WORTHWHILE - 1)
        client.send(short)
        assert await client.read() == (0, TEXT, short)
        client.send(short + b"x")
        assert (await client.read())[0] == COMPRESSED


async def test_a_publication_is_compressed_once_for_all_who_can_and_not_for_the_others(serve, monkeypatch):
    compressed = []

    def count(payload, window):
        compressed.append(payload)
        return compress(payload, window)

    compress = websocket.compress
    monkeypatch.setattr(websocket, "compress", count)
    url = serve(application())
    able = [await stack_up(connect(url, "/hubbub/websocket", OFFER)) for _ in range(5)]
    plain = [await stack_up(connect(url, "/hubbub/websocket")) for _ in range(2)]
    small = await stack_up(connect(url, "/hubbub/websocket", "permessage-deflate; server_max_window_bits=9"))
    everyone = [*able, *plain, small]
    try:
        for client, _ in everyone:
            await joined(client)
        plain[0][0].send(json.dumps({"send": "room", "event": "say", "payload": LONG}).encode())
        heard = [await client.read() for client, _ in everyone]
    finally:
        for _, context in everyone:
            await context.__aexit__(None, None, None)
    (text,) = {payload for reserved, _, payload in heard[5:] if not reserved}
    assert json.loads(text)["payload"] == LONG
    (shared,) = set(heard[:5])
    assert shared[0] == COMPRESSED
    assert inflate(shared[2]) == text
    assert compressed == [text]


async def until(true):
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 (it comes true in another thread)
            await asyncio.sleep(0.01)


async def stack_up(context):
    return await context.__aenter__(), context


@pytest.mark.parametrize("lane", LANES)
async def test_what_inflates_to_too_much_ends_its_client_and_nobody_else(serve, lane):
    app = application(message=100_000)
    url = serve(app, lane=lane)
    async with connect(url, "/hubbub/websocket") as other:
        await joined(other)
        for path in ("/echo", "/hubbub/websocket"):
            async with connect(url, path, OFFER) as client:
                bomb = deflate(bytes(20_000_000))
                assert len(bomb) < 25_000
                client.send(bomb, BINARY, COMPRESSED)
                assert await client.closed() == 1009
        other.send(b'{"send": "room", "event": "say", "payload": "still here"}')
        assert json.loads((await other.read())[2])["payload"] == "still here"


async def test_many_small_bombs_in_one_piece_are_not_inflated_before_they_are_wanted(serve):
    app, gate = App(limits=Limits(message=1_000_000, inbox=100_000)), asyncio.Event()
    sockets = asyncio.Queue()
    here = asyncio.get_running_loop()

    @app.socket("/echo")
    async def wait(socket):
        here.call_soon_threadsafe(sockets.put_nowait, socket)
        await gate.wait()
        total = 0
        async for message in socket:
            total += len(message)
            if total == 200 * 900_000:
                await socket.send(str(total))

    async with connect(serve(app), "/echo", OFFER) as client:
        bomb = client_frame(BINARY, deflate(bytes(900_000)), reserved=COMPRESSED)
        (socket,) = [await asyncio.wait_for(sockets.get(), 20)]
        client.writer.write(bomb * 200)  # 180 kB that are 180 MB
        await client.writer.drain()
        await until(lambda: socket._inbox.size > 100_000)
        assert socket._inbox.size < 4_000_000
        app._loop.call_soon_threadsafe(gate.set)
        assert await client.read() == (0, TEXT, b"180000000")
