"""The server's end of a line to a client, as far as a connection knows it. The ends themselves are in ``servers/``."""

from collections.abc import Callable
from typing import Protocol

from hubbub.messages import Frame, as_bytes
from hubbub.protocols.base import Line


class Carrier(Protocol):
    """The server's end of a line. All of it is synchronous: what cannot leave at once is buffered by the carrier."""

    line: Line
    once: bool
    """It takes one ``write`` and is done (a poll)."""
    full: bool
    """It has enough to do: the client reads slower than it is written to."""
    wire: Callable[[bytes], None] | None = None
    """Takes what ``frame`` makes, of many frames at once, where there is such a short cut."""
    frame: Callable[[Frame], bytes] = staticmethod(as_bytes)
    """How a frame looks on ``wire``. Lines with the same function share what it made."""

    @property
    def unsent(self) -> int:
        """Bytes that were written to it and have not left."""

    def write(self, frames: list[Frame]) -> None:
        """Send these, in this order."""

    def hold(self, on: bool) -> None:
        """Read no more of what the client sends, or go on: meanwhile it waits on the client's side. A line that has
        nothing to hold does nothing."""

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        """Send these, then end the line."""
