"""One client: its protocol, its lines, its commands in order, its outbox, how it ends.

A connection outlives the lines it is reached by: polls come and go, a WebSocket takes over, and the outbox stays.
It knows protocols only by their contract, and the application only as a ``Desk`` that takes commands.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from hubbub.buckets import TokenBucket
from hubbub.deadlines import Deadlines
from hubbub.errors import Conflict, Disconnect, HubbubError, ProtocolError, TimedOut, TooMany, TooSlow
from hubbub.limits import Limits
from hubbub.lines import Carrier
from hubbub.messages import Answer, Bye, Command, Frame, Join, Leave, Message, Reply, Send, Verbatim, as_bytes
from hubbub.outbox import Outbox
from hubbub.protocols.base import Line, Request
from hubbub.protocols.base import Protocol as Conversation

if TYPE_CHECKING:
    from hubbub.topics import Topic


EASY = 65_536
"""Bytes that may wait for a client that has no line just now before it counts as busy."""

LINGER = 5.0
"""Seconds a client that polls has to come and hear why its session ended."""


class Desk(Protocol):
    """Where a connection turns to."""

    deadlines: Deadlines
    limits: Limits
    refusals: dict[str, int]
    """What was too often or too many, by the limit's name."""

    def command(self, connection: "Connection", command: Command) -> None:
        """The client wants something."""

    def queue(self, connection: "Connection", frames: tuple[Frame, ...]) -> None:
        """Hand these back through ``Connection.deliver`` at the end of the loop's tick, in the order of all calls."""

    def regroup(self, connection: "Connection") -> None:
        """``Connection.wire`` has changed."""

    def flush(self) -> None:
        """End the tick now: hand back everything that is queued."""

    def ended(self, connection: "Connection", reason: str) -> None:
        """It is over. Called once."""

    def gone(self, connection: "Connection") -> None:
        """Its last word has left, or never will: its key may be forgotten. Called once, after ``ended``."""


