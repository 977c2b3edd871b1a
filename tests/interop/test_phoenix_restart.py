"""The npm phoenix client lives through a restart of the server, and misses nothing of a kept topic."""

import json
import os
import shutil
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue

import pytest

from hubbub import App, Channel, Keep
from tests.conftest import LANES, running
from tests.ports import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one")


class Log(Channel):
    history = Keep(count=100)


def made(folder):
    app = App(broker=f"sqlite:///{folder / 'log.db'}")
    app.channel("log:{name}")(Log)
    return app


@contextmanager
def client(url, transport):
    """What it prints, as it comes."""
    page = ROOT / "docs" / "protocols" / "phoenix.md"
    environment = {**os.environ, "WEB": str(ROOT / "web" / "package.json")}
    process = subprocess.Popen(
        [NODE, HERE / "phoenix_restart.mjs", url, transport, page],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    lines = Queue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in process.stdout])
    reader.start()
    try:
        yield lambda: json.loads(lines.get(timeout=20))
    finally:
        process.kill()
        process.communicate(timeout=10)
        reader.join(timeout=10)


@pytest.mark.parametrize("transport", ["websocket", "longpoll"])
@pytest.mark.parametrize("lane", LANES)
def test_a_client_comes_back_and_has_missed_nothing(lane, transport, tmp_path):
    with ExitStack() as stack:
        app, port = made(tmp_path), free_port()
        with running(app, lane=lane, port=port) as url:
            hear = stack.enter_context(client(url, transport))
            assert hear() == {"joined": None}
            for number in (1, 2):
                app.publish("log:restart", "added", number)
            assert [hear(), hear()] == [{"added": 1}, {"added": 2}]
        app = made(tmp_path)
        with running(app, lane=lane, port=port):
            for number in (3, 4):
                app.publish("log:restart", "added", number)
            assert hear() == {"joined": True}
            app.publish("log:restart", "added", 5)
            assert [hear(), hear(), hear()] == [{"added": 3}, {"added": 4}, {"added": 5}]
