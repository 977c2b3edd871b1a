"""A WebSocket client that looks at the frames themselves, and sends what it likes."""

import asyncio
from base64 import b64encode
from contextlib import asynccontextmanager

from tests.servers.frames import client_frame

TEXT, BINARY, CLOSE = 1, 2, 8
COMPRESSED = 4
"""RSV1."""


def request(url, path, **headers):
    """An opening handshake. Headers that are None are left out."""
    fields = {
        "host": url.removeprefix("http://"),
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": b64encode(bytes(16)).decode(),
        "sec-websocket-version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value is not None]
    return f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


class Client:
    """One connection. ``response`` is the head of the server's answer, in lower case."""

    def __init__(self, reader, writer, response):
        self.reader = reader
        self.writer = writer
        self.response = response

    async def read(self):
        """The next frame whole: its reserved bits, its opcode, its payload."""
        first, length = await self._exactly(2)
        if length == 126:
            length = int.from_bytes(await self._exactly(2))
        elif length == 127:
            length = int.from_bytes(await self._exactly(8))
        return first >> 4 & 7, first & 15, await self._exactly(length)

    async def _exactly(self, size):
        return await asyncio.wait_for(self.reader.readexactly(size), 20)

    def send(self, payload, opcode=TEXT, reserved=0):
        self.writer.write(client_frame(opcode, payload, reserved=reserved))

    async def closed(self):
        """The code of the Close frame, after whatever else there is."""
        while True:
            _, opcode, payload = await self.read()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2])


@asynccontextmanager
async def connect(url, path, offer=None, **headers):
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request(url, path, sec_websocket_extensions=offer, **headers))
    try:
        response = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        yield Client(reader, writer, response.decode().lower())
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass  # it was reset
