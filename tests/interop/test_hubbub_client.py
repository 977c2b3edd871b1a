"""Our own client, as it is built and served, in Node and in both lanes; its size, its types, its parts, its guide."""

import gzip
import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

import hubbub
from tests.conftest import LANES, running
from tests.interop.hubbub_app import make
from tests.ports import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLIENT = ROOT / "web" / "client"
BUILT = ROOT / "src" / "hubbub" / "static" / "hubbub"
SCRIPT = HERE / "hubbub_client.mjs"
CHECKS = re.findall(r'^  async "(.*)"\(', SCRIPT.read_text(), re.MULTILINE)
GUIDE = ROOT / "docs" / "guides" / "javascript.md"
NODE = shutil.which("node")
TRANSPORTS = ("websocket", "sse", "polling")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one"),
    pytest.mark.skipif(not BUILT.is_dir(), reason="the browser clients are not built: `make test` does"),
]

RESTARTING = CHECKS[-6:-4]
BLOCKED = CHECKS[-4:-1]
STEADY = CHECKS[:-6]
LIVE = ("answers the server", "knows who is there", "is thrown out, and stays out")
"""What needs a client that is there all the time: by polling, each poll is one of its own."""
BY = {
    "websocket": STEADY,
    "sse": [check for check in STEADY if check != "answers the server"],
    "polling": [check for check in STEADY if check not in LIVE],
}


class Node:
    """The script, and the server that it asks for."""

    def __init__(self, url, transport, checks, serve=None):
        environment = {**os.environ, "CLIENT": str(BUILT / "hubbub.min.js"), "WEB": str(ROOT / "web" / "package.json")}
        self.serve = serve
        self.process = subprocess.Popen(
            [NODE, SCRIPT, url, transport, ";".join(checks)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )  # fmt: skip

    def run(self):
        """The lines it printed, to the end."""
        told = []
        try:
            for line in self.process.stdout:
                told.append(line.rstrip())
                if self.serve is not None and line.startswith(("stop", "start")):
                    self.serve(line.strip())
                    print("done", file=self.process.stdin, flush=True)
            assert self.process.wait(timeout=30) == 0, "\n".join(told)
        finally:
            self.process.kill()
            self.process.communicate(timeout=30)
        return [line for line in told if line.startswith("ok ")]


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(make(), lane=request.param) as url:
        yield url


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_client(url, transport):
    assert Node(url, transport, BY[transport]).run() == [f"ok {check}" for check in BY[transport]]


def test_it_finds_a_line_that_gets_through(url):
    assert Node(url, "any", BLOCKED).run() == [f"ok {check}" for check in BLOCKED]


class Server:
    """A server that is stopped and started as the script wishes."""

    def __init__(self, stack, lane, broker):
        self.stack = stack
        self.settings = {"lane": lane, "port": free_port()}
        self.broker = broker
        self.url = self.start()

    def start(self):
        self.app = make(self.broker)
        return self.stack.enter_context(running(self.app, **self.settings))

    def __call__(self, wish):
        if wish == "stop":
            self.stack.pop_all().close()
            return
        self.start()
        if found := re.fullmatch(r"start and say (\d+) in (.*)", wish):
            for number in range(int(found[1])):
                self.app.publish(found[2], "said", {"text": f"missed {number}"})


@pytest.fixture(params=LANES)
def restarting(request, tmp_path):
    with ExitStack() as stack:
        yield lambda broker: Server(stack, request.param, broker.format(tmp_path))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("check", "broker"), [(RESTARTING[0], "sqlite:///{}/log.db"), (RESTARTING[1], "memory://")], ids=("kept", "lost")
)
def test_a_restart(restarting, transport, check, broker):
    server = restarting(broker)
    assert Node(server.url, transport, [check], server).run() == [f"ok {check}"]


def test_it_tries_everything_again_when_the_server_was_away(restarting):
    server = restarting("memory://")
    assert Node(server.url, "any", CHECKS[-1:], server).run() == [f"ok {CHECKS[-1]}"]


def told_by(*command, **options):
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, **options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_its_parts():
    command = (NODE, "--test", "--test-reporter=tap", HERE / "hubbub_parts.mjs")
    told = told_by(*command, env={**os.environ, "CLIENT": str(CLIENT)})
    assert re.search(r"^# pass (\d+)", told, re.MULTILINE)[1] == "24"


def test_its_types():
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "--types"]
    told_by(CLIENT.parent / "node_modules" / ".bin" / "tsc", *options, "", HERE / "hubbub_types.mts")


def test_it_is_small():
    assert len(gzip.compress((BUILT / "hubbub.min.js").read_bytes(), 9)) < 6_000


def test_what_is_packed_for_npm():
    (pack,) = json.loads(told_by("npm", "pack", "--dry-run", "--json", cwd=CLIENT))
    sources = {path.relative_to(CLIENT).as_posix() for path in CLIENT.rglob("*.js")}
    packed = {file["path"] for file in pack["files"]}
    assert packed == sources | {"package.json", "README.md", "LICENSE", "hubbub.d.ts"}
    assert pack["version"] == hubbub.__version__


def run_example(url, block, end):
    """What a page of the guide says, with the server's address in it."""
    script = re.sub(r'connect\((?:"[^"]*", )?', f'connect("{url}", ', block).replace(", )", ")")
    script = re.sub(r'"(/hubbub/hubbub.min.js|hubbub-client)"', f'"{BUILT}/hubbub.min.js"', script)
    script += f"\n{end}; console.log(hub.transport); hub.close();"
    return told_by(NODE, "--input-type=module", "--eval", script, cwd=CLIENT.parent).splitlines()


def test_the_examples_of_the_guide(url):
    blocks = re.findall(r"^```js\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    line = told_by(NODE, "--eval", "console.log(globalThis.WebSocket ? 'websocket' : 'sse')").strip()
    first = blocks[0].replace("await room.joined;", "const heard = new Promise((resolve) => room.on('said', resolve));")
    assert run_example(url, first, "await heard") == ["hello", line]
    assert run_example(url, blocks[-1], "await hub.join('live:a').joined") == ["websocket"]


@pytest.mark.parametrize("lane", LANES)
async def test_it_is_served(lane, serve):
    async with httpx.AsyncClient(base_url=serve(make(), lane=lane)) as client:
        for file in ("hubbub.js", "hubbub.min.js"):
            answer = await client.get(f"/hubbub/{file}")
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
            assert answer.content == (BUILT / file).read_bytes()
