"""Real pages in a real browser, against servers in processes of their own."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from tests.ports import free_port

DEMOS = Path(__file__).parents[2] / "demos"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
DEADLINE = 30.0
ERRORS = ("error", "warning")
BROKEN = re.compile(r"net::ERR_|(status of|response code:) 503\b")
"""What Chromium says of a line that breaks, and of a server that lets nobody in any more."""

expect.set_options(timeout=DEADLINE * 1000)


def pytest_collection_modifyitems(items):
    if CHROMIUM is None:
        skip = pytest.mark.skip(reason=f"there is no Chromium on PATH ({', '.join(NAMES)})")
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(skip)


class Server:
    """`hubbub run` of a demo. It can be killed, and started again on the same port."""

    def __init__(self, demo, folder, broker):
        self.command = (sys.executable, "-m", "hubbub", "run", str(DEMOS / demo / "app.py"), "--broker", broker)
        self.folder = folder
        self.port = free_port()
        self.process = None

    def start(self):
        places = {name: str(self.folder) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")}
        self.folder.chmod(0o700)
        self.process = subprocess.Popen(
            (*self.command, "--port", str(self.port)),
            cwd=self.folder,
            env={**kept, **places},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r" at (http://[\d.:]+)$", line):
                self.url = found[1]
                return self
        raise AssertionError("".join(said))

    def kill(self):
        """As a power cut would: nothing is said and nothing is written."""
        self.process.kill()
        self.process.communicate(timeout=10)

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """``serve("chat")`` runs that demo until the module's tests are done."""
    with ExitStack() as stack:

        def start(demo, broker="memory://"):
            server = Server(demo, tmp_path_factory.mktemp(demo), broker)
            stack.callback(server.stop)
            return server.start()

        yield start


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    # Chromium refuses to sandbox root, as which containers run; the only pages it opens are ours.
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        await browser.close()


class Visits:
    """The pages that are open, each of a new person unless a ``context`` is given, and what they complained of.

    Anything in a console fails the test: but for a line that breaks, and a server that is about to end, where the test
    ``breaks`` it, and for what it says is ``known``.
    """

    def __init__(self, browser):
        self.browser = browser
        self.contexts = []
        self.complaints = []

    async def __call__(self, url, *, context=None, breaks=False, known=None, **options):
        if context is None:
            context = await self.browser.new_context(locale="en-GB", **options)
            self.contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(DEADLINE * 1000)

        def complain(text):
            if not (breaks and BROKEN.search(text)) and not (known and known in text):
                self.complaints.append(text)

        page.on("console", lambda message: message.type in ERRORS and complain(message.text))
        page.on("pageerror", lambda error: complain(str(error)))
        await page.goto(url)
        return page

    async def end(self):
        for context in self.contexts:
            await context.close()
        assert self.complaints == []


async def holds(page, expression, arg=None):
    """Return as soon as this is so in the page. Playwright's own ``wait_for_function`` looks again through ``eval``,
    which the policy of our pages forbids: what is not so at once fails there."""
    async with asyncio.timeout(DEADLINE):
        while not await page.evaluate(expression, arg):
            await page.wait_for_timeout(50)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser):
    """``visit(url)`` opens a page for this test."""
    visits = Visits(browser)
    yield visits
    await visits.end()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def long_visit(browser, serve):
    """``long_visit(url)`` opens a page for all tests of the module. It is closed before its server stops."""
    visits = Visits(browser)
    yield visits
    await visits.end()
