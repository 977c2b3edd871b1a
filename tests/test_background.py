"""``@app.background``: it runs as long as the application does, and what it does wrong stays its own."""

import asyncio
import json
import logging
import re
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from hubbub import App, Channel, Keep, UsageError, background
from tests.conftest import LANES

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "background.md"
LOOK = 20
"""Seconds for what has to happen."""


def application(**options):
    app = App(**options)

    @app.channel("ticker")
    class Ticker(Channel):
        history = Keep(count=10)

    return app


async def wait(event):
    await asyncio.wait_for(event.wait(), LOOK)


@pytest.mark.parametrize("lane", LANES)
async def test_what_it_publishes_reaches_clients_as_the_guide_has_it(serve, lane):
    names = {}
    exec(re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[1], names)
    url = serve(names["app"], lane=lane).replace("http", "ws") + "/hubbub/websocket"
    async with asyncio.timeout(LOOK), connect(url) as socket:
        await socket.send('{"join": "prices"}')
        heard = [json.loads(await socket.recv()) for _ in range(4)]
    assert [told["event"] for told in heard[1:]] == ["price"] * 3
    assert all(90 < told["payload"] < 110 for told in heard[1:])


async def test_it_runs_from_the_start_to_the_end_and_again():
    app = application()
    begun, told = asyncio.Event(), []

    @app.background
    async def watch():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            position = await app.publish("ticker", "last words")  # the broker is still there
            told.append(position.offset)

    for times in (1, 2):
        await app.start()
        await wait(begun)
        begun.clear()
        await app.start()  # which has happened
        assert len(told) == times - 1
        await app.close()
        assert len(told) == times
    assert not begun.is_set()


async def test_one_that_fails_is_logged_and_stops_nothing_else(caplog):
    app = application()
    lives, again = asyncio.Event(), asyncio.Event()

    @app.background
    async def price():
        raise ValueError("no such share")

    @app.background
    async def other():
        lives.set()
        await again.wait()
        again.clear()

    await app.start()
    await wait(lives)
    again.set()
    await app.publish("ticker", "tick")
    await app.close()
    (record,) = [record for record in caplog.records if record.name == "hubbub"]
    assert record.levelno == logging.ERROR
    assert record.message.startswith("the background task ")
    assert record.message.endswith("price failed, and does not run any more")
    assert str(record.exc_info[1]) == "no such share"


async def test_one_that_has_done_its_work_is_no_news(caplog):
    app = application()
    done = asyncio.Event()

    @app.background
    async def warm_up():
        done.set()

    await app.start()
    await wait(done)
    await app.close()
    assert caplog.records == []


async def test_one_that_will_not_end_does_not_hold_up_the_application(monkeypatch, caplog):
    monkeypatch.setattr(background, "PATIENCE", 0.05)
    app = application()
    begun, released, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @app.background
    async def stubborn():
        while not released.is_set():
            begun.set()
            try:
                await released.wait()
            except asyncio.CancelledError:
                pass
        ended.set()

    await app.start()
    await wait(begun)
    await asyncio.wait_for(app.close(), LOOK)
    assert [record.message.rpartition(" ")[0].endswith("stubborn does not") for record in caplog.records] == [True]
    released.set()
    await wait(ended)


def test_what_cannot_run_in_the_background_is_refused():
    app = application()
    with pytest.raises(UsageError, match="an async def without parameters"):
        app.background(lambda: None)
    with pytest.raises(UsageError, match="an async def without parameters"):

        @app.background
        async def wants_something(what):
            pass
