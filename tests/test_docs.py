"""The Python on every page runs as it is printed, knows each name that it uses, and calls things as they are declared.

A block that imports ``App`` begins a program; the blocks after it on the page go on with it. One that imports ``httpx``
is a client, which tests/interop runs against a server.
"""

import builtins
import dis
import inspect
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import jwt
import msgspec
import pytest
from starlette.testclient import TestClient, WebSocketTestSession

import hubbub
from hubbub import App, Channel, Limits
from hubbub.config import load

ROOT = Path(__file__).parents[1]
PAGES = [page for place in ("README.md", "docs/**/*.md") for page in sorted(ROOT.glob(place))]
NODE = shutil.which("node")
YOURS = {"database": None, "verify": lambda token: token}
"""What a reader has: an application's own."""


def programs(page: Path) -> list[str]:
    """The programs on a page. Each line stands where it does on the page, so that a fault names it."""
    lines, found = page.read_text(encoding="utf-8").splitlines(), list[list[str]]()
    for block in re.finditer(r"^```python\n(.*?)^```$", "\n".join(lines), re.DOTALL | re.MULTILINE):
        first = block.string.count("\n", 0, block.start(1))
        if not found or re.search(r"^(from hubbub import .*\bApp\b|import httpx$)", block[1], re.MULTILINE):
            found.append([""] * len(lines))
        for number, line in enumerate(block[1].splitlines(), first):
            found[-1][number] = line
    return ["\n".join(program) for program in found]


PROGRAMS = [(page, number, text) for page in PAGES for number, text in enumerate(programs(page))]
each_program = pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(page, text, id=f"{page.relative_to(ROOT)}-{number}")
        for page, number, text in PROGRAMS
        if "import httpx" not in text
    ],
)


def run(page: Path, text: str) -> tuple[CodeType, dict[str, Any]]:
    names = {**YOURS, "__file__": str(ROOT / "demos" / "tutorial" / "app.py"), "__name__": page.stem}
    code = compile(text, str(page), "exec")
    exec(code, names)
    return code, names


