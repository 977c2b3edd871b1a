"""The connection to Redis that hears what is published, on the channels of the topics that somebody here is in.

When it breaks, a new one subscribes to the same channels, and what was said meanwhile is for the ears to find out.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Sequence

from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Broken

from hubbub.brokers.redis_life import Lives
from hubbub.brokers.redis_line import FAULTS, PAUSES, sentence
from hubbub.brokers.redis_url import PATIENCE, Place, write
from hubbub.errors import BrokerError

log = logging.getLogger("hubbub.brokers.redis")

CHUNK = 500
"""Channels that are subscribed to by one command."""

HOME = b"hubbub"
"""A channel on which nothing is said. With one at least, every reply on the line has the form of a message."""


class Listener:
    """``heard`` gets channel and message; ``broken`` and ``mended`` are called when a connection is lost, and when
    a new one hears all channels again."""

    def __init__(
        self,
        place: Place,
        lives: Lives,
        heard: Callable[[bytes, bytes], None],
        broken: Callable[[], None],
        mended: Callable[[], None],
    ) -> None:
        self._place = place
        self._lives = lives
        self._heard = heard
        self._broken = broken
        self._mended = mended
        self._connection: Connection | None = None
        self._channels: dict[bytes, asyncio.Future[None]] = {}
        self._asked: dict[bytes, int] = {}
        """How many of our subscriptions to a channel were not confirmed yet: only the last one's word counts."""
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._tokens = itertools.count()
        self._loop = asyncio.get_running_loop()
        self._pinged: float | None = None
        """Since when a sign of life is awaited."""
        self._task = self._loop.create_task(self._run())

    async def subscribe(self, channel: bytes) -> None:
        """Hear this channel, from the return of this call on. Raises BrokerError."""
        ready = self._channels.get(channel)
        if ready is None:
            ready = self._channels[channel] = self._loop.create_future()
            await self._say(channel)
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(ready)
        except TimeoutError:
            raise BrokerError(f"{self._place} is unavailable") from None

    async def unsubscribe(self, channel: bytes) -> None:
        ready = self._channels.pop(channel, None)
        if ready is None:
            return
        if not ready.done():
            ready.set_exception(BrokerError("it was unsubscribed meanwhile"))
            ready.exception()
        if self._connection is not None:
            await self._send(self._connection, "UNSUBSCRIBE", channel)

    async def catch_up(self) -> None:
        """Come back when everything was heard that Redis has said until now. Raises BrokerError."""
        connection = self._connection
        if connection is None:
            raise BrokerError(f"{self._place} is unavailable")
        token = b"%d" % next(self._tokens)
        pong = self._pongs[token] = self._loop.create_future()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._send(connection, "PING", token)
                await pong
        except TimeoutError:
            raise BrokerError(f"{self._place} is unavailable") from None
        finally:
            self._pongs.pop(token, None)

    async def beat(self) -> None:
        """Call this every second: a line on which nothing moves is broken, though nobody said so."""
        connection, now = self._connection, self._loop.time()
        if connection is None:
            return
        if self._pinged is None:
            self._pinged = now
            await self._send(connection, "PING")
        elif now - self._pinged > PATIENCE:
            await connection.disconnect(nowait=True)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    # -- the line itself -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Nothing ends this but ``close``."""
        pause, told = PAUSES[0], False
        while True:
            connection: Connection | None = None
            try:
                connection = await self._place.open()
                await self._lives.greet(connection)
                await self._resume(connection)
                if told:
                    log.warning("Redis is heard again", extra={"at": str(self._place)})
                pause, told = PAUSES[0], False
                while True:
                    self._take(await connection.read_response(disable_decoding=True))
            except FAULTS as error:
                if not told:
                    log.warning("Redis is not heard", extra={"at": str(self._place), "reason": sentence(error)})
                told = True
            except Exception:
                log.exception("the listener failed")
            finally:
                self._connection = None
                self._lose()
                if connection is not None:
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, PAUSES[1])

    async def _resume(self, connection: Connection) -> None:
        """Subscribe to all channels, and hear what they say meanwhile."""
        self._pinged = None
        self._connection = connection
        channels = [HOME, *self._channels]
        for start in range(0, len(channels), CHUNK):
            chunk = channels[start : start + CHUNK]
            for channel in chunk:
                self._asked[channel] = self._asked.get(channel, 0) + 1
            await self._send(connection, "SUBSCRIBE", *chunk)
        token = b"resumed"
        await self._send(connection, "PING", token)
        async with asyncio.timeout(2 * PATIENCE):
            while True:
                reply = await connection.read_response(disable_decoding=True)
                self._take(reply)
                if reply[0] == b"pong" and reply[1] == token:
                    break
        self._mended()

    def _lose(self) -> None:
        self._asked.clear()
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_exception(BrokerError(f"{self._place} is unavailable"))
        self._broken()

    def _take(self, reply: Sequence[bytes]) -> None:
        self._pinged = None
        kind = reply[0]
        if kind == b"message":
            self._heard(reply[1], reply[2])
        elif kind == b"subscribe":
            channel = reply[1]
            left = self._asked.pop(channel, 1) - 1
            if left:
                self._asked[channel] = left
                return
            ready = self._channels.get(channel)
            if ready is not None and not ready.done():
                ready.set_result(None)
        elif kind == b"pong":
            pong = self._pongs.get(reply[1])
            if pong is not None and not pong.done():
                pong.set_result(None)

    async def _say(self, channel: bytes) -> None:
        if self._connection is not None:
            self._asked[channel] = self._asked.get(channel, 0) + 1
            await self._send(self._connection, "SUBSCRIBE", channel)

    async def _send(self, connection: Connection, *command: str | bytes) -> None:
        """Say it, if the line is there: else the next one will say all that matters."""
        if connection.is_connected:
            try:
                await write(connection, connection.pack_command(*command))
            except (Broken, OSError):
                pass
