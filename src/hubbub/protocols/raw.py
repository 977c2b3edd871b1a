"""Raw sockets: each message is the application's own, text or bytes, and goes either way as it is. Pure.

Rules:

1. A conversation only passes messages on. So another protocol may carry one inside it, such as SockJS: text in, text
   out.
2. It joins no topic and hears no publication.
3. Each ``@app.socket`` has a class of its own, made by ``Raw.at``: its path and its subprotocols are in the table of
   routes like everyone's.
"""

from collections.abc import Sequence
from typing import Self

from hubbub.errors import UsageError
from hubbub.messages import Bye, Command, Frame, Message, Publication, Verbatim
from hubbub.protocols.base import Dialect, Line, Protocol, Route, Session


def _silence(publication: Publication) -> tuple[Frame, ...]:
    return ()


SILENT = Dialect("raw", _silence)


class Raw(Protocol):
    """One client of a raw socket."""

    __slots__ = ()

    name = "raw"
    title = "raw socket"
    routes = (Route("GET", "/{path}", "socket"),)
    websocket_pings = True
    dialect = SILENT
    line: Line = "socket"
    plain = True

    def __init__(self, session: Session) -> None:
        pass

    @classmethod
    def at(cls, path: str, subprotocols: Sequence[str] = ()) -> type[Self]:
        """The protocol of the raw socket at this path. Raises UsageError for what is no path."""
        if not path.startswith("/") or "?" in path or "#" in path:
            raise UsageError(f"{path!r}: a raw socket has a path, such as '/echo'")
        rows = (Route("GET", path, "socket"),)
        return type(cls.__name__, (cls,), {"__slots__": (), "routes": rows, "subprotocols": tuple(subprotocols)})

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        return (Bye(),)

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        return (Verbatim(data),)

    def carry(self, data: Frame) -> tuple[Frame, ...]:
        if isinstance(data, str) and not data.isascii():
            data.encode()  # half a surrogate pair is the caller's mistake: UnicodeEncodeError
        return (data,)

    def send(self, message: Message) -> tuple[Frame, ...]:
        return ()
