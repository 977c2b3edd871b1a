"""The event loop's price: the C program again (kernel.c), in Python for uvloop.

A bare TCP stream of messages of one size, without handshake or frames, after one "hello" from here:

    bare_loop.py PORT fanout|echo SIZE
"""

import asyncio
import sys
from typing import cast

import uvloop

PORT, WORK, SIZE = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])

everyone: dict[asyncio.Transport, None] = {}


class Line(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        everyone[self.transport] = None
        self.transport.write(b"hello")

    def connection_lost(self, error: Exception | None) -> None:
        del everyone[self.transport]

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), SIZE):
            message = data[start : start + SIZE]
            for transport in (self.transport,) if WORK == "echo" else everyone:
                transport.write(message)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Line, "127.0.0.1", PORT, backlog=4096)
    await server.serve_forever()


uvloop.run(main())
