"""What clients ask, and what they are told: the few words that every protocol is translated to and from. Pure.

Payloads stay encoded. What a client sends is a tuple of *arguments*: each either ``msgspec.Raw``, a piece of JSON
that nobody has decoded yet, or, where bytes were among them, a plain Python value. What a client is told is a
*body* (``bodies``): an encoded array, written once and shared by everyone who gets it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from hubbub.errors import Disconnect, HubbubError
from hubbub.history import NOWHERE, Position

Raw = msgspec.Raw
Arguments = Sequence[Any]  # each a Raw or a decoded value: what they are is the handler's signature to say


class Form(dict[str, str]):
    """An object whose values came as text, in a URL or a form: they are read as the types that the handler's
    signature declares. It may stand for one argument, or for join parameters."""


Frame = str | bytes
"""One message on a client's wire: ``str`` travels as text, ``bytes`` as binary."""


def as_bytes(frame: Frame) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


# -- what clients ask -----------------------------------------------------------------------------------------------


class Join(msgspec.Struct, frozen=True):
    """Enter ``topic``. ``params`` is the client's one object of join parameters, ``after`` where it left off: all that
    followed is wanted."""

    topic: str
    params: Any = None
    ref: Any = None
    after: Position | None = None


class Leave(msgspec.Struct, frozen=True):
    """Exit ``topic``."""

    topic: str
    ref: Any = None


class Send(msgspec.Struct, frozen=True):
    """Do ``event`` in ``topic``. Without a ``ref`` nobody waits for the reply. What its handler publishes goes by the
    ``id``: so a retry is one publication."""

    topic: str
    event: str
    arguments: Arguments = ()
    ref: Any = None
    id: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """The client's answer to the server's call ``ref``."""

    topic: str
    ref: int
    arguments: Arguments = ()


class Verbatim(msgspec.Struct, frozen=True, gc=False):
    """A message for a raw socket: text or bytes, as they came. What the socket says goes through ``Protocol.carry``."""

    data: Frame


class Bye(msgspec.Struct, frozen=True):
    """The client is done, and said so."""

    reason: str = "closed"


Command = Join | Leave | Send | Answer | Verbatim | Bye


# -- what they are told ---------------------------------------------------------------------------------------------


class Reply(msgspec.Struct, frozen=True):
    """The answer to a command: ``body`` is an encoded array of the values returned, ``error`` what was raised.

    After a ``Join`` of a kept topic, ``position`` is where the client stands: it is told what follows from there.
    ``recovered`` says whether that is where it asked to go on (``Join.after``); None when it did not ask.
    """

    to: Join | Leave | Send
    body: bytes = b"[]"
    error: HubbubError | None = None
    position: Position | None = None
    recovered: bool | None = None


class Push(msgspec.Struct, frozen=True):
    """An event for one client. With a ``ref`` an ``Answer`` is asked for. ``cursor`` is as in a ``Publication``."""

    topic: str
    body: bytes
    ref: int | None = None
    cursor: Position = NOWHERE


class Left(msgspec.Struct, frozen=True):
    """The server took the client out of ``topic``."""

    topic: str
    error: Disconnect


class Publication(msgspec.Struct, frozen=True):
    """An event for everyone in ``topic``. ``body`` is the encoded array of its name and payload.

    ``position`` is its own in the topic's log. ``cursor`` is where that log stands once this has been told, also when
    this itself is not in it: for protocols whose every message has to say where its reader is.
    """

    topic: str
    body: bytes
    position: Position = NOWHERE
    cursor: Position = NOWHERE


Message = Reply | Push | Left


def canonical(topic: str) -> str:
    """A topic's one name: without its leading slash, unless that is all of it."""
    return topic if topic == "/" else topic.removeprefix("/")
