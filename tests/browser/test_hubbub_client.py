"""Our own client in a real browser: in pages and workers, behind proxies and restarts; and ten lines without it."""

import itertools
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.conftest import running
from tests.interop.hubbub_app import make
from tests.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

NATIVE = Path(__file__).parents[2] / "docs" / "protocols" / "native.md"
PAGES = Path(__file__).parent / "hubbub_client"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def url():
    with running(make(pages=PAGES)) as url:
        yield url


@pytest.fixture
def topic():
    return f"room:{next(numbers)}"


async def open_page(visit, url, topic, **options):
    page = await visit(url, **options)
    await enter(page, topic)
    return page


async def enter(page, topic):
    await is_now(page, "down")
    return await page.evaluate("topic => enter(topic)", topic)


async def is_now(page, state):
    await expect(page.get_by_role("status")).to_have_text(state)


async def hears(page, texts):
    await expect(page.get_by_role("listitem")).to_have_text(texts)


async def test_a_page_enters_sends_and_hears(visit, url, topic):
    one, other = await visit(url), await open_page(visit, url, topic)
    assert await enter(one, topic) == {"welcome": topic[5:], "age": 0}
    first = await one.evaluate("say('hello')")
    last = await other.evaluate("say('hi')")
    for page in (one, other):
        await hears(page, ["hello", "hi"])
        assert await page.evaluate("told()") == {
            "transport": "websocket",
            "url": url,
            "position": last,
            "entries": [[False, None]],
            "gaps": 0,
            "downs": [],
        }
    assert first != last


async def block_streams(route):
    if route.request.headers["accept"] == "text/event-stream":
        await route.abort()
    else:
        await route.continue_()


@pytest.mark.parametrize("blocked", ["a WebSocket", "a WebSocket and streams"])
async def test_it_finds_a_line_that_gets_through(browser, visit, url, topic, blocked):
    context = await browser.new_context()
    visit.contexts.append(context)
    tried = []

    async def drop(socket):
        tried.append(socket.url)
        await socket.close()

    await context.route_web_socket("**/hubbub/websocket", drop)
    if blocked == "a WebSocket and streams":
        await context.route("**/topics?*", block_streams)
    page = await open_page(visit, url, topic, context=context, breaks=True)
    other = await open_page(visit, url, topic)
    await page.evaluate("say('from behind a proxy')")
    await hears(page, ["from behind a proxy"])
    await other.evaluate("say('from outside')")
    for each in (page, other):
        await hears(each, ["from behind a proxy", "from outside"])
    worked = "sse" if blocked == "a WebSocket" else "polling"
    assert (await page.evaluate("told()"))["transport"] == worked
    # The next page of this visit begins with what worked.
    tried.clear()
    await page.reload()
    await enter(page, topic)
    assert (await page.evaluate("told()"))["transport"] == worked
    assert tried == []


async def test_a_restart_of_the_server_loses_nothing(visit, topic, tmp_path):
    broker, port = f"sqlite:///{tmp_path}/log.db", free_port()
    with ExitStack() as stack:
        url = stack.enter_context(running(make(broker, pages=PAGES), port=port))
        page = await open_page(visit, url, topic, breaks=True)
        await page.evaluate("say('before')")
        await hears(page, ["before"])
        stack.pop_all().close()
        await is_now(page, "down")
        await page.evaluate("void (window.late = say('meanwhile'))")
        stack.enter_context(running(make(broker, pages=PAGES), port=port))
        await page.evaluate("window.late")
        await hears(page, ["before", "meanwhile"])
        told = await page.evaluate("told()")
        assert (told["entries"], told["gaps"]) == ([[False, None], [True, True]], 0)


TELL = """
const tell = (target, message) => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data);
    target.postMessage(message, [port2]);
});
"""
WORKERS = {
    "worker": "new Worker('worker.js', { type: 'module' })",
    "service worker": """
        await navigator.serviceWorker.register('worker.js', { type: 'module' })
            .then(() => navigator.serviceWorker.ready).then(({ active }) => active)
    """,
}


@pytest.mark.parametrize("kind", WORKERS)
async def test_it_works_in_a_worker(visit, url, topic, kind):
    page = await open_page(visit, url, topic)
    message = {"topic": topic, "text": f"from a {kind}"}
    heard = await page.evaluate(f"async (message) => {{ {TELL} return tell({WORKERS[kind]}, message); }}", message)
    assert heard == {"name": "worker", "text": f"from a {kind}", "transport": "websocket"}
    await hears(page, [f"from a {kind}"])


async def test_the_native_protocol_takes_ten_lines_of_a_page(visit, url):
    shown = re.search(r"```js\n(.*?)```", NATIVE.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert len([line for line in shown.split("\n") if line]) <= 10
    page = await visit(url)
    async with page.expect_console_message() as told:
        await page.evaluate(f"{shown}; socket.addEventListener('open', () => say('hello'))")
    assert (await told.value).text == "hello"
