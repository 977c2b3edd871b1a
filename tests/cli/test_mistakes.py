"""Every mistake at start: one sentence, exit code 2, never a traceback."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from .conftest import CHAT, Run, assert_mistake

IMPORTS = {
    "nothing.py": ("x = 1", r"There is no 'app' in nothing, nor any other App\."),
    "other.py": (
        "from hubbub import App\nserver = App()",
        r"There is no 'app' in other; it has 'server': hubbub run other:server\.",
    ),
    "text.py": ("app = 'chat'", r"text:app is of type str, and not a hubbub\.App\."),
    "asgi.py": (
        "async def app(scope, receive, send): ...",
        r"asgi:app is of type function, and not a hubbub\.App: serve both with App\(fallback=app\); .*\.",
    ),
    "needs.py": ("\nimport tulips", r"needs\.py:2 imports 'tulips', which is not installed\."),
    "needs_part.py": ("import json.tulips", r"needs_part\.py:1 imports 'json\.tulips', which is not installed\."),
    "misnamed.py": ("from hubbub import Ap", r"misnamed\.py:1: ImportError: cannot import name 'Ap' from 'hubbub'.*"),
    "syntax.py": ("x = 1\nx = = 2\n", r"syntax\.py:2: invalid syntax\."),
    "indent.py": ("def f():\nreturn 1\n", r"indent\.py:2: expected an indented block.*"),
    "division.py": ("def f():\n    1 / 0\nf()", r"division\.py:2: ZeroDivisionError: division by zero\."),
    "silent.py": ("raise ValueError", r"silent\.py:1: ValueError\."),
    "lines.py": ("raise ValueError('one\\ntwo')", r"lines\.py:1: ValueError: one\."),
    "leaves.py": ("import sys\nsys.exit(0)", r"leaves\.py:2 ends the process when it is imported; .*"),
    "binary.py": ("\0", r"binary(\.py)?:(1:| ValueError:) source code .* null bytes\."),
    "pattern.py": (
        "from hubbub import App, Channel\napp = App()\n@app.channel('room:{a b}')\nclass Chat(Channel): ...",
        r"pattern\.py:3: .*",
    ),
    "pages.py": (
        "from hubbub import App\napp = App(pages='nowhere')",
        r"pages\.py:2: pages: there is no folder nowhere\.",
    ),
    "time.py": ("app = 1", r"time\.py is hidden by another module named time: give the file another name\."),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_a_module_that_will_not_do(hubbub: Run, folder: Path, name: str) -> None:
    source, sentence = IMPORTS[name]
    (folder / name).write_text(source)
    assert_mistake(hubbub("run", name.removesuffix(".py")), sentence)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere:app", r"There is no module 'nowhere' in .*, and none is installed\."),
        ("json.nowhere:app", r"There is no module 'json\.nowhere' in .*, and none is installed\."),
        ("no where", r"'no where' is neither a module's name, as in chat:app, nor the path of a \.py file\."),
        (":app", r"'' is neither a module's name.*"),
        ("a/b", r"'a/b' is neither a module's name.*"),
        ("nowhere.py", r"There is no file nowhere\.py\."),
        ("nowhere/app.py:app", r"There is no file nowhere/app\.py\."),
    ],
)
def test_a_target_that_is_not_there(hubbub: Run, target: str, sentence: str) -> None:
    assert_mistake(hubbub("run", target), sentence)


def test_an_app_in_a_file_that_has_another_name(hubbub: Run, folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "chat.py").write_text(CHAT.replace("app", "server"))
    sentence = r"There is no 'app' in deep/chat\.py; it has 'server': hubbub run deep/chat\.py:server\."
    assert_mistake(hubbub("run", "deep/chat.py"), sentence)


def test_the_cause_is_in_the_log_for_who_asks(hubbub: Run, folder: Path) -> None:
    (folder / "chat.py").write_text("1 / 0")
    done = hubbub("run", "chat", "--log-level", "debug", "--log-format", "json")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == "hubbub: chat.py:1: ZeroDivisionError: division by zero."


# -- where it listens -----------------------------------------------------------------------------------------------


@pytest.fixture
def chat(folder: Path) -> str:
    (folder / "chat.py").write_text(CHAT)
    return "chat:app"


def test_a_port_in_use(hubbub: Run, chat: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = hubbub("run", chat, "--port", str(port))
    assert_mistake(done, rf"Cannot listen on 127\.0\.0\.1 port {port}: address already in use\.")


@pytest.mark.parametrize("port", ["x", "-1", "65536", "1.5"])
def test_a_port_that_is_none(hubbub: Run, chat: str, port: str) -> None:
    assert_mistake(
        hubbub("run", chat, "--port", port), rf"--port must be a whole number from 0 to 65535, not '{port}'\."
    )


def test_a_host_that_cannot_be_resolved(hubbub: Run, chat: str) -> None:
    assert_mistake(
        hubbub("run", chat, "--host", "nowhere.invalid"), r"There is no host 'nowhere\.invalid' to listen on\."
    )


def test_an_address_of_another_machine(hubbub: Run, chat: str) -> None:
    done = hubbub("run", chat, "--host", "192.0.2.1")  # TEST-NET-1, RFC 5737: nobody has it
    assert_mistake(done, r"Cannot listen on 192\.0\.2\.1 port 3000: cannot assign requested address\.")


def test_a_proxy_that_is_none(hubbub: Run, chat: str) -> None:
    done = hubbub("run", chat, "--port", "0", "--forwarded-allow-ips", "proxy")
    assert_mistake(done, r"'proxy' is neither an address nor a network of trusted proxies\.?")


# -- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(folder: Path) -> Path:
    authority = trustme.CA()
    for name in ("server", "another"):
        issued = authority.issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    (folder / "junk.pem").write_text("junk")
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"swordfish")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    (folder / "locked.key").write_bytes(pem)
    return folder


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.pem"], r"The certificate nowhere\.pem cannot be read: no such file or directory\."),
        (["."], r"The certificate \. cannot be read: is a directory\."),
        (["junk.pem", "server.key"], r"There is no certificate in junk\.pem: it must be PEM\."),
        (["server.pem", "nowhere.key"], r"The private key nowhere\.key cannot be read: no such file or directory\."),
        (["server.pem", "junk.pem"], r"There is no usable private key in junk\.pem: .*\."),
        (["server.pem"], r"There is no usable private key in server\.pem: .*\."),
        (["server.pem", "locked.key"], r"There is no usable private key in locked\.key: .*without a pass phrase.*\."),
        (
            ["server.pem", "another.key"],
            r"The private key in another\.key is not that of the certificate server\.pem\.",
        ),
    ],
)
def test_a_certificate_that_will_not_do(
    hubbub: Run, chat: str, certificate: Path, arguments: list[str], sentence: str
) -> None:
    options = [f"--ssl-{kind}={value}" for kind, value in zip(("certfile", "keyfile"), arguments, strict=False)]
    assert_mistake(hubbub("run", chat, "--port", "0", *options), sentence)


def test_a_key_without_a_certificate(hubbub: Run, chat: str) -> None:
    sentence = r"A private key \(ssl_keyfile\) needs its certificate \(ssl_certfile\)\."
    assert_mistake(hubbub("run", chat, "--ssl-keyfile", "x"), sentence)


# -- the broker -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broker", "sentence"),
    [
        ("carrier-pigeon://x", r".*carrier-pigeon.*"),
        ("nonsense", r"a broker is named by a URL, .*"),
        ("sqlite:///nowhere/chat.db", r".*nowhere/chat\.db.*"),
        ("sqlite:///folder", r".*folder.*"),
        ("sqlite:///junk.db", r".*junk\.db.*"),
        ("redis://127.0.0.1:1", r"Redis at 127\.0\.0\.1:1 cannot be reached: connection refused\."),
        ("redis://no-such-host.invalid/3", r"Redis at no-such-host\.invalid:6379 cannot be reached: .+\."),
        ("redis+sentinel://127.0.0.1:1/chat", r"the sentinels at 127\.0\.0\.1:1 cannot be reached: .+\."),
        ("redis+cluster://127.0.0.1:1", r"the Redis cluster at 127\.0\.0\.1:1 cannot be reached: .+\."),
        ("redis://user:secret@host:port", r"the URL of Redis cannot be read: it is redis://host:6379/0.*"),
    ],
)
def test_a_broker_that_will_not_do(hubbub: Run, folder: Path, chat: str, broker: str, sentence: str) -> None:
    (folder / "folder").mkdir()
    (folder / "junk.db").write_bytes(b"junk" * 1000)
    assert_mistake(hubbub("run", chat, "--port", "0", "--broker", broker), sentence)


def test_a_broker_whose_package_is_missing(hubbub: Run, folder: Path, chat: str) -> None:
    (folder / "redis.py").write_text("raise ModuleNotFoundError(name='redis')")
    sentence = r"rediss:// needs redis, which is missing: pip install 'hubbub\[redis\]'"
    assert_mistake(hubbub("run", chat, "--port", "0", "--broker", "rediss://host"), sentence)


def test_the_apps_own_broker_counts_too(hubbub: Run, folder: Path) -> None:
    (folder / "chat.py").write_text(CHAT.replace("App()", "App(broker='carrier-pigeon://x')"))
    assert_mistake(hubbub("run", "chat", "--port", "0"), r".*carrier-pigeon.*")


# -- what this user may not -----------------------------------------------------------------------------------------

HUMBLE = ("setpriv", "--bounding-set=-net_bind_service,-dac_override,-dac_read_search")
"""What makes root as weak as other users."""
FIRST_FREE_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@pytest.fixture
def humbly() -> tuple[str, ...]:
    """What to put before a command that root must not be too strong for."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None or subprocess.run([*HUMBLE, "true"], capture_output=True).returncode != 0:
        pytest.skip("root cannot give up its rights here")
    return HUMBLE


