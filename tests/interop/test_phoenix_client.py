"""The npm phoenix client, unmodified, in both lanes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import LANES, running
from tests.interop.app import app

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web" / "package.json"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one")


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield url


@pytest.mark.parametrize("transport", ["websocket", "longpoll", "version1"])
def test_the_javascript_client(url, transport):
    ended = subprocess.run(
        [NODE, HERE / "phoenix_client.mjs", url, transport],
        capture_output=True, text=True, timeout=120, env={**os.environ, "WEB": str(WEB)}, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("ok ") == 20
