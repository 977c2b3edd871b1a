"""Which line leads to a shard of a cluster of Redis.

The topics of a cluster are dealt into shards, each with a slot of its own, and the cluster gives slots to its nodes. A
node says when a slot has moved; when one cannot be reached, another is asked who has its slots now. What waited for
the one goes to the other, in its order.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence

from redis.crc import key_slot

from hubbub.brokers.redis_life import Lives
from hubbub.brokers.redis_line import FAULTS, Ask, Line
from hubbub.brokers.redis_url import Address, Place, ask
from hubbub.errors import BrokerError

log = logging.getLogger("hubbub.brokers.redis")


class Cluster:
    """Who has which shard. ``tag`` gives the tag of a shard's keys."""

    def __init__(self, place: Place, tag: Callable[[int], bytes]) -> None:
        self._place = place
        self._slots = [key_slot(tag(shard)) for shard in range(place.shards)]
        self.owners: dict[int, Address] = {}

    def owned(self, address: Address | None) -> Iterable[int]:
        return [shard for shard, owner in self.owners.items() if owner == address]

    async def learn(self) -> None:
        """Ask any node who has which slots. Raises RedisError, OSError or TimeoutError."""
        known = list({*self._place.addresses, *self.owners.values()})
        random.shuffle(known)
        connection = await self._place._replace(addresses=tuple(known)).open()
        try:
            ranges = await ask(connection, "CLUSTER", "SLOTS")
        finally:
            await connection.disconnect(nowait=True)
        for first, last, primary, *_ in ranges:
            address = primary[0].decode() or connection.host, primary[1]
            for shard, slot in enumerate(self._slots):
                if first <= slot <= last:
                    self.owners[shard] = address


class ClusterLines:
    """A line to each node that has some of our shards. Used as a ``Line`` is."""

    def __init__(self, place: Place, lives: Lives, cluster: Cluster) -> None:
        self._place = place
        self._lives = lives
        self._cluster = cluster
        self._lines: dict[Address, Line] = {}

    @property
    def broken(self) -> bool:
        """Whether a line is that leads to a node which has some of our shards now."""
        owners = set(self._cluster.owners.values())
        return any(line.broken for address, line in list(self._lines.items()) if address in owners)

    def ask(self, ask: Ask) -> None:
        owner = self._cluster.owners.get(ask.shard)
        if owner is None:
            raise BrokerError(f"nobody in {self._place} has the slots of this topic")
        self._line(owner).ask(ask)

    def expire(self) -> None:
        for line in self._lines.values():
            line.expire()

    async def close(self) -> None:
        await asyncio.gather(*[line.close() for line in self._lines.values()], return_exceptions=True)

    async def cut(self) -> None:
        await asyncio.gather(*[line.cut() for line in self._lines.values()], return_exceptions=True)

    def _line(self, address: Address) -> Line:
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = Line(self._place, self._lives, address)
            line.strayed, line.lost = self._move, self._relearn
        return line

    def _move(self, line: Line, strayed: Sequence[tuple[Ask, Address]]) -> None:
        """These belong to other nodes, and so does what waits behind them."""
        for one, address in strayed:
            self._cluster.owners[one.shard] = address
        shards = {one.shard for one, _ in strayed}
        self._redirect([*(one for one, _ in strayed), *line.take_out(shards)])

    async def _relearn(self, line: Line) -> None:
        """A node cannot be reached: perhaps another has taken over."""
        try:
            await self._cluster.learn()
        except FAULTS:
            return  # nobody knows more than we do
        address = next((address for address, its in self._lines.items() if its is line), None)
        shards = {shard for shard, owner in self._cluster.owners.items() if owner != address}
        self._redirect(line.take_out(shards))

    def _redirect(self, asks: Iterable[Ask]) -> None:
        for one in asks:
            try:
                self.ask(one)
            except BrokerError as error:
                one.settle(error)
