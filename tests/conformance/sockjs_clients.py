"""Clients of SockJS that see every byte."""

import asyncio
import uuid
from contextlib import asynccontextmanager

import aiohttp

DEADLINE = 20
FORM = {"content-type": "application/x-www-form-urlencoded"}
NOT_CACHED = "no-store, no-cache, no-transform, must-revalidate, max-age=0"


def new_session(service):
    return f"{service}/000/{uuid.uuid4()}"


class Http:
    """Requests, whole: status, headers, text."""

    def __init__(self, client):
        self.client = client

    async def ask(self, method, url, **options):
        async with self.client.request(method, url, **options) as response:
            return Answer(response.status, response.headers, await response.text())

    async def get(self, url, **options):
        return await self.ask("GET", url, **options)

    async def post(self, url, body="", **options):
        return await self.ask("POST", url, data=body, **options)

    async def poll(self, session):
        return (await self.post(f"{session}/xhr")).text

    async def send(self, session, body):
        return (await self.post(f"{session}/xhr_send", body)).status

    @asynccontextmanager
    async def stream(self, method, url, **options):
        async with self.client.request(method, url, **options) as response:
            yield Stream(response)

    @asynccontextmanager
    async def socket(self, url):
        async with self.client.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=DEADLINE)) as socket:
            yield Socket(socket)


class Answer:
    def __init__(self, status, headers, text):
        self.status = status
        self.headers = headers
        self.text = text

    @property
    def type(self):
        return self.headers.get("content-type", "").replace(" ", "")


class Stream:
    """A response that goes on, chunk by chunk; ``""`` is its end."""

    def __init__(self, response):
        self.response = response
        self.status = response.status
        self.headers = response.headers

    type = Answer.type

    async def chunk(self):
        whole = b""
        while True:
            data, ended = await asyncio.wait_for(self.response.content.readchunk(), DEADLINE)
            whole += data
            if ended or not data:
                return whole.decode()


class Socket:
    def __init__(self, socket):
        self.socket = socket
        self.send = socket.send_str
        self.close = socket.close

    async def read(self):
        return await self.socket.receive_str(timeout=DEADLINE)

    async def closed(self):
        """The close code and reason, when the other side closes."""
        message = await self.socket.receive(timeout=DEADLINE)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), message
        return self.socket.close_code, message.extra


class Wire:
    """HTTP by hand."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, url):
        host, _, port = url.partition("://")[2].partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def ask(self, method, path, version="1.1", **headers):
        fields = {"Host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode())
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), DEADLINE)).decode("latin-1")
        first, *rest = head.strip().split("\r\n")
        return int(first.split(" ")[1]), {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
        }

    async def read(self, size):
        return (await asyncio.wait_for(self.reader.readexactly(size), DEADLINE)).decode()

    async def chunk(self):
        size = int(await asyncio.wait_for(self.reader.readline(), DEADLINE), 16)
        return (await self.read(size + 2))[:-2]

    async def closed(self):
        return await asyncio.wait_for(self.reader.read(1), DEADLINE) == b""
