"""Who is in which topic on this node, and who gets what: publish, the tick's batch, deliver.

All that is said within one turn of the event loop, or two where publications come together, is collected, and handed
out at its end: each connection gets at most one write. What everyone in a topic gets is encoded once per dialect,
joined once, and shared. A connection that was also told something of its own in this tick, or was left out of
something, is *apart*: it gets a copy with that put in or left out. Who hears several topics at once, or came in during
this tick, has its frames merged by themselves. All of it is in the order of the calls. Fan-out never awaits.

A room inside a topic is a topic of its own here, named with a fragment: ``chat#red``. Brokers, logs and clients know
only the topic.
"""

import asyncio
from collections.abc import Awaitable, Callable

from hubbub.bodies import event_and_payload
from hubbub.brokers.base import Broker
from hubbub.connection import Connection
from hubbub.envelope import PLAIN, Envelope, seal, unseal
from hubbub.errors import Missed
from hubbub.history import NOWHERE, Keep, Page, Position
from hubbub.messages import Frame, Publication
from hubbub.tasks import heed
from hubbub.topics import Item, Joined, Topic, Write, pieces_of

Part = tuple[int, tuple[Frame, ...], Topic | None, Item | None]
"""Frames for one connection: their place among all calls, and of which publication they are, if of one."""


