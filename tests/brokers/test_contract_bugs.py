"""Brokers with one fault each: the contract finds every one, and says which rule it broke."""

import asyncio
import inspect
from collections import Counter
from types import SimpleNamespace

import pytest

from hubbub.brokers.base import Broker, Done
from hubbub.brokers.epochs import Promises
from hubbub.brokers.memory import MemoryBroker
from hubbub.history import NOWHERE, Entry, Keep, Page, Position
from hubbub.testing.contracts import check_broker


class LosesOrder(MemoryBroker):
    """Every tenth delivery comes a turn of the loop later."""

    found = "rule 1: the log differs"

    async def start(self, deliver):
        loop = asyncio.get_running_loop()

        def late(topic, data, position):
            if position.offset % 10 == 3:
                loop.call_soon(deliver, topic, data, position)
            else:
                deliver(topic, data, position)

        await super().start(late)


class LeavesHoles(MemoryBroker):
    found = "offsets [501] are missing"

    def publish(self, topic, data, keep, id=None):
        log = self._logs.get(topic)
        if keep and log and log.head == 500:
            log.head += 1
        return super().publish(topic, data, keep, id)


class ForgetsIds(MemoryBroker):
    found = "the first one's position"

    def publish(self, topic, data, keep, id=None):
        return super().publish(topic, data, keep, None if keep else id)


class ForgetsIdsOfTheUnkept(MemoryBroker):
    found = "it was delivered again"

    def publish(self, topic, data, keep, id=None):
        return super().publish(topic, data, keep, id if keep else None)


class AnswersRetriesWithTheHead(MemoryBroker):
    found = "the first one's position"

    def publish(self, topic, data, keep, id=None):
        result = super().publish(topic, data, keep, id)
        return Done(self._logs[topic].position) if keep else result


class SharesIdsAmongTopics(MemoryBroker):
    found = "of 1 publications on 'room', 0 were delivered"

    def publish(self, topic, data, keep, id=None):
        if id is not None and keep and topic not in self._logs and self._logs:
            return Done(next(iter(self._logs.values())).position)
        return super().publish(topic, data, keep, id)


class LosesRaces(MemoryBroker):
    """It looks an id up, and writes it down, in two steps with a pause between them."""

    found = "100 ids, raced for, became"

    def publish(self, topic, data, keep, id=None):
        if keep is None or id is None:
            return super().publish(topic, data, keep, id)
        return asyncio.ensure_future(self._append(topic, data, keep, id))

    async def _append(self, topic, data, keep, id):
        log = self._logs.get(topic)
        seen = log.ids.find(id, self._clock()) if log else None
        await asyncio.sleep(0)
        if seen is not None:
            return Position(log.epoch, seen)
        position = await super().publish(topic, data, keep)
        self._logs[topic].ids.add(id, position.offset, self._clock())
        return position


class DeliversFirst(MemoryBroker):
    """The publication is with the clients while the log has yet to take it."""

    found = "delivered before the log had it"

    def __init__(self):
        super().__init__()
        self._late = Counter()

    def publish(self, topic, data, keep, id=None):
        before = self._logs[topic].head if topic in self._logs else 0
        result = super().publish(topic, data, keep, id)
        if keep is None or self._logs[topic].head == before:
            return result
        self._late[topic] += 1
        return asyncio.ensure_future(self._append(topic, result))

    async def _append(self, topic, result):
        for _ in range(3):
            await asyncio.sleep(0)
        self._late[topic] -= 1
        return await result

    async def read(self, topic, **where):
        page = await super().read(topic, **where)
        head = Position(page.position.epoch, page.position.offset - self._late[topic])
        return Page(tuple(entry for entry in page.entries if entry.offset <= head.offset), head, page.complete)


class LivesForever(MemoryBroker):
    """The same epoch in every life."""

    found = "its epoch came back"

    def __init__(self):
        super().__init__()
        self._promises = SimpleNamespace(make=lambda topic: "forever", keep=lambda topic: "forever")


