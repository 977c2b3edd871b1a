"""Who somebody is: the application is asked once for each client, before the first topic it joins.

    @app.authenticate
    async def who(handshake):
        user = await users.find(handshake.token)
        if user is None:
            raise Unauthorized("log in first")
        return user

Rules:

1. What the hook returns is ``connection.identity``, before any ``join`` runs. What it raises is the answer to the join;
   the client stays connected, and the next join asks again. Nobody is in any topic before.
2. A hook that takes longer than ``PATIENCE`` has failed.
3. A ``Pass`` is good for so many seconds. Then the hook is asked again, with the same handshake: when it refuses, the
   connection ends as ``Expired``, and its client may come back with better papers, and misses nothing. When it fails
   in another way, it is asked again every ``PAUSE`` seconds, but no longer than ``GRACE``.
4. Of clients that need not be asked again nothing is kept here.
"""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from hubbub.bodies import decode
from hubbub.connection import Connection
from hubbub.deadlines import Deadlines
from hubbub.errors import Disconnect, Expired, Failed, HubbubError, Unavailable, UsageError
from hubbub.protocols.base import Request
from hubbub.tasks import heed

PATIENCE = 10.0
"""Seconds the hook may take."""

PAUSE, GRACE = 10.0, 60.0
"""Seconds between two attempts to ask again that failed, and after which they end."""


class Handshake(msgspec.Struct, frozen=True):
    """What a client has shown of itself: the HTTP ``request`` by which it came, and the ``params`` of its first join
    (Socket.IO's ``auth``, Phoenix's socket and join parameters, the query of an event stream)."""

    request: Request
    params: Mapping[str, Any]

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in lower case."""
        return self.request.headers

    @property
    def client(self) -> str:
        """The address it came from, after trusted proxies."""
        return self.request.client

    @property
    def cookies(self) -> dict[str, str]:
        """By name, as the browser sent them (RFC 6265, section 5.4)."""
        pairs = (pair.partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return {name.strip(): value.strip().strip('"') for name, equals, value in pairs if equals}

    @property
    def token(self) -> str | None:
        """The bearer token (RFC 6750, section 2.1), or else the parameter ``token`` or ``auth_token``: browsers add no
        header to a WebSocket or an event stream."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
        given = self.params.get("token", self.params.get("auth_token"))
        return given if isinstance(given, str) and given else None


class Pass(msgspec.Struct, frozen=True):
    """``identity``, for so many ``seconds``: then the hook is asked again.

    Raises UsageError for a time that is no time."""

    identity: Any
    seconds: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.seconds):
            raise UsageError(f"a Pass is for so many seconds, not {self.seconds}: for good is the identity alone")


Hook = Callable[[Handshake], Any]


class House(Protocol):
    """The application, as far as introductions need it."""

    deadlines: Deadlines

    def in_thread(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]:
        """Run in a worker thread."""

    def complain(self, what: str, error: BaseException) -> None:
        """Tell the operator of a fault in the application."""


class Introductions:
    """One application's: of the clients that are not known yet, or not for good."""

    def __init__(self, house: House) -> None:
        self.hook: Hook | None = None
        self._house = house
        self._open: dict[str, _Introduction] = {}

    def __len__(self) -> int:
        return len(self._open)

    def expect(self, connection: Connection, request: Request) -> None:
        """A client has come."""
        if self.hook is not None:
            self._open[connection.id] = _Introduction(self, connection, request)

    def of(self, connection: Connection, params: Any = None) -> Awaitable[None] | None:
        """Wait until it is known who this is; None where that is so. ``params`` is what it joins with. The wait raises
        what the hook raises."""
        introduction = self._open.get(connection.id)
        return None if introduction is None or introduction.known else introduction.make(params)

    def forget(self, connection: Connection) -> None:
        """The client is known for good, or gone."""
        introduction = self._open.pop(connection.id, None)
        if introduction is not None:
            introduction.deadline = None

    async def ask(self, handshake: Handshake) -> Any:
        hook = self.hook
        assert hook is not None
        try:
            async with asyncio.timeout(PATIENCE):
                if inspect.iscoroutinefunction(hook):
                    return await hook(handshake)
                return await self._house.in_thread(hook, handshake)
        except TimeoutError as error:
            self._house.complain("the authentication hook takes too long", error)
            raise Unavailable("it takes too long to find out who you are") from None

    def watch(self, introduction: "_Introduction", seconds: float) -> None:
        introduction.deadline = self._house.deadlines.now() + seconds
        self._house.deadlines.watch(introduction)

    def complain(self, error: BaseException) -> None:
        self._house.complain("the authentication hook failed", error)


class _Introduction:
    """One client's."""

    __slots__ = ("_all", "_asking", "_connection", "_failing", "_handshake", "deadline", "known")

    def __init__(self, all: Introductions, connection: Connection, request: Request) -> None:
        self.known = False
        self.deadline: float | None = None
        self._all = all
        self._connection = connection
        self._handshake = Handshake(request, {})
        self._asking: asyncio.Task[None] | None = None
        self._failing = 0.0

    async def make(self, params: Any) -> None:
        if self._asking is None:
            given = decode(params)
            handshake = Handshake(self._handshake.request, given if isinstance(given, dict) else {})
            self._asking = asyncio.get_running_loop().create_task(self._make(handshake))
            self._asking.add_done_callback(heed)  # whoever waited may be gone
        await asyncio.shield(self._asking)

    async def _make(self, handshake: Handshake) -> None:
        try:
            self._take(await self._all.ask(handshake), handshake)
        except HubbubError:
            raise
        except Exception as error:
            self._all.complain(error)
            raise Failed("something went wrong") from None
        finally:
            self._asking = None

    def _take(self, found: Any, handshake: Handshake) -> None:
        self.known, self._failing = True, 0.0
        if not isinstance(found, Pass):
            self._connection.identity = found
            self._all.forget(self._connection)
            return
        self._connection.identity = found.identity
        self._handshake = handshake
        if not self._connection.ended:
            self._all.watch(self, found.seconds)

    def tick(self, now: float) -> None:
        """The pass has run out."""
        self.deadline = None
        self._asking = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        try:
            self._take(await self._all.ask(self._handshake), self._handshake)
        except Exception as error:
            self._miss(error)
        finally:
            self._asking = None

    def _miss(self, error: Exception) -> None:
        """The hook did not renew the pass: because it refuses, or because it fails."""
        if isinstance(error, HubbubError) and not isinstance(error, UsageError | Unavailable):
            end: Disconnect | None = error if isinstance(error, Disconnect) else Expired(error.reason)
        else:
            self._all.complain(error)
            self._failing += PAUSE
            end = Expired("it could not be found out who you are") if self._failing > GRACE else None
        if end is not None:
            self._connection.end(end, end.code)
        elif not self._connection.ended:
            self._all.watch(self, PAUSE)
