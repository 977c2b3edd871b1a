"""phoenix.js in a browser: WebSocket, long polling, and from one to the other where the first is blocked."""

import pytest

from hubbub import App
from tests.conftest import LANES, running
from tests.interop.app import Here, Lobby
from tests.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = """<!doctype html>
<html lang="en"><title>Phoenix</title><link rel="icon" href="data:,">
<script src="/phoenix/phoenix.min.js"></script></html>
"""

# What a page of an application would do: join, hear, ask, send bytes, and say by what it did.
TALK = """async ({ options, transport, topic }) => {
  const chosen = { LongPoll: Phoenix.LongPoll, blocked: blocked(), undefined: undefined }[transport];
  const socket = new Phoenix.Socket("/socket", { ...options, ...(chosen && { transport: chosen }) });
  window.socket = socket;
  const outcome = (push) => new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve([status, response]));
  });
  const heard = [];
  const channel = socket.channel(topic, { name: "Ada" });
  channel.on("welcome", (payload) => heard.push(payload));
  channel.on("said", (payload) => heard.push(payload));
  const bounced = new Promise((resolve) => channel.on("bounced", resolve));
  socket.connect();
  const joined = await outcome(channel.join());
  await outcome(channel.push("say", { text: "é😀" }));
  const answer = await outcome(channel.push("text", { text: 5 }));
  channel.push("bounce", Uint8Array.from([0, 250, 255]).buffer);
  const bytes = await bounced;
  return {
    joined: joined[0], heard, answer,
    bytes: bytes instanceof ArrayBuffer ? [...new Uint8Array(bytes)] : bytes,
    by: socket.conn instanceof WebSocket ? "WebSocket" : socket.conn instanceof Phoenix.LongPoll ? "LongPoll" : "other",
    remembered: sessionStorage.getItem("phx:fallback:LongPoll"),
  };

  function blocked() {
    return class Blocked extends WebSocket {
      constructor(url, protocols) {
        const elsewhere = new URL(url);
        elsewhere.port = options.closed;
        super(elsewhere.href, protocols);
      }
    };
  }
}"""
REFUSAL = ["error", {"code": "invalid", "reason": "text: expected str, got int"}]


@pytest.fixture(scope="module", params=LANES)
def url(request, tmp_path_factory):
    pages = tmp_path_factory.mktemp("pages")
    (pages / "index.html").write_text(PAGE)
    app = App(pages=pages)
    app.channel("/")(Lobby)
    app.channel("here:{place}")(Here)
    with running(app, lane=request.param) as url:
        yield url


async def talk(page, transport=None, **options):
    told = await page.evaluate(TALK, {"options": options, "transport": transport, "topic": "/"})
    assert told["joined"] == "ok"
    assert told["heard"] == [{"name": "Ada"}, {"name": "Ada", "text": "é😀"}]
    assert told["answer"] == REFUSAL
    return told["by"], told["bytes"], told["remembered"]


async def test_over_a_websocket(url, visit):
    assert await talk(await visit(url), longPollFallbackMs=30_000) == ("WebSocket", [0, 250, 255], None)


async def test_by_long_polling(url, visit):
    assert await talk(await visit(url), "LongPoll") == ("LongPoll", {"_values": ["APr/"]}, None)


async def test_it_falls_back_where_websockets_are_refused(url, visit):
    page = await visit(url, breaks=True)
    by = await talk(page, "blocked", longPollFallbackMs=10_000, closed=free_port())
    assert by == ("LongPoll", {"_values": ["APr/"]}, "true")
    again = await talk(page, longPollFallbackMs=10_000)
    assert again == by, "this tab remembers it"


async def test_it_falls_back_where_websockets_are_swallowed(url, visit):
    """A proxy that accepts the upgrade and hands nothing on: the client's ping has no answer."""
    page = await visit(url)
    await page.route_web_socket("**/socket/websocket**", lambda socket: None)
    await page.reload()
    assert await talk(page, longPollFallbackMs=300) == ("LongPoll", {"_values": ["APr/"]}, "true")


@pytest.mark.parametrize("transport", [None, "LongPoll"])
async def test_tabs_see_each_other(url, visit, transport):
    enter = """async ({ name, transport }) => {
      const socket = new Phoenix.Socket("/socket", transport ? { transport: Phoenix[transport] } : {});
      socket.connect();
      window.channel = socket.channel("here:tabs " + transport, { name });
      const presence = new Phoenix.Presence(channel);
      window.calls = [];
      presence.onJoin((key, before, { metas }) => calls.push(["join", key, metas[0].colour]));
      presence.onLeave((key) => calls.push(["leave", key]));
      window.here = (names) => new Promise((resolve) => {
        const look = () => presence.list((key) => key).sort().join() === names && resolve();
        presence.onSync(look);
        look();
      });
      await new Promise((resolve) => channel.join().receive("ok", resolve));
    }"""
    ada, bob = await visit(url), await visit(url)
    await ada.evaluate(enter, {"name": "Ada", "transport": transport})
    await bob.evaluate(enter, {"name": "Bob", "transport": transport})
    for page in (ada, bob):
        await page.evaluate("here('Ada,Bob')")
    await bob.evaluate("new Promise((resolve) => channel.leave().receive('ok', resolve))")
    await ada.evaluate("here('Ada')")
    assert await ada.evaluate("calls") == [["join", "Ada", "red"], ["join", "Bob", "red"], ["leave", "Bob"]]
