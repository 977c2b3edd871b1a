"""A proxy that does to TCP what networks do: delay, crumble, hold, swallow, cut, half-open, reset, refuse.

It stands between clients and a server, or between a server and Redis. What it does is said by whoever drives it; which
lines it hits and at which byte, its seed says: the same seed and the same lines have the same fate.

    up    from the client to the server
    down  from the server to the client
"""

import asyncio
import random
import socket
import struct
from collections import deque
from contextlib import suppress

BOTH = ("up", "down")
CRUMB = 0.000_5
"""Seconds between two pieces of what is crumbled."""
NARROW = 65_536
"""Bytes that the kernel may keep at each end: who reads nothing is to be noticed by who writes."""
CLOSE = 5.0
"""Seconds for lines to end when the proxy does."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time at all: closing sends RST."""


class FaultProxy:
    """One listening port, and the lines through it."""

    def __init__(self, port, seed=0):
        self.target = port
        self.chance = random.Random(seed)
        self.port = 0
        self.links = []
        """The lines there are, in the order of their coming."""
        self.cuts = []
        """What ``cut`` decided of each line that it was for: direction and byte."""
        self.fates = deque()
        """What ``cut_each`` decided of lines that are still to come."""
        self._server = None
        self.heal()

    async def start(self, port=0):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Link(self).near, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self):
        self._server.close()
        self.reset()
        with suppress(TimeoutError):  # a line that ended by itself may still have bytes to give
            await asyncio.wait_for(self._server.wait_closed(), CLOSE)

    # -- what it can do --------------------------------------------------------------------------------------------

    def heal(self):
        """Let everything pass again. Lines that lost bytes are reset: TCP has no holes."""
        self.delays = {"up": 0.0, "down": 0.0}
        self.jitter = 0.0
        self.crumb = 0
        self.refusing = False
        self.holding = False
        self.swallowing = frozenset()
        self._cutting = None
        for link in tuple(self.links):
            if link.holed:
                link.reset()
            else:
                link.hold(on=False)

    def delay(self, up=0.0, down=0.0, jitter=0.0):
        """Everything takes this many seconds longer, and up to ``jitter`` more."""
        self.delays, self.jitter = {"up": up, "down": down}, jitter

    def crumble(self, size):
        """Nothing passes in pieces of more than ``size`` bytes."""
        self.crumb = size

    def hold(self):
        """Nothing passes, and nothing is lost: as when packets are dropped and sent again later."""
        self.holding = True
        for link in self.links:
            link.hold(on=True)

    def swallow(self, *directions):
        """A black hole: what is sent is taken and never comes out. One direction, or both."""
        self.swallowing = frozenset(directions or BOTH)

    def refuse(self):
        """Who knocks is reset."""
        self.refusing = True

    def cut(self, most, directions=BOTH):
        """Each new line is reset after a number of bytes below ``most``, in one of these directions."""
        self._cutting = (most, directions)

    def cut_each(self, fates):
        """The next lines are reset at these places, one each: pairs of direction and byte."""
        self.fates.extend(fates)

    def reset(self, share=1.0):
        """Reset this share of all lines, at random."""
        for link in self._some(share):
            link.reset()

    def half_open(self, share, far):
        """One end of these lines is gone, and the other is not told: ``far`` is the server's end."""
        for link in self._some(share):
            link.forget(far=far)

    def _some(self, share):
        links = list(self.links)
        return links if share >= 1.0 else [link for link in links if self.chance.random() < share]

    def fate(self):
        """Where the next line is to be cut: direction and byte, or None."""
        if self.fates:
            return self.fates.popleft()
        if self._cutting is None:
            return None
        most, directions = self._cutting
        fate = self.chance.choice(directions), self.chance.randrange(most)
        self.cuts.append(fate)
        return fate


