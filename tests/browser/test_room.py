"""One room: nine clients on one page read the same."""

import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIENTS = 9
ALL_IN = f"All {CLIENTS} clients are in. Nothing has been said yet."
SAME = "clients, {} messages: read the same, in the same order"


@pytest.fixture(scope="module")
def server(serve):
    return serve("room")


@pytest_asyncio.fixture(loop_scope="session")
async def page(server, visit):
    page = await visit(server.url)
    await expect(verdict(page)).to_have_text(ALL_IN)
    return page


def verdict(page):
    return page.locator("#verdict")


def card(page, name):
    return page.locator("article", has=page.get_by_role("heading", name=name, exact=True))


async def test_what_each_says_all_read(page):
    await page.get_by_role("button", name="Let everyone say hello").click()
    await expect(verdict(page)).to_contain_text(SAME.format(CLIENTS))
    read = await page.locator("ol").evaluate_all("lists => lists.map((list) => list.innerText)")
    assert len(set(read)) == 1
    assert len(re.findall("hello from", read[0])) == CLIENTS


async def test_a_hundred_at_once_are_in_one_order(page):
    await page.get_by_role("button", name="A hundred messages at once").click()
    await expect(verdict(page)).to_contain_text(SAME.format(100))
    assert len(set(await page.locator("ol").evaluate_all("lists => lists.map((list) => list.innerText)"))) == 1


@pytest.mark.parametrize("name", ["Phoenix, long poll", "EventSource", "SockJS", "hubbub.js"])
async def test_one_speaks_and_markup_stays_text(page, name):
    await card(page, name).get_by_role("textbox").fill("<b>hello</b>")
    await card(page, name).get_by_role("button", name="Say").click()
    for other in ("Socket.IO, polling", "Polling", "WebSocket"):
        await expect(card(page, other).get_by_role("listitem")).to_have_text(f"{name} <b>hello</b>")


async def test_it_fits_a_phone(server, visit):
    page = await visit(server.url, viewport={"width": 360, "height": 640})
    await expect(verdict(page)).to_have_text(ALL_IN)
    assert await page.evaluate("document.documentElement.scrollWidth") == 360


async def test_transcripts_are_compared(page):
    cases = {
        "[[], []]": "same",
        "[['a'], []]": "behind",
        "[['a', 'b'], ['a', 'b']]": "same",
        "[['a', 'b', 'c'], ['b', 'c']]": "same",
        "[['a', 'b'], ['a']]": "behind",
        "[['a', 'b'], ['b', 'a']]": "differ",
        "[['a', 'b', 'c'], ['a', 'c']]": "differ",
        "[['a', 'b', 'b'], ['a', 'b']]": "differ",
        "[['a', 'b', 'c', 'd'], ['b', 'c']]": "behind",
    }
    for transcripts, said in cases.items():
        told = await page.evaluate(
            f"import('./transcripts.js').then((module) => module.compare({transcripts}))",
        )
        assert told == said, transcripts


async def test_all_come_back_after_a_restart(serve, visit):
    server = serve("room")
    page = await visit(server.url, breaks=True, known="WebSocket connection to")
    await expect(verdict(page)).to_have_text(ALL_IN)
    server.kill()
    await expect(verdict(page)).not_to_contain_text(f"All {CLIENTS} clients are in")
    server.start()
    await expect(verdict(page)).to_contain_text(f"All {CLIENTS} clients are in", timeout=60_000)
    await page.get_by_role("button", name="Let everyone say hello").click()
    await expect(verdict(page)).to_contain_text(SAME.format(CLIENTS))
