"""What is said when a server has started."""

import io

from rich.console import Console

from hubbub.cli.welcome import welcome, without_password
from hubbub.config import Config

DOORS = [("Socket.IO", "/socket.io/", "polling and WebSocket"), ("native", "/hubbub/websocket", "")]


def said(url: str = "http://127.0.0.1:3000", *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=70, color_system=None, highlight=False)
    welcome("chat:app", url, DOORS, "sqlite:///chat.db", Config(), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_elsewhere_than_on_a_terminal_it_is_plain_lines() -> None:
    first, *rows = said(terminal=False).splitlines()
    assert first.endswith("serves chat:app at http://127.0.0.1:3000")
    assert rows == [
        "  Socket.IO  /socket.io/        polling and WebSocket",
        "  native     /hubbub/websocket",
        "  broker     sqlite:///chat.db",
        "  lane       fast",
    ]


def test_on_a_terminal_everything_is_in_the_table() -> None:
    table = said(terminal=True)
    for text in ("chat:app", "http://127.0.0.1:3000", "Socket.IO", "/socket.io/", "sqlite:///chat.db", "Ctrl-C"):
        assert text in table


def test_every_address_is_shown_as_one_that_a_browser_can_open() -> None:
    assert "http://localhost:3000  (every address of this machine)" in said("http://0.0.0.0:3000", terminal=True)
    assert "http://localhost:3000  (every address of this machine)" in said("http://[::]:3000", terminal=True)


def test_a_brokers_password_is_not_shown() -> None:
    assert without_password("redis://ann:secret@host:6379/0") == "redis://ann:***@host:6379/0"
    assert without_password("redis://:secret@host") == "redis://:***@host"
    assert without_password("sqlite:///a@b.db") == "sqlite:///a@b.db"


def test_on_a_narrow_terminal_nothing_is_cut() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=24, color_system=None)
    welcome("chat:app", "http://127.0.0.1:3000", DOORS, "memory://", Config(), console)
    assert isinstance(console.file, io.StringIO)
    assert "\N{HORIZONTAL ELLIPSIS}" not in console.file.getvalue()