def used(code: CodeType) -> Iterator[str]:
    """The global names that this code, and all within it, looks up."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from used(constant)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JWT_KEY", "what a login signs with has 32 bytes or more")


@each_program
def test_it_runs_and_knows_every_name(page: Path, text: str) -> None:
    code, names = run(page, text)
    assert {name for name in used(code) if name not in names and not hasattr(builtins, name)} == set()


def test_it_calls_things_as_they_are_declared(tmp_path: Path) -> None:
    for page, number, text in PROGRAMS:
        (tmp_path / f"{page.stem.replace('-', '_')}_{number}.py").write_text(text, encoding="utf-8")
    config = tmp_path / "mypy.ini"
    # A page may say a thing again, better.
    config.write_text(
        "[mypy]\ncheck_untyped_defs = true\ndisable_error_code = no-redef\n"
        "[mypy-fastapi.*,starlette.*,pydantic.*,httpx.*,jwt.*]\nfollow_imports = skip\n"  # seconds, and not ours
    )
    options = ["--config-file", str(config), "--cache-dir", str(tmp_path / ".cache")]
    # In a process of its own: mypy raises the recursion limit of the one it runs in, for good.
    command = [sys.executable, "-m", "mypy", *options, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    faults = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert [fault for fault in faults if not any(f'Name "{name}" is not defined' in fault for name in YOURS)] == []
    assert not done.stderr


@pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one")
def test_javascript_on_the_pages_can_be_read() -> None:
    """As the body of an ``async`` function, where all but imports may stand."""
    read = "const AsyncFunction = (async () => {}).constructor;"
    read += "for (const [place, text] of JSON.parse(require('fs').readFileSync(0)))"
    read += "try { new AsyncFunction(text) } catch (error) { console.log(place, error.message) }"
    scripts = [
        (str(page.relative_to(ROOT)), re.sub(r"^import .*$", "", block, flags=re.MULTILINE))
        for page in PAGES
        for block in re.findall(r"^```js\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    ]
    assert len(scripts) > 20
    assert NODE is not None
    done = subprocess.run([NODE, "-e", read], input=json.dumps(scripts), capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_file_of_settings_on_the_page_is_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "hubbub.toml").write_text(shown)
    config = load(tmp_path, {}, {})
    assert (config.host, config.port, config.broker) == ("0.0.0.0", 8000, "redis://localhost:6379/0")


def test_the_page_of_the_api_has_every_name_argument_and_limit() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    words = {word for code in re.findall(r"`([^`]+)`", page) for word in re.findall(r"\w+", code)}
    arguments = set(inspect.signature(App).parameters)
    assert {*hubbub.__all__, *arguments} - words - {"on"} == set()
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", page, re.MULTILINE))
    fields = {field.name: field.default for field in msgspec.structs.fields(Limits)}
    assert {name: float(value.replace(",", "")) for name, value in shown.items()} == fields


# -- what a guide says of tokens --------------------------------------------------------------------------------------


def test_a_token_lets_in_until_it_has_expired() -> None:
    page = ROOT / "docs" / "guides" / "authentication.md"
    names = run(page, programs(page)[1])[1]

    @names["app"].channel("me")
    class Me(Channel):
        async def join(self) -> str:
            return str(self.connection.identity)

    def ask(client: TestClient, **claims: Any) -> Any:
        token = jwt.encode(claims, names["KEY"], "HS256")
        return client.get("/topics/me", headers={"authorization": f"Bearer {token}"}).json()

    with TestClient(names["app"]) as client:
        assert ask(client, sub="Ada", exp=time.time() + 60)["topics"]["me"]["reply"] == "Ada"
        assert ask(client, sub="Ada", exp=time.time() - 60)["detail"] == "Signature has expired"
        assert ask(client, sub="Ada")["code"] == "unauthorized"
        assert client.get("/topics/me").json()["detail"] == "log in first"


# -- the channels' guide -----------------------------------------------------------------------------------------------


def guide() -> dict[str, Any]:
    page = ROOT / "docs" / "guides" / "channels.md"
    return run(page, programs(page)[0])[1]


def until(socket: WebSocketTestSession, key: str, value: object) -> dict[str, Any]:
    """The first of the next messages that says this."""
    for _ in range(1_000):
        told: dict[str, Any] = socket.receive_json()
        if told.get(key) == value:
            return told
    raise AssertionError(f"nobody said {key}: {value!r}")


@pytest.fixture
def client() -> Iterator[TestClient]:
    app: App = guide()["app"]
    app.secret = "secret"
    with TestClient(app) as client:
        yield client


@pytest.fixture
def ada(client: TestClient) -> Iterator[WebSocketTestSession]:
    with client.websocket_connect("/hubbub/websocket") as socket:
        yield socket


@pytest.fixture
def grace(client: TestClient) -> Iterator[WebSocketTestSession]:
    with client.websocket_connect("/hubbub/websocket") as socket:
        yield socket


def test_the_guides_own_test_passes() -> None:
    guide()["test_a_customer_is_answered"]()


def test_a_room_of_the_topic_hears_what_is_for_it_from_within_and_from_outside(
    client: TestClient, ada: WebSocketTestSession, grace: WebSocketTestSession
) -> None:
    for socket, name in ((ada, "Ada"), (grace, "Grace")):
        socket.send_json({"join": "support:Ada", "params": {"name": name}, "ref": 1})
        assert until(socket, "reply", 1)["ok"]
    grace.send_json({"send": "support:Ada", "event": "note", "payload": "she is kind"})
    assert grace.receive_json()["payload"] == "she is kind"
    order = {"topic": "support:Ada", "event": "noted", "payload": ["she bought tea"], "to": "agents", "id": "order-17"}
    headers = {"authorization": "Bearer secret"}
    first, second = (client.post("/hubbub/publish", json=order, headers=headers).json() for _ in range(2))
    assert first == second
    assert grace.receive_json()["payload"] == "she bought tea"
    ada.send_json({"send": "support:Ada", "event": "note", "payload": "let me", "ref": 2})
    assert ada.receive_json()["error"]["reason"] == "notes are for agents"  # and she was told nothing before
    ada.send_json({"send": "support:Ada", "event": "typing"})
    assert grace.receive_json()["event"] == "typing"  # the order was noted once


def test_a_move_is_seen_in_the_world(ada: WebSocketTestSession) -> None:
    ada.send_json({"join": "game:g"})
    ada.send_json({"send": "game:g", "event": "move", "payload": "AACAPwAAAEA="})  # 1.0, 2.0
    assert until(ada, "payload", "AACAPwAAAEA=")["event"] == "world"
    ada.send_json({"send": "game:g", "event": "move", "payload": "AAA=", "ref": 1})
    assert until(ada, "reply", 1)["error"] == {"code": "refused", "reason": "a move is two floats"}


def test_a_dashboard_begins_with_all_prices_and_hears_each_new_one(client: TestClient) -> None:
    page = client.get("/topics/prices?wait=5").json()
    assert page["topics"]["prices"]["reply"].keys() == {"ACME", "EMCA"}
    assert page["events"][0]["event"] == "price"
