"""Sending everyone away for a restart, so that nothing is lost and nobody comes back in a crowd.

Rules:

1. Goodbyes are spread over time, in an order left to chance: that is the jitter of those who come back at once.
2. Whose handlers still run is waited for: the replies leave before the goodbye.
3. The time is bounded: goodbyes are spread over half of it at most, and when it is over, handlers that still run have
   lost their clients.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping

from hubbub.connection import Connection
from hubbub.errors import Shutdown
from hubbub.membership import Membership

RATE = 1_000.0
"""Clients sent away in a second. A node of this kind takes in some thousands a second, and has others to serve."""

SLICE = 0.02
"""Seconds between two handfuls."""


async def drain(connections: Mapping[str, Connection], seconds: float) -> None:
    """Send all of these away within ``seconds``."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    waiting = list(connections.values())
    random.shuffle(waiting)
    spread = min(seconds / 2, len(waiting) / RATE)
    handful = max(1, round(len(waiting) * SLICE / spread)) if spread > SLICE else len(waiting) or 1
    busy: list[Connection] = []
    for start in range(0, len(waiting), handful):
        for connection in waiting[start : start + handful]:
            if any(running(connection)):
                busy.append(connection)
            else:
                send_away(connection)
        if start + handful < len(waiting):
            await asyncio.sleep(SLICE)
    tasks = [task for connection in busy for task in running(connection)]
    left = begun + seconds - loop.time()
    if tasks and left > 0:
        await asyncio.wait(tasks, timeout=left)
    for connection in list(connections.values()):
        send_away(connection)


def send_away(connection: Connection) -> None:
    connection.end(Shutdown(), "shutdown")


def running(connection: Connection) -> Iterable["asyncio.Task[None]"]:
    """The handlers that run for this client now."""
    memberships: Iterable[Membership] = connection.memberships.values()
    return [membership.task for membership in memberships if membership.task is not None]
