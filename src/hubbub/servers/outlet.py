"""The way out of a connection: to the kernel, where nothing between wants to encrypt it, or has writes under way.

What the kernel does not take goes by the transport, whose buffer is the outbox and whose ``pause_writing`` says that
the client is slow. A connection that is a WebSocket is an outlet (``lane``); a response that goes on has one.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final, Protocol

from hubbub.messages import Frame, as_bytes
from hubbub.servers.carriers import PENDING

_write: Final = os.write


class Outlet(asyncio.Protocol):
    """Whoever makes one sets ``transport``, and says when to ``lay`` and when to ``cut`` it."""

    __slots__ = ("_descriptor", "_loop", "_waiting", "full", "transport", "wire")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = -1
        self._waiting = False
        """Whether something is in the transport's buffer."""
        self.full = False
        self.transport: asyncio.Transport
        self.wire: Callable[[bytes], None] | None = None

    def lay(self) -> None:
        """Let the hub write."""
        if os.name == "posix" and self.transport.get_extra_info("sslcontext") is None:
            self.transport.set_write_buffer_limits(high=0)  # so that we hear whenever there is something in its buffer
            self._descriptor = self.transport.get_extra_info("socket").fileno()
            self.wire = self.put
        else:
            self.transport.set_write_buffer_limits(high=PENDING)
            self.wire = self.send

    def cut(self) -> None:
        """The transport is closed, or about to be."""
        self._descriptor = -1  # the number may be another connection's from now on
        self.wire = None

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def put(self, data: bytes) -> None:
        """Write as the transport does, which takes a tenth of a fan-out's time more for it. Only what the kernel does
        not take goes by the transport, and all that follows, until its buffer is empty: so all is in order."""
        if not self._waiting:
            try:
                taken = _write(self._descriptor, data)
            except OSError:
                taken = 0  # no room, or nobody there: the transport finds out for itself
            if taken == len(data):
                return
            data = data[taken:]
        self.send(data)

    def send(self, data: bytes) -> None:
        self.transport.write(data)
        if self._waiting and not self.full and self.transport.get_write_buffer_size() > PENDING:
            self.full = True
            self._loop.call_soon(self.flowing)

    def pause_writing(self) -> None:
        self._waiting = True

    def resume_writing(self) -> None:
        self._waiting = False
        if self.full:
            self.full = False
            self.flowing()

    def flowing(self) -> None:
        """``full`` has changed."""


def as_chunk(frame: Frame) -> bytes:
    """RFC 9112, section 7.1. One of nothing would be the last of all."""
    data = as_bytes(frame)
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class Stream(Protocol):
    """The carrier of a response that goes on."""

    def flow(self, full: bool) -> None:
        """Its outlet is full, or is so no more."""

    def lost(self) -> None:
        """The client is gone, and the transport with it."""


class ResponseOutlet(Outlet):
    """That of a response that goes on. It stands here to be compiled with the class it is made of."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    def flowing(self) -> None:
        self._stream.flow(self.full)

    def connection_lost(self, error: Exception | None) -> None:
        self._stream.lost()
