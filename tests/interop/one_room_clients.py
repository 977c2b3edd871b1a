"""The clients of the one room that are no JavaScript, each in a few lines: python-socketio, a bare WebSocket, a poll,
and curl."""

import asyncio
import json
from base64 import b64encode
from contextlib import suppress
from urllib.parse import quote

import aiohttp
import msgspec
import socketio
from websockets.asyncio.client import connect

WHAT = '\u00e9\u2028\U0001f642"\\<'


def message(number, bytes_as=bytes):
    return {"number": number, "text": f"{number} {WHAT}", "data": bytes_as(bytes([0, number, 255, 128]))}


def as_text(data):
    return b64encode(data).decode()


class Client:
    """``start`` brings it in, ``say`` returns when it was answered, ``heard`` is its transcript."""

    name: str

    def __init__(self, url, topic):
        self.url = url
        self.topic = topic
        self.heard = []
        self.news = asyncio.Event()

    def hear(self, said):
        data = said["data"]
        self.heard.append([said["who"], said["number"], said["text"], data if isinstance(data, str) else as_text(data)])
        self.news.set()

    async def has_heard(self, count):
        while len(self.heard) < count:
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 15)


class PythonSocketIO(Client):
    name = "python-socketio"

    async def start(self):
        self.socket = socketio.AsyncClient(reconnection=False)
        self.socket.on("said", lambda said, position: self.hear(said), namespace=f"/{self.topic}")
        await self.socket.connect(self.url, namespaces=[f"/{self.topic}"], auth={"name": self.name})

    async def say(self, number):
        assert await self.socket.call("say", message(number), namespace=f"/{self.topic}", timeout=20) == number

    async def stop(self):
        await self.socket.disconnect()


class Listening(Client):
    """One that reads in a task of its own."""

    async def begin(self, listening):
        self.ready = asyncio.get_running_loop().create_future()
        self.task = asyncio.ensure_future(listening)
        await asyncio.wait((self.ready, self.task), return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            self.task.result()
        assert self.ready.done(), f"{self.name} did not come in"

    async def stop(self):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


class Native(Listening):
    name = "WebSocket, MessagePack"
    codec = msgspec.msgpack
    subprotocols = ("hubbub.msgpack",)
    bytes_as = bytes

    async def start(self):
        self.replies = {}
        await self.begin(self.listen())

    async def listen(self):
        address = self.url.replace("http", "ws") + "/hubbub/websocket"
        async with connect(address, subprotocols=self.subprotocols) as self.socket:
            await self.tell(join=self.topic, params={"name": self.name}, ref="join")
            async for frame in self.socket:
                told = self.codec.decode(frame)
                if told.get("event") == "said":
                    self.hear(told["payload"])
                elif told.get("reply") == "join":
                    self.ready.set_result(None)
                elif "reply" in told:
                    self.replies[told["reply"]].set_result(told)

    async def tell(self, **told):
        frame = self.codec.encode(told)
        await self.socket.send(frame if self.subprotocols else frame.decode())

    async def say(self, number):
        reply = self.replies[number] = asyncio.get_running_loop().create_future()
        await self.tell(send=self.topic, event="say", payload=message(number, self.bytes_as), ref=number)
        assert (await asyncio.wait_for(reply, 20))["ok"]


class Slow(Native):
    """One that says nothing, and reads nothing before everything has been said."""

    name = "a slow reader"
    codec = msgspec.json
    subprotocols = None

    async def listen(self):
        address = self.url.replace("http", "ws") + "/hubbub/websocket"
        async with connect(address, max_queue=1) as self.socket:
            await self.tell(join=self.topic, params={"name": self.name}, ref="join")
            self.go = asyncio.Event()
            self.ready.set_result(None)
            await self.go.wait()
            async for frame in self.socket:
                told = self.codec.decode(frame)
                if told.get("event") == "said":
                    self.hear(told["payload"])

    async def say(self, number):
        """Nothing."""


class Http(Listening):
    """What is common to those who send by POST."""

    async def post(self, number, **headers):
        async with self.http.post(
            f"{self.url}/topics/{self.topic}/say",
            params={"name": self.name}, json=message(number, as_text), headers=headers,
        ) as response:  # fmt: skip
            assert response.status == 200, await response.text()
            assert await response.json() == number


class Polling(Http):
    name = "HTTP polling"

    async def start(self):
        await self.begin(self.listen())

    async def listen(self):
        query = {"name": self.name, "wait": "0"}
        async with aiohttp.ClientSession() as self.http:
            while True:
                async with self.http.get(f"{self.url}/topics/{self.topic}", params=query) as response:
                    page = await response.json()
                for told in page["events"]:
                    self.hear(told["payload"])
                query |= {"after": page["position"], "wait": "20"}
                if not self.ready.done():
                    self.ready.set_result(None)

    async def say(self, number):
        await self.post(number)


class Curl(Listening):
    name = "curl"

    async def start(self):
        self.address = f"{self.url}/topics/{self.topic}"
        await self.begin(self.listen())

    async def listen(self):
        process = await asyncio.create_subprocess_exec(
            "curl", "-sN", "-H", "Accept: text/event-stream", f"{self.address}?name={quote(self.name)}",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        event = ""
        try:
            async for line in process.stdout:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    event = value
                    if event == "hubbub.open":
                        self.ready.set_result(None)
                elif field == "data" and event == "said":
                    self.hear(json.loads(value))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def say(self, number):
        asked = message(number, as_text)
        form = [part for name, value in asked.items() for part in ("--data-urlencode", f"{name}={value}")]
        process = await asyncio.create_subprocess_exec(
            "curl", "-sf", *form, f"{self.address}/say?name={quote(self.name)}", stdout=asyncio.subprocess.PIPE
        )
        told, _ = await process.communicate()
        assert (process.returncode, told) == (0, str(number).encode())


CLIENTS = (PythonSocketIO, Native, Slow, Polling, Curl)
