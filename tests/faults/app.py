"""What the nodes of a run serve: topics with a log and presence, of which all can be had again."""

import asyncio
import logging

from hubbub import App, Channel, Keep, Limits, on
from hubbub.errors import BrokerError

REFUSED = "the log did not take it"
log = logging.getLogger(__name__)

app = App(limits=Limits(rate=0, heartbeat=4.0, patience=4.0, outbox=1 << 18))
"""Who is silent, or does not read, is found out soon: a run is short."""


@app.channel("log:{name}")
class Log(Channel):
    history = Keep(count=1_000_000)
    presence = True
    presence_grace = 10.0
    presence_list = 5_000

    async def join(self, name: str, key: str = ""):
        if key:
            await self.track(key)

    @on("say")
    async def say(self, by: str, n: int, sum: int, pad: str = ""):
        try:
            position = await self.publish("said", {"by": by, "n": n, "sum": sum, "pad": pad}, id=f"{by}.{n}")
        except (BrokerError, asyncio.CancelledError):  # cancelled is who is gone and waited too long for its log
            log.warning(REFUSED, extra={"by": by, "n": n})  # the reply that says so may be lost with its line
            raise
        return {"at": str(position)}

    @on("past")
    async def read(self, after: str | None, limit: int):
        page = await self.past(after=after, limit=limit)
        said = [[item.position, item.payload[0]["by"], item.payload[0]["n"]] for item in page.items]
        return {"head": page.position, "said": said, "complete": page.complete}

    @on("who")
    async def who(self):
        return {"keys": list((await self.present()).who)}


@app.channel("short:{name}")
class Short(Log):
    """Who is away for some seconds has missed what can no longer be had."""

    history = Keep(count=200)
