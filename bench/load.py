"""The load: sockets that are read and counted, and nothing else.

Rules:

1. Nothing is parsed. All frames of a run have one size for each client, so bytes divided by that size are messages, and
   the number of whole frames that a client has had says which one it is waiting for.
2. One thread, one epoll, one buffer for all reads, and no garbage collector.
3. The work in flight is bounded by a window, so a server is never asked for more than it has answered plus that.
4. What the generator itself costs is part of its result: a run in which it had no headroom says so.
"""

import select
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Protocol

from bench.client import DEADLINE, Client, Mismatch
from bench.crowd import Crowd
from bench.wires import FIRST_NUMBER

BUFFER = 1 << 18
"""Bytes read at once: more than a window of frames, so that one read empties a socket."""

WATCHED = 16
"""Clients of a fan-out whose deliveries are timed. They are spread over the order of joining, which is the order in
which servers write."""

STALLED = 10.0
"""Seconds without a byte after which a run is given up."""

Read = Callable[[bytearray], int]


@dataclass
class Flow:
    """What came back in one span of time."""

    messages: float = 0.0
    rounds: float = 0.0
    """How many times as many as there are on their way at once."""
    seconds: float = 0.0
    idle: float = 0.0
    """Seconds of CPU in which there was nothing to take, and nobody slept."""
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds from just before the write to just after the read, of the messages that were timed."""


class Load(Protocol):
    """Work that a server is given."""

    def run(self, seconds: float) -> Flow:
        """Go on for this long."""

    def drain(self) -> None:
        """Wait until all that was asked for has arrived, and not a byte more has."""


@contextmanager
def _timed() -> Iterator[Flow]:
    flow = Flow()
    began = time.perf_counter()
    try:
        yield flow
    finally:
        flow.seconds = time.perf_counter() - began


def _begin(clients: Sequence[Client]) -> tuple[select.epoll, dict[int, Read]]:
    poll = select.epoll()
    reads: dict[int, Read] = {}
    for client in clients:
        client.line.setblocking(False)
        client.counted.setblocking(False)
        poll.register(client.counted, select.EPOLLIN)
        reads[client.counted.fileno()] = client.counted.recv_into
    return poll, reads


class Sleepless:
    """An epoll that is asked again and again instead of waited in.

    To wake who sleeps takes the server that writes two or three microseconds. With one write a delivery, that is as
    much as the write; and it falls to slow servers alone, for the faster ones leave the generator no time to sleep. So
    what was compared would not be alike: neither two servers, nor one in two cases.
    """

    def __init__(self, poll: select.epoll) -> None:
        self._ask = poll.poll
        self.close = poll.close
        self.idle = 0.0

    def poll(self, patience: float) -> list[tuple[int, int]]:
        ready = self._ask(0)
        if not ready:
            until, used = time.perf_counter() + patience, time.process_time()
            while not ready and time.perf_counter() < until:
                ready = self._ask(0)
            self.idle += time.process_time() - used
        return ready


def _end(clients: Sequence[Client], poll: select.epoll | Sleepless, wrong: str) -> None:
    """Give the clients back, in step with the server: not a byte more may come."""
    if poll.poll(0.05):
        raise Mismatch(wrong)
    poll.close()
    for client in clients:
        client.line.settimeout(DEADLINE)


def answer(clients: Sequence[Client], seconds: float) -> int:
    """Be alive for this long: answer what the server asks to see that. Gives how many answers there were."""
    ((asked, told),) = {client.wire.heartbeat for client in clients if client.wire.heartbeat}
    poll, reads = _begin(clients)
    sends = {client.counted.fileno(): client.line.send for client in clients}
    until, beats = time.perf_counter() + seconds, 0
    while (left := until - time.perf_counter()) > 0:
        for descriptor, _ in poll.poll(left):
            count = reads[descriptor](_buffer)
            if _buffer[:count] != asked:
                raise Mismatch(f"{bytes(_buffer[:count])!r} was heard where a heartbeat was expected")
            sends[descriptor](told)
            beats += 1
    poll.close()
    for client in clients:
        client.line.settimeout(DEADLINE)
    return beats


class Publishing:
    """Publications on their way to a crowd. One has arrived when the crowd as a whole has had as many bytes as it makes
    in all: single clients may be a little ahead of others."""

    _crowd: Crowd
    _poll: Sleepless
    _window: int
    _whole: int
    _received: int

    def run(self, seconds: float) -> Flow:
        """Go on for this long; in a window of 1, until the publication has arrived, so that only whole ones count. Its
        messages are deliveries; what is in flight at the end stays so: the next run begins with it."""
        with _timed() as flow:
            before, idle = self._received, self._poll.idle
            until = time.perf_counter() + seconds
            self._refill()
            while time.perf_counter() < until:
                self._turn(flow.latencies)
                self._refill()
            arrived = self._received // self._whole
            while self._window == 1 and self._received // self._whole == arrived:
                self._turn(flow.latencies)
            publications = (self._received - before) / self._whole
            flow.messages, flow.rounds = publications * len(self._crowd), publications / self._window
            flow.idle = self._poll.idle - idle
        return flow

    def _turn(self, latencies: "array[float]") -> None:
        """Take what has come."""
        raise NotImplementedError

    def _refill(self) -> None:
        """Publish as much as the window has room for."""
        raise NotImplementedError


class FanOut(Publishing):
    """The first client publishes, or each of ``speakers``; all receive. At most ``window`` such are on their way.
    ``size`` is that of a publication's frame, or the list of its sizes, client by client."""

    watched = WATCHED

    def __init__(
        self,
        crowd: Crowd,
        payload: str,
        size: int | Sequence[int],
        window: int,
        speakers: Sequence[Client] | None = None,
    ) -> None:
        self._crowd = crowd
        poll, self._reads = _begin(crowd)
        self._poll = Sleepless(poll)
        self._lines = [
            (client.line.send, client.wire.encode(client.wire.publish(payload))) for client in speakers or crowd[:1]
        ]
        sizes = [size] * len(crowd) if isinstance(size, int) else size
        self._whole = sum(sizes)
        self._window = window
        self._received = 0
        self._published = 0
        self._sent: deque[float] = deque(maxlen=1 << 16)
        step = max(1, len(crowd) // self.watched)
        self._watched = {client.counted.fileno(): 0 for client in crowd[::step]}
        self._sizes = {client.counted.fileno(): size for client, size in zip(crowd, sizes, strict=True)}

    def drain(self) -> None:
        """Wait until all that was published has arrived, and not a byte more."""
        while self._received < self._published * self._whole:
            self._turn(array("d"))
        if self._received != self._published * self._whole:
            raise Mismatch("more arrived than was published")
        _end(self._crowd, self._poll, "more arrived than was published")

    def _turn(self, latencies: "array[float]") -> None:
        buffer, reads, watched = _buffer, self._reads, self._watched
        received = self._received
        ready = self._poll.poll(STALLED)
        for descriptor, _ in ready:
            count = reads[descriptor](buffer)
            received += count
            if descriptor in watched:
                self._note(descriptor, count, latencies)
        if received == self._received:
            raise Mismatch("nothing has arrived for too long" if not ready else "the server hung up")
        self._received = received

    def _note(self, descriptor: int, count: int, latencies: "array[float]") -> None:
        before = self._watched[descriptor]
        after = self._watched[descriptor] = before + count
        now, size = time.perf_counter(), self._sizes[descriptor]
        for number in range(before // size, after // size):
            latencies.append(now - self._sent[number - self._published])

    def _refill(self) -> None:
        room = self._window - self._published + self._received // self._whole
        if room > 0:
            self._sent.extend([time.perf_counter()] * room)
            self._published += room
            for send, frame in self._lines:
                if send(frame * room) != len(frame) * room:
                    raise Mismatch("the server does not read what is published")


class Polls(FanOut):
    """A fan-out to clients each of which asks anew for every message. Some may not poll."""

    watched = 1 << 16  # all

    def __init__(self, crowd: Crowd, payload: str, size: Sequence[int]) -> None:
        super().__init__(crowd, payload, size, window=1)
        self._asks = {client.counted.fileno(): (client.line.send, client.again) for client in crowd if client.again}

    def _note(self, descriptor: int, count: int, latencies: "array[float]") -> None:
        super()._note(descriptor, count, latencies)
        if descriptor in self._asks and not self._watched[descriptor] % self._sizes[descriptor]:
            send, question = self._asks[descriptor]
            send(question)


class Chat(Publishing):
    """All take turns to publish, and each publication is acknowledged to who said it. ``window`` are on their way.
    ``sizes`` are those of a publication's frame and of an acknowledgement's."""

    def __init__(self, crowd: Crowd, payload: str, sizes: tuple[int, int], window: int) -> None:
        assert crowd.wire.chat is not None
        self._crowd = crowd
        poll, self._reads = _begin(crowd)
        self._poll = Sleepless(poll)
        self._sends = cycle([client.line.send for client in crowd])
        self._frame = crowd.wire.encode(crowd.wire.chat(payload, FIRST_NUMBER))
        publication, reply = sizes
        self._whole = publication * len(crowd) + reply
        self._window = window
        self._received = 0
        self._sent: deque[float] = deque()
        self._arrived = 0

    def drain(self) -> None:
        """Wait until all that was published has arrived, and not a byte more."""
        while self._sent:
            self._turn(array("d"))
        if self._received != self._arrived * self._whole:
            raise Mismatch("more arrived than was published")
        _end(self._crowd, self._poll, "more arrived than was published")

    def _turn(self, latencies: "array[float]") -> None:
        received = self._received
        ready = self._poll.poll(STALLED)
        for descriptor, _ in ready:
            received += self._reads[descriptor](_buffer)
        if received == self._received:
            raise Mismatch("nothing has arrived for too long" if not ready else "the server hung up")
        self._received = received
        now = time.perf_counter()
        while self._sent and (self._arrived + 1) * self._whole <= received:
            self._arrived += 1
            latencies.append(now - self._sent.popleft())

    def _refill(self) -> None:
        while len(self._sent) < self._window:
            self._sent.append(time.perf_counter())
            if next(self._sends)(self._frame) != len(self._frame):
                raise Mismatch("the server does not read what is published")


class Echo:
    """Every client keeps ``depth`` messages on their way and sends one more for each answer."""

    def __init__(self, crowd: Crowd, payload: str, size: int, depth: int) -> None:
        self._crowd = crowd
        poll, self._reads = _begin(crowd)
        self._poll = Sleepless(poll)
        self._size = size
        self._depth = depth
        # Twice round, so that any run of up to `depth` messages is one slice
        ring = [crowd.wire.encode(crowd.wire.echo(payload, FIRST_NUMBER + number)) for number in range(depth)] * 2
        self._length = len(ring[0])
        self._ring = memoryview(b"".join(ring))
        self._sends = {client.counted.fileno(): client.line.send for client in crowd}
        self._got = dict.fromkeys(self._reads, 0)
        self._stamps: dict[int, deque[float]] = {descriptor: deque() for descriptor in self._reads}
        for descriptor in self._reads:
            self._send(descriptor, 0, depth)

    def run(self, seconds: float) -> Flow:
        """Go on for this long."""
        with _timed() as flow:
            idle = self._poll.idle
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                flow.messages += self._turn(flow.latencies)
            flow.idle = self._poll.idle - idle
            flow.rounds = flow.messages / self._depth / len(self._crowd)
        return flow

    def drain(self) -> None:
        """Wait until every message has been answered, and not a byte more has come."""
        missing = {descriptor: self._depth * self._size - got % self._size for descriptor, got in self._got.items()}
        while any(missing.values()):
            for descriptor, _ in self._poll.poll(STALLED):
                count = self._reads[descriptor](_buffer)
                missing[descriptor] -= count
                if not count or missing[descriptor] < 0:
                    raise Mismatch("more or less was answered than was sent")
        _end(self._crowd, self._poll, "more was answered than was sent")

    def _turn(self, latencies: "array[float]") -> int:
        answered = 0
        ready = self._poll.poll(STALLED)
        for descriptor, _ in ready:
            count = self._reads[descriptor](_buffer)
            if not count:
                raise Mismatch("the server hung up")
            before = self._got[descriptor]
            after = self._got[descriptor] = before + count
            first, last = before // self._size, after // self._size
            if first == last:
                continue
            now, stamps = time.perf_counter(), self._stamps[descriptor]
            for _ in range(first, last):
                latencies.append(now - stamps.popleft())
            answered += last - first
            self._send(descriptor, first % self._depth, last - first)
        if not ready:
            raise Mismatch("nothing has arrived for too long")
        return answered

    def _send(self, descriptor: int, start: int, count: int) -> None:
        self._stamps[descriptor].extend([time.perf_counter()] * count)
        data = self._ring[start * self._length : (start + count) * self._length]
        if self._sends[descriptor](data) != len(data):
            raise Mismatch("the server does not read what is sent")


_buffer = bytearray(BUFFER)
