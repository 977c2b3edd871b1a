"""Where files of this user live, by the XDG Base Directory Specification."""

import os
import stat
import tempfile
from pathlib import Path

from hubbub.cli.plain import plain
from hubbub.errors import UsageError


def runtime() -> Path:
    """The folder for what lives as long as a server. Raises UsageError when it is not ours alone."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    return private(Path(given) / "hubbub" if given else _temporary())


def data() -> Path:
    """The folder for what outlives a server: a temporary one where the home cannot be written to."""
    given = os.environ.get("XDG_DATA_HOME")
    folder = (Path(given) if given else Path.home() / ".local" / "share") / "hubbub"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return private(_temporary())
    return folder if os.access(folder, os.W_OK) else private(_temporary())


def private(folder: Path) -> Path:
    """This folder, made if need be, which no other user can write to or read.

    Anyone may make a folder in the temporary one, and wait for us there (CWE-379): so its owner and its mode are
    looked at, and a symbolic link is not followed. Raises UsageError.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be made: {plain(error)}.") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _user() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageError(f"The folder {folder} must be this user's, with mode 0700.")
    return folder


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / f"hubbub-{_user()}"


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # Windows has no user ids; its temporary folder is the user's
