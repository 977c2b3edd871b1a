"""Clients that speak HTTP: one listens to an event stream, one polls, one posts."""

from bench.client import Client, Mismatch, connect
from bench.wires import Wire, request, unchunk


class _Requester(Client):
    """One request after another, on a connection that stays."""

    __slots__ = ()

    def _response(self) -> tuple[str, int]:
        """The body of the next response, and how many bytes the whole took."""
        head = self._take_head()
        if b" 20" not in head.partition(b"\r\n")[0]:
            raise Mismatch(f"it was refused: {head[:200]!r}")
        size = 0 if b" 204 " in head else _length(head)
        if size is not None:
            while len(self._read) < size:
                self._receive()
            return self._take(size).decode(), len(head) + size
        body, whole = b"", len(head)
        while True:
            chunk, taken = self._chunk()
            body, whole = body + chunk, whole + taken
            if not chunk:
                return body.decode(), whole

    def _chunk(self) -> tuple[bytes, int]:
        while (found := unchunk(self._read)) is None:
            self._receive()
        start, stop, whole = found
        return self._take(whole)[start:stop], whole


class Listener(_Requester):
    """Server-sent events: a response that goes on. Each chunk is taken for a message."""

    __slots__ = ()

    def __init__(self, port: int, wire: Wire) -> None:
        super().__init__(port, wire)
        self.line.sendall(request("GET", wire.path, "Accept: text/event-stream"))

    def accept(self) -> None:
        head = self._take_head()
        if b" 200 " not in head.partition(b"\r\n")[0] or _length(head) is not None:
            raise Mismatch(f"it was not let in: {head[:200]!r}")

    def hear(self, size: int) -> tuple[str, int]:
        chunk, whole = self._chunk()
        return chunk.decode(), whole


class Poller(_Requester):
    """Engine.IO by long polling. There is always one request that waits; what is said goes by a connection of its own,
    as a browser's does."""

    __slots__ = ("again",)

    def __init__(self, port: int, wire: Wire) -> None:
        super().__init__(port, wire)
        self.again: bytes | None = None
        self.line.sendall(request("GET", wire.path))

    def hear(self, size: int) -> tuple[str, int]:
        text, whole = self._response()
        if self.again is None:
            session = text.partition('"sid":"')[2].partition('"')[0]
            self.again = request("GET", f"{self.wire.path}&sid={session}")
        self.line.sendall(self.again)
        return text, whole

    def say(self, text: str) -> None:
        assert self.again is not None
        path = self.again.split(b" ", 2)[1].decode()
        with connect(self.port) as line:
            line.sendall(request("POST", path, "Connection: close", body=text))
            answer = b"".join(iter(lambda: line.recv(1 << 16), b""))
        if b" 200 " not in answer.partition(b"\r\n")[0]:
            raise Mismatch(f"it was not taken: {answer[:200]!r}")


class Poster(_Requester):
    """Says things by POST. What it hears are the responses."""

    __slots__ = ()

    def hear(self, size: int) -> tuple[str, int]:
        return self._response()


def _length(head: bytes) -> int | None:
    """What ``Content-Length`` says."""
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else None
