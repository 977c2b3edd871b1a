"""Topics in Redis or Valkey: many nodes are one hub, and what ``publish`` has returned is as safe as Redis keeps it.

A publication is one act of Redis (redis.lua): it gets the next offset, is appended to the topic's stream, and sent to
the nodes that subscribed, who need somebody in the topic for that. What is published within a round trip goes with the
next one, in the order of the calls. ``data`` is opaque throughout.

    redis_url       what a URL says, and connections        redis_line      commands, in order, many to a round trip
    redis_life      whether Redis still has all it had      redis_listener  the connection that hears
    redis_ears      order, gaps, and filling them           redis_cluster   which line leads to a shard of a cluster
"""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Any

from hubbub.brokers.base import Broker, Deliver, Done
from hubbub.brokers.epochs import new_epoch
from hubbub.brokers.redis_cluster import Cluster, ClusterLines
from hubbub.brokers.redis_ears import UNBORN, Ear, Ears
from hubbub.brokers.redis_life import Lives
from hubbub.brokers.redis_line import FAULTS, Ask, Line, sentence
from hubbub.brokers.redis_listener import Listener
from hubbub.brokers.redis_url import Address, facts, place_of
from hubbub.errors import BrokerError, UsageError
from hubbub.history import NOWHERE, Entry, Keep, Page, Position

log = logging.getLogger("hubbub.brokers.redis")

BEAT = 1.0
"""Seconds from one look at whether everything is alive to the next."""

ROUND = 60
"""Beats in which every topic's head is looked at once, though nothing seems to be wrong."""

PROMISE = 3_600_000
"""Milliseconds for which a topic that nobody published to has its epoch. Whoever comes back later starts afresh."""

MANY = 10**15
"""More publications, and milliseconds, than there will be; a number in Lua holds it exactly."""

SENT = Done(NOWHERE)


