"""uvicorn's own WebSocket class, but for how it reads: with our ``FrameReader``, so that the portable lane is as strict
as the fast one, and bounds what it inflates and how many fragments it takes.

uvicorn's fails late on text that is not UTF-8, drops messages that come in one piece with a broken frame, and takes a
Close frame within a fragmented message for a broken one.
"""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from hubbub.errors import ProtocolError
from hubbub.servers.control import NO_CODE, Close, Ping, Pong
from hubbub.servers.deflate import Inflater
from hubbub.servers.websocket import SLICE, FrameReader, pong_frame, short

TURNS = 16
"""Turns of the loop between what a client said last and its end. An answer goes through two tasks of ours and two of
uvicorn's, each of which takes a turn or two to be woken."""


class StrictWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket of an ASGI application."""

    def __init__(self, *, fragments: int, **given: Any) -> None:
        super().__init__(**given)
        self._fragments = fragments
        self._reader: FrameReader | None = None
        self._unread = b""
        self._heard = False

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if not self.handshake_initiated:
            super().data_received(data)
            return
        self._unread += data
        if self.handshake_complete:
            self._read()

    def send_keepalive_ping(self) -> None:
        """Ask for a sign of life: only who gives none unasked, as on the fast lane."""
        if self._heard:
            self._heard = False
            self.schedule_ping()
        else:
            super().send_keepalive_ping()

    async def send(self, message: Any) -> None:
        begun = self.handshake_complete
        await super().send(message)
        if not begun and self.handshake_complete:
            self._read()

    async def receive(self) -> Any:
        if self.queue.empty():
            self._read()
        return await super().receive()

    def _read(self) -> None:
        """Read on, a message at a time: more wait until the application has taken it."""
        if self._reader is None:
            self._reader = FrameReader(self.config.ws_max_size, self._fragments, self._inflater())
        while self._unread and (self.queue.empty() or self.close_sent):
            piece, self._unread = self._unread[:SLICE], self._unread[SLICE:]
            for event in self._reader.feed(piece):
                self._take(event)

    def _inflater(self) -> Inflater | None:
        for agreed in self.conn.extensions:
            if isinstance(agreed, PerMessageDeflate):
                return Inflater(agreed.remote_max_window_bits, keep_context=not agreed.remote_no_context_takeover)
        return None

    def _take(self, event: Any) -> None:
        if isinstance(event, str | bytes):
            if not self.close_sent:
                kind = "text" if isinstance(event, str) else "bytes"
                self.queue.put_nowait({"type": "websocket.receive", kind: event})  # type: ignore[arg-type]
                if not self.read_paused:
                    self.read_paused = True
                    self.transport.pause_reading()
        elif isinstance(event, Ping):
            if not self.close_sent:
                self.transport.write(pong_frame(event.payload))
        elif isinstance(event, Pong):
            self.handle_pong(Frame(Opcode.PONG, event.payload))
        elif isinstance(event, Close):
            self._later(lambda: self._close(event))
        else:
            self._later(lambda: self._fail(event))

    def _later(self, work: Callable[[], None], turns: int = TURNS) -> None:
        """What was said before the end is answered before it."""
        if turns:
            self.loop.call_soon(self._later, work, turns - 1)
        elif not self.disconnected:
            work()

    def _close(self, event: Close) -> None:
        payload = b"" if event.code == NO_CODE else event.code.to_bytes(2) + event.reason.encode()
        self.conn.receive_data(bytes((0x88, 0x80 | len(payload), 0, 0, 0, 0)) + payload)  # masked with zeros
        self.handle_events()

    def _fail(self, error: ProtocolError) -> None:
        if not self.close_sent:
            self.conn.fail(error.close_code, short(error.reason))
            self.handle_parser_exception()