@pytest.mark.skipif(
    not FIRST_FREE_PORT.exists() or int(FIRST_FREE_PORT.read_text()) <= 80, reason="anyone may listen on port 80 here"
)
def test_a_port_that_only_root_may_have(hubbub: Run, chat: str, humbly: tuple[str, ...]) -> None:
    done = hubbub("run", chat, "--port", "80", before=humbly)
    assert_mistake(done, r"Cannot listen on 127\.0\.0\.1 port 80: permission denied\.")


def test_a_database_that_cannot_be_written(hubbub: Run, folder: Path, chat: str, humbly: tuple[str, ...]) -> None:
    (folder / "locked").mkdir(mode=0o555)
    done = hubbub("run", chat, "--port", "0", "--broker", "sqlite:///locked/chat.db", before=humbly)
    assert_mistake(done, r"locked/chat\.db .*")


def test_a_file_that_cannot_be_read(hubbub: Run, folder: Path, humbly: tuple[str, ...]) -> None:
    (folder / "chat.py").touch(mode=0o200)
    assert_mistake(hubbub("run", "chat", before=humbly), r"chat: PermissionError: .*chat\.py.*")
    (folder / "hubbub.toml").touch(mode=0o200)
    assert_mistake(hubbub("run", "chat", before=humbly), r"hubbub\.toml cannot be read: .*ermission denied.*")


def test_a_project_where_nothing_can_be_written(hubbub: Run, folder: Path, humbly: tuple[str, ...]) -> None:
    folder.chmod(0o555)
    assert_mistake(hubbub("new", "chat", before=humbly), r"The folder chat cannot be made: permission denied\.")
