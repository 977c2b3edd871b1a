"""The clients that have no WebSocket: they hear by an event stream or by polling, and speak by POST."""

import asyncio
import time

from .clients import AGAIN, Client, Life, decode, encode
from .socket_clients import Native, Packed, Phoenix, SocketIO, SockJS
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


class OnStream(Life):
    """One that hears an event stream."""

    silence = SILENCE

    async def visit(self, port):
        self.rest = b""
        line = self.line = await open_line(lambda: Http(self.hear), port)
        line.pause(self.paused)
        self.started = time.monotonic()
        path, last = self.asks()
        headers = ["accept: text/event-stream"]
        if last:
            headers.append(f"last-event-id: {last}")
        status, _ = await line.ask("GET", path, headers, deadline=10)
        while status == 200 and not line.gone.done():
            await asyncio.wait((line.gone,), timeout=1.0)
            if line.loop.time() - line.heard_at > self.silence:
                line.abort()

    def hear(self, piece):
        *blocks, self.rest = (self.rest + piece).split(b"\n\n")
        for block in blocks:
            told = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
            if "data" in told:
                self.told(told.get("event"), decode(told["data"]), told.get("id"))

    def asks(self):
        """The path of the stream, and the id of the last event."""
        raise NotImplementedError

    def told(self, event, data, id):
        raise NotImplementedError


class Stream(OnStream, OnHttp):
    """Server-sent events; its way back is Last-Event-ID."""

    kind = "SSE"

    def asks(self):
        return f"/topics/{self.topic}?key={self.name}", self.position

    def told(self, event, data, id):
        if event == "said":
            self.heard(data, id)
        elif event == "hubbub.open":
            joined = data["topics"][self.topic]
            self.let_in(joined["position"], joined.get("recovered"))
        elif event == "hubbub.bye":
            self.gone(data["code"])


class OnPages(Life):
    """One that polls: one page after the other, each of which says where the next begins."""

    async def visit(self, port):
        line = self.line = await open_line(Http, port)
        line.pause(self.paused)
        while True:
            path, position = self.asks()
            if position:
                path = f"{path}after={position}&wait={WAIT}"
            self.started = time.monotonic()
            status, body = await line.ask("GET", path, ("accept: application/json",), deadline=10)
            if status != 200:
                return
            page = decode(body)
            if any("error" in told for told in page["topics"].values()):
                raise ConnectionError("it was sent away")
            self.page(page)

    def asks(self):
        """The path of the next page, and the position after which it begins."""
        raise NotImplementedError

    def page(self, page):
        raise NotImplementedError


class Poll(OnPages, OnHttp):
    kind = "polling"
    tracked = False

    def asks(self):
        return f"/topics/{self.topic}?", self.position

    def page(self, page):
        self.events(page["topics"][self.topic], page["events"])
        self.position = page["position"]

    def events(self, joined, events):
        """A page's events of this topic, and how its join went."""
        complete = joined.get("recovered") is not False
        if not (self.joined and complete):
            self.gone("a page that is not complete")
            self.let_in(joined["position"], joined.get("recovered"))
        for event in events:
            if event["event"] == "said":
                self.heard(event["payload"], event["position"])


KINDS = (Native, Packed, SocketIO, Phoenix, SockJS, Stream, Poll)
