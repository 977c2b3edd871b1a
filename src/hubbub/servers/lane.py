"""The fast lane: a WebSocket on the bare transport, from the upgrade on.

``front`` brings a request that came in one piece; others are parsed by uvicorn, which hands them here with the
transport (its ``ws=`` hook). From then on there is no ASGI, no task and no queue: bytes come in through
``data_received``, and leave by ``outlet``. A WebSocket for a path that is not ours goes to the class of the portable
lane (``others``).
"""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from hubbub.connection import Connection
from hubbub.errors import Conflict, HubbubError, ProtocolError
from hubbub.messages import Frame
from hubbub.protocols.base import Line, Request, Response, refusal
from hubbub.servers import carriers
from hubbub.servers.asgi import read_query
from hubbub.servers.carriers import FAREWELL, Host
from hubbub.servers.control import Close, Ping
from hubbub.servers.deflate import WINDOW, Agreement, negotiate
from hubbub.servers.handshake import Handshake, reject
from hubbub.servers.outlet import Outlet
from hubbub.servers.proxies import Proxies
from hubbub.servers.routes import Door
from hubbub.servers.websocket import (
    SLICE,
    Event,
    FrameReader,
    close_frame,
    deflated_frame,
    frame,
    ping_frame,
    pong_frame,
)


