"""Chromium's own EventSource, and its fetch: what browsers do by themselves with what topics say over plain HTTP."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Route

from hubbub import App, Channel, Keep, Kicked, on
from tests.conftest import LANES, running
from tests.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = '<!doctype html><title>Events</title><link rel="icon" href="data:,">'
LISTEN = """
  ([url, options]) => {
    const source = (window.source = new EventSource(url, options));
    window.heard = [];
    for (const name of ["hubbub.open", "hubbub.lost", "hubbub.bye", "said", "message"]) {
      source.addEventListener(name, ({ type, data, lastEventId }) => heard.push([type, JSON.parse(data), lastEventId]));
    }
  }
"""
CLOSED = 2


async def page(request):
    return HTMLResponse(PAGE)


async def moved(request):
    return RedirectResponse("/topics/room:a", 307)


def make_app(**options):
    """What the pages talk to, and are served by: by a neighbour, so that no policy forbids what tests do in them."""
    app = App(fallback=Starlette(routes=[Route("/", page), Route("/old", moved)]), **options)

    @app.channel("room:{room}")
    class Room(Channel):
        history = Keep(count=1_000)

        @on("say")
        async def say(self, text: str):
            await self.publish("said", {"text": text})
            if text == "out":
                raise Kicked("as you wish")

    return app


async def say(url, text, **headers):
    async with httpx.AsyncClient() as http:
        await http.post(f"{url}/topics/room:a/say", json={"text": text}, headers=headers)


class Source:
    """An EventSource in a page."""

    def __init__(self, page):
        self.page = page
        self._taken = 0

    async def next(self):
        await self.page.wait_for_function("taken => heard.length > taken", arg=self._taken)
        self._taken += 1
        return await self.page.evaluate("taken => heard[taken - 1]", self._taken)

    async def closed(self):
        await self.page.wait_for_function(f"source.readyState === {CLOSED}")


async def listen(page, url="/topics/room:a", **options):
    await page.evaluate(LISTEN, [url, options])
    return Source(page)


@pytest.fixture(params=LANES)
def url(request):
    with running(make_app(), lane=request.param) as url:
        yield url


async def test_events_arrive_under_their_names_with_their_positions(url, visit):
    source = await listen(await visit(url))
    event, told, start = await source.next()
    assert (event, told["topics"]["room:a"]["position"]) == ("hubbub.open", start)
    for text in ("hello", "two\nlines\r\n", "\U0001f642" * 20_000, "\u2028\u0085\u0000"):
        await say(url, text)
        event, told, position = await source.next()
        assert (event, told) == ("said", {"text": text})
        assert int(position.rpartition(":")[2]) == int(start.rpartition(":")[2]) + 1
        start = position


async def test_a_page_sends_as_the_client_of_its_stream(url, visit):
    page = await visit(url)
    source = await listen(page)
    await source.next()
    sent = """
      text => fetch("/topics/room:a/say", {
        method: "POST",
        headers: { "hubbub-connection": heard[0][1].connection },
        body: new URLSearchParams({ text }),
      }).then(response => response.status)
    """
    assert await page.evaluate(sent, "mine & yours") == 204
    assert (await source.next())[1] == {"text": "mine & yours"}


async def test_several_topics_reach_onmessage(url, visit):
    source = await listen(await visit(url), "/topics?topic=room:a&topic=room:b")
    await source.next()
    await say(url, "hello")
    event, told, position = await source.next()
    assert (event, told["topic"], told["payload"]) == ("message", "room:a", {"text": "hello"})
    assert position.split(",")[0] == told["position"]


async def test_a_redirect_is_followed(url, visit):
    source = await listen(await visit(url), "/old")
    assert (await source.next())[0] == "hubbub.open"


async def test_who_is_kicked_comes_back_once_and_is_told_to_stop(url, visit):
    page = await visit(url)
    statuses = []
    page.on("response", lambda response: statuses.append(response.status))
    source = await listen(page)
    _, told, _ = await source.next()
    await say(url, "out", **{"hubbub-connection": told["connection"]})
    assert (await source.next())[0] == "said"
    event, told, position = await source.next()
    assert (event, told["code"], position) == ("hubbub.bye", "kicked", "end")
    await source.closed()
    assert statuses == [200, 204]


@pytest.mark.parametrize("lane", LANES)
async def test_a_restart_is_survived_and_nothing_is_missed(lane, tmp_path, visit):
    broker = f"sqlite:///{tmp_path / 'log.db'}"
    said = [str(number) for number in range(20)]
    port = free_port()
    with running(make_app(broker=broker), lane=lane, port=port) as url:
        source = await listen(await visit(url, breaks=True))
        await source.next()
        for text in said[:5]:
            await say(url, text)
        heard = [(await source.next())[1]["text"] for _ in range(5)]
    for first in (5, 10):
        with running(make_app(broker=broker), lane=lane, port=port) as url:
            for text in said[first : first + 5]:  # before it has come back: nothing of this is heard live
                await say(url, text)
            events = [await source.next()]
            while len(heard) < first + 5:
                events.append(await source.next())
                if events[-1][0] == "said":
                    heard.append(events[-1][1]["text"])
            opened = [told for event, told, _ in events if event == "hubbub.open"]
            assert [told["topics"]["room:a"]["recovered"] for told in opened] == [True]
    assert heard == said[:15]


async def test_a_page_of_another_origin_listens_and_sends_with_credentials_if_it_is_on_the_list(visit):
    with running(make_app()) as elsewhere, running(make_app(origins=elsewhere)) as url:
        page = await visit(elsewhere, breaks=True)  # both servers stop before it is closed
        await page.context.add_cookies([{"name": "token", "value": "secret", "url": url}])
        async with page.expect_request(f"{url}/topics/room:a") as asked:
            source = await listen(page, f"{url}/topics/room:a", withCredentials=True)
        assert "token=secret" in (await (await asked.value).all_headers())["cookie"]
        connection = (await source.next())[1]["connection"]
        sent = """
          ([url, connection]) => fetch(url, {
            method: "POST",
            credentials: "include",
            headers: { "content-type": "application/json", "hubbub-connection": connection },
            body: '{"text":"from elsewhere"}',
          }).then(response => response.status)
        """
        assert await page.evaluate(sent, [f"{url}/topics/room:a/say", connection]) == 204
        assert (await source.next())[1] == {"text": "from elsewhere"}


async def test_a_page_of_another_origin_that_is_not_reads_nothing_and_does_nothing(url, browser):
    with running(make_app()) as elsewhere:
        context = await browser.new_context()
        try:
            page = await context.new_page()
            await page.goto(elsewhere)
            source = await listen(page, f"{url}/topics/room:a", withCredentials=True)
            await source.closed()
            form = "{ method: 'POST', mode: 'no-cors', body: new URLSearchParams({ text: 'forged' }) }"
            await page.evaluate(f"url => fetch(url, {form}).then(() => null)", f"{url}/topics/room:a/say")
            assert await page.evaluate("heard") == []
        finally:
            await context.close()
    async with httpx.AsyncClient() as http:
        told = (await http.get(f"{url}/topics/room:a")).json()
        assert told["position"].endswith(":0"), "nothing was published"
