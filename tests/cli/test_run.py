"""`hubbub run`: what is found, what is said, what is served, and how it ends."""

import json
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from .conftest import CHAT, DEADLINE, HUBBUB, Run, Running

Start = Callable[..., Running]


def health(url: str, context: ssl.SSLContext | None = None) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(f"{url}/hubbub/health", timeout=DEADLINE) as response:
        return int(response.status)


@pytest.mark.parametrize("target", ["chat:app", "chat", "chat.py", "chat.py:app"])
def test_the_app_is_found_by_module_and_by_file(start: Start, folder: Path, target: str) -> None:
    (folder / "chat.py").write_text(CHAT)
    running = start("run", target)
    assert health(running.url) == 200
    assert running.first_line.startswith("Hubbub ")
    assert f" serves {target} at http://127.0.0.1:" in running.first_line


def test_what_lies_beside_a_file_can_be_imported(start: Start, folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "names.py").write_text("TOPIC = '/'")
    (folder / "deep" / "chat.py").write_text("import names\n" + CHAT.replace('"/"', "names.TOPIC"))
    assert health(start("run", "deep/chat.py").url) == 200


def test_a_file_named_like_a_loaded_module_is_found(start: Start, folder: Path) -> None:
    (folder / "time.py").write_text(CHAT)
    assert health(start("run", "time.py").url) == 200


def test_a_dotted_name_inside_a_module_is_found(start: Start, folder: Path) -> None:
    (folder / "chat.py").write_text(CHAT + "\nclass Servers:\n    main = app\n")
    assert health(start("run", "chat:Servers.main").url) == 200


def test_it_says_once_what_is_served_where_and_then_nothing(start: Start, folder: Path) -> None:
    (folder / "chat.py").write_text(CHAT)
    running = start("run", "chat:app", "--broker", "sqlite:///chat.db", "--lane", "asgi")
    health(running.url)
    output = running.rest()
    rows = {line.split()[0]: line.split()[1] for line in output.splitlines()}
    assert rows["broker"] == "sqlite:///chat.db"
    assert rows["lane"] == "asgi"
    assert rows["pages"] == "none"
    assert "/socket.io/" in output
    assert "/hubbub/websocket" in output
    assert not any("{" in line or "Traceback" in line for line in output.splitlines())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_code_zero(start: Start, folder: Path, number: signal.Signals) -> None:
    (folder / "chat.py").write_text(CHAT)
    running = start("run", "chat")
    assert "Traceback" not in running.rest(number)
    assert running.process.returncode == 0


def test_the_configuration_is_read_from_file_and_environment(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "chat.py").write_text(CHAT)
    (folder / "hubbub.toml").write_text('lane = "asgi"\nbroker = "sqlite:///a.db"')
    monkeypatch.setenv("HUBBUB_BROKER", "sqlite:///b.db")
    output = start("run", "chat").rest()
    assert "sqlite:///b.db" in output
    assert "asgi" in output
    assert (folder / "b.db").exists()


def test_it_serves_tls(start: Start, folder: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    (folder / "chat.py").write_text(CHAT)
    running = start("run", "chat", "--ssl-certfile", "both.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert running.url.startswith("https://")
    assert health(running.url, context) == 200


def first_log_line(*options: str) -> dict[str, object]:
    process = subprocess.Popen(
        [*HUBBUB, "run", "chat", "--port", "0", *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line: dict[str, object] = json.loads(process.stderr.readline())
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)
    return line


def test_logs_are_json_where_nobody_sits(folder: Path) -> None:
    (folder / "chat.py").write_text(
        CHAT + "\nimport logging\nlogging.getLogger('mine').warning('hello', extra={'n': 1})\n"
    )
    line = first_log_line()
    assert (line["event"], line["level"], line["logger"], line["n"]) == ("hello", "warning", "mine", 1)


def test_at_debug_the_http_server_tells_of_itself_too(folder: Path) -> None:
    (folder / "chat.py").write_text(CHAT)
    assert first_log_line("--log-level", "debug")["logger"] == "uvicorn.error"


BESIDE = """
from contextlib import asynccontextmanager

from fastapi import FastAPI
from hubbub import App

@asynccontextmanager
async def lifespan(site):
    {begin}
    yield
    for _ in range(100):  # as many turns of the loop as a pool of connections may want to close
        await asyncio.sleep(0)
    {end}

import asyncio
site = FastAPI(lifespan=lifespan)
app = App(fallback=site)
"""


def test_what_the_app_falls_back_to_is_stopped_to_its_end(start: Start, folder: Path) -> None:
    (folder / "beside.py").write_text(BESIDE.format(begin="pass", end="print('the other one has ended', flush=True)"))
    running = start("run", "beside")
    assert health(running.url) == 200
    output = running.rest()
    assert output.endswith("the other one has ended\n")
    assert "Traceback" not in output
    assert running.process.returncode == 0


def test_what_the_app_falls_back_to_and_does_not_start_is_one_sentence_and_the_log_says_why(
    hubbub: Run, folder: Path
) -> None:
    (folder / "beside.py").write_text(BESIDE.format(begin="raise RuntimeError('no database')", end="pass"))
    done = hubbub("run", "beside", "--port", "0")
    assert done.returncode == 2
    assert done.stdout == ""
    *logged, last = done.stderr.splitlines()
    assert last == "hubbub: The application that the App falls back to did not start."
    assert any("RuntimeError: no database" in line for line in logged)
    assert not any("never retrieved" in line for line in logged)
