"""What stands around the code: the documents tell the truth, and the packages hold what they should."""

import asyncio
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import socketio

from hubbub import App

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for place in ("", "docs/**/", "demos/*/", "bench/") for path in ROOT.glob(f"{place}*.md"))
DECISIONS = ROOT / "docs" / "decisions"
LOCKS = [path for path in sorted(ROOT.glob("*/**/package-lock.json")) if "node_modules" not in path.parts]
ASSETS = ROOT / "src" / "hubbub" / "static" / "socket.io"


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The code on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run_readme(number: int) -> App:
    """The application that this block of the README makes."""
    names: dict[str, Any] = {}
    exec(blocks(ROOT / "README.md", "python")[number], names)
    app: App = names["app"]
    return app


class Client:
    """A Socket.IO client that remembers what it was told."""

    def __init__(self) -> None:
        self.socket = socketio.AsyncClient(reconnection=False)
        self.heard: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self.socket.on("*", lambda *event: self.heard.put_nowait((event[0], *event[1:])), namespace="*")

    async def next(self) -> tuple[Any, ...]:
        event, _, *payload = await asyncio.wait_for(self.heard.get(), 20)
        return (event, *payload)


# -- documents ------------------------------------------------------------------------------------------------------


async def test_the_chat_of_the_readme_runs(serve: Callable[..., str]) -> None:
    url = serve(run_readme(0))
    ada, bob = Client(), Client()
    await ada.socket.connect(url)
    await bob.socket.connect(url)
    await ada.socket.emit("chat message", "hello")
    assert [await ada.next(), await bob.next()] == [("chat message", "hello")] * 2
    await ada.socket.disconnect()
    await bob.socket.disconnect()


async def test_the_room_of_the_readme_tells_who_comes_back_what_was_missed(
    serve: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = serve(run_readme(1))
    topic = "/room:lobby"
    ada = Client()
    await ada.socket.connect(url, namespaces=[topic], auth={"name": "Ada"})
    assert await ada.next() == ("past", [])
    first = await ada.socket.call("say", "one", namespace=topic, timeout=20)
    second = await ada.socket.call("say", "two", namespace=topic, timeout=20)
    await ada.socket.disconnect()
    bob = Client()
    await bob.socket.connect(url, namespaces=[topic], auth={"name": "Bob"})
    assert await bob.next() == ("past", [{"name": "Ada", "text": "one"}, {"name": "Ada", "text": "two"}])
    await bob.socket.disconnect()
    back = Client()
    await back.socket.connect(url, namespaces=[topic], auth={"name": "Ada", "pid": "mine", "offset": first})
    assert await back.next() == ("said", {"name": "Ada", "text": "two"}, second)
    await back.socket.disconnect()


@pytest.mark.parametrize("file", ["app.py", "index.html", "chat.js"])
def test_the_tutorial_shows_the_demo_as_it_is(file: str) -> None:
    shown = (ROOT / "docs" / "tutorial" / "chat.md").read_text(encoding="utf-8")
    assert (ROOT / "demos" / "tutorial" / file).read_text(encoding="utf-8") in shown


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_on_a_page_can_be_read(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_on_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    listed = re.findall(r"\]\((\d{4}-.*\.md)\)", (DECISIONS / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))


def test_every_page_of_the_documentation_is_in_its_contents() -> None:
    contents = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    listed = re.findall(r'"([\w/-]+\.md)"', contents)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md"))


# -- packages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS, ids=named)
def test_a_lock_file_names_versions_and_no_addresses(lock: Path) -> None:
    for name, package in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
        if name:
            assert "resolved" not in package
            assert package["version"]
            assert package["integrity"].startswith("sha512-")


@pytest.mark.parametrize("lock", LOCKS, ids=named)
def test_what_is_asked_of_npm_is_asked_by_exact_version(lock: Path) -> None:
    asked = json.loads(lock.with_name("package.json").read_text(encoding="utf-8"))
    for version in {**asked.get("dependencies", {}), **asked.get("devDependencies", {})}.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_locks_are_found() -> None:
    assert ROOT / "web" / "package-lock.json" in LOCKS


@pytest.mark.skipif(not ASSETS.is_dir(), reason="the browser clients are not built: `make test` does")
def test_the_wheel_holds_demos_browser_clients_and_licences(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True, timeout=120
    )
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert held > {
        "hubbub/brokers/redis.lua",
        "hubbub/py.typed",
        "hubbub/demos/tutorial/app.py",
        "hubbub/demos/chat/index.html",
        "hubbub/demos/room/clients.js",
        "hubbub/demos/transports/transports.js",
        "hubbub/cli/project/pages/index.html",
        "hubbub/static/socket.io/socket.io.js",
        "hubbub/static/socket.io/socket.io.min.js",
        "hubbub/static/socket.io/socket.io.esm.min.js",
        "hubbub/static/socket.io/socket.io.msgpack.min.js",
        "hubbub/static/socket.io/LICENSES.txt",
        "hubbub/static/hubbub/hubbub.js",
        "hubbub/static/hubbub/hubbub.min.js",
        "hubbub/static/phoenix/phoenix.js",
        "hubbub/static/phoenix/phoenix.min.js",
        "hubbub/static/phoenix/phoenix.mjs",
        "hubbub/static/phoenix/LICENSES.txt",
        "hubbub/static/uplot/uPlot.iife.min.js",
        "hubbub/static/uplot/uPlot.min.css",
        "hubbub/static/uplot/LICENSES.txt",
    }
    assert not [name for name in held if "node_modules" in name or "cache" in name or name.startswith("tests")]
