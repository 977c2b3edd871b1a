"""One client: its protocol, its lines, its commands in order, its outbox, how it ends.

A connection outlives the lines it is reached by: polls come and go, a WebSocket takes over, and the outbox stays.
It knows protocols only by their contract, and the application only as a ``Desk`` that takes commands.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from hubbub.deadlines import Deadlines
from hubbub.errors import Conflict, Disconnect, HubbubError, ProtocolError, TimedOut, TooMany, TooSlow
from hubbub.limits import Limits, TokenBucket
from hubbub.messages import Answer, Bye, Command, Frame, Join, Leave, Message, Reply, Send
from hubbub.protocols.base import Line, Request
from hubbub.protocols.base import Protocol as Conversation

if TYPE_CHECKING:
    from hubbub.hub import Topic


LINGER = 5.0
"""Seconds a client that polls has to come and hear why its session ended."""


class Carrier(Protocol):
    """The server's end of a line. All of it is synchronous: what cannot leave at once is buffered by the carrier."""

    line: Line
    once: bool
    """It takes one ``write`` and is done (a poll)."""
    full: bool
    """It has enough to do: the client reads slower than it is written to."""
    wire: Callable[[bytes], None] | None
    """Takes WebSocket frames that are made already, where there is such a short cut."""

    def write(self, frames: list[Frame]) -> None:
        """Send these, in this order."""

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        """Send these, then end the line."""


class Desk(Protocol):
    """Where a connection turns to."""

    deadlines: Deadlines
    limits: Limits

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


class Question(asyncio.Future[Reply]):
    """The ``ref`` of a command whose reply is waited for here, and is no message to the client."""


class Waiting(NamedTuple):
    """Frames in the outbox. ``policy`` says what may be done with them when it overflows, ``key`` which later ones
    replace them."""

    frames: Sequence[Frame]
    size: int
    policy: str
    key: object


class Connection:
    """One client of this node.

    ``id`` is public and names the client to others; ``key`` is secret and lets the client's requests find it.
    ``client`` is its address. ``identity`` is whoever authentication says it is.
    """

    __slots__ = (
        "__weakref__", "_bucket", "_carriers", "_lingers", "_outbox", "_parting", "_questions", "_refused", "_stalled",
        "_waiting", "calls", "client", "deadline", "desk", "ended", "id", "identity", "key", "memberships", "protocol",
        "topics", "wire",
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
        self._carriers: dict[Line, Carrier] = {}
        self._outbox: deque[Waiting] | None = None
        self._waiting = 0
        self._stalled: float | None = None
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
        question = Question(loop=asyncio.get_running_loop())
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
        if isinstance(message, Reply) and isinstance(message.to.ref, Question):
            if not message.to.ref.done():
                message.to.ref.set_result(message)
        elif not self.ended:
            frames = self.protocol.send(message)
            if frames:
                self.desk.queue(self, frames)

    def deliver(self, frames: list[Frame]) -> None:
        """Send these now."""
        if self.ended:
            return
        carrier = self._carriers.get(self.protocol.line)
        if self.wire is not None and carrier is not None:
            carrier.write(frames)
        else:
            self.keep(frames)

    def keep(self, frames: Sequence[Frame], policy: str = "disconnect", key: object = None) -> None:
        """Send these as soon as the client takes them; if that is too much, do as the policy says."""
        if self.ended:
            return
        self._store(Waiting(frames, sum(map(len, frames)), policy, key))
        self.drain()
        if self._waiting > self.desk.limits.outbox:
            self._overflow()

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
        limits = self.desk.limits
        if not limits.rate or type(command) is Answer:
            return True
        if self._bucket is None:
            self._bucket = TokenBucket(limits.rate, limits.burst, now)
        if self._bucket.take(now):
            return True
        self._refused += 1
        if self._refused > limits.burst:
            self.end(ProtocolError(f"more than {limits.rate:g} messages a second, and no end of it", 1008), "too many")
        elif not isinstance(command, Answer | Bye):
            self.tell(Reply(command, error=TooMany(f"more than {limits.rate:g} messages a second")))
        return False

    def _take(self) -> Sequence[Frame]:
        outbox, self._outbox, self._waiting = self._outbox, None, 0
        return [frame for item in outbox for frame in item.frames] if outbox else ()

    def _store(self, item: Waiting) -> None:
        if self._outbox is None:
            self._outbox = deque()
        if item.policy == "latest":
            for index, older in enumerate(self._outbox):
                if older.key == item.key:
                    self._waiting -= older.size
                    del self._outbox[index]
                    break
        self._outbox.append(item)
        self._waiting += item.size

    def _overflow(self) -> None:
        outbox, limit = self._outbox, self.desk.limits.outbox
        kept: deque[Waiting] = deque()
        for item in outbox or ():
            if self._waiting > limit and item.policy == "drop_oldest":
                self._waiting -= item.size
            else:
                kept.append(item)
        self._outbox = kept
        if self._waiting > limit:
            self.end(TooSlow(), "too slow")

    def _settle(self) -> None:
        """Keep ``wire`` true: set exactly while joined bytes may be written without asking anyone."""
        carrier = self._carriers.get(self.protocol.line)
        free = carrier is not None and not carrier.full and not self._outbox and self.protocol.plain
        wire = carrier.wire if free and carrier is not None else None
        if (wire is None) != (self.wire is None) or wire != self.wire:
            self.wire = wire
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
