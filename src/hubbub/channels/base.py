"""The contract of a channel: user code for the topics of one pattern.

    @app.channel("room:{room}")
    class Room(Channel):
        history = Keep(count=1_000)

        async def join(self, room: str, name: str):
            self.name = name

        @on("say")
        async def say(self, text: str):
            await self.publish("said", {"name": self.name, "text": text})

There is one ``Channel`` object for each client in each topic, from its join to its leave; what it knows about its
client are its own attributes. ``join`` and the events are bound by their signatures: names, types and defaults say
what a client must send, and what does not fit never reaches them (docs/guides/payloads.md).

What a method returns is the reply; what it raises is an error reply. ``async def`` runs on the event loop, ``def`` in
a thread, where the verbs below block instead of being awaited. One client's events in one topic run one at a time,
in order; two topics, and two clients, never wait for each other.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import msgspec

from hubbub.connection import Connection
from hubbub.gathering import Present
from hubbub.history import Keep, Position

if TYPE_CHECKING:
    from hubbub.membership import Membership

Overflow = Literal["disconnect", "latest", "drop_oldest"]
Method = TypeVar("Method", bound=Callable[..., Any])


def on(event: str) -> Callable[[Method], Method]:
    """Have this method called when a client sends ``event``."""

    def mark(method: Method) -> Method:
        method.__hubbub_event__ = event  # type: ignore[attr-defined]
        return method

    return mark


class Published(msgspec.Struct, frozen=True):
    """A publication as history tells it. ``payload`` holds the values that followed the event's name."""

    event: str
    payload: tuple[Any, ...]
    position: Position


class Past(msgspec.Struct, frozen=True):
    """A page of history, oldest first. ``complete`` is false when something between the asked position and now is
    not in it; ``position`` is the head of the log when it was read."""

    items: tuple[Published, ...]
    position: Position
    complete: bool


