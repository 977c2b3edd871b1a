"""`hubbub publish`: a server's topics from outside it, and what is said when that fails."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import CHAT, DEADLINE, Run, Running, assert_mistake

Start = Callable[..., Running]


@pytest.fixture
def url(start: Start, folder: Path) -> str:
    (folder / "chat.py").write_text(CHAT + QUIET)
    return start("run", "chat").url


QUIET = '''
@app.channel("quiet")
class Quiet(Channel):
    """Keeps no history."""
'''


def test_the_same_user_on_the_same_machine_just_publishes(hubbub: Run, url: str) -> None:
    first, second = (hubbub("publish", "/", "said", '"hello"', "--url", url) for _ in range(2))
    assert (first.returncode, first.stderr, second.returncode) == (0, "", 0)
    epoch, offset = first.stdout.strip().split(":")
    assert second.stdout == f"{epoch}:{int(offset) + 1}\n"


def test_without_a_history_there_is_no_position(hubbub: Run, url: str) -> None:
    done = hubbub("publish", "quiet", "tick", "--url", url)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "published; this topic keeps no history\n"


def test_the_server_that_is_configured_here_is_the_one(hubbub: Run, url: str, folder: Path) -> None:
    (folder / "hubbub.toml").write_text(f"port = {url.rpartition(':')[2]}")
    assert hubbub("publish", "/", "said", "1").returncode == 0


def test_a_secret_is_given_by_option_variable_or_file(
    hubbub: Run, start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "chat.py").write_text(CHAT)
    url = start("run", "chat", "--secret", "swordfish").url
    publish = ("publish", "/", "said", "1", "--url", url)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder.parent / "nowhere"))
    wanted = rf"{url} wants its secret: give the right one with --secret or HUBBUB_SECRET\."
    assert_mistake(hubbub(*publish), wanted, 1)
    assert_mistake(hubbub(*publish, "--secret", "trout"), wanted, 1)
    assert hubbub(*publish, "--secret", "swordfish").returncode == 0
    monkeypatch.setenv("HUBBUB_SECRET", "swordfish")
    assert hubbub(*publish).returncode == 0
    monkeypatch.delenv("HUBBUB_SECRET")
    (folder / "hubbub.toml").write_text('secret = "swordfish"')
    assert hubbub(*publish).returncode == 0


def test_a_topic_that_is_not_there_is_refused(hubbub: Run, url: str) -> None:
    assert_mistake(hubbub("publish", "nowhere", "said", "1", "--url", url), rf"{url} refused it: .*nowhere.*\.", 1)


@pytest.mark.parametrize(
    ("value", "stdin", "sentence"),
    [
        ("hello", "", r"'hello' is not JSON: .*; a text is written '\"text\"'\."),
        ("", "", r"'' is not JSON: .*"),
        ("{", "", r"'\{' is not JSON: .*"),
        ("[" * 10_000, "", r"'\[+' is not JSON: .*"),
        ("-", "hello", r"Standard input is not JSON: .*"),
    ],
)
def test_what_is_not_json_is_not_sent(hubbub: Run, value: str, stdin: str, sentence: str) -> None:
    assert_mistake(hubbub("publish", "/", "said", "--", value, stdin=stdin), sentence)


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://x", "http://", "http://x:99999", "http://x:y", "http://[::1"])
def test_a_url_that_is_none(hubbub: Run, url: str) -> None:
    sentence = r"--url must be as in http://127\.0\.0\.1:3000, not '.*'\."
    assert_mistake(hubbub("publish", "/", "said", "--url", url), sentence)


def test_nobody_there(hubbub: Run, free_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{free_tcp_port}"
    assert_mistake(hubbub("publish", "/", "said", "--url", url), rf"{url} cannot be reached: connection refused\.", 1)


def test_a_host_that_is_none(hubbub: Run) -> None:
    for host in ("nowhere.invalid", "a..b"):
        assert_mistake(hubbub("publish", "/", "said", "--url", f"http://{host}"), rf"http://{host}:80 cannot .*", 1)


# -- what another server may answer ---------------------------------------------------------------------------------


class Stranger:
    """A server that answers the same to everyone, and keeps what it was told."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heard = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        client, _ = self.listener.accept()
        with client:
            client.settimeout(DEADLINE)
            while not self.heard.endswith(b"]}") and (data := client.recv(65_536)):
                self.heard += data
            client.sendall(self.answer)

    def close(self) -> None:
        self.thread.join(DEADLINE)
        self.listener.close()


@pytest.fixture
def stranger() -> Iterator[Callable[[bytes], Stranger]]:
    strangers: list[Stranger] = []

    def begin(answer: bytes) -> Stranger:
        strangers.append(Stranger(answer))
        return strangers[-1]

    yield begin
    for each in strangers:
        each.close()


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno!"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (NOT_FOUND, r"answered with HTTP status 404: is Hubbub there\?"),
        (b"hello\r\n", r"does not speak HTTP\."),
        (b"", r"cannot be reached: remote end closed connection without response\."),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 99\r\n\r\n{", r"answered with HTTP status 500: is Hubbub there\?"),
    ],
)
def test_a_server_of_another_kind(
    hubbub: Run, stranger: Callable[[bytes], Stranger], answer: bytes, sentence: str
) -> None:
    url = stranger(answer).url
    assert_mistake(hubbub("publish", "/", "said", "1", "--url", url), f"{url} {sentence}", 1)


def test_what_is_sent_is_just_what_was_written(hubbub: Run, stranger: Callable[[bytes], Stranger]) -> None:
    other = stranger(NOT_FOUND)
    values = ["123456789012345678901234567890", "0.10", '"ä"', "-"]
    hubbub("publish", "/", "said", *values, "--url", f"{other.url}/rt/", "--secret", "swordfish", stdin='{"a": 1.0}\n')
    head, _, body = other.heard.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /rt/hubbub/publish HTTP/1.1\r\n")
    assert b"authorization: Bearer swordfish" in head
    assert json.loads(body)["topic"] == "/"
    assert (
        body.decode()
        .replace(" ", "")
        .replace("\n", "")
        .endswith('"payload":[123456789012345678901234567890,0.10,"ä",{"a":1.0}]}')
    )


def test_a_proxy_is_not_told_the_secret(
    hubbub: Run, stranger: Callable[[bytes], Stranger], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stranger(NOT_FOUND)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert_mistake(hubbub("publish", "/", "said", "--url", other.url), ".*status 404.*", 1)


def test_the_secret_left_here_is_not_told_to_another_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    from hubbub.cli import secrets
    from hubbub.cli.server import Server

    with secrets.left(3000, "swordfish"):
        assert Server.find("http://127.0.0.1:3000", None).secret == "swordfish"
        assert Server.find("http://localhost:3000", None).secret == "swordfish"
        assert Server.find("http://[::1]:3000", None).secret == "swordfish"
        assert Server.find("http://192.0.2.1:3000", None).secret is None
        assert Server.find("http://localhost.example.com:3000", None).secret is None
