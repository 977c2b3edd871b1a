"""The engine behind a channel: one client in one topic, its commands in order, from join to leave.

Commands wait in a backlog while an earlier one runs. Leaving is a command too: so ``leave`` comes after everything
the client sent before, and once.
"""

import asyncio
import inspect
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from hubbub.attendance import DONE, Attendance, Attendee
from hubbub.binding import encode_result
from hubbub.blueprint import Blueprint, Method
from hubbub.bodies import decode, encode, event_and_payload
from hubbub.brokers.base import Done
from hubbub.channels.base import Past, Published
from hubbub.connection import Connection
from hubbub.eager import Eager
from hubbub.envelope import addressed, unseal
from hubbub.errors import Disconnect, Failed, HubbubError, Invalid, Kicked, NotFound, Refused, TooMany, UsageError
from hubbub.gathering import Present
from hubbub.history import NOWHERE, Entry, Position
from hubbub.hub import Hub
from hubbub.introduction import Introductions
from hubbub.limits import Limits
from hubbub.messages import Answer, Join, Leave, Left, Message, Push, Reply, Send
from hubbub.recovery import begin, missed, position_of, replay
from hubbub.shapes import is_deep

T = TypeVar("T")
_numbers = itertools.count(1)


class Leaving(NamedTuple):
    """The end of the backlog: call ``leave`` with this reason, then be gone. ``command`` is answered, if any."""

    reason: str
    command: Leave | None = None


