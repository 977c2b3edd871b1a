"""Raw sockets: what an ``@app.socket`` function is given, and the engine that runs it, one call for each client.

    @app.socket("/echo")
    async def echo(socket):
        async for message in socket:
            await socket.send(message)

Rules:

1. The call ends with its client: ``async for`` ends, ``send`` and ``receive`` raise ``Disconnect``. What still runs
   ``Limits.patience`` seconds later is cancelled.
2. The client ends with the call: close code 1000 when it returns, 1011 when it raises.
3. Nothing piles up. What the function does not take is not read; ``send`` waits for who reads slowly.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from hubbub.connection import Connection
from hubbub.eager import Eager
from hubbub.errors import Closed, Disconnect, HubbubError, ProtocolError, Refused, UsageError
from hubbub.introduction import Introductions
from hubbub.limits import Limits
from hubbub.messages import Frame
from hubbub.protocols.base import Request

BOOKKEEPING = 64
"""Bytes that a message costs beside its own: so empty ones are counted, too."""

CODES = frozenset({1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013}).union(range(3000, 5000))
"""Close codes that an application may give (RFC 6455, section 7.4)."""


class Socket:
    """One client of a raw socket, as its function sees it.

    ``request`` is what it was opened with, ``params`` what the braces of the path stood for, ``client`` the peer's
    address, ``id`` a public name for it, ``subprotocol`` the one agreed on.
    """

    __slots__ = ("_connection", "_inbox", "request", "subprotocol")

    def __init__(self, connection: Connection, request: Request, subprotocol: str | None, inbox: "Inbox") -> None:
        self._connection = connection
        self._inbox = inbox
        self.request = request
        self.subprotocol = subprotocol

    @property
    def params(self) -> Mapping[str, str]:
        return self.request.variables

    @property
    def client(self) -> str:
        return self._connection.client

    @property
    def id(self) -> str:
        return self._connection.id

    @property
    def identity(self) -> Any:
        """Who it is: what the ``@app.authenticate`` hook returned."""
        return self._connection.identity

    @property
    def closed(self) -> bool:
        """Whether it is over, from either side."""
        return self._connection.ended

    async def send(self, message: str | bytes) -> None:
        """Send this, as text or binary by its type. Waits while the client reads more slowly than it is written to.

        Raises Disconnect when it is over.
        """
        if not isinstance(message, str | bytes):
            raise UsageError(f"a raw socket sends str or bytes, not {type(message).__name__}")
        connection = self._connection
        if connection.ended:
            raise self._inbox.over()
        connection.deliver(list(connection.protocol.carry(message)))
        if connection.busy:
            await connection.eased()
            if connection.ended:
                raise self._inbox.over()

    async def receive(self) -> str | bytes:
        """The next message: ``str`` came as text, ``bytes`` as binary. Raises Disconnect when there will be none."""
        return await self._inbox.take()

    def __aiter__(self) -> "Socket":
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self._inbox.take()
        except Disconnect:
            raise StopAsyncIteration from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End it with a close code: 1000, one of 3000 to 4999, or another that a server may give."""
        if code not in CODES:
            raise UsageError(f"{code} is no close code for an application: take 1000, or one of 3000 to 4999")
        self._connection.end(Closed(code, reason), "closed")


class Inbox:
    """Messages that the function has not taken yet. ``hold`` is called with whether to stop reading."""

    __slots__ = ("_held", "_hold", "_limit", "_messages", "_waiter", "ended", "size")

    def __init__(self, limit: int, hold: Callable[[bool], None]) -> None:
        self.size = 0
        self.ended = False
        self._limit = limit
        self._hold = hold
        self._held = False
        self._messages: deque[Frame] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, message: Frame) -> None:
        self._messages.append(message)
        self.size += len(message) + BOOKKEEPING
        if self.size > self._limit and not self._held:
            self._held = True
            self._hold(True)
        self._wake()

    async def take(self) -> Frame:
        while not self._messages:
            if self.ended:
                raise self.over()
            if self._waiter is not None:
                raise UsageError("two at once wait for a raw socket's next message")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._messages.popleft()
        self.size -= len(message) + BOOKKEEPING
        if self._held and self.size <= self._limit // 2 and not self.ended:
            self._held = False
            self._hold(False)
        return message

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._wake()

    @staticmethod
    def over() -> Disconnect:
        return Disconnect("the client is gone")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


Function = Callable[[Socket], Coroutine[Any, Any, None]]


class House(Protocol):
    """The application, as far as a visit needs it."""

    eager: Eager
    introductions: Introductions
    limits: Limits

    def complain(self, what: str, error: BaseException) -> None:
        """Tell the operator of a fault in the application."""


class Visit:
    """One client at a raw socket: the call of its function, from opening to closing."""

    __slots__ = ("_connection", "_function", "_house", "_inbox", "_socket", "_task")

    def __init__(
        self, house: House, function: Function, connection: Connection, request: Request, subprotocol: str | None
    ) -> None:
        self._house = house
        self._function = function
        self._connection = connection
        self._inbox = Inbox(house.limits.inbox, connection.hold)
        self._socket = Socket(connection, request, subprotocol, self._inbox)
        self._task = house.eager.start(self._run())

    def take(self, message: Frame) -> None:
        """The client says this."""
        limits, connection = self._house.limits, self._connection
        if self._inbox.size > limits.inbox + limits.message and connection.protocol.line != "socket":
            # no POST waits on the client's side for those before it to be taken
            connection.end(ProtocolError("more messages than are taken", 1008), "too many")
        else:
            self._inbox.put(message)

    def leave(self) -> None:
        """The client is gone."""
        self._inbox.end()
        if self._task is not None and not self._task.done():
            asyncio.get_running_loop().call_later(self._house.limits.patience, self._task.cancel)

    async def _run(self) -> None:
        await asyncio.sleep(0)  # until the client's line is there
        connection = self._connection
        try:
            if not await self._introduce():
                return
            await self._function(self._socket)
            connection.end(Closed(), "closed")
        except asyncio.CancelledError:
            connection.end(Closed(1011), "cancelled")
            raise
        except Exception as error:
            if not (connection.ended and isinstance(error, Disconnect)):
                self._fail(error)

    async def _introduce(self) -> bool:
        """Whether this client may come in. One that may not has no words for why: a close code has to do."""
        introduced = self._house.introductions.of(self._connection, self._socket.request.query)
        if introduced is not None:
            try:
                await introduced
            except Refused as error:
                self._connection.end(Closed(4_000 + error.status, error.reason), error.code)
                return False
        return True

    def _fail(self, error: Exception) -> None:
        if isinstance(error, HubbubError) and not isinstance(error, UsageError):
            self._connection.end(error, error.code)
            return
        name = getattr(self._function, "__name__", type(self._function).__name__)
        self._house.complain(f"{name}, at the raw socket {self._socket.request.path}, failed", error)
        self._connection.end(Closed(1011), "failed")
