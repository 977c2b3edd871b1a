"""The command line as people run it: processes of its own, each in an empty folder, with a deadline."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

DEADLINE = 30.0
HUBBUB = (sys.executable, "-m", "hubbub")
CHAT = """
from hubbub import App, Channel, Keep, on

app = App()

@app.channel("/")
class Chat(Channel):
    history = Keep(count=100)

    @on("say")
    async def say(self, text: str) -> None:
        await self.publish("said", text)
"""

# A shell lets what it starts in the background ignore Ctrl-C, and processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Running:
    """A `hubbub run` or `hubbub demo` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        self.first_line = process.stdout.readline()
        found = re.search(r" at (https?://\S+)$", self.first_line)
        assert found, self.first_line
        self.url = found.group(1)

    def rest(self, number: signal.Signals = signal.SIGTERM) -> str:
        """End it as an operator would, and give what it printed after its first line."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        output = self.process.stdout.read()
        self.process.wait(DEADLINE)
        return output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment in which nothing of this machine's user shows."""
    for name in [name for name in os.environ if name.startswith("HUBBUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(_made(tmp_path / "runtime")))
    monkeypatch.setenv("XDG_DATA_HOME", str(_made(tmp_path / "data")))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # sources change within a second here
    monkeypatch.chdir(_made(tmp_path / "work"))
    return tmp_path / "work"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def hubbub(folder: Path) -> Run:
    """``hubbub("run", "chat")``: run it to its end."""

    def run(*arguments: str, stdin: str = "", before: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*before, *HUBBUB, *arguments], cwd=folder, input=stdin, capture_output=True, text=True, timeout=DEADLINE
        )

    return run


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Running]]:
    """``start("run", "chat:app")``: run it until the test ends, on a free port, and know its URL."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, port: int = 0) -> Running:
        process = subprocess.Popen(
            [*HUBBUB, *arguments, "--port", str(port)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return Running(process)

    yield begin
    for process in processes:
        process.terminate()
        try:
            process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate(timeout=10)
            raise


def assert_mistake(done: "subprocess.CompletedProcess[str]", sentence: str, code: int = 2) -> None:
    """One sentence on standard error that matches, nothing else, and the exit code."""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert re.fullmatch(f"hubbub: {sentence}", lines[0]), lines[0]
    assert done.stdout == ""
    assert done.returncode == code
