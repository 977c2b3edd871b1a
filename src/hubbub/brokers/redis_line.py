"""One connection to Redis on which commands go out in the order they were asked for, many to a round trip.

What is asked for while a round trip is under way goes with the next one, in one piece: the busier, the more at once.
A line that breaks is mended, with growing pauses; what has waited ``PATIENCE`` seconds meanwhile is refused. What was
on its way when the line broke may have been done or not: it is asked again only where doing it twice is doing it once.
"""

import asyncio
import logging
import os
import random
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Any

from redis.asyncio.connection import Connection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as Broken

from hubbub.brokers.redis_life import Lives
from hubbub.brokers.redis_url import PATIENCE, Address, Place, write
from hubbub.errors import BrokerError

log = logging.getLogger("hubbub.brokers.redis")

BATCH = 512
"""Commands in a round trip."""

PIECE = 1 << 20
"""Bytes in a round trip, about: more would keep the server from others, and gain nothing."""

WAITING = 100_000
"""Commands that may wait: Redis is seconds behind by then, and more would only wait longer."""

HELD = 64 << 20
"""Bytes that may wait."""

PAUSES = (0.05, 2.0)
"""Seconds until the first new attempt, and at most between two; each is twice the last, and shortened by up to a half
at random, so that not all nodes come at once."""

AWAY = (AskError, ClusterDownError, MasterDownError, NoScriptError, ReadOnlyError, TryAgainError)
"""Replies of a server that did nothing, and will not now; as are those that begin with BUSY or, of our script, LIFE."""

FAULTS = (RedisError, OSError, TimeoutError)


class Ask:
    """A command, and who waits for its reply. ``settle`` is called once, with the reply or with a BrokerError.

    ``act`` is one of redis.lua's, or ``""`` for a command of Redis's own. ``again`` says that it may be done twice.
    """

    __slots__ = ("act", "again", "arguments", "deadline", "keys", "settle", "shard", "size")

    def __init__(
        self,
        shard: int,
        act: str,
        keys: Sequence[bytes],
        arguments: Sequence[bytes | str | int],
        settle: Callable[[Any], None],
        *,
        size: int = 0,
        again: bool = True,
    ) -> None:
        self.shard = shard
        self.act = act
        self.keys = keys
        self.arguments = arguments
        self.settle = settle
        self.size = size + 200
        self.again = again
        self.deadline = 0.0


