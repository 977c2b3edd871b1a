"""Contracts, as code: whoever writes a broker checks it with the same words as we do ours.

    async def test_my_broker():
        await check_broker(lambda: MyBroker(an_empty_store()), reopen=lambda broker: MyBroker(broker.store))

Protocols are checked by ``hubbub.testing.conversations``.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from hubbub.brokers.base import Broker
from hubbub.history import NOWHERE, Keep, Page, Position

KEEP = Keep(count=10_000, seconds=86_400)
TOPICS = (
    "/", "room", "room:1", "Room:1", "room:10", "a b", "it's \"%s\"", "*", "a.>", "[a-z]?", "{x}", "\r\n", "\u00e9",
    "e\u0301", "\U0001f642", "x" * 255,
)  # fmt: skip
"""Names that a broker might mix up, or take for patterns or commands."""
DATA = (
    b"", b"\0", bytes(range(256)), b"\xff\xfe\xed\xa0\x80", b'["said",{"text":"hi"}]', b"\r\n" * 9, b"\x01\0\1\x90",
    bytes(1 << 20),
)  # fmt: skip


async def check_broker(
    make: Callable[[], Broker], reopen: Callable[[Broker], Broker] | None = None, *, patience: float = 20.0
) -> None:
    """Assert every rule of ``hubbub.brokers.base``. The AssertionError says which was broken.

    ``make`` gives a broker that was not started, over an empty store of its own. ``reopen``, which durable and
    distributed brokers need, gives a further one over the store of this: of a durable one that was closed, or beside
    a distributed one that runs. ``patience`` is how many seconds each of the checks may take.
    """
    bench = Bench(make, reopen, patience)
    checks = [
        _orders_a_crowd, _orders_calls, _keeps_bytes, _keeps_topics_apart, _knows_ids, _settles_races,
        _promises_an_epoch, _passes_unkept, _reads, _keeps_a_time, _appends_before_it_delivers, _begins_a_new_life,
        _finishes,
    ]  # fmt: skip
    kind = make()
    if kind.durable or kind.distributed:
        assert reopen is not None, "a durable or distributed broker is checked with reopen="
    checks += [_survives] * kind.durable + [_joins_nodes, _settles_races_between_nodes] * kind.distributed
    for check in [*checks, _shows_what_was_delivered]:
        try:
            async with asyncio.timeout(patience):
                await check(bench)
        except TimeoutError:
            what = check.__name__.strip("_").replace("_", " ")
            raise AssertionError(f"{what}: waited {patience:g} seconds in vain") from None


class Node:
    """A running broker, and what it delivered."""

    def __init__(self, broker: Broker, patience: float) -> None:
        self.broker = broker
        self._patience = patience
        self.delivered: list[tuple[str, bytes, Position]] = []
        self.reads: list[asyncio.Task[Page]] = []
        self._changed = asyncio.Event()

    def deliver(self, topic: str, data: bytes, position: Position) -> None:
        self.delivered.append((topic, data, position))
        self._changed.set()

    def deliver_and_read(self, topic: str, data: bytes, position: Position) -> None:
        """Look at once whether the log has it."""
        self.deliver(topic, data, position)
        before = Position(position.epoch, position.offset - 1)
        self.reads.append(asyncio.ensure_future(self.broker.read(topic, after=before, limit=1)))

    def of(self, topic: str) -> list[tuple[bytes, Position]]:
        return [(data, position) for name, data, position in self.delivered if name == topic]

    async def until(self, topic: str, count: int) -> list[tuple[bytes, Position]]:
        """Wait until so many publications of the topic were delivered."""
        try:
            async with asyncio.timeout(self._patience):
                while len(self.of(topic)) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            came = len(self.of(topic))
            raise AssertionError(f"rule 1: of {count} publications on {topic!r}, {came} were delivered") from None
        return self.of(topic)

    async def log(self, topic: str) -> list[tuple[bytes, Position]]:
        page = await self.broker.read(topic, limit=100_000)
        return [(entry.data, Position(page.position.epoch, entry.offset)) for entry in page.entries]


class Bench:
    """Where the brokers come from."""

    def __init__(self, make: Callable[[], Broker], reopen: Callable[[Broker], Broker] | None, patience: float) -> None:
        self.make = make
        self.reopen = reopen or (lambda broker: make())
        self.patience = patience

    @asynccontextmanager
    async def running(self, *topics: str, broker: Broker | None = None, read: bool = False) -> AsyncIterator[Node]:
        """A broker that runs and subscribed to these topics: a new one, or this."""
        node = Node(broker or self.make(), self.patience / 2)
        await node.broker.start(node.deliver_and_read if read else node.deliver)
        try:
            for topic in topics:
                await node.broker.subscribe(topic)
            yield node
        finally:
            await node.broker.close()


async def _orders_a_crowd(bench: Bench) -> None:
    async with bench.running("crowd") as node:
        said: dict[bytes, Position] = {}

        async def speak(name: int) -> None:
            last = 0
            for number in range(25):
                data = b"%d %d" % (name, number)
                said[data] = position = await node.broker.publish("crowd", data, KEEP)
                assert position.offset > last, (
                    f"rule 2: one caller's publications got offsets {last}, {position.offset}"
                )
                last = position.offset

        await asyncio.gather(*map(speak, range(40)))
        _is_one_log(list(said.values()))
        delivered = await node.until("crowd", 1_000)
        _is_one_log([position for _, position in delivered])
        assert dict(delivered) == said, "rule 1: what was delivered is not what was published, at these positions"
        assert await node.log("crowd") == delivered, "rule 1: the log differs from what was delivered"


def _is_one_log(positions: Sequence[Position]) -> None:
    offsets = [position.offset for position in positions]
    missing = sorted(set(range(1, len(offsets) + 1)) - set(offsets))
    assert not missing, f"rule 3: {len(offsets)} publications, but offsets {missing[:5]} are missing"
    assert len({position.epoch for position in positions}) == 1, "rule 3: the epoch changed without a reason"
    assert all(position.epoch for position in positions), "rule 3: a log has an epoch"


async def _orders_calls(bench: Bench) -> None:
    async with bench.running("a", "b") as node:
        calls = [("ab"[n % 2], b"%d" % n, KEEP if n % 3 else None) for n in range(300)]
        results = [(topic, data, keep, node.broker.publish(topic, data, keep)) for topic, data, keep in calls]
        positions: dict[bytes, Position] = {}
        for _, data, _, result in reversed(results):
            positions[data] = await result
        for topic in "ab":
            expected = [data for name, data, _ in calls if name == topic]
            got = [data for data, _ in await node.until(topic, len(expected))]
            assert got == expected, "rule 2: one caller's publications were delivered in another order than he called"
            offsets = [positions[data].offset for name, data, keep in calls if name == topic and keep]
            assert offsets == list(range(1, len(offsets) + 1)), "rule 2: the call to publish fixes the offset"


async def _keeps_bytes(bench: Bench) -> None:
    async with bench.running("bytes") as node:
        for data in DATA:
            await node.broker.publish("bytes", data, KEEP)
            await node.broker.publish("bytes", data, None)
        delivered = await node.until("bytes", 2 * len(DATA))
        twice = [data for data in DATA for _ in range(2)]
        assert [data for data, _ in delivered] == twice, "rule 5: data was delivered with other bytes"
        assert [data for data, _ in await node.log("bytes")] == list(DATA), "rule 5: data was read with other bytes"


async def _keeps_topics_apart(bench: Bench) -> None:
    async with bench.running(*TOPICS) as node:
        for topic in TOPICS:
            position = await node.broker.publish(topic, topic.encode(), KEEP, id="the same")
            assert position.offset == 1, f"topic {topic!r} shares its log, or its ids, with another"
        for topic in TOPICS:
            delivered = await node.until(topic, 1)
            assert [data for data, _ in delivered] == [topic.encode()], f"topic {topic!r} was mixed up with another"
            assert await node.log(topic) == delivered, f"the log of {topic!r} was mixed up with another"


async def _knows_ids(bench: Bench) -> None:
    rule = "rule 4: the same id is one publication"
    async with bench.running("ids") as node:
        publish = node.broker.publish
        first = await publish("ids", b"1", KEEP, id="x")
        second = await publish("ids", b"2", KEEP, id="y")
        assert second.offset == 2, "rule 4: another id is another publication"
        assert await publish("ids", b"1", KEEP, id="x") == first, f"{rule}, and gives the first one's position"
        for _ in range(2):
            await publish("ids", b"unkept", None, id="z")
        await publish("ids", b"3", KEEP)
        expected = [b"1", b"2", b"unkept", b"3"]
        got = [data for data, _ in await node.until("ids", len(expected))]
        assert got == expected, f"{rule}, but it was delivered again: {got}"
        assert [data for data, _ in await node.log("ids")] == [b"1", b"2", b"3"], f"{rule}, but the log has two"


async def _settles_races(bench: Bench) -> None:
    async with bench.running("race") as node:
        drafts = [(b"%d" % (n % 100), f"id {n % 100}") for n in range(1_000)]
        positions = await asyncio.gather(
            *[asyncio.ensure_future(_finish(node.broker.publish("race", data, KEEP, id=id))) for data, id in drafts]
        )
        assert len(set(positions)) == 100, f"rule 4: 100 ids, raced for, became {len(set(positions))} positions"
        same = len({(id, position) for (_, id), position in zip(drafts, positions, strict=True)}) == 100
        assert same, "rule 4: those who raced with one id got different positions"
        log = await node.log("race")
        _is_one_log([position for _, position in log])
        assert len(log) == 100, f"rule 4: 100 ids, raced for, became {len(log)} publications"
        assert await node.until("race", 100) == log, "rule 4: what was raced for was delivered more than once"


async def _finish(result: Awaitable[Position]) -> Position:
    return await result


async def _passes_unkept(bench: Bench) -> None:
    async with bench.running("unkept") as node:
        before = (await node.broker.read("unkept", limit=0)).position
        position = await node.broker.publish("unkept", b"typing", None)
        assert position == NOWHERE, f"rule 6: what is not kept has the position NOWHERE, not {position}"
        assert await node.until("unkept", 1) == [(b"typing", NOWHERE)], "rule 6: it is delivered at NOWHERE"
        page = await node.broker.read("unkept")
        assert page == Page((), before, complete=True), "rule 6: what is not kept leaves no trace in the log"


async def _appends_before_it_delivers(bench: Bench) -> None:
    async with bench.running("first", read=True) as node:
        for n in range(20):
            await node.broker.publish("first", b"%d" % n, KEEP)
        delivered = await node.until("first", 20)
        for (data, position), page in zip(delivered, await asyncio.gather(*node.reads), strict=True):
            found = [(entry.data, entry.offset) for entry in page.entries]
            assert found == [(data, position.offset)], "rule 1: a publication was delivered before the log had it"


async def _reads(bench: Bench) -> None:
    """Every question that can be asked of a log of twelve, of which eight are kept, and of one that is whole."""
    for count in (8, 100):
        async with bench.running() as node:
            for n in range(1, 13):
                position = await node.broker.publish("log", b"%d" % n, Keep(count=count))
            offsets = range(max(1, 13 - count), 13)
            for limit in (0, 1, 3, 1_000):
                await _reads_after(node.broker, position, offsets, limit)
                await _reads_before(node.broker, position, offsets, limit)
            for other in (Position(position.epoch + "x", 10), Position(position.epoch, 13), Position("x", 0)):
                page = await node.broker.read("log", after=other)
                assert page == Page((), position, complete=False), f"read(after={other}) of a log at {position}: {page}"
            page = await node.broker.read("log", before=Position("x", 5))
            assert not page.entries and not page.complete, "read(before=) of another epoch knows no entries"


async def _reads_after(broker: Broker, head: Position, kept: range, limit: int) -> None:
    for after in range(head.offset + 1):
        page = await broker.read("log", after=Position(head.epoch, after), limit=limit)
        wanted = [offset for offset in kept if offset > after] if after >= kept[0] - 1 else []
        complete = after >= kept[0] - 1 and len(wanted) <= limit
        _is_page(page, wanted[:limit], head, complete, f"read(after={after}, limit={limit}), kept {kept}")


async def _reads_before(broker: Broker, head: Position, kept: range, limit: int) -> None:
    for before in (*range(1, head.offset + 2), None):
        cursor = None if before is None else Position(head.epoch, before)
        page = await broker.read("log", before=cursor, limit=limit)
        stop = head.offset + 1 if before is None else before
        wanted = [offset for offset in kept if offset < stop][-limit or head.offset :]
        _is_page(page, wanted, head, len(wanted) == stop - 1, f"read(before={before}, limit={limit}), kept {kept}")


def _is_page(page: Page, offsets: list[int], head: Position, complete: bool, asked: str) -> None:
    found = [entry.offset for entry in page.entries]
    assert found == offsets, f"{asked} gave the offsets {found} instead of {offsets}"
    assert all(entry.data == b"%d" % entry.offset for entry in page.entries), f"{asked} gave other data"
    assert page.position == head, f"{asked} says the head is {page.position}, and it is {head}"
    assert page.complete is complete, f"{asked} says complete={page.complete}"


async def _keeps_a_time(bench: Bench) -> None:
    async with bench.running() as node:
        keep = Keep(seconds=0.3)
        await node.broker.publish("old", b"1", keep)
        head = await node.broker.publish("old", b"2", keep)
        deadline = asyncio.get_running_loop().time() + bench.patience / 2
        while (await node.broker.read("old")).entries:
            assert asyncio.get_running_loop().time() < deadline, "what is older than Keep.seconds is still shown"
            await asyncio.sleep(0.05)
        page = await node.broker.read("old", after=Position(head.epoch, 1))
        assert page == Page((), head, complete=False), "who has not seen what expired is told of the gap"
        page = await node.broker.read("old", after=head)
        assert page == Page((), head, complete=True), "who has seen what expired has missed nothing"
        later = await node.broker.publish("old", b"3", keep)
        assert later == Position(head.epoch, 3), "rule 3: offsets go on when entries have expired"


async def _promises_an_epoch(bench: Bench) -> None:
    async with bench.running() as node:
        page = await node.broker.read("empty")
        assert page.position.epoch, "a topic that nobody published to has an epoch"
        assert page == Page((), Position(page.position.epoch, 0), complete=True), "... at the offset 0"
        assert await node.broker.read("empty", after=page.position) == page, "... which stays the same"
        await node.broker.publish("empty", b"1", KEEP)
        later = await node.broker.read("empty", after=page.position)
        assert later.complete and len(later.entries) == 1, "who saw an empty topic gets its first publication"


async def _shows_what_was_delivered(bench: Bench) -> None:
    broker = bench.make()
    async with AsyncExitStack() as stack:
        node = speaker = await stack.enter_async_context(bench.running("page", broker=broker))
        if broker.distributed:
            speaker = await stack.enter_async_context(bench.running(broker=bench.reopen(broker)))
        for n in range(200):
            result = speaker.broker.publish("page", b"%d" % n, KEEP)
            if n % 5 == 0:
                await asyncio.sleep(0)
                page = await node.broker.read("page", limit=1)
                assert page.position.offset <= len(node.of("page")), "rule 1: a page was ahead of the deliveries"
        await result


async def _begins_a_new_life(bench: Bench) -> None:
    epochs = set()
    for _ in range(3):
        async with bench.running() as node:
            epochs.add((await node.broker.publish("life", b"", KEEP)).epoch)
    assert len(epochs) == 3, "rule 3: the log is gone, and its epoch came back"


async def _finishes(bench: Bench) -> None:
    async with bench.running("end") as node:
        results = [node.broker.publish("end", b"%d" % n, KEEP) for n in range(200)]
    positions = [await result for result in results]
    _is_one_log(positions)
    assert [position for _, position in node.of("end")] == positions, "close() finishes what was begun"


async def _survives(bench: Bench) -> None:
    broker = bench.make()
    async with bench.running(broker=broker) as node:
        first = await node.broker.publish("log", b"1", KEEP, id="x")
        results = [node.broker.publish("log", b"%d" % n, KEEP) for n in range(2, 100)]
    for result in results:
        await result
    async with bench.running("log", broker=bench.reopen(broker)) as node:
        log = await node.log("log")
        assert [data for data, _ in log] == [b"%d" % n for n in range(1, 100)], "what publish returned is in the log"
        assert log[0][1] == first, "rule 3: the past is what it was, and so is the epoch"
        assert await node.broker.publish("log", b"1", KEEP, id="x") == first, "rule 4: ids are known after a restart"
        position = await node.broker.publish("log", b"100", KEEP)
        assert position == Position(first.epoch, 100), f"rule 3: after a restart 99 is followed by {position.offset}"
        delivered = await node.until("log", 1)
        assert delivered == [(b"100", position)], "nothing is delivered twice, nor by a restart"


async def _joins_nodes(bench: Bench) -> None:
    broker = bench.make()
    async with (
        bench.running("both", broker=broker) as one,
        bench.running("both", broker=bench.reopen(broker)) as other,
    ):
        drafts = [
            (node, b"%s %d" % (name, n), KEEP if n % 3 else None)
            for n in range(100)
            for node, name in ((one, b"one"), (other, b"other"))
        ]
        results = [node.broker.publish("both", data, keep) for node, data, keep in drafts]
        positions = [position for position in [await result for result in results] if position]
        _is_one_log(positions)
        for node in (one, other):
            delivered = [position for _, position in await node.until("both", len(drafts)) if position]
            assert delivered == sorted(positions), "rule 1: every node delivers all, in the order of offsets"
        assert await one.log("both") == await other.log("both"), "all nodes read the same log"
        for speaker, hearer in ((one, other), (other, one)):
            said = [data for node, data, _ in drafts if node is speaker]
            heard = [data for data, _ in hearer.of("both") if data in said]
            assert heard == said, "rule 2: another node delivers a caller's publications in another order"
        await other.broker.unsubscribe("both")
        await one.broker.publish("both", b"last", KEEP)
        await one.until("both", len(drafts) + 1)
        assert len(other.of("both")) == len(drafts), "what was unsubscribed is not delivered"


async def _settles_races_between_nodes(bench: Bench) -> None:
    broker = bench.make()
    async with (
        bench.running("race", broker=broker) as one,
        bench.running("race", broker=bench.reopen(broker)) as other,
    ):
        ids = [f"id {n % 100}" for n in range(500)]
        results = [(id, node.broker.publish("race", id.encode(), KEEP, id=id)) for id in ids for node in (one, other)]
        positions = {(id, await result) for id, result in results}
        assert len(positions) == 100, f"rule 4: 100 ids, raced for on two nodes, got {len(positions)} positions"
        for node in (one, other):
            log = await node.log("race")
            assert len(log) == 100, f"rule 4: 100 ids, raced for on two nodes, became {len(log)} publications"
            assert await node.until("race", 100) == log, "rule 4: what was raced for was delivered more than once"
