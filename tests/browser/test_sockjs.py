"""sockjs-client in Chromium, transport by transport: from our own pages, and from pages of another origin."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hubbub import App
from tests.conftest import running
from tests.interop import app as members

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRANSPORTS = (
    "websocket", "xhr-streaming", "xhr-polling", "eventsource", "htmlfile", "jsonp-polling", "iframe-eventsource",
    "iframe-htmlfile", "iframe-xhr-polling",
)  # fmt: skip
ELSEWHERE = tuple(name for name in TRANSPORTS if name != "htmlfile")
"""What sockjs-client does from a page of another origin."""

TEXT = "déjà \u2028\u2029 \ufeff\uffff \u0001 🙂 </script> \"\\' %5B <!--"

PAGE = '<!doctype html><title>SockJS</title><link rel="icon" href="data:,"><p>'

KNOWN = "document.domain mutation is ignored"
"""Chromium says so of the pages that the protocol prescribes."""

TALK = """
([url, transport, text]) => new Promise((resolve, reject) => {
  const socket = new SockJS(url, null, { transports: transport });
  const heard = [];
  const tell = (message) => socket.send(JSON.stringify(message));
  const timer = setTimeout(() => reject(new Error(`too late: ${JSON.stringify(heard)}`)), 14000);
  socket.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    heard.push(told);
    if (told.welcome) tell({ join: "/", ref: "join" });
    if (told.event === "welcome") {
      for (let number = 0; number < 5; number++) tell({ send: "/", event: "say", payload: `${number} ${text}` });
      tell({ send: "/", event: "text", payload: "last", ref: "last" });
    }
    if (told.reply === "last") tell({ send: "/", event: "kick" });
  };
  socket.onclose = ({ code, reason, wasClean }) => {
    clearTimeout(timer);
    resolve({ heard, code, reason, wasClean });
  };
})
"""


def house(folder, **options):
    app = App(pages=folder, limits=members.app.limits, **options)
    app.channel("/")(members.Lobby)
    return app


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def url(pages):
    with running(house(pages)) as url:
        yield url


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def elsewhere(pages):
    """Another web server, with pages of its own: what it serves has no policy of ours."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=pages))
    thread = threading.Thread(target=server.serve_forever, name="elsewhere")
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


@pytest.fixture(scope="module")
def open_url(pages, elsewhere):
    """A server that lets those pages connect."""
    with running(house(pages, origins=elsewhere)) as url:
        yield url


async def talk(visit, home, url, transport):
    page = await visit(home, known=KNOWN)
    await page.add_script_tag(url=f"{url}/sockjs/sockjs.js")
    told = await page.evaluate(TALK, [f"{url}/sockjs", transport, TEXT])
    heard = told["heard"]
    assert heard[0]["welcome"]
    assert [message["payload"]["text"] for message in heard if message.get("event") == "said"] == [
        f"{number} {TEXT}" for number in range(5)
    ]
    assert {"reply": "last", "ok": True, "payload": "LAST"} in heard
    assert (told["code"], told["reason"], told["wasClean"]) == (4403, "out", True)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_transport_from_our_own_page(url, visit, transport):
    await talk(visit, url, url, transport)


@pytest.mark.parametrize("transport", ELSEWHERE)
async def test_every_transport_from_a_page_that_may_connect(elsewhere, open_url, visit, transport):
    await talk(visit, elsewhere, open_url, transport)


@pytest.mark.parametrize("path", ["iframe.html", "0/abc/htmlfile?c=c"])
async def test_a_page_that_may_not_connect_cannot_do_so_through_a_frame(elsewhere, url, visit, path):
    page = await visit(elsewhere, known="403")
    async with page.expect_response(f"**/sockjs/{path}") as answered:
        await page.evaluate(
            "(url) => document.body.appendChild(document.createElement('iframe')).src = url", f"{url}/sockjs/{path}"
        )
    assert (await answered.value).status == 403


async def test_nor_through_a_script(elsewhere, url, visit):
    page = await visit(elsewhere, known="403")
    async with page.expect_response("**/jsonp*") as answered:
        await page.evaluate(
            "(url) => document.body.appendChild(document.createElement('script')).src = url",
            f"{url}/sockjs/0/abc/jsonp?c=c",
        )
    assert (await answered.value).status == 403


async def test_it_takes_the_best_by_itself(url, visit):
    await talk(visit, url, url, None)
