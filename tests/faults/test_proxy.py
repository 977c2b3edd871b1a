"""The proxy does what it says to real sockets, and what its seed says."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from .proxy import FaultProxy


@asynccontextmanager
async def echo(seed=0):
    """A proxy in front of a server that gives back what it gets."""
    writers = set()

    async def serve(reader, writer):
        writers.add(writer)
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        except (ConnectionError, asyncio.CancelledError):
            pass  # reset, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = await FaultProxy(server.sockets[0].getsockname()[1], seed).start()
    proxy.writers = writers
    try:
        yield proxy
    finally:
        await proxy.close()
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def line(proxy):
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def say(ends, data=b"hello"):
    reader, writer = ends
    writer.write(data)
    async with asyncio.timeout(20):
        return await reader.readexactly(len(data))


async def silent(ends, data=b"hello", seconds=0.2):
    reader, writer = ends
    writer.write(data)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await reader.read(1)


async def test_it_passes_everything_on_unharmed():
    async with echo() as proxy, line(proxy) as ends:
        data = bytes(range(256)) * 4_000
        assert await say(ends, data) == data


async def test_it_delays_each_direction():
    async with echo() as proxy, line(proxy) as ends:
        await say(ends)
        proxy.delay(up=0.1, down=0.15)
        start = time.monotonic()
        await say(ends)
        assert time.monotonic() - start >= 0.25


async def test_jitter_changes_no_order():
    async with echo() as proxy, line(proxy) as ends:
        proxy.delay(jitter=0.02)
        data = bytes(range(200))
        for byte in data:
            ends[1].write(bytes([byte]))
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            assert await ends[0].readexactly(200) == data


async def test_it_crumbles():
    async with echo() as proxy, line(proxy) as ends:
        proxy.crumble(3)
        assert await say(ends, bytes(range(100))) == bytes(range(100))


async def test_what_it_holds_is_not_lost():
    async with echo() as proxy, line(proxy) as ends:
        await say(ends)
        proxy.hold()
        await silent(ends)
        proxy.heal()
        async with asyncio.timeout(20):
            assert await ends[0].readexactly(5) == b"hello"


@pytest.mark.parametrize("directions", [("up",), ("down",), ()])
async def test_what_it_swallows_is_lost_and_the_line_with_it(directions):
    async with echo() as proxy, line(proxy) as ends:
        await say(ends)
        proxy.swallow(*directions)
        await silent(ends)
        proxy.heal()
        with pytest.raises(ConnectionError):
            await ends[0].read(1)


async def test_a_reset_is_a_reset():
    async with echo() as proxy, line(proxy) as ends:
        await say(ends)
        proxy.reset()
        with pytest.raises(ConnectionError):
            await ends[0].read(1)


async def test_who_knocks_in_vain_is_reset():
    async with echo() as proxy:
        proxy.refuse()
        with pytest.raises(ConnectionError):
            async with line(proxy) as ends:
                await ends[0].read(1)
        proxy.heal()
        async with line(proxy) as ends:
            await say(ends)


async def test_a_half_open_line_is_silent_at_the_end_that_is_left():
    async with echo() as proxy, line(proxy) as ends:
        await say(ends)
        proxy.half_open(1.0, far=True)
        await silent(ends)
        proxy.heal()
        with pytest.raises(ConnectionError):
            await ends[0].read(1)


async def test_the_server_is_not_told_that_its_client_has_gone():
    async with echo() as proxy, line(proxy) as ends:
        await say(ends)
        proxy.half_open(1.0, far=False)
        with pytest.raises(ConnectionError):
            await ends[0].read(1)
        assert not any(writer.is_closing() for writer in proxy.writers)


async def heard_before_the_cut(seed):
    async with echo(seed) as proxy:
        proxy.cut(1_000)
        heard = []
        for _ in range(8):
            async with line(proxy) as (reader, writer):
                writer.write(bytes(1_000))
                try:
                    async with asyncio.timeout(20):
                        heard.append(len(await reader.read(-1)))
                except ConnectionError:
                    heard.append(-1)
        return proxy.cuts, heard


async def test_a_line_is_cut_at_the_byte_that_its_seed_says():
    cuts, heard = await heard_before_the_cut(1)
    assert len(cuts) == 8
    assert all(most == byte for (way, byte), most in zip(cuts, heard, strict=True) if way == "down")
    assert (await heard_before_the_cut(1))[0] == cuts
    assert (await heard_before_the_cut(2))[0] != cuts


async def test_each_line_is_cut_where_it_was_said():
    async with echo() as proxy:
        proxy.cut_each([("down", 3), ("up", 0), ("down", 1)])
        for most in (3, 0, 1):
            async with line(proxy) as (reader, writer):
                writer.write(b"hello")
                async with asyncio.timeout(20):
                    assert await reader.read(-1) == b"hello"[:most]
        async with line(proxy) as ends:
            await say(ends)


async def test_what_was_delayed_comes_before_a_cut():
    async with echo() as proxy:
        proxy.delay(down=0.1)
        proxy.cut_each([("down", 8)])
        async with line(proxy) as (reader, writer):
            for piece in (b"one ", b"two ", b"three", b"four"):
                writer.write(piece)
                await asyncio.sleep(0.02)
            async with asyncio.timeout(20):
                assert await reader.read(-1) == b"one two "


async def test_it_hits_the_lines_that_its_seed_says():
    async def hit(seed):
        async with echo(seed) as proxy:
            ends = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(10)]
            for each in ends:
                await say(each)
            links = list(proxy.links)
            proxy.reset(0.5)
            left = [link in proxy.links for link in links]
            for _, writer in ends:
                writer.close()
            return left

    assert await hit(3) == await hit(3)
    assert len({tuple(await hit(seed)) for seed in range(4)}) > 1