class Line:
    """A connection that is always there, or about to be again. ``address`` is a node of a cluster."""

    def __init__(self, place: Place, lives: Lives, address: Address | None = None) -> None:
        self._place = place
        self._lives = lives
        self._run_id = ""
        self._address = address
        self._queue: deque[Ask] = deque()
        self._held = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self.strayed: Callable[[Line, Sequence[tuple[Ask, Address]]], None] | None = None
        """Given what other nodes of the cluster have, and which, after a round trip."""
        self.broken = False
        """Whether it was there, or should be, and is not. It has been said in the log."""
        self.lost: Callable[[Line], Awaitable[None]] | None = None
        """Told when the line is broken, before it is mended."""
        self._task = self._loop.create_task(self._run())

    def ask(self, ask: Ask) -> None:
        """Line up. Raises BrokerError when too much waits already."""
        if self._closing:
            raise BrokerError("the broker is not running")
        if len(self._queue) >= WAITING or self._held > HELD:
            raise BrokerError("Redis is too slow for what is published")
        ask.deadline = ask.deadline or self._loop.time() + PATIENCE
        self._queue.append(ask)
        self._held += ask.size
        if not self._wake.is_set():
            self._wake.set()

    async def close(self) -> None:
        """Do what was asked for, as far as patience goes, and end: at once, where this is cancelled."""
        self._closing = True
        self._wake.set()
        try:
            await asyncio.wait([self._task], timeout=2 * PATIENCE)
        finally:
            await self.cut()

    async def cut(self) -> None:
        """End, and refuse what waits."""
        self._closing = True
        self._task.cancel()
        await asyncio.wait([self._task])
        self._refuse(self._loop.time() + 2 * PATIENCE, "the broker is not running")

    def expire(self) -> None:
        """Refuse what has waited too long."""
        self._refuse(self._loop.time(), f"{self._place} is unavailable")

    def take_out(self, shards: Container[int]) -> list[Ask]:
        """What waits for these shards, which are to be asked elsewhere."""
        taken = [ask for ask in self._queue if ask.shard in shards]
        if taken:
            self._queue = deque(ask for ask in self._queue if ask.shard not in shards)
            self._held -= sum(ask.size for ask in taken)
        return taken

    def _refuse(self, now: float, reason: str) -> None:
        while self._queue and self._queue[0].deadline <= now:
            self._take().settle(BrokerError(reason))

    def _take(self) -> Ask:
        ask = self._queue.popleft()
        self._held -= ask.size
        return ask

    def _put_back(self, asks: Sequence[Ask]) -> None:
        self._queue.extendleft(reversed(asks))
        self._held += sum(ask.size for ask in asks)

    # -- the line itself -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Nothing ends this but ``close``."""
        pause = PAUSES[0]
        while not (self._closing and not self._queue):
            connection: Connection | None = None
            try:
                connection = await self._place.open(self._address)
                self._run_id = await self._lives.greet(connection, self._address)
                if self.broken:
                    log.warning("Redis is there again", extra={"at": str(self._place)})
                pause, self.broken = PAUSES[0], False
                await self._serve(connection)
            except FAULTS as error:
                if not self.broken:
                    log.warning("Redis is unavailable", extra={"at": str(self._place), "reason": sentence(error)})
                self.broken = True
            except Exception:
                log.exception("a line to Redis failed")
            finally:
                if connection is not None:
                    await connection.disconnect(nowait=True)
            if self._closing:
                self._refuse(self._loop.time() + PATIENCE, f"{self._place} is unavailable")
            else:
                self.expire()
                if self.lost is not None:
                    await self.lost(self)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, PAUSES[1])

    async def _serve(self, connection: Connection) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            batch, size = [self._take()], 0
            while self._queue and len(batch) < BATCH and size < PIECE:
                batch.append(self._take())
                size += batch[-1].size
            await self._exchange(connection, batch)

    async def _exchange(self, connection: Connection, batch: list[Ask]) -> None:
        """A round trip. What the server did not do now is put back, in its order."""
        done = 0
        later: list[Ask] = []
        strayed: list[tuple[Ask, Address]] = []
        away: ResponseError | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                await write(connection, connection.pack_commands([self._command(ask) for ask in batch]))
                for ask in batch:
                    reply = await _reply(connection)
                    done += 1
                    if isinstance(reply, MovedError) and self.strayed is not None:
                        strayed.append((ask, (reply.host, reply.port)))
                    elif isinstance(reply, ResponseError):
                        away = self._judge(ask, reply, later) or away
                    else:
                        ask.settle(reply)
        except FAULTS as error:
            lost = BrokerError(f"{self._place} is unavailable: whether this was published is not known")
            later.extend(ask for ask, _ in strayed)
            for ask in batch[done:]:
                if ask.again:
                    later.append(ask)
                else:
                    ask.settle(lost)
            self._put_back(later)
            raise error if not isinstance(error, TimeoutError) else Broken("it does not answer") from None
        except BaseException:
            for ask in batch[done:]:
                ask.settle(BrokerError("the broker is not running"))
            raise
        if later:
            self._put_back(later)
        if strayed and self.strayed is not None:
            self.strayed(self, strayed)
        if away is not None:
            raise away

    def _command(self, ask: Ask) -> tuple[str | bytes | int, ...]:
        if not ask.act:
            return tuple(ask.arguments)
        return ("EVALSHA", self._lives.script, len(ask.keys), *ask.keys, ask.act, self._run_id, *ask.arguments)

    def _judge(self, ask: Ask, error: ResponseError, later: list[Ask]) -> ResponseError | None:
        """Settle what was refused; give the error back when the line must begin anew."""
        text = str(error)  # Redis 6 tells what a script ran into in a sentence of its own
        if isinstance(error, AWAY) or text.startswith(("BUSY", "LIFE")) or "-READONLY" in text:
            later.append(ask)
            return error
        ask.settle(BrokerError(f"Redis refused it: {text}"))
        return None


async def _reply(connection: Connection) -> Any:
    try:
        return await connection.read_response(disable_decoding=True, disconnect_on_error=True)
    except ResponseError as error:
        return error


def sentence(error: BaseException) -> str:
    """What happened, for people: one line, without a full stop."""
    if isinstance(error, TimeoutError):
        return "it does not answer"
    cause = error.__cause__ or error.__context__
    text = str(error) or type(error).__name__
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"certificate verify failed: {cause.verify_message}"
    elif isinstance(cause, ssl.SSLError):  # whose number is none of the system's
        text = (cause.reason or str(cause)).replace("_", " ")
    elif isinstance(cause, OSError) and cause.errno is not None:  # redis-py puts a number and an address around it
        text = os.strerror(cause.errno) if cause.errno > 0 else cause.strerror or text
    return text.splitlines()[0].rstrip(".").lower()
