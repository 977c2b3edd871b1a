"""The contract of a broker: it joins nodes, and keeps the logs of topics.

A new broker is one file that passes ``hubbub.testing.contracts.check_broker``.

Rules:

1. Append and send are one act. A publication on a kept topic is delivered after its log has it, and in the order of
   offsets; it is delivered on every node that subscribed, the publishing one included. There no page that ``read``
   gives shows it earlier: what is in a page does not come again.
2. The call to ``publish`` fixes the order; awaiting its result only waits for the log. What one caller publishes on
   one topic is delivered in the order of its calls.
3. Offsets count 1, 2, 3 ... without holes. The epoch changes whenever the past may not be what it was.
4. The same ``id`` on the same topic within ten minutes is one publication: the second call appends and sends
   nothing, and gives the first one's position.
5. ``data`` is opaque, and comes back byte for byte.
6. What is not kept (``keep`` is None) has position ``NOWHERE``, and may be lost when the line breaks; it never
   waits for a disk.
7. A gap is filled or told: what a node did not hear in time it reads from the log, in its place; what the log has no
   longer, it says that it ``missed``.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, ClassVar

from hubbub.history import Keep, Page, Position

Deliver = Callable[[str, bytes, Position], None]
"""Called on the event loop with topic, data and position, for each publication. It never raises and never waits."""


class Broker:
    """Where publications go, and where the past is read."""

    missed: Callable[[str], None] = staticmethod(lambda topic: None)
    """Set by who starts the broker. Called with a topic of which something was lost to this node that the log has no
    longer, before anything that follows is delivered."""

    durable: ClassVar[bool] = False
    """Whether a kept publication survives the end of this process once ``publish`` has returned."""

    distributed: ClassVar[bool] = False
    """Whether it joins several nodes, so that topics must be subscribed to."""

    @property
    def answers(self) -> bool:
        """Whether it can be reached just now, as far as is known. One that is in this process always can."""
        return True

    async def start(self, deliver: Deliver) -> None:
        """Begin. Raises UsageError for what a person must mend (no such file, no such server)."""
        raise NotImplementedError

    async def close(self) -> None:
        """Finish what was begun, and end. What was published before is in the log afterwards. When this is cancelled,
        end all the same: whether the log has what was not answered by then is not known."""
        raise NotImplementedError

    async def subscribe(self, topic: str) -> None:
        """From now on deliver this topic here. Brokers that serve one node have nothing to do."""

    async def unsubscribe(self, topic: str) -> None:
        """No longer deliver this topic here."""

    def publish(self, topic: str, data: bytes, keep: Keep | None, id: str | None = None) -> Awaitable[Position]:
        """Append to the topic's log, if it is kept, and send to every node that subscribed.

        The result raises BrokerError when the log could not take it: then it is not delivered.
        """
        raise NotImplementedError

    async def read(
        self, topic: str, *, after: Position | None = None, before: Position | None = None, limit: int = 1_000
    ) -> Page:
        """Entries that follow ``after``, oldest first; or the last ones before ``before``; with neither, the newest.

        ``limit=0`` just asks where the head is. A topic that nobody published to has an epoch and offset 0. For an
        ``after`` of another epoch, beyond the head or older than the log reaches, there are no entries and
        ``complete`` is false.
        """
        raise NotImplementedError


class Done(Awaitable[Position]):
    """A result that is there already: awaiting it never waits."""

    __slots__ = ("position",)

    def __init__(self, position: Position) -> None:
        self.position = position

    def __await__(self) -> Generator[Any, None, Position]:
        return self.position
        yield  # what makes this a generator
