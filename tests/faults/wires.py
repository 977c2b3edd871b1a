"""A client's end of a line, on bare asyncio: a WebSocket, and HTTP that may go on and on. Small, and enough for a
server that keeps its specifications."""

import asyncio
import socket
from base64 import b64encode

DEADLINE = 5.0
"""Seconds for a line to stand, and for a response to begin."""
SILENCE = 1.0
"""Seconds of silence after which a WebSocket's client asks for a sign of life; after three of them the line is dead."""

NARROW = 65_536
"""Bytes that the kernel keeps for a client that does not read."""

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_KEY = b64encode(bytes(16)).decode()
_MASK = bytes(4)
"""A mask of zeros is one, and leaves the payload as it is (RFC 6455, section 5.3)."""


class Line(asyncio.Protocol):
    """What both have in common. ``gone`` is done when it is over."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.gone = self.loop.create_future()
        self.heard_at = self.loop.time()
        self.transport = None
        self.rest = b""

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        self.over()

    def eof_received(self):
        return False

    def over(self):
        if not self.gone.done():
            self.gone.set_result(None)

    def write(self, data):
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def pause(self, on):
        """Read no more, as a client that is busy or asleep."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading() if on else self.transport.resume_reading()

    def abort(self):
        self.over()
        if self.transport is not None:
            self.transport.abort()


class Socket(Line):
    """A WebSocket. ``hear`` gets the payload of each message, ``opened`` is done when it is open."""

    def __init__(self, path, hear, subprotocol=""):
        super().__init__()
        self.path = path
        self.hear = hear
        self.subprotocol = subprotocol
        self.opened = self.loop.create_future()

    def connection_made(self, transport):
        super().connection_made(transport)
        offer = f"sec-websocket-protocol: {self.subprotocol}\r\n" if self.subprotocol else ""
        self.write(
            f"GET {self.path} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            f"sec-websocket-key: {_KEY}\r\nsec-websocket-version: 13\r\n{offer}\r\n".encode()
        )

    def data_received(self, data):
        self.heard_at = self.loop.time()
        data = self.rest + data if self.rest else data
        if not self.opened.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.abort()
                return
            self.opened.set_result(None)
        self.rest = data[self.read(data) :]

    def read(self, data):
        """Hear all that is whole, and say where that ends."""
        at, end = 0, len(data)
        while end - at >= 2:
            first, length, head = data[at], data[at + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4]), 4
            elif length == 127:
                length, head = int.from_bytes(data[at + 2 : at + 10]), 10
            after = at + head + length
            if after > end:
                break
            self.frame(first & 15, data[at + head : after])
            at = after
        return at

    def frame(self, opcode, payload):
        if self.gone.done():
            return
        if opcode in (TEXT, BINARY):
            self.hear(payload)
        elif opcode == PING:
            self.send(payload, PONG)
        elif opcode == CLOSE:
            self.abort()

    def send(self, payload, opcode=TEXT):
        length = len(payload)
        if length < 126:
            head = bytes((0x80 | opcode, 0x80 | length))
        else:
            head = bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2)
        self.write(head + _MASK + payload)

    async def last(self):
        """Until it is over: because it was ended, or because nothing lives at its other end."""
        while not self.gone.done():
            await asyncio.wait((self.gone,), timeout=SILENCE)
            silent = self.loop.time() - self.heard_at
            if silent > 3 * SILENCE:
                self.abort()
            elif silent > SILENCE:
                self.send(b"", PING)


class Http(Line):
    """A line for HTTP requests, one after the other. Of a body that goes on, ``hear`` gets what there is."""

    def __init__(self, hear=None):
        super().__init__()
        self.hear = hear
        self.answer = None
        self.status = None
        self.left = None
        """Bytes of the body that are still to come; None while the head is, -1 where it is chunked."""
        self.body = b""

    async def ask(self, method, path, headers=(), body=b"", deadline=DEADLINE):
        """The status and body of the response; of a body that goes on, when that has begun.

        Raises OSError, TimeoutError.
        """
        self.answer = self.loop.create_future()
        self.status, self.left, self.body = None, None, b""
        lines = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers, "", ""]
        self.write("\r\n".join(lines).encode() + body)
        await asyncio.wait((self.answer, self.gone), timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
        if self.answer.done():
            return self.answer.result()
        gone = self.gone.done()
        self.abort()
        raise ConnectionError("the line is gone") if gone else TimeoutError

    def data_received(self, data):
        self.heard_at = self.loop.time()
        self.rest += data
        if self.left is None:
            head, end, rest = self.rest.partition(b"\r\n\r\n")
            if not end:
                return
            self.rest = rest
            self.begin(head.decode().lower())
        if self.left == -1:
            self.chunks()
        elif len(self.rest) >= self.left:
            self.body, self.rest = self.rest[: self.left], self.rest[self.left :]
            self.done()

    def begin(self, head):
        first, *fields = head.split("\r\n")
        self.status = int(first.split()[1])
        headers = dict(field.split(": ", 1) for field in fields)
        self.left = -1 if "chunked" in headers.get("transfer-encoding", "") else int(headers.get("content-length", 0))

    def chunks(self):
        while (at := self.rest.find(b"\r\n")) >= 0:
            size = int(self.rest[:at], 16)
            if len(self.rest) < at + size + 4:
                return
            piece, self.rest = self.rest[at + 2 : at + 2 + size], self.rest[at + size + 4 :]
            if not size:
                self.done()
                if self.hear is not None:
                    self.over()
            elif self.hear is None or self.status != 200:
                self.body += piece
            else:
                self.done()
                self.hear(piece)

    def done(self):
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((self.status, self.body))


async def open_line(make, port):
    """A line to this port. Raises OSError, TimeoutError."""
    async with asyncio.timeout(DEADLINE):
        _, line = await asyncio.get_running_loop().create_connection(make, "127.0.0.1", port)
    if line.transport is not None:
        line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
    return line