class RedisBroker(Broker):
    """``redis://host:6379/0``: see ``redis_url`` for all that a URL may say."""

    durable = True
    distributed = True

    def __init__(self, url: str) -> None:
        self._place = place_of(url)
        self.url = url
        self._channel = f"{self._place.prefix}@{self._place.db}:"
        self._running = False
        self._lives: Lives
        self._cluster: Cluster | None = None
        self._writer: Line | ClusterLines
        self._reader: Line | ClusterLines
        self._listener: Listener
        self._ears: Ears
        self._tasks: list[asyncio.Task[None]]

    @property
    def answers(self) -> bool:
        """The reader is asked something with every look at whether everything is alive."""
        return not (self._writer.broken or self._reader.broken)

    async def start(self, deliver: Deliver) -> None:
        if self._place.kind == "cluster":
            self._cluster = Cluster(self._place, self._tag)
        await self._probe()
        self._lives = Lives(self._life_key, self._owned, self._renewed)
        self._ears = Ears(deliver, self._missed, self._look, self._read_after, self._catch_up, _complain)
        self._writer, self._reader = self._line(), self._line()
        self._listener = Listener(self._place, self._lives, self._heard, self._ears.doubt, self._mended)
        self._mend = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._beat()), loop.create_task(self._watch())]
        self._running = True

    def _line(self) -> Line | ClusterLines:
        if self._cluster is None:
            return Line(self._place, self._lives)
        return ClusterLines(self._place, self._lives, self._cluster)

    async def close(self) -> None:
        if not self._running:
            return
        self._running = False
        try:
            await self._writer.close()
            await self._listener.catch_up()
            await self._ears.filled()
        except BrokerError:
            pass  # the line is broken: the other nodes have it all, and nobody here is left
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            self._ears.close()
            await self._listener.close()
            await self._reader.cut()

    async def subscribe(self, topic: str) -> None:
        self._check_running()
        _encode(topic)
        ear = self._ears.topics.get(topic)
        if ear is None:
            ear = self._ears.topics[topic] = Ear()
            ear.ready = asyncio.get_running_loop().create_task(self._subscribe(topic, ear))
        if ear.ready is not None:
            await asyncio.shield(ear.ready)

    async def _subscribe(self, topic: str, ear: Ear) -> None:
        """Look where the log is, hear what follows, and look again, for what came between."""
        try:
            head = await self._look(topic)
            if self._ears.topics.get(topic) is ear:
                self._ears.begin(topic, ear, head)
                await self._listener.subscribe(self._channel_of(topic))
                await self._ears.check(topic)
                ear.ready = None
        except BrokerError:
            if self._ears.topics.get(topic) is ear:
                await self.unsubscribe(topic)
            raise

    async def unsubscribe(self, topic: str) -> None:
        self._ears.forget(topic)
        await self._listener.unsubscribe(self._channel_of(topic))

    def publish(self, topic: str, data: bytes, keep: Keep | None, id: str | None = None) -> Awaitable[Position]:
        self._check_running()
        name, shard = _encode(topic), self._shard(topic)
        if keep is None:
            self._pass(shard, name, data, id)
            return SENT
        result: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        keys = [*self._keys(shard, name)]
        if id is not None:
            keys.append(self._id_key(shard, b"id", name, id))
        count, age = min(max(keep.count, 0), MANY), keep.seconds * 1_000
        arguments = (data, count, round(age) if age < MANY else -1, new_epoch(), self._channel.encode() + name)
        settle = partial(self._published, result, shard)
        self._writer.ask(Ask(shard, "append", keys, arguments, settle, size=len(data), again=id is not None))
        return result

    async def read(
        self, topic: str, *, after: Position | None = None, before: Position | None = None, limit: int = 1_000
    ) -> Page:
        page = await self._fetch(topic, after, before, limit)
        await self._ears.reach(topic, page.position)
        return page

    async def _fetch(self, topic: str, after: Position | None, before: Position | None, limit: int) -> Page:
        cursors = (*_cursor(after), *_cursor(before))
        shard = self._shard(topic)
        reply = await self._ask(
            shard, "read", self._keys(shard, _encode(topic)),
            (new_epoch(), min(max(limit, 0), MANY), *cursors, PROMISE),
        )  # fmt: skip
        epoch, head, start, complete, entries = reply
        return Page(
            tuple([Entry(start + number, data) for number, data in enumerate(entries, 1)]),
            Position(epoch.decode(), head),
            bool(complete),
        )

    # -- what is asked of Redis ------------------------------------------------------------------------------------

    def _pass(self, shard: int, name: bytes, data: bytes, id: str | None) -> None:
        """Send without a log. Nobody waits for it, and nobody is told when the line was broken."""
        channel, message = self._channel.encode() + name, b"1\n" + data
        if id is None:
            ask = Ask(shard, "", (), ("PUBLISH", channel, message), _ignore, size=len(data), again=False)
        else:
            keys = [*self._keys(shard, name), self._id_key(shard, b"unkept", name, id)]
            ask = Ask(shard, "pass", keys, (channel, message), _ignore, size=len(data))
        self._writer.ask(ask)

    def _published(self, result: asyncio.Future[Position], shard: int, reply: Any) -> None:
        if isinstance(reply, Exception):
            if not result.done():
                result.set_exception(reply)
            return
        epoch, offset, total, run_id = reply
        self._lives.saw(shard, total, run_id)
        if not result.done():
            result.set_result(Position(epoch.decode(), offset))

    async def _ask(self, shard: int, act: str, keys: Sequence[bytes], arguments: Sequence[bytes | str | int]) -> Any:
        self._check_running()
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._reader.ask(Ask(shard, act, keys, arguments, partial(_resolve, result)))
        return await result

    async def _look(self, topic: str) -> Position:
        shard = self._shard(topic)
        reply = await self._ask(shard, "look", self._keys(shard, _encode(topic)), (new_epoch(),))
        return Position(reply[0].decode(), reply[1]) if reply else UNBORN

    async def _read_after(self, topic: str, after: Position | None, limit: int) -> Page:
        return await self._fetch(topic, after, None, limit)

    async def _catch_up(self) -> None:
        await self._listener.catch_up()

    # -- names -----------------------------------------------------------------------------------------------------

    def _shard(self, topic: str) -> int:
        shards = self._place.shards
        return zlib.crc32(topic.encode()) % shards if shards > 1 else 0

    def _tag(self, shard: int) -> bytes:
        """What all keys of a shard begin with; the braces tell a cluster to keep them together."""
        prefix = self._place.prefix
        return (f"{{{prefix}.{shard}}}" if self._place.shards > 1 else f"{{{prefix}}}").encode()

    def _life_key(self, shard: int) -> bytes:
        return self._tag(shard) + b":life"

    def _keys(self, shard: int, name: bytes) -> tuple[bytes, bytes, bytes]:
        tag = self._tag(shard)
        return tag + b":life", tag + b":head:" + name, tag + b":log:" + name

    def _id_key(self, shard: int, kind: bytes, name: bytes, id: str) -> bytes:
        """Topics and ids are chosen by anybody: of this length, no two of them make one key."""
        digest = blake2b(id.encode(), digest_size=16, key=blake2b(name, digest_size=32).digest()).hexdigest()
        return b"%s:%s:%s" % (self._tag(shard), kind, digest.encode())

    def _channel_of(self, topic: str) -> bytes:
        return (self._channel + topic).encode()

    def _owned(self, address: Address | None) -> Iterable[int]:
        """The shards of a server, which has no address unless it is one of a cluster."""
        return (0,) if self._cluster is None else self._cluster.owned(address)

    # -- what comes ------------------------------------------------------------------------------------------------

    def _heard(self, channel: bytes, message: bytes) -> None:
        """A message is 1 and, of a kept topic, epoch, offset, and the shard's total as its server
        counts; then a line's end and the data."""
        topic = channel.decode()[len(self._channel) :]
        head, end, data = message.partition(b"\n")
        fields = head.split(b" ")
        try:
            if not end or fields[0] != b"1":
                raise ValueError("it is not a publication")
            if len(fields) == 1:
                position = NOWHERE
            else:
                _, epoch, offset, total, run_id = fields
                position = Position(epoch.decode(), int(offset))
                self._lives.saw(self._shard(topic), int(total), run_id)
        except ValueError as error:
            _complain(f"dropped a message on {topic} that nobody here wrote", error)
            return
        self._ears.hear(topic, data, position)

    def _missed(self, topic: str) -> None:
        log.warning("publications were missed that the log has no longer", extra={"topic": topic})
        self.missed(topic)

    def _renewed(self, shard: int) -> None:
        """Redis has lost some of its past. Members whose epoch has changed are told when their topics are looked at."""
        log.warning("Redis does not have all that it had: every log has a new epoch", extra={"at": str(self._place)})
        self._ears.doubt()
        self._mended()

    def _mended(self) -> None:
        self._mend.set()

    # -- being alive -----------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Refuse what has waited too long, and see whether the listener is alive."""
        while True:
            await asyncio.sleep(BEAT)
            try:
                self._writer.expire()
                self._reader.expire()
                await self._listener.beat()
            except Exception as error:
                _complain("a beat failed", error)

    async def _watch(self) -> None:
        """See whether Redis has all that it had, and whether every topic was heard: those that are in doubt at once,
        the others in turn."""
        turn: Iterator[str] = iter(())
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._mend.wait()
            self._mend.clear()
            try:
                topics = [topic for topic, ear in self._ears.topics.items() if not ear.sure]
                some = list(islice(turn, len(self._ears.topics) // ROUND + 1))
                if not some:
                    turn = iter(list(self._ears.topics))
                await self._look_after([*topics, *some])
            except BrokerError:
                pass  # the line said so itself
            except Exception as error:
                _complain("a look at all topics failed", error)

    async def _look_after(self, topics: Sequence[str]) -> None:
        await asyncio.gather(*[self._greet(shard) for shard in range(self._place.shards)])
        for start in range(0, len(topics), 500):
            await asyncio.gather(*[self._ears.check(topic) for topic in topics[start : start + 500]])

    async def _greet(self, shard: int) -> None:
        self._lives.learn(shard, await self._ask(shard, "greet", [self._life_key(shard)], self._lives.memory(shard)))

    async def _probe(self) -> None:
        """See whether Redis is there, and is one that we can use. Raises UsageError."""
        try:
            connection = await self._place.open()
        except FAULTS as error:
            raise UsageError(f"{self._place} cannot be reached: {sentence(error)}.") from None
        try:
            server, memory = await facts(connection, "server"), await facts(connection, "memory")
            if self._cluster is not None:
                await self._cluster.learn()
        except FAULTS as error:
            raise UsageError(f"{self._place} cannot be used: {sentence(error)}.") from None
        finally:
            await connection.disconnect(nowait=True)
        version = server.get("redis_version", "0")
        if tuple(map(int, version.split(".")[:2])) < (6, 2):
            raise UsageError(f"{self._place} has version {version}; what is needed is 6.2 or newer.")
        policy = memory.get("maxmemory_policy", "noeviction")
        if policy != "noeviction" and memory.get("maxmemory", "0") != "0":
            log.warning("Redis may evict logs when its memory is full", extra={"maxmemory_policy": policy})

    def _check_running(self) -> None:
        if not self._running:
            raise BrokerError("the broker is not running")


def _encode(topic: str) -> bytes:
    try:
        return topic.encode()
    except UnicodeEncodeError:
        raise BrokerError("topics and ids are text, without lone surrogates") from None


def _cursor(position: Position | None) -> tuple[str, int | str]:
    return ("", "") if position is None else (position.epoch, min(position.offset, MANY))


def _resolve(result: asyncio.Future[Any], reply: Any) -> None:
    if result.done():
        return
    if isinstance(reply, Exception):
        result.set_exception(reply)
    else:
        result.set_result(reply)


def _ignore(reply: Any) -> None:
    """Nobody waits for this."""


def _complain(what: str, error: BaseException) -> None:
    log.error(what, exc_info=error)