class Link:
    """One line: its near end is the client's, its far end the server's."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.near = End(self, "up")
        self.far = End(self, "down")
        self.near.other, self.far.other = self.far, self.near
        self.holed = False
        """Whether bytes were lost, or an end: then it can only be reset."""
        self.fate = None
        self.cut = False
        self.passed = {"up": 0, "down": 0}
        self._dial = None

    def begin(self):
        if self.proxy.refusing:
            self.near.abort()
            return
        self.fate = self.proxy.fate()
        self.proxy.links.append(self)
        self._dial = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self):
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, "127.0.0.1", self.proxy.target)
        except OSError:
            self.reset()

    def connected(self):
        """The far end is there."""
        if self not in self.proxy.links:
            self.far.abort()
            return
        self.near.flow()
        self.hold(on=self.proxy.holding)

    def take(self, end, data):
        """Bytes came in at this end."""
        way = end.way
        if self.cut:
            return
        if self.fate is not None and self.fate[0] == way and self.passed[way] + len(data) > self.fate[1]:
            self.cut = True
            end.pass_on(data[: self.fate[1] - self.passed[way]])
            self.reset(gently=True)
            return
        self.passed[way] += len(data)
        if way in self.proxy.swallowing or self.holed:
            self.holed = True
            return
        end.pass_on(data)

    def hold(self, on):
        for end in (self.near, self.far):
            end.pause(on)

    def forget(self, far):
        self.holed = True
        (self.far if far else self.near).abort()

    def ended(self, end):
        """This end was closed by its peer."""
        if self.holed or self.proxy.swallowing:
            self.holed = True
            return
        end.other.finish()
        self.gone()

    def reset(self, gently=False):
        self.gone()
        for end in (self.near, self.far):
            end.finish() if gently else end.abort()

    def gone(self):
        if self in self.proxy.links:
            self.proxy.links.remove(self)


class End(asyncio.Protocol):
    """Where a line ends at the proxy. ``way`` is where its bytes go."""

    def __init__(self, link, way):
        self.link = link
        self.way = way
        self.other = None
        self.transport = None
        self._waiting = []
        """What came before the other end was there."""
        self._late = deque()
        """What is delayed, and when it is due."""
        self._due = 0.0
        """When the last of it is."""
        self._timer = None
        self._finishing = False
        """Whether the other end is to be closed when all of it is written."""

    def connection_made(self, transport):
        self.transport = transport
        line = transport.get_extra_info("socket")
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            line.setsockopt(socket.SOL_SOCKET, buffer, NARROW)
        if self.way == "up":
            self.link.begin()
        else:
            self.link.connected()

    def data_received(self, data):
        self.link.take(self, data)

    def eof_received(self):
        return False

    def connection_lost(self, error):
        self.transport = None
        self.link.ended(self)

    def pass_on(self, data):
        if self.other.transport is None:
            if self.way == "up":
                self._waiting.append(data)
            return
        proxy, loop = self.link.proxy, asyncio.get_running_loop()
        wait = proxy.delays[self.way]
        if not (wait or proxy.jitter or proxy.crumb or self._late):
            self.other.write(data)
            return
        pause = CRUMB if proxy.crumb else 0.0
        for piece in crumbs(data, proxy.crumb):
            due = loop.time() + wait + proxy.chance.random() * proxy.jitter + pause
            self._due = max(self._due + pause, due)
            self._late.append((self._due, piece))
        if self._timer is None:
            self._timer = loop.call_at(self._late[0][0], self._release)

    def _release(self):
        """Write what is due, in the order of its coming."""
        loop, self._timer = asyncio.get_running_loop(), None
        while self._late and self._late[0][0] <= loop.time() + 0.001:
            self.other.write(self._late.popleft()[1])
        if self._late:
            self._timer = loop.call_at(self._late[0][0], self._release)
        elif self._finishing:
            self.other.finish()

    def flow(self):
        for data in self._waiting:
            self.pass_on(data)
        self._waiting = []

    def write(self, data):
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self):
        self.other.pause(on=True)

    def resume_writing(self):
        self.other.pause(on=self.link.proxy.holding)

    def pause(self, on):
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading() if on else self.transport.resume_reading()

    def finish(self):
        """Close it when all that was passed on is written."""
        if self.other._late:
            self.other._finishing = True
        elif self.transport is not None:
            self.transport.close()

    def abort(self):
        if self.transport is not None:
            line = self.transport.get_extra_info("socket")
            if line is not None and line.fileno() >= 0:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()


def crumbs(data, size):
    return [data] if not size else [data[start : start + size] for start in range(0, len(data), size)]
