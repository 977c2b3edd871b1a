"""What `hubbub run` says when clients can come: what is served, and where. Once."""

from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from hubbub import __version__
from hubbub.config import Config

Row = tuple[str, str, str]
"""What it is, where it is, and a note."""


def welcome(name: str, url: str, doors: Sequence[Row], broker: str, config: Config, console: Console) -> None:
    """Show it as a table on a terminal, and as plain lines elsewhere."""
    rows = [*doors, ("broker", without_password(broker), ""), ("lane", config.lane, "")]
    if console.is_terminal:
        console.print(_table(name, url, rows))
    else:
        console.file.write(_lines(name, url, rows))
        console.file.flush()


def reachable(url: str) -> tuple[str, str]:
    """The URL as a browser on this machine can open it, and a note where the server listens on every address."""
    parts = urlsplit(url)
    if parts.hostname not in ("0.0.0.0", "::"):
        return url, ""
    return urlunsplit(parts._replace(netloc=f"localhost:{parts.port}")), "  (every address of this machine)"


def without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:***@{place}"))


def _table(name: str, url: str, rows: Sequence[Row]) -> Group:
    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), Column(overflow="fold"), padding=(0, 3, 0, 0))
    for what, where, note in rows:
        table.add_row(Text(what, "bold"), Text(where), Text(note, "dim"))
    place, note = reachable(url)
    return Group(
        Text.assemble(("\nHubbub ", "bold magenta"), (__version__, "magenta"), f"  {name}\n"),
        Text.assemble("  ", (place, "bold cyan underline"), (note, "dim")),
        Padding(table, (1, 0, 1, 2)),
        Text("  Ctrl-C ends it\n", "dim"),
    )


def _lines(name: str, url: str, rows: Sequence[Row]) -> str:
    wide = [max(len(row[column]) for row in rows) + 2 for column in range(2)]
    lines = [f"  {what:{wide[0]}}{where:{wide[1]}}{note}".rstrip() for what, where, note in rows]
    return "\n".join([f"Hubbub {__version__} serves {name} at {url}", *lines, ""])