class PromisesNothing(MemoryBroker):
    """A new epoch for an empty topic at every look."""

    found = "stays the same"

    def __init__(self):
        super().__init__()
        self._promises = SimpleNamespace(make=Promises().keep, keep=Promises().keep)


class StripsZeros(MemoryBroker):
    found = "delivered with other bytes"

    def publish(self, topic, data, keep, id=None):
        return super().publish(topic, data.rstrip(b"\0") if len(data) > 1 else data, keep, id)


class ReadsText(MemoryBroker):
    found = "read with other bytes"

    async def read(self, topic, **where):
        page = await super().read(topic, **where)
        entries = [Entry(entry.offset, entry.data.decode(errors="replace").encode()) for entry in page.entries]
        return Page(tuple(entries), page.position, page.complete)


class FoldsCase(MemoryBroker):
    found = "publications on 'Room:1', 0 were"

    def publish(self, topic, data, keep, id=None):
        return super().publish(topic.lower(), data, keep, id)


class KeepsTheUnkept(MemoryBroker):
    found = "the call to publish fixes the offset"

    def publish(self, topic, data, keep, id=None):
        return super().publish(topic, data, keep or Keep(), id)


class LetsTheUnkeptOvertake(MemoryBroker):
    """What is kept is delivered in the next turn of the loop, what is not at once."""

    found = "in another order than he called"

    async def start(self, deliver):
        loop = asyncio.get_running_loop()

        def late(topic, data, position):
            if position == NOWHERE:
                deliver(topic, data, position)
            else:
                loop.call_soon(deliver, topic, data, position)

        await super().start(late)


class KeepsTooMany(MemoryBroker):
    found = "instead of []"

    def publish(self, topic, data, keep, id=None):
        return super().publish(topic, data, keep and Keep(keep.count + 1, keep.seconds), id)


class KeepsTooLong(MemoryBroker):
    found = "older than Keep.seconds is still shown"

    def publish(self, topic, data, keep, id=None):
        return super().publish(topic, data, keep and Keep(keep.count, 86_400), id)


class HidesTheGap(MemoryBroker):
    """It gives what it still has, as if that were all."""

    found = "instead of []"

    async def read(self, topic, *, after=None, before=None, limit=1_000):
        log = self._logs.get(topic)
        if log and after and after.epoch == log.epoch and log.entries:
            after = max(after, Position(log.epoch, log.entries[0][1].offset - 1))
        return await super().read(topic, after=after, before=before, limit=limit)


class IgnoresTheEpoch(MemoryBroker):
    found = "complete=True"

    async def read(self, topic, *, after=None, before=None, limit=1_000):
        log = self._logs.get(topic)
        if log and after:
            after = Position(log.epoch, after.offset)
        return await super().read(topic, after=after, before=before, limit=limit)


class IgnoresTheLimit(MemoryBroker):
    found = "limit=0"

    async def read(self, topic, *, after=None, before=None, limit=1_000):
        return await super().read(topic, after=after, before=before)


class HangsAtTheEnd(MemoryBroker):
    """Closing forgets what was begun: nobody is told."""

    found = "finishes: waited"

    def publish(self, topic, data, keep, id=None):
        loop = asyncio.get_running_loop()
        if keep is None or topic != "end":
            return super().publish(topic, data, keep, id)
        result = loop.create_future()
        loop.call_later(0.01, self._later, topic, data, keep, id, result)
        return result

    def _later(self, topic, data, keep, id, result):
        if self._timer is not None:
            result.set_result(super().publish(topic, data, keep, id).position)


class Durable(MemoryBroker):
    """What all of one store share stays when they are closed. This one is sound."""

    durable = True

    def __init__(self, store=None):
        super().__init__()
        self.store = self._logs = {} if store is None else store


