"""What a client missed: all of it, or nothing.

A position is a proof (``hubbub.history``): the log either has everything that followed it, or says that it has not.
So a client that comes back is given all it missed, in order, once; or is told plainly that this cannot be done.
"""

from collections.abc import Container, Sequence

from hubbub.connection import Connection
from hubbub.envelope import unseal
from hubbub.errors import Invalid
from hubbub.history import Entry, Page, Position
from hubbub.hub import Hub
from hubbub.messages import Publication

PAGE = 500
"""Entries in one read. A page of 500 chat messages is some 100 KiB, and takes SQLite a millisecond."""


async def begin(hub: Hub, topic: str, after: Position | None) -> tuple[bool, Position]:
    """Whether the log still has all that followed ``after``; and how far it reaches, as a client is told that joins
    without, or in vain."""
    head = await hub.head(topic)
    if after is None:
        return False, head
    page = await hub.read(topic, after=after, limit=1)
    if page.complete or page.entries:
        return True, head
    return False, page.position  # what the hub has heard of may be of a life that is over


async def missed(hub: Hub, topic: str, after: Position, size: int) -> tuple[list[Entry], Position] | None:
    """All that followed ``after``, and how far that reaches; None if that is not there, or more than ``size`` bytes."""
    entries: list[Entry] = []
    page = Page((), after, complete=False)
    while not page.complete:
        page = await hub.read(topic, after=after, limit=PAGE)
        size -= sum(len(entry.data) for entry in page.entries)
        if size < 0 or not (page.complete or page.entries):
            return None
        entries += page.entries
        if page.entries:
            after = Position(page.position.epoch, page.entries[-1].offset)
    return entries, after


def replay(
    hub: Hub, connection: Connection, topic: str, rooms: Container[str], after: Position, entries: Sequence[Entry]
) -> None:
    """Tell a client what it missed, as it was published; but not what was for rooms that it is not in."""
    for entry in entries:
        envelope, body = unseal(entry.data)
        if not envelope.room or envelope.room in rooms:
            position = Position(after.epoch, entry.offset)
            publication = Publication(topic, body, position, position)
            hub.queue(connection, connection.protocol.dialect.encode(publication))


def position_of(text: str | Position | None, name: str) -> Position | None:
    """A position that was asked for, by this name. Raises Invalid for what is none."""
    if text is None or isinstance(text, Position):
        return text
    try:
        return Position.parse(text)
    except ValueError as error:
        raise Invalid(f"{name}: {error}") from None
