"""One ticker, and each way there is for a page to hear it: how late is it, and what does it cost?"""

import asyncio
import time
from pathlib import Path
from random import gauss
from typing import Annotated, ClassVar

from msgspec import Meta

from hubbub import App, Channel, Keep, on

Rate = Annotated[int, Meta(ge=1, le=50)]


async def head_size(scope, receive, send):
    """``GET /head`` says how many bytes the head of that very request took: a browser does not tell its page."""
    lines = [f"{scope['method']} {scope['path']} HTTP/1.1", *(f"{name}: {value}" for name, value in decoded(scope)), ""]
    size = sum(len(line) + len("\r\n") for line in lines)
    status, text = (200, str(size)) if scope["path"] == "/head" else (404, "There is nothing here.\n")
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})


def decoded(scope):
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]


app = App(pages=Path(__file__).parent, fallback=head_size)


@app.channel("ticker")
class Ticker(Channel):
    history = Keep(count=1_000, seconds=60)
    rate: ClassVar[Rate] = 10  # ticks a second, for everyone who listens
    here: ClassVar[int] = 0
    last: ClassVar[float] = 0.0  # when somebody was here last: between two polls nobody is

    async def join(self) -> None:
        Ticker.here += 1

    async def leave(self, reason: str) -> None:
        Ticker.here -= 1
        Ticker.last = now()

    @on("clock")
    async def clock(self) -> float:
        return now()

    @on("rate")
    async def change(self, rate: Rate) -> None:
        Ticker.rate = rate


@app.background
async def tick() -> None:
    price, due = 100.0, time.monotonic()
    while True:
        due = max(due + 1 / Ticker.rate, time.monotonic() - 1)
        await asyncio.sleep(due - time.monotonic())
        if Ticker.here or now() < Ticker.last + 10_000:
            price = max(1.0, price + gauss(0, 0.05))
            await app.publish("ticker", "tick", {"at": now(), "rate": Ticker.rate, "price": round(price, 2)})


def now() -> float:
    """Milliseconds on a clock of the server's that nobody sets."""
    return round(time.monotonic() * 1_000, 3)