class Hub:
    """The switchboard of one node. ``complain`` is told of a fault that must not stop the others."""

    def __init__(
        self,
        broker: Broker,
        loop: asyncio.AbstractEventLoop,
        complain: Callable[[str, BaseException], None],
    ) -> None:
        self.broker = broker
        broker.missed = self.missed
        self.topics: dict[str, Topic] = {}
        self._loop = loop
        self._complain = complain
        self._number = 0
        self._active: list[Topic] = []
        self._direct: dict[Connection, list[Part]] = {}
        self._scheduled = False
        self.publications = 0
        """How many there were to somebody here; and, once for each who was given it, how many ``deliveries``."""
        self.deliveries = 0
        self.recovered = 0
        """Joins that said where they were and got all that they had missed; ``unrecovered`` are those that did not."""
        self.unrecovered = 0

    # -- membership ------------------------------------------------------------------------------------------------

    async def hold(self, connection: Connection, name: str, overflow: str) -> None:
        """Let this connection into the topic, holding back what is published until ``release``."""
        topic = self.topics.get(name)
        if topic is None:
            topic = self.topics[name] = Topic(name, overflow)
            if self.broker.distributed:
                topic.ready = self._loop.create_task(self.broker.subscribe(name))
                topic.ready.add_done_callback(heed)
        topic.held[connection] = []
        if topic.ready is not None:
            await asyncio.shield(topic.ready)

    async def head(self, name: str) -> Position:
        """How far a held topic's log reaches: what is published from now on comes after it."""
        topic = self.topics.get(name)  # gone, if its last client left while it was on its way in
        if topic is not None and topic.head is not None:
            return topic.head
        head = (await self.broker.read(name, limit=0)).position
        if topic is not None and (topic.head is None or head.epoch != topic.head.epoch or head > topic.head):
            topic.head = head
        return head

    def release(self, connection: Connection, name: str, after: Position = NOWHERE) -> None:
        """Give what was held back, except what a log had up to ``after``; from now on it is a member like all."""
        topic = self.topics[name]
        items = (*topic.held.pop(connection), *topic.pending)
        shown = 0  # so many came before ``after``, those of an earlier life of the log, too
        for number, item in enumerate(items, 1):
            position = item.publication.position
            if position and position.epoch == after.epoch and position.offset <= after.offset:
                shown = number
        for number, item in enumerate(items, 1):
            if item.envelope.sender != connection.id and not (item.publication.position and number <= shown):
                self.queue(connection, item.frames(connection.protocol.dialect))
                self.deliveries += 1
        self._admit(connection, topic)

    def enter(self, connection: Connection, room: str, overflow: str) -> None:
        """Put a member of a topic into one of its rooms (``topic#room``)."""
        topic = self.topics.get(room)
        if topic is None:
            topic = self.topics[room] = Topic(room, overflow)
        if connection not in topic:
            self._admit(connection, topic)

    def leave(self, connection: Connection, name: str) -> None:
        """Take it out. What was published before this call is still delivered."""
        topic = self.topics.get(name)
        if topic is None:
            return
        if connection in topic:
            self._hand_over(connection, topic)
            topic.remove(connection)
            topic.shared.pop(connection, None)
            connection.topics.remove(topic)
            if len(connection.topics) == 1:
                connection.topics[0].shared.pop(connection)
        topic.held.pop(connection, None)
        topic.newcomers.pop(connection, None)
        if topic.empty and not topic.pending:
            self._retire(topic)

    def regroup(self, connection: Connection) -> None:
        for topic in connection.topics:
            topic.place(connection)

    def _admit(self, connection: Connection, topic: Topic) -> None:
        if topic.pending:
            topic.newcomers[connection] = self._number
        topic.place(connection)
        heard = connection.topics
        heard.append(topic)
        if len(heard) > 1:
            topic.shared[connection] = None
            heard[0].shared[connection] = None

    def _hand_over(self, connection: Connection, topic: Topic) -> None:
        since = topic.newcomers.get(connection, 0)
        for item in topic.pending:
            if item.number > since and item.envelope.sender != connection.id:
                part = (item.number, item.frames(connection.protocol.dialect), topic, item)
                self._direct.setdefault(connection, []).append(part)
                self.deliveries += 1
        self._direct.get(connection, []).sort(key=_number)

    def _retire(self, topic: Topic) -> None:
        if self.topics.get(topic.name) is topic:
            del self.topics[topic.name]
            if topic.ready is not None:
                self._loop.create_task(self._unsubscribe(topic.name))

    async def _unsubscribe(self, name: str) -> None:
        if name not in self.topics:
            await self.broker.unsubscribe(name)

    # -- publishing ------------------------------------------------------------------------------------------------

    def publish(
        self, name: str, body: bytes, keep: Keep | None = None, envelope: Envelope = PLAIN, id: str | None = None
    ) -> Awaitable[Position]:
        """Give it to the broker: see there for what awaiting means."""
        return self.broker.publish(name, seal(envelope, body), keep, id)

    def deliver(self, name: str, data: bytes, position: Position) -> None:
        """The broker's: everyone in the topic here gets this at the end of the tick."""
        try:
            envelope, body = unseal(data)
        except ValueError as error:
            self._complain(f"dropped a publication on {name} that nobody here wrote", error)
            return
        topic, cursor = self.topics.get(name), position
        if topic is not None:
            if position:
                topic.head = position
            else:
                cursor = topic.head or NOWHERE
        if envelope.room:
            topic = self.topics.get(f"{name}#{envelope.room}")
        if topic is None:
            return
        self._number += 1
        if not topic.pending:
            self._active.append(topic)
            self._schedule()
        topic.pending.append(Item(self._number, Publication(name, body, position, cursor), envelope))

    def missed(self, name: str) -> None:
        """The broker's: something in this topic never came here, and cannot be had. Its members are sent to come back:
        those who say where they were are told that it could not be recovered."""
        topic = self.topics.get(name)
        if topic is not None:
            for connection in (*topic.members(), *topic.held):
                connection.end(Missed(f"something in {name} was lost on the way to you"), "missed")

    async def read(
        self, name: str, *, after: Position | None = None, before: Position | None = None, limit: int
    ) -> Page:
        return await self.broker.read(name, after=after, before=before, limit=limit)

    # -- the tick --------------------------------------------------------------------------------------------------

    def queue(self, connection: Connection, frames: tuple[Frame, ...]) -> None:
        """For this connection alone, in its place among all calls of this tick."""
        self._number += 1
        mine = self._direct.get(connection)
        if mine is None:
            self._direct[connection] = [(self._number, frames, None, None)]
            self._schedule()
        else:
            mine.append((self._number, frames, None, None))

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._end)

    def _end(self) -> None:
        """Where publications come together others are close behind, in the kernel's buffers: they are waited for, one
        turn of the loop. With four on their way to a thousand clients it takes a tenth of a delivery's CPU away."""
        if len(self._active) > 1 or (self._active and len(self._active[0].pending) > 1):
            self._loop.call_soon(self.flush)
        else:
            self.flush()

    def flush(self) -> None:
        """End the tick: everyone gets what is theirs, in one write each."""
        self._scheduled = False
        active, self._active = self._active, []
        direct, self._direct = self._direct, {}
        if not active:
            for connection, parts in direct.items():
                self._hand(connection, parts)
            return
        batches = [(topic, topic.pending) for topic in active]
        apart: set[Connection] = set(direct)
        merged: set[Connection] = set()
        for topic, items in batches:
            topic.pending = []
            self.publications += len(items)
            merged.update(topic.newcomers)
            self._set_apart(topic, items, apart)
        if len(active) > 1:
            self._hears_several(active, merged)
        merged.update(connection for connection in apart if connection.wire is None)
        for connection in merged:
            direct[connection] = self._merge(connection, batches, direct.get(connection, []))
        apart -= merged
        special = apart | merged
        for topic, items in batches:
            topic.newcomers.clear()
            self._fan_out(topic, items, apart, special, direct)
            if topic.empty:
                self._retire(topic)
        for connection, parts in direct.items():
            self._hand(connection, parts)

    def _set_apart(self, topic: Topic, items: list[Item], apart: set[Connection]) -> None:
        for held in topic.held.values():
            held.extend(items)
        senders = {item.envelope.sender for item in items}
        senders.discard("")
        if senders:
            apart.update(member for member in topic.members() if member.id in senders)

    def _hears_several(self, active: list[Topic], merged: set[Connection]) -> None:
        seen: set[Connection] = set()
        for topic in active:
            merged.update(seen.intersection(topic.shared))
            seen.update(topic.shared)

    def _merge(self, connection: Connection, batches: list[tuple[Topic, list[Item]]], direct: list[Part]) -> list[Part]:
        dialect, before = connection.protocol.dialect, len(direct)
        for topic, items in batches:
            if connection in topic:
                since = topic.newcomers.get(connection, 0)
                direct.extend(
                    (item.number, item.frames(dialect), topic, item)
                    for item in items
                    if item.number > since and item.envelope.sender != connection.id
                )
        self.deliveries += len(direct) - before
        direct.sort(key=_number)
        return direct

    def _fan_out(
        self,
        topic: Topic,
        items: list[Item],
        apart: set[Connection],
        special: set[Connection],
        direct: dict[Connection, list[Part]],
    ) -> None:
        """Give it to all but the ``special``; but those of them who are ``apart`` get it with what ``direct`` has for
        them."""
        for dialect, group in tuple(topic.groups.items()):
            for frame, wires in tuple(group.wires.items()):
                if special:
                    joined = Joined(items, dialect, frame)
                    varied = [(connection, wires[connection]) for connection in apart.intersection(wires)]
                    writes = [write for member, write in wires.items() if member not in special]
                    self._write_all(writes, joined.whole)
                    self._write_varied(varied, joined, direct)
                    self.deliveries += (len(writes) + len(varied)) * len(items) - joined.left_out
                else:
                    self._write_all(list(wires.values()), b"".join(pieces_of(items, dialect, frame)))
                    self.deliveries += len(wires) * len(items)
            if group.others:
                parts: list[Part] = [(item.number, item.frames(dialect), topic, item) for item in items]
                asked = [connection for connection in group.others if connection not in special]
                self.deliveries += len(asked) * len(items)
                for connection in asked:
                    self._hand(connection, parts)

    def _write_varied(
        self, lines: list[tuple[Connection, Write]], joined: Joined, direct: dict[Connection, list[Part]]
    ) -> None:
        for connection, write in lines:
            own = [part[:2] for part in direct.pop(connection, ())]
            try:
                write(joined.varied(own, without=connection.id))
            except Exception as error:
                self._complain("a line broke while it was written to", error)

    def _write_all(self, writes: list[Write], joined: bytes) -> None:
        rest = iter(writes)
        while True:
            try:
                for write in rest:
                    write(joined)
            except Exception as error:  # one broken line must not cost the others their message
                self._complain("a line broke while it was written to", error)
            else:
                return

    def _hand(self, connection: Connection, parts: list[Part]) -> None:
        """Give one connection its parts of this tick, in one piece if it takes them now."""
        try:
            wire = connection.wire
            if wire is not None:
                frame = connection.frame
                pieces = parts[0][1] if len(parts) == 1 else [piece for part in parts for piece in part[1]]
                wire(frame(pieces[0]) if len(pieces) == 1 else b"".join(map(frame, pieces)))
                return
            if connection.open:
                connection.deliver([piece for part in parts for piece in part[1]])
                return
            for _, frames, topic, item in parts:
                if topic is None or item is None:
                    connection.keep(frames)
                elif not item.envelope.volatile:
                    event, _ = event_and_payload(item.publication.body)
                    connection.keep(frames, topic.overflow, (topic.name, event, item.envelope.key))
        except Exception as error:
            self._complain("a line broke while it was written to", error)


def _number(part: Part) -> int:
    return part[0]
