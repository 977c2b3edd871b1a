"""The clients that have a conversation over HTTP: they hear by long polls and speak by POST, as those of Socket.IO,
Phoenix and SockJS do where no WebSocket gets through; and that of Socket.IO which begins so, and moves to a WebSocket.
"""

import asyncio
import time

from .clients import decode
from .http_clients import KINDS
from .socket_clients import Phoenix, SocketIO, SockJS
from .wires import DEADLINE, TEXT, Http, Socket, open_line

HELD = 12.0
"""Seconds that a poll is held at most: until the next heartbeat, or ten by Phoenix."""


class Polls:
    """What stands in for a WebSocket: two lines for HTTP, one to hear and one to speak."""

    def __init__(self, ears, mouth):
        self.ears = ears
        self.mouth = mouth
        self.gone = asyncio.get_running_loop().create_future()
        self.queue = []
        self.something = asyncio.Event()
        self.posting = asyncio.Lock()
        self.resting = False
        """No further poll is to begin."""
        self.rested = asyncio.Event()

    def send(self, payload, opcode=TEXT):
        self.queue.append(payload)
        self.something.set()

    def pause(self, on):
        self.ears.pause(on)

    def abort(self):
        if not self.gone.done():
            self.gone.set_result(None)
        self.ears.abort()
        self.mouth.abort()


class OnPolls:
    """One whose line is polls. What goes wrong with one of them ends the session, as with the clients of browsers."""

    async def visit(self, port):
        line = self.line = Polls(await open_line(Http, port), await open_line(Http, port))
        line.pause(self.paused)
        self.started = time.monotonic()
        await self.begin_session(line)
        asyncio.get_running_loop().call_later(2 * DEADLINE, self.insist, line)
        tasks = [asyncio.ensure_future(each) for each in self.work(line)]
        try:
            await asyncio.wait((*tasks, line.gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            line.abort()
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def work(self, line):
        """What goes on at the same time; when one of it ends, so does the visit. It raises OSError, TimeoutError."""
        return self.listen(line), self.speak(line)

    async def listen(self, line):
        while not line.resting:
            await self.poll(line)
        line.rested.set()
        await asyncio.wait((line.gone,))

    async def speak(self, line):
        while True:
            await line.something.wait()
            async with line.posting:
                line.something.clear()
                said, line.queue = line.queue, []
                try:
                    if said and self.line is line:
                        await self.post(line, said)
                except BaseException:
                    line.abort()  # before anybody else may speak: what is said after it must not overtake what was lost
                    raise

    async def asked(self, line, method, path, body=b"", headers=(), deadline=HELD):
        """The body of a response that is one of success. Raises OSError, TimeoutError."""
        status, body = await line.ask(method, path, headers, body, deadline=deadline)
        if status not in (200, 204):
            raise ConnectionError(f"status {status}")
        return body


class SocketIOPolls(OnPolls, SocketIO):
    kind = "Socket.IO, polling"
    start = "/socket.io/?EIO=4&transport=polling"

    async def begin_session(self, line):
        body = await self.asked(line.ears, "GET", self.start, deadline=DEADLINE)
        self.sid = decode(body[1:])["sid"]
        self.hear(body)

    async def poll(self, line):
        for packet in (await self.asked(line.ears, "GET", f"{self.start}&sid={self.sid}")).split(b"\x1e"):
            if packet[:1] == b"1":
                line.abort()
            else:
                self.hear(packet)

    async def post(self, line, said):
        headers = ("content-type: text/plain;charset=UTF-8",)
        await self.asked(line.mouth, "POST", f"{self.start}&sid={self.sid}", b"\x1e".join(said), headers)


class SocketIOUpgraded(SocketIOPolls):
    """It polls first, and moves to a WebSocket when that has proved to work, as socket.io-client does."""

    kind = "Socket.IO, upgraded"

    async def visit(self, port):
        self.probed = asyncio.get_running_loop().create_future()
        await super().visit(port)
        if isinstance(self.line, Socket):
            await self.line.last()

    def work(self, line):
        return (*super().work(line), self.upgrade(line))

    async def upgrade(self, line):
        path = f"{self.start}&sid={self.sid}".replace("polling", "websocket")
        socket = await open_line(lambda: Socket(path, self.hear_on_socket), self.doors[self.door])
        try:
            await asyncio.wait((socket.opened, socket.gone), timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
            socket.send(b"2probe")
            await asyncio.wait((self.probed, socket.gone), timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
            if not self.probed.done():  # then it goes on polling
                await asyncio.wait((line.gone,))
                return
            line.resting = True
            await line.rested.wait()
            async with line.posting:
                if line.gone.done():
                    return
                socket.send(b"5")
                for payload in line.queue:
                    socket.send(payload)
                self.line = socket
        finally:
            if self.line is not socket:
                socket.abort()

    def hear_on_socket(self, data):
        if data != b"3probe":
            self.hear(data)
        elif not self.probed.done():
            self.probed.set_result(None)


class PhoenixPolls(OnPolls, Phoenix):
    kind = "Phoenix, long polling"
    start = "/socket/longpoll?vsn=2.0.0"

    async def begin_session(self, line):
        self.token = decode(await self.asked(line.ears, "GET", self.start, deadline=DEADLINE))["token"]
        self.opened()

    async def poll(self, line):
        page = decode(await self.asked(line.ears, "GET", f"{self.start}&token={self.token}"))
        if page["status"] not in (200, 204):
            raise ConnectionError(f"status {page['status']}")
        self.token = page["token"]
        for message in page["messages"]:
            self.hear(message)

    async def post(self, line, said):
        headers = ("content-type: application/x-ndjson",)
        while said:
            batch, said = said[:100], said[100:]
            path = f"{self.start}&token={self.token}"
            answer = decode(await self.asked(line.mouth, "POST", path, b"\n".join(batch), headers))
            if answer["status"] != 200:
                raise ConnectionError(f"status {answer['status']}")


class SockJSPolls(OnPolls, SockJS):
    kind = "SockJS, xhr-polling"

    async def begin_session(self, line):
        self.base = self.where().removesuffix("/websocket")

    async def poll(self, line):
        body = (await self.asked(line.ears, "POST", f"{self.base}/xhr")).strip()
        if body[:1] == b"c":
            line.abort()
        else:
            self.hear(body)

    async def post(self, line, said):
        body = b"[" + b",".join(each[1:-1] for each in said) + b"]"
        await self.asked(line.mouth, "POST", f"{self.base}/xhr_send", body, ("content-type: text/plain",))


ALL_KINDS = (*KINDS, SocketIOPolls, SocketIOUpgraded, PhoenixPolls, SockJSPolls)
