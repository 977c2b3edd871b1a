"""One client of a server: a real handshake, and then everything that comes is checked. Slow and careful.

Blocks, up to a deadline.
"""

import base64
import os
import socket
import ssl
import zlib

from bench.wires import BINARY, PING, TEXT, Wire, unframe

DEADLINE = 20.0
"""Seconds for any one answer: the slowest peer needs 3 s to greet a batch."""

TLS_RECORD = 22
"""Bytes that a record of TLS 1.3 has beside its data: a header of 5, the type of the content, and a tag of 16
(RFC 8446, section 5.2)."""

_TLS = ssl.create_default_context()
_TLS.minimum_version = ssl.TLSVersion.TLSv1_3
_TLS.check_hostname, _TLS.verify_mode = False, ssl.CERT_NONE


class Mismatch(Exception):
    """A server said something else than it should."""


class Client:
    """One connection, and what every kind of it does alike. What is heard is kept by ``_read`` until it is whole."""

    __slots__ = ("_read", "_whole", "greeting", "line", "port", "wire")

    again: bytes | None = None
    """What has to be said after each message, for the next to come."""

    def __init__(self, port: int, wire: Wire) -> None:
        self.wire = wire
        self.port = port
        self.greeting = ""
        """The last thing it was told before it was in."""
        self._read = b""
        self._whole: socket.socket | None = None
        self.line = connect(port)
        if wire.tls:
            self.line = _TLS.wrap_socket(self.line)

    @property
    def counted(self) -> socket.socket:
        """Where bytes are counted: with TLS, as they come, before they are decrypted."""
        if not self.wire.tls:
            return self.line
        if self._whole is None:
            self._whole = socket.socket(fileno=os.dup(self.line.fileno()))
        return self._whole

    def accept(self) -> None:
        """Take the server's side of the handshake."""

    def say(self, text: str) -> None:
        self.line.sendall(self.wire.encode(text))

    def hear(self, size: int) -> tuple[str, int]:
        """The next message, and how many bytes it took. ``size`` is that of a message on a wire without frames."""
        while len(self._read) < size:
            self._receive()
        return self._take(size).decode(), size

    @property
    def at_rest(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return not self._read

    def close(self) -> None:
        self.line.close()
        if self._whole is not None:
            self._whole.close()

    def _take(self, size: int) -> bytes:
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def _take_head(self) -> bytes:
        """An HTTP response's head."""
        while b"\r\n\r\n" not in self._read:
            self._receive()
        return self._take(self._read.index(b"\r\n\r\n") + 4)

    def _receive(self) -> None:
        data = self.line.recv(1 << 16)
        if not data:
            raise Mismatch("the server hung up")
        self._read += data


class WebSocketClient(Client):
    """RFC 6455."""

    __slots__ = ("_inflate",)

    def __init__(self, port: int, wire: Wire) -> None:
        super().__init__(port, wire)
        self._inflate = zlib.decompressobj(-15).decompress if wire.deflate else bytes
        self.line.sendall(_request(wire, port))

    def accept(self) -> None:
        head = self._take_head()
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise Mismatch(f"it was not let in: {head[:200]!r}")

    def hear(self, size: int) -> tuple[str, int]:
        while True:
            found = unframe(self._read)
            if found is None:
                self._receive()
                continue
            first, start, stop = found
            payload, opcode = self._take(stop)[start:], first & 0x0F
            if first & 0x40:  # RSV1: "the Per-Message Compressed bit", RFC 7692, section 6
                payload = self._inflate(payload + b"\0\0\xff\xff")
            if opcode in (TEXT, BINARY):
                return payload.decode("latin-1" if opcode == BINARY else "utf-8"), stop
            if opcode != PING:
                raise Mismatch(f"a frame with opcode {opcode}: {payload[:100]!r}")


def connect(port: int) -> socket.socket:
    """A connection that sends at once."""
    line = socket.create_connection(("127.0.0.1", port), DEADLINE)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def _request(wire: Wire, port: int) -> bytes:
    lines = [
        f"GET {wire.path.replace('{client}', os.urandom(8).hex())} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
    ]
    if wire.deflate:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    if wire.subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {wire.subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode()
