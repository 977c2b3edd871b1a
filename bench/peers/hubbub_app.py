"""Hubbub. The peers have no rate limit, and their clients are not asked for a sign of life while we count."""

import os

from hubbub import App, Channel, Keep, Limits, on
from hubbub.protocols import sse

sse.HEARTBEAT = 3_600.0  # no limit of a client's, so not among the limits

app = App(limits=Limits(rate=0, heartbeat=float(os.environ.get("HEARTBEAT", "600"))))


@app.channel("/")
@app.channel("room:{room}")
class Bench(Channel):
    """One topic, everyone in it; or a hundred."""

    @on("publish")
    async def fan(self, data: str) -> None:
        await self.publish("m", data)

    @on("echo")
    async def echo(self, data: str) -> str:
        return data


@app.channel("kept:{room}")
class Kept(Bench):
    """With a history, for those who come back."""

    history = Keep(count=1_000)