class LosesTheLast(Durable):
    found = "what publish returned is in the log"

    async def close(self):
        await super().close()
        for log in self.store.values():
            if log.entries:
                log.entries.pop()
                log.head -= 1


class BeginsAnew(Durable):
    """The same epoch, and offsets from 1, over an empty log."""

    found = "what publish returned is in the log"

    def __init__(self, store=None):
        super().__init__(store)
        for log in self.store.values():
            log.entries.clear()
            log.head = 0


class ForgetsIdsAtTheEnd(Durable):
    found = "ids are known after a restart"

    async def close(self):
        await super().close()
        for log in self.store.values():
            log.ids.forget(self._clock() + 1)


class Joined(MemoryBroker):
    """Nodes in one process. This one is sound."""

    distributed = True

    def __init__(self, nodes=None):
        super().__init__()
        self.nodes = [] if nodes is None else nodes
        if nodes:
            self._logs, self._promises, self._unkept = nodes[0]._logs, nodes[0]._promises, nodes[0]._unkept
        self.nodes.append(self)
        self.topics = set()

    async def start(self, deliver):
        await super().start(self._spread)
        self.local = deliver

    def _spread(self, topic, data, position):
        for node in self.nodes:
            if topic in node.topics:
                node.local(topic, data, position)

    async def subscribe(self, topic):
        self.topics.add(topic)

    async def unsubscribe(self, topic):
        self.topics.discard(topic)


class ServesOneNode(Joined):
    found = "of 200 publications on 'both', 100 were"

    def _spread(self, topic, data, position):
        if topic in self.topics:
            self.local(topic, data, position)


class NeverUnsubscribes(Joined):
    found = "what was unsubscribed is not delivered"

    async def unsubscribe(self, topic):
        pass


class KeepsALogANode(Joined):
    found = "are missing"

    def __init__(self, nodes=None):
        super().__init__(nodes)
        self._logs = {}


class ForgetsIdsOfOtherNodes(Joined):
    found = "raced for on two nodes"

    def publish(self, topic, data, keep, id=None):
        mine = id and f"{id} {self.nodes.index(self)}"
        return super().publish(topic, data, keep, mine)


class ReordersForOtherNodes(Joined):
    """What is not kept reaches other nodes a turn of the loop later."""

    found = "another node delivers a caller's publications in another order"

    def _spread(self, topic, data, position):
        for node in self.nodes:
            if node is not self and not position:
                asyncio.get_running_loop().call_soon(node.local, topic, data, position)
            elif topic in node.topics:
                node.local(topic, data, position)


class LagsBehindItsPages(Joined):
    """Other nodes hear a turn of the loop later, but can read at once."""

    found = "a page was ahead of the deliveries"

    def _spread(self, topic, data, position):
        for node in self.nodes:
            if topic in node.topics and topic == "page":
                asyncio.get_running_loop().call_later(0.01, node.local, topic, data, position)
            elif topic in node.topics:
                node.local(topic, data, position)


SOUND = (Durable, Joined)
BROKEN = [
    broker
    for broker in list(globals().values())
    if inspect.isclass(broker) and issubclass(broker, MemoryBroker) and broker not in (MemoryBroker, *SOUND)
]


def reopen(broker: Broker) -> Broker:
    return type(broker)(broker.store if broker.durable else broker.nodes)


@pytest.mark.parametrize("broker", SOUND)
async def test_a_sound_one_passes(broker):
    await check_broker(broker, reopen)


@pytest.mark.parametrize("broker", BROKEN)
async def test_a_broken_one_fails(broker):
    with pytest.raises(AssertionError) as caught:
        await check_broker(broker, reopen if broker.durable or broker.distributed else None, patience=2.0)
    assert broker.found in str(caught.value)


@pytest.mark.parametrize("broker", SOUND)
async def test_what_has_a_store_is_not_checked_without(broker):
    with pytest.raises(AssertionError, match="reopen"):
        await check_broker(broker)