class House(Protocol):
    """The application, as far as a membership needs it."""

    hub: Hub
    attendance: Attendance
    eager: Eager
    introductions: Introductions
    limits: Limits

    def in_thread(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]:
        """Run in a worker thread."""

    def on_loop(self, work: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """Start this on the loop: from a worker thread, wait for it and give its result instead."""

    def complain(self, what: str, error: BaseException) -> None:
        """Tell the operator of a fault in the application."""

    def forget(self, membership: "Membership") -> None:
        """It is over."""


class Membership:
    """One client in one topic."""

    __slots__ = (
        "_attendee", "_backlog", "_cursor", "_early", "_id", "_joined", "_params", "_running", "blueprint", "channel",
        "connection", "house", "left", "resumed", "rooms", "task", "topic",
    )  # fmt: skip

    def __init__(self, house: House, blueprint: Blueprint, connection: Connection, topic: str) -> None:
        self.house = house
        self.blueprint = blueprint
        self.connection = connection
        self.topic = topic
        self.rooms: set[str] = set()
        self.left = False
        self.channel = channel = blueprint.channel.__new__(blueprint.channel)
        channel.topic = topic
        channel.connection = connection
        channel._membership = self
        channel.__init__()  # type: ignore[misc]
        self._backlog: deque[Send | Leaving] | None = None
        self._running = False
        self.task: asyncio.Task[None] | None = None
        """What runs its commands, while one of them waits."""
        self._joined = False
        self._early: list[Message] | None = []
        self._cursor = NOWHERE
        self._params: Any = None
        self._attendee: Attendee | None = None
        self._id: str | None = None
        """The id of the command that runs, until something was published by it."""
        self.resumed = False

    @property
    def params(self) -> dict[str, Any]:
        params = decode(self._params)
        return params if isinstance(params, dict) else {}

    # -- commands, in order ----------------------------------------------------------------------------------------

    def join(self, command: Join, variables: Mapping[str, str]) -> None:
        self._params = command.params
        self._begin(self._join(command, variables))

    def send(self, command: Send) -> None:
        if self.left:
            self.connection.tell(Reply(command, error=NotFound("the topic was left")))
        elif not self._running:
            self._begin(self._handle(command))
        elif self._backlog is not None and len(self._backlog) >= self.house.limits.backlog:
            self.connection.desk.refusals["backlog"] += 1
            self.tell(Reply(command, error=TooMany("too many messages are waiting for an earlier one")))
        else:
            self._line_up(command)

    def leave(self, reason: str, command: Leave | None = None) -> None:
        """Once: later calls do nothing. A handler that still runs may finish; patience with it is limited."""
        if self.left:
            return
        self.left = True
        if self._attendee is not None:
            self._attendee.leave(reason)
        leaving = Leaving(reason, command)
        if not self._running:
            self._begin(self._depart(leaving))
            return
        self._line_up(leaving)
        if self.task is not None and command is None:
            asyncio.get_running_loop().call_later(self.house.limits.patience, self.task.cancel)

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._running = True
        self.task = self.house.eager.start(self._work(coroutine))

    def _line_up(self, command: Send | Leaving) -> None:
        if self._backlog is None:
            self._backlog = deque()
        self._backlog.append(command)

    async def _work(self, coroutine: Coroutine[Any, Any, None]) -> None:
        await coroutine
        while self._backlog:
            command = self._backlog.popleft()
            await (self._handle(command) if type(command) is Send else self._depart(command))  # type: ignore[arg-type]
        self._running = False
        self.task = self._backlog = None

    async def _join(self, command: Join, variables: Mapping[str, str]) -> None:
        hub, blueprint = self.house.hub, self.blueprint
        try:
            introduced = self.house.introductions.of(self.connection, command.params)
            if introduced is not None:
                await introduced
            await hub.hold(self.connection, self.topic, blueprint.overflow)
            if blueprint.history is not None:
                self.resumed, self._cursor = await begin(hub, self.topic, command.after)
            if blueprint.presence is not None and not self.left:
                self._attendee = self.house.attendance.attend(self.topic, blueprint.presence, self.connection)
                await self._attendee.ready()
            body = b"[]"
            if blueprint.join is not None:
                arguments = blueprint.join.binder.bind_named(variables, command.params)
                body = encode_result(await self._call(blueprint.join, arguments))
            since, recovered, entries = await self._recover(command.after)
        except BaseException as error:
            self._joined = False
            self.left = True
            if self._attendee is not None:
                self._attendee.leave("refused")
            self.house.forget(self)
            self.connection.tell(Reply(command, error=self._judge(error, "join", (command.params,))))
            if isinstance(error, Disconnect):
                self.connection.end(error, error.code)
            self._refuse_backlog()
            return
        self._joined = True
        early, self._early = self._early, None
        self.connection.tell(Reply(command, body, position=since, recovered=recovered))
        for message in early or ():
            self._tell(message, since)
        if not self.left:
            replay(hub, self.connection, self.topic, self.rooms, self._cursor, entries)
            hub.release(self.connection, self.topic, self._cursor)
            if self._attendee is not None:
                self._attendee.admit()

    async def _recover(self, after: Position | None) -> tuple[Position | None, bool | None, Sequence[Entry]]:
        """Where the client stands after joining, whether that is where it asked to go on, and what it missed."""
        if self.blueprint.history is None:
            return None, None if after is None else False, ()
        if after is None:
            return self._cursor, None, ()
        found = await missed(self.house.hub, self.topic, after, self.house.limits.recovery) if self.resumed else None
        if found is not None:
            self.house.hub.recovered += 1
            entries, self._cursor = found
            return after, True, entries
        self.house.hub.unrecovered += 1
        recover = self.blueprint.recover
        snapshot = recover is not None and await self._call(recover, (after,))
        return self._cursor, bool(snapshot), ()

    def _refuse_backlog(self) -> None:
        backlog, self._backlog = self._backlog, None
        for command in backlog or ():
            if type(command) is Send:
                self.connection.tell(Reply(command, error=NotFound("the topic was not joined")))

    async def _handle(self, command: Send) -> None:
        method = self.blueprint.events.get(command.event)
        try:
            if method is None:
                raise NotFound(f"there is no event {command.event[:100]!r} in this topic")
            self._id = command.id
            arguments = method.binder.bind(command.arguments)
            if method.threaded:
                result = await self.house.in_thread(method.function, self.channel, *arguments)
            elif len(arguments) == 1:  # as most have; and ``_call`` would be one coroutine more for each message
                result = await method.function(self.channel, arguments[0])
            else:
                result = await method.function(self.channel, *arguments)
            if command.ref is not None:
                self.connection.returned(command, b"[]" if result is None else encode_result(result))
        except BaseException as error:
            self.connection.tell(Reply(command, error=self._judge(error, command.event, command.arguments)))
            if isinstance(error, Disconnect):
                self.connection.end(error, error.code)

    async def _depart(self, leaving: Leaving) -> None:
        self.house.forget(self)
        if leaving.command is not None:
            self.connection.tell(Reply(leaving.command))
        if not self._joined or self.blueprint.leave is None:
            return
        try:
            result = self.blueprint.leave(self.channel, leaving.reason)
            if isinstance(result, Awaitable):
                await result
        except BaseException as error:
            self._judge(error, "leave")

    async def _call(self, method: Method, arguments: tuple[Any, ...]) -> Any:
        if method.threaded:
            return await self.house.in_thread(method.function, self.channel, *arguments)
        return await method.function(self.channel, *arguments)

    def _judge(self, error: BaseException, where: str, given: Sequence[Any] = ()) -> HubbubError:
        """What the client is told of this error; what is the application's own fault goes to the operator."""
        if isinstance(error, HubbubError) and not isinstance(error, UsageError):
            return error
        if isinstance(error, RecursionError) and any(map(is_deep, given)):
            return Invalid("nested too deeply")
        if isinstance(error, asyncio.CancelledError):
            return Refused("it was cancelled", code="cancelled")
        if not isinstance(error, Exception):
            raise error
        self.house.complain(f"{self.blueprint.channel.__name__}.{where} in {self.topic} failed", error)
        return Failed("something went wrong")

    async def hook(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Call ``online`` or ``offline`` of the channel."""
        function = getattr(self.channel, name)
        try:
            if inspect.iscoroutinefunction(function):
                await function(*arguments)
            else:
                await self.house.in_thread(function, *arguments)
        except BaseException as error:
            self._judge(error, name)

    # -- the verbs -------------------------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        """Tell the client, once it has heard that it is in."""
        if self._early is not None:
            self._early.append(message)
        elif type(message) is Push and (topic := self.house.hub.topics.get(self.topic)) is not None:
            self._tell(message, topic.head)
        else:
            self.connection.tell(message)

    def _tell(self, message: Message, cursor: Position | None) -> None:
        if cursor is not None and type(message) is Push:
            message = msgspec.structs.replace(message, cursor=cursor)
        self.connection.tell(message)

    def publish(
        self,
        event: str,
        payload: tuple[Any, ...],
        to: str,
        except_self: bool,
        keep: bool,
        volatile: bool,
        key: str,
        id: str | None,
    ) -> Awaitable[Position]:
        body = encode((event, *payload))
        envelope = addressed(self.connection.id if except_self else "", to, volatile, key)
        history = self.blueprint.history if keep else None
        if id is None and self._id is not None:
            id, self._id = self._id, f"{self._id}+"  # each that a handler makes is one of its own
        return self.house.on_loop(lambda: self.house.hub.publish(self.topic, body, history, envelope, id))

    def push(self, event: str, payload: tuple[Any, ...]) -> Awaitable[Any]:
        message = Push(self.topic, encode((event, *payload)))

        def work() -> Awaitable[Any]:
            if self._joined or not self.left:
                self.tell(message)
            return Done(NOWHERE)

        return self.house.on_loop(work)

    def call(self, event: str, payload: tuple[Any, ...], timeout: float) -> Awaitable[Any]:
        body = encode((event, *payload))
        return self.house.on_loop(lambda: self.ask(body, timeout))

    async def ask(self, body: bytes, timeout: float) -> Any:
        """Ask the client something that is encoded already."""
        connection = self.connection
        if connection.ended or self.left:
            raise Kicked("the client is gone")
        if connection.calls is None:
            connection.calls = {}
        number = next(_numbers)
        future = connection.calls[number] = asyncio.get_running_loop().create_future()
        self.tell(Push(self.topic, body, ref=number))
        try:
            async with asyncio.timeout(timeout):
                return await future
        finally:
            connection.calls.pop(number, None)

    def answer(self, command: Answer) -> None:
        """An answer that nobody waits for (any more) is no fault of the client."""
        future = (self.connection.calls or {}).get(command.ref)
        if future is not None and not future.done():
            values = [decode(value) for value in command.arguments]
            future.set_result(values[0] if len(values) == 1 else values or None)

    def enter(self, room: str) -> None:
        if not room or "#" in room:
            raise UsageError("a room has a name, without '#'")

        def work() -> Awaitable[Any]:
            if not self.left and room not in self.rooms:
                self.rooms.add(room)
                self.house.hub.enter(self.connection, f"{self.topic}#{room}", self.blueprint.overflow)
            return Done(NOWHERE)

        self.house.on_loop(work)

    def exit(self, room: str) -> None:
        def work() -> Awaitable[Any]:
            self.rooms.discard(room)
            self.house.hub.leave(self.connection, f"{self.topic}#{room}")
            return Done(NOWHERE)

        self.house.on_loop(work)

    def attend(self, work: Callable[[Attendee], Awaitable[None]]) -> Awaitable[None]:
        """Have this done by the client's attendee; nothing, when the client is gone."""
        if self.blueprint.presence is None:
            raise UsageError(f"set {self.blueprint.channel.__name__}.presence = True")
        return self.house.on_loop(lambda: DONE if self._attendee is None else work(self._attendee))

    def present(self) -> Awaitable[Present]:
        return self.house.on_loop(lambda: self.house.attendance.present(self.topic, self.blueprint.presence))

    def past(self, after: str | Position | None, before: str | Position | None, limit: int) -> Awaitable[Past]:
        return self.house.on_loop(lambda: self._read(position_of(after, "after"), position_of(before, "before"), limit))

    async def _read(self, after: Position | None, before: Position | None, limit: int) -> Past:
        limit = max(0, min(limit, self.house.limits.history))
        page = await self.house.hub.read(self.topic, after=after, before=before, limit=limit)
        items = []
        for entry in page.entries:
            envelope, body = unseal(entry.data)
            if not envelope.room or envelope.room in self.rooms:
                event, payload = event_and_payload(body)
                position = Position(page.position.epoch, entry.offset)
                items.append(Published(event, tuple(decode(value) for value in payload), position))
        if before is None and not self._joined:
            reached = page.entries[-1].offset if page.entries and after is not None else page.position.offset
            self._cursor = Position(page.position.epoch, reached)
        return Past(tuple(items), page.position, page.complete)

    def kick(self, error: Disconnect) -> None:
        """Out of this topic, but still connected."""
        if not self.left:
            self.tell(Left(self.topic, error))
            self.leave(error.code)
