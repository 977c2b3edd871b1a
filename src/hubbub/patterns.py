"""Patterns of names and paths: ``{name}`` stands for one or more characters but ``/``. Pure."""

import re

from hubbub.errors import UsageError


def read(pattern: str, *, paths: bool = False) -> re.Pattern[str]:
    """The expression whose groups are what the braces stand for. With ``paths``, ``{name:path}`` stands for more than
    one segment, also with a slash at its end. Raises UsageError."""
    pieces = re.split(r"\{(\w+(?::path)?)\}" if paths else r"\{(\w+)\}", pattern)
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise UsageError(f"{pattern!r}: a variable is written {{name}}")
    try:
        return re.compile(
            "".join(_variable(piece) if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
        )
    except re.error as error:
        raise UsageError(f"{pattern!r}: {error}") from None


def _variable(name: str) -> str:
    name, _, path = name.partition(":")
    return f"(?P<{name}>{'.+' if path else '[^/]+'})"
