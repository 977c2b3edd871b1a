"""Many clients of one server: real handshakes, then sockets that are counted and no longer parsed.

A ``Client`` is slow and careful: it checks everything. Once a crowd is connected and one message of the kind that
will be counted has been looked at on every client, ``load`` takes over and looks at sizes only.
"""

import base64
import os
import socket
import ssl
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.wires import BINARY, PING, TEXT, Wire, unchunk, unframe

DEADLINE = 20.0
"""Seconds for any one answer: the slowest peer needs 3 s to greet a batch."""

BATCH = 64
"""Clients that connect at once: less than any server's listen queue (Node's is 511)."""


TLS_RECORD = 22
"""Bytes that a record of TLS 1.3 has beside its data: a header of 5, the type of the content, and a tag of 16
(RFC 8446, section 5.2)."""

_TLS = ssl.create_default_context()
_TLS.minimum_version = ssl.TLSVersion.TLSv1_3
_TLS.check_hostname, _TLS.verify_mode = False, ssl.CERT_NONE


class Mismatch(Exception):
    """A server said something else than it should."""


class Client:
    """One connection of a wire. Blocks, up to a deadline."""

    __slots__ = ("_inflate", "_read", "counted", "line", "wire")

    def __init__(self, port: int, wire: Wire) -> None:
        self.wire = wire
        self._read = b""
        self._inflate = zlib.decompressobj(-15).decompress if wire.deflate else bytes
        self.line = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.counted = self.line
        """Where bytes are counted: with TLS, as they come, before they are decrypted."""
        if wire.tls:
            self.line = _TLS.wrap_socket(self.line)
            self.counted = socket.socket(fileno=os.dup(self.line.fileno()))
        if wire.path is not None:
            self.line.sendall(_request(wire, port))

    def accept(self) -> None:
        """Take the server's side of the handshake."""
        if self.wire.path is None:
            return
        while b"\r\n\r\n" not in self._read:
            self._receive()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        if (b" 200 " if self.wire.stream else b" 101 ") not in head.partition(b"\r\n")[0]:
            raise Mismatch(f"it was not let in: {head[:200]!r}")

    def say(self, text: str) -> None:
        self.line.sendall(self.wire.encode(text))

    def hear(self, size: int) -> tuple[str, int]:
        """The next message, and how many bytes it took. ``size`` is that of a message on a wire without frames."""
        if self.wire.path is None:
            while len(self._read) < size:
                self._receive()
            message, self._read = self._read[:size], self._read[size:]
            return message.decode(), size
        if self.wire.stream:
            return self._hear_chunk()
        while True:
            found = unframe(self._read)
            if found is None:
                self._receive()
                continue
            first, start, stop = found
            payload, self._read = self._read[start:stop], self._read[stop:]
            opcode = first & 0x0F
            if first & 0x40:  # RSV1: "the Per-Message Compressed bit", RFC 7692, section 6
                payload = self._inflate(payload + b"\0\0\xff\xff")
            if opcode in (TEXT, BINARY):
                return payload.decode("latin-1" if opcode == BINARY else "utf-8"), stop
            if opcode != PING:
                raise Mismatch(f"a frame with opcode {opcode}: {payload[:100]!r}")

    def _hear_chunk(self) -> tuple[str, int]:
        while (found := unchunk(self._read)) is None:
            self._receive()
        start, stop, whole = found
        payload, self._read = self._read[start:stop], self._read[whole:]
        return payload.decode(), whole

    @property
    def at_rest(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return not self._read

    def _receive(self) -> None:
        data = self.line.recv(1 << 16)
        if not data:
            raise Mismatch("the server hung up")
        self._read += data


def _request(wire: Wire, port: int) -> bytes:
    assert wire.path is not None
    path = wire.path.replace("{client}", os.urandom(8).hex())
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    if wire.stream:
        lines.append("Accept: text/event-stream")
    else:
        key = base64.b64encode(os.urandom(16)).decode()
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    if wire.deflate:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    if wire.subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {wire.subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode()


@contextmanager
def crowd(port: int, wire: Wire) -> Iterator["Crowd"]:
    """Nobody yet; whoever joins leaves at the end."""
    clients = Crowd(port, wire)
    try:
        yield clients
    finally:
        for client in clients:
            client.line.close()
            client.counted.close()


class Crowd(list[Client]):
    """The clients of one server, in the order in which they came."""

    def __init__(self, port: int, wire: Wire) -> None:
        super().__init__()
        self.port = port
        self.wire = wire

    def grow(self, size: int) -> None:
        """Connect clients until there are this many."""
        while len(self) < size:
            greeted = len(self)
            for _ in range(min(BATCH, size - greeted)):
                self.append(Client(self.port, self.wire))
            greet(self[greeted:], self.wire)

    def probe(self, payload: str) -> int:
        """Have one payload told to all, see that it reaches each, and give the size of its frame in bytes."""
        self[0].say(self.wire.publish(payload))
        return self.hear(payload)

    def hear(self, payload: str) -> int:
        """See that this payload reaches each, and give the size of its frame in bytes."""
        return _one_size(self, payload)

    def probe_echo(self, payload: str, number: int) -> int:
        """Have it sent back to each, and give the size of the answer's frame in bytes."""
        for client in self:
            client.say(self.wire.echo(payload, number))
        return _one_size(self, payload)

    def probe_chat(self, payload: str, number: int) -> tuple[int, int]:
        """Have one payload told to all and acknowledged to who said it, and give the sizes of both frames in bytes."""
        assert self.wire.chat is not None
        self[0].say(self.wire.chat(payload, number))
        (said, size), (acknowledged, reply) = sorted((self[0].hear(1), self[0].hear(1)), key=lambda heard: -heard[1])
        if payload not in said or payload in acknowledged or _one_size(self[1:], payload) != size:
            raise Mismatch(f"{said[:100]!r} and {acknowledged[:100]!r} were heard where both were expected")
        return size, reply


def greet(clients: Sequence[Client], wire: Wire) -> None:
    """Take their handshakes, and go through what the wire wants said and heard before anything else."""
    for client in clients:
        client.accept()
    for text, answer in wire.greeting:
        if text is not None:
            for client in clients:
                client.say(text)
        for client in clients:
            heard, _ = client.hear(len(answer))
            if not heard.startswith(answer):
                raise Mismatch(f"{heard[:100]!r} was heard where {answer!r} was expected")


def _one_size(clients: Sequence[Client], payload: str) -> int:
    sizes = set()
    for client in clients:
        message, size = client.hear(len(payload))
        if payload not in message or not client.at_rest:
            raise Mismatch(f"{message[:200]!r} was heard where the payload was expected")
        sizes.add(size)
    if len(sizes) != 1:
        raise Mismatch(f"frames of {len(sizes)} sizes carry the same payload")
    return sizes.pop()
