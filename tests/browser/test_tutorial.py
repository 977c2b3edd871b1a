"""The tutorial's chat: two tabs, eight lines of Python."""

import pytest
from playwright.async_api import expect

from .conftest import holds

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def url(serve):
    return serve("tutorial").url


async def enter(visit, url, **options):
    """A tab that hears what is said from now on: the tutorial's chat keeps nothing for who comes later."""
    page = await visit(url, **options)
    await holds(page, "socket.connected")
    return page


async def say(page, text):
    await page.get_by_role("textbox", name="Message").fill(text)
    await page.get_by_role("button", name="Send").click()


async def test_what_one_tab_says_both_read_in_one_order(url, visit):
    one, other = await enter(visit, url), await enter(visit, url)
    await expect(one.get_by_role("list", name="Messages")).to_be_empty()
    said = []
    for number in range(5):
        for page, name in ((one, "one"), (other, "other")):
            said.append(f"{name} {number}")
            await say(page, said[-1])
            await expect(other.get_by_role("listitem").last).to_have_text(said[-1])
    for page in (one, other):
        await expect(page.get_by_role("listitem")).to_have_text(said)


async def test_markup_stays_text(url, visit):
    page = await enter(visit, url)
    await say(page, HOSTILE)
    await expect(page.get_by_role("listitem")).to_have_text([HOSTILE])
    assert await page.locator("img").count() == 0
    assert await page.title() == "Socket.IO chat"


async def test_nothing_is_sent_for_nothing(url, visit):
    page = await enter(visit, url)
    await say(page, "")
    await say(page, "something")
    await expect(page.get_by_role("listitem")).to_have_text(["something"])


async def test_it_works_on_a_phone(url, visit):
    page = await enter(visit, url, viewport={"width": 360, "height": 640})
    await say(page, "word" * 100)
    await expect(page.get_by_role("listitem")).to_have_count(1)
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    assert await page.get_by_role("button", name="Send").is_visible()
