"""The secret that a running server leaves for `hubbub publish`: the same user, on the same machine.

While a server runs, a file of mode 0600 in the user's runtime folder, named by its port, holds the secret and the
server's process id. A file that a killed server left behind is not believed: another user's server may have the
port by now, and would be told the secret.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubbub.cli import folders
from hubbub.errors import UsageError


@contextmanager
def left(port: int, secret: str) -> Iterator[None]:
    """Leave the secret of the server at this port for as long as the block runs."""
    path = _path(port)
    path.unlink(missing_ok=True)
    with open(path, "x", encoding="ascii", opener=_only_for_us) as file:
        file.write(f"{os.getpid()} {secret}")
    try:
        yield
    finally:
        # A server that was started again at this port has left its own.
        if path.exists() and _read(path)[0] == os.getpid():
            path.unlink()


def find(port: int) -> str | None:
    """The secret of this user's server at this port of this machine, if one runs."""
    try:
        process, secret = _read(_path(port))
    except (OSError, ValueError, UsageError):
        return None
    return secret if _runs(process) else None


def _path(port: int) -> Path:
    return folders.runtime() / f"{port}.secret"


def _read(path: Path) -> tuple[int, str]:
    process, _, secret = path.read_text(encoding="ascii").partition(" ")
    return int(process), secret


def _only_for_us(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _runs(process: int) -> bool:
    if os.name == "nt":
        return True  # there os.kill(process, 0) ends it
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
