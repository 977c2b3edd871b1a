"""The npm eventsource, and the clients of docs/protocols/http.md, unmodified, in both lanes."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route

from hubbub import App, Channel, Forbidden, Keep, Kicked, on
from tests.conftest import LANES, running
from tests.ports import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "protocols" / "http.md"
WEB = ROOT / "web" / "package.json"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one")


def make_app(broker="memory://"):
    """What these clients talk to."""

    async def moved(request):
        return RedirectResponse(f"/topics/room:lobby?{request.url.query}", 307)

    app = App(broker=broker, fallback=Starlette(routes=[Route("/old", moved)]))

    @app.channel("room:{room}")
    class Room(Channel):
        history = Keep(count=1_000)

        async def join(self, room: str, name: str):
            if name == "Eve":
                raise Forbidden("not you")

        @on("say")
        async def say(self, text: str):
            await self.publish("said", {"text": text})
            if text == "out":
                raise Kicked("as you wish")

    return app


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(make_app(), lane=request.param) as url:
        yield url


class Source:
    """A client in a process of its own, by the lines that it prints."""

    def __init__(self, process):
        self.process = process

    def next(self):
        line = self.process.stdout.readline()
        assert line, "the client has ended"
        return json.loads(line)


@contextmanager
def listening(url, *events):
    """An EventSource in Node."""
    process = subprocess.Popen(
        [NODE, HERE / "eventsource_client.mjs", url, *events],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "WEB": str(WEB)},
    )  # fmt: skip
    try:
        yield Source(process)
    finally:
        process.kill()
        process.communicate(timeout=10)


def say(url, text, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{url}/topics/room:lobby/say?name=Bob", json={"text": text}, headers=named)


@needs_node
def test_named_events_with_their_positions(url):
    with listening(f"{url}/topics/room:lobby?name=Ada", "hubbub.open", "said") as source:
        event, told, start = source.next()
        assert event == "hubbub.open"
        assert told["topics"]["room:lobby"]["position"] == start
        for number, text in enumerate(["hello", "two\nlines\r\n", "\U0001f642" * 50_000, "\u2028\x85\x00"], 1):
            assert say(url, text).status_code == 204
            event, told, position = source.next()
            assert (event, told) == ("said", {"text": text})
            assert int(position.rpartition(":")[2]) == int(start.rpartition(":")[2]) + number


@needs_node
def test_messages_of_several_topics(url):
    with listening(f"{url}/topics?topic=room:lobby&topic=room:other&name=Ada", "hubbub.open", "message") as source:
        assert set(source.next()[1]["topics"]) == {"room:lobby", "room:other"}
        say(url, "hello")
        event, told, position = source.next()
        assert (event, told["topic"], told["payload"]) == ("message", "room:lobby", {"text": "hello"})
        assert position.partition(",")[0] == told["position"]


@needs_node
def test_a_redirect_is_followed(url):
    with listening(f"{url}/old?name=Ada", "hubbub.open", "said") as source:
        assert source.next()[0] == "hubbub.open"
        say(url, "hello")
        assert source.next()[1] == {"text": "hello"}


@needs_node
def test_a_refusal_is_final(url):
    with listening(f"{url}/topics/room:lobby?name=Eve", "hubbub.open") as source:
        assert source.next() == ["closed", 403, ""]


@needs_node
def test_who_is_kicked_comes_back_once_and_is_told_to_stop(url):
    with listening(f"{url}/topics/room:lobby?name=Ada", "hubbub.open", "hubbub.bye") as source:
        connection = source.next()[1]["connection"]
        assert say(url, "out", hubbub_connection=connection).status_code == 403
        event, told, position = source.next()
        assert (event, told["code"], position) == ("hubbub.bye", "kicked", "end")
        assert source.next() == ["closed", 204, ""]


@needs_node
@pytest.mark.parametrize("lane", LANES)
def test_a_restart_is_survived_and_nothing_is_missed(lane, tmp_path):
    broker = f"sqlite:///{tmp_path / 'log.db'}"
    port = free_port()
    with running(make_app(broker), lane=lane, port=port) as url:
        process = listening(f"{url}/topics/room:lobby?name=Ada", "hubbub.open", "hubbub.lost", "said")
        source = process.__enter__()
        assert source.next()[0] == "hubbub.open"
        for text in ("one", "two"):
            say(url, text)
            assert source.next()[1] == {"text": text}
    try:
        with running(make_app(broker), lane=lane, port=port) as url:
            for text in ("three", "four"):  # it is between two lines: nothing of this is heard live
                say(url, text)
            event, told, _ = source.next()
            assert event == "hubbub.open"
            assert told["topics"]["room:lobby"]["recovered"] is True
            for text in ("three", "four"):
                assert source.next()[:2] == ["said", {"text": text}]
            say(url, "five")
            assert source.next()[1] == {"text": "five"}
    finally:
        process.__exit__(None, None, None)


# -- as the page shows it ----------------------------------------------------------------------------------------------


def shown(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@needs_node
def test_the_javascript_of_the_page(url):
    live, own = shown("js")[:2]
    script = f"""
        import {{ createRequire }} from "node:module";
        const npm = createRequire({str(WEB)!r})("eventsource");
        const at = (path) => new URL(path, {url!r});
        const EventSource = class extends npm.EventSource {{
          constructor(path) {{ super(at(path)); }}
        }};
        const fetch = (path, options) => globalThis.fetch(at(path), options);
        const heard = (source, event) => new Promise((done) => source.addEventListener(event, done));
        {{
          {live}
          await heard(room, "hubbub.open");
          const said = heard(room, "said");
          await say("hello");
          await said;
          room.close();
        }}
        {{
          {own}
          await heard(room, "hubbub.open");
          const said = heard(room, "said");
          const response = await sayAsMyself("mine");
          console.log(response.status, (await said).data);
          room.close();
        }}
    """
    command = [NODE, "--no-warnings", "--input-type=module", "--eval", script]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["hello", '204 {"text":"mine"}']


def test_the_python_of_the_page(url):
    (script,) = shown("python")[1:2]
    script = script.replace("http://localhost:3000", url)
    listener = subprocess.Popen([sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout.readline() == "hubbub.open\n"
        say(url, "hello")
        assert listener.stdout.readline() == "hello\n"
    finally:
        listener.kill()
        listener.communicate(timeout=10)
