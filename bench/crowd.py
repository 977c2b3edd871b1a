"""Many clients of one server: real handshakes, then sockets that are counted and no longer parsed.

Once a crowd is connected and one message of the kind that will be counted has been looked at on every client, ``load``
takes over and looks at sizes only.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench.client import Client, Mismatch, WebSocketClient
from bench.http import Listener, Poller, Poster
from bench.wires import Way, Wire

BATCH = 64
"""Clients that connect at once: less than any server's listen queue (Node's is 511)."""

_CLIENTS: Mapping[Way, type[Client]] = {
    "stream of bytes": Client,
    "WebSocket": WebSocketClient,
    "event stream": Listener,
    "polling": Poller,
    "posting": Poster,
}


def client(port: int, wire: Wire) -> Client:
    """Somebody who comes to this server and speaks this; not greeted yet."""
    return _CLIENTS[wire.way](port, wire)


@contextmanager
def crowd(port: int, wire: Wire) -> Iterator["Crowd"]:
    """Nobody yet; whoever joins leaves at the end."""
    clients = Crowd(port, wire)
    try:
        yield clients
    finally:
        for member in clients:
            member.close()


class Crowd(list[Client]):
    """The clients of one server, in the order in which they came."""

    def __init__(self, port: int, wire: Wire) -> None:
        super().__init__()
        self.port = port
        self.wire = wire

    def grow(self, size: int) -> None:
        """Connect clients until there are this many."""
        self.admit([self.wire] * (size - len(self)))

    def admit(self, wires: Sequence[Wire], at_once: int = BATCH) -> None:
        """Connect a client for each of these wires, whose greetings have the same number of steps."""
        for start in range(0, len(wires), at_once):
            greeted = len(self)
            for wire in wires[start : start + at_once]:
                self.append(client(self.port, wire))
            greet(self[greeted:])

    def probe(self, payload: str, speakers: Sequence[Client] = ()) -> int:
        """Have one payload told to all, see that it reaches each, and give the size of its frame in bytes."""
        for speaker in speakers or self[:1]:
            speaker.say(speaker.wire.publish(payload))
        return _one_size(self, payload)

    def probe_mixed(self, payload: str) -> list[int]:
        """The same where clients differ: the sizes of its frame, client by client. What the first hears is its own."""
        self[0].say(self.wire.publish(payload))
        _, own = self[0].hear(len(payload))
        wires = dict.fromkeys(member.wire for member in self[1:])
        sizes = {wire: _one_size([member for member in self[1:] if member.wire is wire], payload) for wire in wires}
        return [own, *(sizes[member.wire] for member in self[1:])]

    def probe_echo(self, payload: str, number: int) -> int:
        """Have it sent back to each, and give the size of the answer's frame in bytes."""
        for member in self:
            member.say(self.wire.echo(payload, number))
        return _one_size(self, payload)

    def probe_chat(self, payload: str, number: int) -> tuple[int, int]:
        """Have one payload told to all and acknowledged to who said it, and give the sizes of both frames in bytes."""
        assert self.wire.chat is not None
        self[0].say(self.wire.chat(payload, number))
        (said, size), (acknowledged, reply) = sorted((self[0].hear(1), self[0].hear(1)), key=lambda heard: -heard[1])
        if payload not in said or payload in acknowledged or _one_size(self[1:], payload) != size:
            raise Mismatch(f"{said[:100]!r} and {acknowledged[:100]!r} were heard where both were expected")
        return size, reply


def greet(clients: Sequence[Client]) -> None:
    """Take their handshakes, and go through what their wires want said and heard before anything else."""
    for member in clients:
        member.accept()
    for step in range(len(clients[0].wire.greeting)):
        for member in clients:
            text, _ = member.wire.greeting[step]
            if text is not None:
                member.say(text)
        for member in clients:
            _, answer = member.wire.greeting[step]
            member.greeting, _ = member.hear(len(answer))
            if not member.greeting.startswith(answer):
                raise Mismatch(f"{member.greeting[:100]!r} was heard where {answer!r} was expected")


def _one_size(clients: Sequence[Client], payload: str) -> int:
    sizes = set()
    for member in clients:
        message, size = member.hear(len(payload))
        if payload not in message or not member.at_rest:
            raise Mismatch(f"{message[:200]!r} was heard where the payload was expected")
        sizes.add(size)
    if len(sizes) != 1:
        raise Mismatch(f"frames of {len(sizes)} sizes carry the same payload")
    return sizes.pop()
