"""The clients that have no WebSocket: they hear by an event stream or by polling, and speak by POST."""

import asyncio
import time

from .clients import AGAIN, Client, Native, Packed, Phoenix, SocketIO, SockJS, decode, encode
from .wires import Http, open_line

SILENCE = 4.0
"""Seconds without a word after which a stream is taken for dead: somebody always speaks in a run."""
WAIT = 2
"""Seconds that a poll waits for something to happen."""


class OnHttp(Client):
    """One that speaks by POST: one thing at a time, in order."""

    def __init__(self, *given):
        super().__init__(*given)
        self.mouth = None
        self.something = asyncio.Event()

    def begin(self):
        super().begin()
        self.speaking = asyncio.get_running_loop().create_task(self.speak())

    async def stop(self):
        self.speaking.cancel()
        await super().stop()
        if self.mouth is not None:
            self.mouth.abort()

    def send(self, n, payload):
        self.something.set()

    async def speak(self):
        while True:
            if not self.unanswered:
                self.something.clear()
                await self.something.wait()
            n = next(iter(self.unanswered))
            try:
                if self.mouth is None or self.mouth.gone.done():
                    self.mouth = await open_line(Http, self.doors[self.door])
                await self.post(n)
            except (OSError, TimeoutError):
                await asyncio.sleep(AGAIN)

    async def post(self, n):
        headers = ("content-type: application/json", f"idempotency-key: {self.name}.{n}")
        status, body = await self.mouth.ask(
            "POST", f"/topics/{self.topic}/say", headers, encode(self.unanswered[n]), deadline=15
        )
        if status == 200:
            self.acknowledged(n, decode(body)["at"])
        else:
            self.codes[decode(body)["code"]] += 1
            await asyncio.sleep(AGAIN)


class Stream(OnHttp):
    """Server-sent events; its way back is Last-Event-ID."""

    kind = "SSE"
    silence = SILENCE

    async def visit(self, port):
        self.rest = b""
        line = self.line = await open_line(lambda: Http(self.hear), port)
        line.pause(self.paused)
        self.started = time.monotonic()
        headers = ["accept: text/event-stream"]
        if self.position:
            headers.append(f"last-event-id: {self.position}")
        status, _ = await line.ask("GET", f"/topics/{self.topic}?key={self.name}", headers, deadline=10)
        while status == 200 and not line.gone.done():
            await asyncio.wait((line.gone,), timeout=1.0)
            if line.loop.time() - line.heard_at > self.silence:
                line.abort()

    def hear(self, piece):
        *blocks, self.rest = (self.rest + piece).split(b"\n\n")
        for block in blocks:
            told = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
            event = told.get("event")
            if event == "said":
                self.heard(decode(told["data"]), told["id"])
            elif event == "hubbub.open":
                joined = decode(told["data"])["topics"][self.topic]
                self.let_in(joined["position"], joined.get("recovered"))
            elif event == "hubbub.bye":
                self.gone(decode(told["data"])["code"])


class Poll(OnHttp):
    """One page after the other, each of which says where the next begins."""

    kind = "polling"
    tracked = False

    async def visit(self, port):
        line = self.line = await open_line(Http, port)
        line.pause(self.paused)
        while True:
            after = f"after={self.position}&wait={WAIT}" if self.position else ""
            self.started = time.monotonic()
            status, body = await line.ask(
                "GET", f"/topics/{self.topic}?{after}", ("accept: application/json",), deadline=10
            )
            if status != 200:
                return
            self.page(decode(body))

    def page(self, page):
        told = page["topics"][self.topic]
        if "error" in told:
            raise ConnectionError("it was sent away")
        if not (self.joined and page["complete"]):
            self.gone("a page that is not complete")
            self.let_in(told["position"], told.get("recovered"))
        for event in page["events"]:
            if event["event"] == "said":
                self.heard(event["payload"], event["position"])
        self.position = page["position"]


KINDS = (Native, Packed, SocketIO, Phoenix, SockJS, Stream, Poll)