class Lane(Outlet):
    """One WebSocket. What uvicorn calls it with, it keeps only as long as it needs it."""

    __slots__ = (
        "_closing", "_compression", "_connections", "_delegate", "_head", "_heard", "_held", "_host", "_inflates",
        "_pinged", "_pings", "_proxies", "_reader", "_unread", "connection", "deadline", "frame",
    )  # fmt: skip

    line: Line = "socket"
    once = False

    def __init__(
        self,
        host: Host,
        proxies: Proxies,
        others: Callable[..., asyncio.Protocol],
        *,
        compression: bool = True,
        config: Any,
        server_state: Any,
        app_state: Any,
        _loop: Any = None,
    ) -> None:
        super().__init__()
        self._host = host
        self._proxies = proxies
        self._compression = compression
        self._connections = server_state.connections
        self._delegate: Callable[[], asyncio.Protocol] | None = lambda: others(
            config=config, server_state=server_state, app_state=app_state
        )
        self._reader: FrameReader | None = None
        self._closing = False
        self._held = False
        self._head = b""
        """Our side of the handshake, until it leaves, with the first frames in the same write."""
        self._unread = b""
        self._heard = False
        self._inflates = False
        self._pings = False
        self._pinged = False
        self.frame: Callable[[Frame], bytes] = frame
        self.deadline: float | None = None
        self.connection: Connection | None = None

    # -- the transport's side --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            self._open(data)
            return
        self._heard = True
        if self._held or self._unread:
            self._unread += data
        elif not self._inflates or len(data) <= SLICE:
            self._read(reader, data)
        else:
            self._read_slices(reader, data)

    def _read_slices(self, reader: FrameReader, data: bytes) -> None:
        for start in range(0, len(data), SLICE):
            if self._held:
                self._unread = data[start:]
                return
            self._read(reader, data[start : start + SLICE])

    def _read(self, reader: FrameReader, data: bytes) -> None:
        connection = self.connection
        if connection is None:
            return
        now = self._loop.time()
        for event in reader.feed(data):
            if type(event) is not str and type(event) is not bytes:
                self._heed(event)
            elif not connection.ended:
                try:
                    connection.receive(event, "socket", now)
                except ProtocolError:
                    pass  # the connection has ended by it, and said so
                except Exception as error:
                    self._host.complain("a message was not understood by our own fault", error)
                    connection.end(ProtocolError("something went wrong", 1011), "failed")

    def _heed(self, event: Event) -> None:
        if type(event) is Ping:
            if not self._closing:
                self.send(pong_frame(event.payload))
        # What was said before the end is answered before it: replies leave in this turn of the loop or at the
        # beginning of the next, and then comes the end.
        elif type(event) is Close:
            self._loop.call_soon(self._closed_by_client, event)
        elif isinstance(event, ProtocolError):
            self._loop.call_soon(self._fail, event)

    def _fail(self, error: ProtocolError) -> None:
        """RFC 6455, section 7.1.7. Nothing that still comes can be read, so the client's Close is not waited for; but
        what it is still sending must be taken in, or it would be reset before it has read ours."""
        if self.transport.is_closing():
            return
        if self.connection is not None:
            self.connection.end(error, "protocol error")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self.cut()
        self.deadline = None
        self._closing = True
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.detach(self, self._loop.time())

    def shutdown(self) -> None:
        """uvicorn stops: by now the application has sent its clients away."""
        if self.connection is not None and not self._closing:
            self.close([], 1012, "")

    def flowing(self) -> None:
        if self.connection is not None:
            self.connection.flowing(self, self._loop.time())

    # -- opening ---------------------------------------------------------------------------------------------------

    def _open(self, data: bytes) -> None:
        try:
            handshake = Handshake.parse(data)
        except HubbubError as error:
            self._misread(error, data)
            return
        peer = self.transport.get_extra_info("peername") or ("",)
        scheme = "https" if self.transport.get_extra_info("sslcontext") is not None else "http"
        client, scheme = self._proxies.resolve(str(peer[0]), scheme, handshake.headers)
        path, _, query = handshake.target.partition("?")
        values, repeated = read_query(query)
        request = Request("GET", unquote(path), values, handshake.headers, {}, scheme, client, repeated)
        door, request = self._host.routes.find(request)
        if door is None or "WEBSOCKET" not in door.routes:
            self._hand_over(data)
            return
        self._accept(handshake, door, request)

    def _misread(self, error: HubbubError, data: bytes) -> None:
        self._reject(refusal(error))

    def _take_delegate(self) -> asyncio.Protocol:
        assert self._delegate is not None
        delegate, self._delegate = self._delegate(), None
        return delegate

    def _hand_over(self, data: bytes) -> None:
        delegate = self._take_delegate()
        delegate.connection_made(self.transport)
        delegate.data_received(data)
        # uvicorn makes *us* the transport's protocol right after this call returns
        self._loop.call_soon(self.transport.set_protocol, delegate)

    def _accept(self, handshake: Handshake, door: Door, request: Request) -> None:
        host = self._host
        try:
            agreement = self._negotiate(handshake)
            connection = carriers.admit(host, door, request)
        except HubbubError as error:
            self._reject(door.protocol.refuse(error, request))
            return
        self._delegate = None
        self._connections.add(self)
        inflater = None if agreement is None else agreement.inflater()
        self._inflates = agreement is not None
        if agreement is not None and agreement.window >= WINDOW:
            self.frame = deflated_frame
        self._reader = FrameReader(host.limits.message, host.limits.fragments, inflater)
        extensions = None if agreement is None else agreement.header
        self._head = handshake.accept(carriers.subprotocol(door.protocol, request.headers), extensions)
        self.lay()
        now = self._loop.time()
        try:
            connection.attach(self, now, request)
        except (Conflict, ProtocolError) as error:
            self.close([], 1008, error.reason)
            return
        if self._head:
            self.write([])
        self.connection = connection
        if handshake.rest:
            self.data_received(handshake.rest)
        if door.protocol.websocket_pings:
            self._pings = True
            self.deadline = now + host.limits.heartbeat
            connection.desk.deadlines.watch(self)

    def _negotiate(self, handshake: Handshake) -> Agreement | None:
        """Whoever asks for a smaller window than we compress with may send compressed messages, and gets plain ones: so
        all who get compressed ones get the same."""
        offers = handshake.headers.get("sec-websocket-extensions")
        return negotiate(offers) if offers and self._compression else None

    def _reject(self, response: Response) -> None:
        self._delegate = None
        self._closing = True
        self.transport.write(reject(response))
        self.transport.close()

    # -- the connection's side -------------------------------------------------------------------------------------

    def write(self, frames: list[Frame]) -> None:
        make = self.frame
        head, self._head = self._head, b""
        self.send(head + (make(frames[0]) if len(frames) == 1 else b"".join(map(make, frames))))

    def hold(self, on: bool) -> None:
        self._held = on
        if on:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
            self._loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        if not self._held and self._reader is not None:
            unread, self._unread = self._unread, b""
            self._read_slices(self._reader, unread)

    def close(self, frames: list[Frame], code: int, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        if self._held:
            self.hold(False)  # for the client's Close
        self.wire = None
        head, self._head = self._head, b""
        self.transport.write(head + b"".join(map(self.frame, frames)) + close_frame(code, reason))
        self._loop.call_later(FAREWELL, self.transport.abort)

    def tick(self, now: float) -> None:
        """Ask a silent client for a sign of life; give up on one that gives none."""
        connection = self.connection
        limits = self._host.limits
        if self._heard or self._held:
            self._heard = self._pinged = False
            self.deadline = now + limits.heartbeat
        elif not self._pinged:
            self._pinged = True
            self.send(ping_frame(b""))
            self.deadline = now + limits.patience
        else:
            self.deadline = None
            if connection is not None:
                connection.end(None, "timeout")
            self.transport.abort()

    def _closed_by_client(self, event: Close) -> None:
        if self.transport.is_closing():
            return
        if not self._closing:
            self._closing = True
            self.transport.write(close_frame(event.code, ""))
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.detach(self, self._loop.time())
        # RFC 6455, section 7.1.1: "the server MUST close the connection immediately" once both have said Close
        self.transport.close()