class Connection:
    """One client of this node.

    ``id`` is public and names the client to others; ``key`` is secret and lets the client's requests find it.
    ``client`` is its address. ``identity`` is whoever authentication says it is.
    """

    __slots__ = (
        "__weakref__", "_bucket", "_carriers", "_eased", "_limited", "_lingers", "_outbox", "_parting", "_questions",
        "_refused", "_stalled", "calls", "client", "deadline", "desk", "ended", "frame", "id", "identity", "key",
        "memberships", "protocol", "topics", "visit", "wire",
    )  # fmt: skip

    def __init__(self, desk: Desk, protocol: Conversation, key: str, id: str, client: str = "") -> None:
        self.desk = desk
        self.protocol = protocol
        self.key = key
        self.id = id
        self.client = client
        self.identity: Any = None
        self.ended = False
        self.deadline: float | None = None
        self.memberships: dict[str, Any] = {}
        self.topics: list[Topic] = []
        self.calls: dict[int, asyncio.Future[Any]] | None = None
        self.wire: Callable[[bytes], None] | None = None
        self.frame: Callable[[Frame], bytes] = as_bytes
        self.visit: Any = None
        self._eased: asyncio.Future[None] | None = None
        self._carriers: dict[Line, Carrier] = {}
        self._outbox: Outbox | None = None
        self._stalled: float | None = None
        self._limited = desk.limits.rate > 0
        self._bucket: TokenBucket | None = None
        self._refused = 0
        self._lingers = False
        self._parting: HubbubError | None = None
        self._questions: set[asyncio.Future[Reply]] | None = None

    # -- what the servers call ---------------------------------------------------------------------------------------

    def run(self, commands: Sequence[Command], now: float) -> None:
        """Do what the client asked, in order; then let go what is owed."""
        for command in commands:
            if self.ended:
                return
            if type(command) is Bye:
                self.end(None, command.reason)
            elif self._allowed(command, now):
                self.desk.command(self, command)
        if self.wire is None or not self.protocol.plain:
            self.drain()
        if self.protocol.deadline != self.deadline:
            self._watch()

    def receive(self, data: Frame, line: Line, now: float) -> None:
        """A message. Raises ProtocolError after ending the connection by it."""
        try:
            commands = self.protocol.receive(data, line, now)
        except ProtocolError as error:
            self.end(error, "protocol error")
            raise
        self.run(commands, now)

    def post(self, request: Request, data: Frame, now: float) -> None:
        """The body of a request. Raises ProtocolError after ending the connection by it."""
        try:
            commands = self.protocol.post(request, data, now)
        except ProtocolError as error:
            self.end(error, "protocol error")
            raise
        self.run(commands, now)

    def ask(self, command: Join | Leave | Send, now: float) -> asyncio.Future[Reply]:
        """Do this; its reply is the result instead of a message to the client. Raises Disconnect when the client goes
        first."""
        question: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._questions is None:
            self._questions = set()
        self._questions.add(question)
        question.add_done_callback(self._questions.discard)
        self.run((msgspec.structs.replace(command, ref=question),), now)
        if self.ended and not question.done():
            question.set_exception(Disconnect("the client is gone"))
        return question

    def attach(self, carrier: Carrier, now: float, request: Request) -> None:
        """A line to the client is there. Raises Conflict when it is not wanted, ProtocolError when the client had no
        right to open it: then the connection has ended."""
        if self.ended and (not self._lingers or carrier.line == "post"):
            raise Conflict("this session is over")
        try:
            self.protocol.attach(carrier.line, now, request)
        except ProtocolError as error:
            self.end(error, "protocol error")
            raise
        if self._lingers:
            self._part(carrier, self._parting)
            if not self.protocol.repeats_farewell:
                self._vanish()
            return
        older = self._carriers.get(carrier.line)
        if older is not None:  # the protocol lets a newer one replace it: its client has given it up, or will
            older.close([], 1000, "replaced")
        self._carriers[carrier.line] = carrier
        self.drain()
        self._watch()

    def detach(self, carrier: Carrier, now: float) -> None:
        """A line is gone, from the client's side."""
        if self._carriers.get(carrier.line) is not carrier:
            return
        del self._carriers[carrier.line]
        self._settle()
        if not self.ended:
            self.run(self.protocol.detach(carrier.line, now), now)

    def flowing(self, carrier: Carrier, now: float) -> None:
        """The carrier's ``full`` has changed."""
        if self._carriers.get(carrier.line) is carrier:
            self._stalled = now if carrier.full else None
            if not carrier.full:
                self.drain()
            self._settle()
            self._watch()

    # -- what the hub and the application call ---------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        """Tell the client something, after all that it was told before."""
        if self._questions is not None and type(message) is Reply and isinstance(message.to.ref, asyncio.Future):
            if not message.to.ref.done():
                message.to.ref.set_result(message)
        elif not self.ended:
            frames = self.protocol.send(message)
            if self.wire is not None and not self.protocol.plain:
                self._settle()  # by this very message
            if frames:
                self.desk.queue(self, frames)

    def returned(self, to: Send, body: bytes) -> None:
        """``tell(Reply(to, body))``, which is most of what clients are told, in fewer steps."""
        if self._questions is not None:
            self.tell(Reply(to, body))
        elif not self.ended and (frames := self.protocol.returned(to, body)):
            self.desk.queue(self, frames)

    def deliver(self, frames: list[Frame]) -> None:
        """Send these now."""
        if self.ended:
            return
        carrier = self._carriers.get(self.protocol.line)
        if carrier and self.protocol.plain and self._outbox is None and not (carrier.full or carrier.once):
            carrier.write(frames)
        else:
            self.keep(frames)

    def keep(self, frames: Sequence[Frame], policy: str = "disconnect", key: object = None) -> None:
        """Send these as soon as the client takes them; if that is too much, do as the policy says."""
        if self.ended:
            return
        if self._outbox is None:
            self._outbox = Outbox()
        self._outbox.add(frames, policy, key)
        self.drain()
        limit = self.desk.limits.outbox
        if self._outbox is not None and self._outbox.size > limit and not self._outbox.shed(limit):
            self.end(TooSlow(), "too slow")

    def drain(self) -> None:
        """Write all that can be written."""
        for line, carrier in tuple(self._carriers.items()):
            if carrier.full:
                continue
            packed = self.protocol.pack(self._take() if line == self.protocol.line else (), line)
            if packed:
                spent = line == "stream" and self.protocol.spent
                if carrier.once or spent:
                    del self._carriers[line]
                carrier.write(packed)
                if spent:
                    carrier.close([], 1000, "")
                if carrier.once or spent:
                    self.protocol.answered(line, self.desk.deadlines.now())
                    self._watch()
        self._settle()

    @property
    def open(self) -> bool:
        """Whether something sent now would leave now."""
        carrier = self._carriers.get(self.protocol.line)
        return carrier is not None and not carrier.full

    @property
    def busy(self) -> bool:
        """Whether the client should be spared more for now: it reads slowly, or much is waiting for it."""
        if self.ended:
            return False
        carrier = self._carriers.get(self.protocol.line)
        if carrier is not None:
            return carrier.full
        return self._outbox is not None and self._outbox.size > EASY

    @property
    def waiting(self) -> int:
        """Bytes that are on their way to the client and have not left, as far as text is ASCII."""
        outbox = self._outbox
        unsent = sum([carrier.unsent for carrier in list(self._carriers.values())])
        return unsent if outbox is None else unsent + outbox.size

    async def eased(self) -> None:
        """Wait until it is busy no more, or has ended."""
        while self.busy:
            if self._eased is None:
                self._eased = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._eased)

    def hold(self, on: bool) -> None:
        """Read no more of what the client sends, or go on."""
        for carrier in self._carriers.values():
            carrier.hold(on)

    def end(self, error: HubbubError | None, reason: str) -> None:
        """End it: say so on every line in the protocol's own words, and close them. Once is enough.

        A client between two polls is told at its next one, if that comes soon; at every one, if the protocol says so.
        """
        if self.ended:
            return
        if error is not None:
            self.desk.flush()
            self.drain()
        self.ended = True
        self.deadline = None
        again = self.protocol.repeats_farewell
        told = (reason == "closed" or isinstance(error, Disconnect)) and not self.protocol.one_shot
        untold = told and self.protocol.line not in self._carriers
        lingers = (untold or again) and self.protocol.line != "socket"
        for carrier in tuple(self._carriers.values()):
            self._part(carrier, error)
        if not again:
            self._outbox = None
        self._settle()
        for future in (self.calls or {}).values():
            if not future.done():
                future.set_exception(error if isinstance(error, Disconnect) else Disconnect("the client is gone"))
        for question in self._questions or ():
            if not question.done():
                question.set_exception(error if isinstance(error, Disconnect) else Disconnect("the client is gone"))
        self.desk.ended(self, reason)
        if lingers:
            self._lingers, self._parting = True, error
            self.deadline = self.desk.deadlines.now() + LINGER
            self.desk.deadlines.watch(self)
        else:
            self.desk.gone(self)

    def _part(self, carrier: Carrier, error: HubbubError | None) -> None:
        self._carriers.pop(carrier.line, None)
        owed = self.protocol.pack(self._take() if carrier.line == self.protocol.line else (), carrier.line)
        last, code = self.protocol.close(error, carrier.line) if error is not None else ([], 1000)
        carrier.close(owed + last, code, error.reason if error is not None else "")

    def _vanish(self) -> None:
        self._lingers, self._parting, self.deadline, self._outbox = False, None, None, None
        self.desk.gone(self)

    def tick(self, now: float) -> None:
        """A deadline has come: the protocol's heartbeat, or this connection's patience with a slow reader."""
        if self.ended:
            self._vanish()
            return
        if self._stalled is not None and now >= self._stalled + self.desk.limits.stalled:
            self.end(TooSlow(), "too slow")
            return
        self.deadline = None
        if self.protocol.deadline is not None and self.protocol.deadline <= now:
            commands = self.protocol.tick(now)
            for command in commands:
                if type(command) is Bye:
                    self.end(TimedOut(), command.reason)
                    return
            self.run(commands, now)
            self.drain()
        if not self.ended:
            self._watch()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _allowed(self, command: Command, now: float) -> bool:
        if not self._limited or type(command) is Answer or type(command) is Verbatim:
            return True
        limits = self.desk.limits
        if self._bucket is None:
            self._bucket = TokenBucket(limits.rate, limits.burst, now)
        if self._bucket.take(now):
            return True
        self._refused += 1
        self.desk.refusals["rate"] += 1
        if self._refused > limits.burst:
            self.end(ProtocolError(f"more than {limits.rate:g} messages a second, and no end of it", 1008), "too many")
        elif not isinstance(command, Answer | Verbatim | Bye):
            self.tell(Reply(command, error=TooMany(f"more than {limits.rate:g} messages a second")))
        return False

    def _take(self) -> Sequence[Frame]:
        outbox, self._outbox = self._outbox, None
        return () if outbox is None else outbox.frames()

    def _settle(self) -> None:
        """Keep ``wire`` true: set exactly while joined bytes may be written without asking anyone. And tell those who
        wait for it that the client takes more."""
        if self._eased is not None and not self.busy:
            self._eased.set_result(None)
            self._eased = None
        carrier = self._carriers.get(self.protocol.line)
        free = carrier is not None and not carrier.full and self._outbox is None and self.protocol.plain
        wire = carrier.wire if free and carrier is not None else None
        if (wire is None) != (self.wire is None) or wire != self.wire:
            self.wire = wire
            self.frame = as_bytes if wire is None or carrier is None else carrier.frame
            self.desk.regroup(self)

    def _watch(self) -> None:
        wanted = self.protocol.deadline
        if self._stalled is not None:
            limit = self._stalled + self.desk.limits.stalled
            wanted = limit if wanted is None else min(wanted, limit)
        if self.ended or wanted == self.deadline:
            return
        nearer = wanted is not None and (self.deadline is None or wanted < self.deadline)
        self.deadline = wanted
        if nearer:
            self.desk.deadlines.watch(self)