class Channel:
    """One client in one topic. Subclass it, and give it a pattern with ``app.channel``."""

    history: ClassVar[Keep | None] = None
    """How much of the topic's log is kept; None keeps nothing."""

    overflow: ClassVar[Overflow] = "disconnect"
    """What happens to publications for a client that reads too slowly: it is disconnected, and comes back and
    resumes; or only the ``latest`` of each event (and ``key``) waits for it; or the oldest are dropped."""

    presence: ClassVar[bool] = False
    """Whether members are told who is here (docs/guides/presence.md): whom, is for ``track`` to say."""

    presence_grace: ClassVar[float] = 5.0
    """Seconds that a client which left is still shown as here. Who returns within them, as one does who reloads a
    page or goes through a tunnel, was never gone."""

    presence_list: ClassVar[int] = 1_000
    """Up to how many keys members are told by name; of more they are told the number."""

    topic: str
    """The topic's name."""

    connection: Connection
    """The client: ``connection.id`` is public, ``connection.identity`` is who it is."""

    _membership: "Membership"

    @property
    def params(self) -> dict[str, Any]:
        """All join parameters that the client sent, unchecked; {} if none."""
        return self._membership.params

    @property
    def resumed(self) -> bool:
        """Whether the client comes back, and gets all that it missed by itself: there is nothing to catch up on."""
        return self._membership.resumed

    # -- yours to define -------------------------------------------------------------------------------------------

    def join(self, *arguments: Any, **named: Any) -> Any:
        """The client wants in: being let in is being authorised. Declare what you need by name: the pattern's
        variables and the client's join parameters. Raise ``Forbidden`` to say no; what you return is the reply.

        Nothing published from the call of ``join`` on is missed. What it pushes arrives after the reply.
        """

    def leave(self, reason: str) -> Any:
        """The client is out: called exactly once for each join that succeeded, whatever happened.

        ``reason`` is ``left`` (it asked to), ``closed`` (its line closed), ``timeout``, ``too slow``, ``too many``,
        ``protocol error``, ``kicked``, ``replaced`` (it joined again), ``missed`` (something was lost on the way here)
        or ``shutdown``.
        """

    def recover(self, since: Position) -> Any:
        """The client comes back to where it left off, but what followed cannot be had any more, or is too much.

        Push it a snapshot instead, and return True: then it counts as recovered. Otherwise it is told to begin afresh.
        Called after ``join``; what is published from the call of ``join`` on follows.
        """
        return False

    def online(self, key: str) -> Any:
        """This key is here now, and was not before. Called once for all nodes, on an object that is no client's: it
        can publish, and read."""

    def offline(self, key: str, last_seen: float) -> Any:
        """This key is gone, and did not return within the grace. ``last_seen`` is when it left, as ``time.time()``
        says it. Called as ``online`` is."""

    # -- yours to call ---------------------------------------------------------------------------------------------

    def publish(
        self,
        event: str,
        *payload: Any,
        to: str = "",
        except_self: bool = False,
        keep: bool = True,
        volatile: bool = False,
        key: str = "",
        id: str | None = None,
    ) -> Awaitable[Position]:
        """Tell everyone in the topic, or in its room ``to``; with ``except_self``, everyone else.

        On a kept topic the result comes when the log has it, and is its position; ``keep=False`` passes the log by.
        ``id`` makes a retry one publication. A ``volatile`` one skips who cannot take it at once. ``key`` is for
        ``overflow = "latest"``: one value per event and key. Raises BrokerError when the log could not take it.
        """
        return self._membership.publish(event, payload, to, except_self, keep, volatile, key, id)

    def push(self, event: str, *payload: Any) -> Awaitable[None]:
        """Tell this client alone."""
        return self._membership.push(event, payload)

    def call(self, event: str, *payload: Any, timeout: float = 10.0) -> Awaitable[Any]:
        """Ask this client, and wait for its answer. Several answered values come as a list, none as None.

        Raises TimeoutError after ``timeout`` seconds, Disconnect when the client goes first, UsageError when its
        protocol cannot answer. Awaited in an event of this channel, it holds up the client's further events here.
        """
        return self._membership.call(event, payload, timeout)

    def enter(self, room: str) -> None:
        """Put this client into a room of the topic: ``publish(..., to=room)`` reaches it."""
        self._membership.enter(room)

    def exit(self, room: str) -> None:
        """Take this client out of a room."""
        self._membership.exit(room)

    def past(
        self, *, after: str | Position | None = None, before: str | Position | None = None, limit: int = 50
    ) -> Awaitable[Past]:
        """Read the topic's history: what followed ``after``, or the last ones before ``before``, or the newest.

        Called in ``join`` without ``before``, it and the live stream share one cursor: what the page reached is
        not published to this client again, and what it did not is. Raises Invalid for what is no position.
        """
        return self._membership.past(after, before, limit)

    # -- who is here -----------------------------------------------------------------------------------------------

    def track(self, key: str | None = None, /, **meta: Any) -> Awaitable[None]:
        """Show this client as here, under ``key``: whoever authentication says it is, or else its ``connection.id``,
        unless told otherwise. ``meta`` is what others are told of it. The same key again changes its meta; another one
        is shown beside it. When the client leaves, it is untracked.

        Raises TooBig, TooMany or Invalid at what is beyond ``Limits``, UsageError in a channel without ``presence``.
        """
        return self._membership.attend(lambda attendee: attendee.track(key, meta))

    def update(self, **meta: Any) -> Awaitable[None]:
        """Change these fields of the meta that was tracked; the others stay as they are."""
        return self._membership.attend(lambda attendee: attendee.update(meta))

    def untrack(self) -> Awaitable[None]:
        """Show this client as gone, at once and without grace."""
        return self._membership.attend(lambda attendee: attendee.untrack())

    def watch(self, keys: Iterable[str] | None) -> Awaitable[None]:
        """Let this client hear of these keys alone: say, of its friends. Called again it is the whole new list; with
        None it hears of all. It is told their state at once, and again after each call."""
        return self._membership.attend(lambda attendee: attendee.watch(keys))

    def present(self) -> Awaitable[Present]:
        """Who is here, and how many."""
        return self._membership.present()
