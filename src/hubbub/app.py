"""The application: topic patterns to channels, URLs to protocols. It owns hub, broker and origins, starts and stops.

This is the only file that knows the concrete parts by name.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hubbub import brokers, metrics, protocols
from hubbub.attendance import Attendance
from hubbub.auth import Origins
from hubbub.background import Background
from hubbub.blueprint import Blueprint
from hubbub.bodies import encode
from hubbub.channels.base import Channel
from hubbub.connection import Connection
from hubbub.deadlines import Deadlines, Lateness
from hubbub.draining import drain
from hubbub.eager import Eager
from hubbub.envelope import addressed
from hubbub.errors import Disconnect, Kicked, UsageError
from hubbub.exposition import written
from hubbub.gathering import Present
from hubbub.history import Position
from hubbub.hub import Hub
from hubbub.introduction import Hook
from hubbub.limits import Limits
from hubbub.messages import canonical
from hubbub.nodes import Nodes
from hubbub.protocols.base import Protocol, Request, Session
from hubbub.protocols.raw import Raw
from hubbub.protocols.sockjs import at as sockjs_at
from hubbub.protocols.sockjs_pages import SockJS as SockJS  # noqa: PLC0414 (a public name)
from hubbub.reception import Reception
from hubbub.servers import asgi
from hubbub.servers.files import POLICY, Files
from hubbub.servers.routes import Routes
from hubbub.signals import listening
from hubbub.sockets import Function
from hubbub.workers import Workers

T = TypeVar("T")
C = TypeVar("C", bound=type[Channel])
H = TypeVar("H", bound=Hook)
B = TypeVar("B", bound=Callable[[], Awaitable[Any]])
Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
log = logging.getLogger("hubbub")

STATIC = Path(__file__).parent / "static"


class App:
    """A real-time application, and an ASGI application: run it with ``hubbub run module:app``, mount it, or both.

    ``broker``: where topics live, as a URL: ``memory://``, ``sqlite:///chat.db`` or ``redis://host:6379/0``.
    ``pages``: a folder of web pages to serve.
    ``policy``: their ``Content-Security-Policy``. Unless told otherwise they load from this server alone, and run no
    script that stands in them; ``""`` is none.
    ``fallback``: the ASGI application that gets every request that is not ours.
    ``origins``: pages of other hosts that may connect, such as ``https://example.com``; ``"*"`` for all.
    ``secret``: what ``POST /hubbub/publish`` and ``GET /hubbub/metrics`` ask for; without one these doors are closed.
    ``protocols``: which to speak, by name; all that stand in ``hubbub.protocols`` unless told otherwise.
    """

    patience = 10.0
    """Seconds that stopping may take."""

    hosted = True
    """Whether a server of others runs us: ours says that it does not."""

    def __init__(
        self,
        *,
        broker: str = "memory://",
        pages: str | Path | None = None,
        policy: str = POLICY,
        fallback: ASGIApp | None = None,
        limits: Limits | None = None,
        origins: str | Iterable[str] | None = None,
        secret: str | None = None,
        protocols: Iterable[str] | None = None,
    ) -> None:
        self.broker_url = broker
        self.fallback = fallback
        self.limits = limits or Limits()
        self.origins = Origins(origins)
        self.secret = secret
        self.routes = Routes(_load(protocols))
        self.files = Files(STATIC, pages, policy)
        self.reception = Reception(self.limits)
        self._background = Background()
        self._starting: asyncio.Lock | None = None
        self._ending: asyncio.Task[None] | None = None
        self._started = False
        self._until: float | None = None
        """When stopping has to be over, once it has begun."""
        self._loop: asyncio.AbstractEventLoop
        self._workers: Workers
        self.hub: Hub
        self.attendance: Attendance
        self.nodes: Nodes
        self.eager: Eager
        self.deadlines: Deadlines
        self._lateness: Lateness

    # -- what an application is made of ----------------------------------------------------------------------------

    def channel(self, pattern: str) -> Callable[[C], C]:
        """Serve the topics of this pattern with the decorated class. ``{name}`` stands for one or more characters
        but ``/``; a leading slash does not matter. Exact names go before patterns, and those in order.

        Raises UsageError for a pattern that is taken or a class that cannot be served.
        """

        def register(channel: C) -> C:
            self.reception.channels.add(pattern, Blueprint(channel))
            return channel

        return register

    def socket(
        self, path: str, *, subprotocols: Sequence[str] = (), sockjs: bool | SockJS = False
    ) -> Callable[[Function], Function]:
        """Serve the WebSockets of this path with the decorated ``async def``, which is given a ``Socket``. ``{name}``
        in the path stands for one segment.

        ``subprotocols``: those that are spoken there, best first; the socket's ``subprotocol`` is the one agreed on.
        ``sockjs``: whether SockJS is spoken there, too, and how.
        Raises UsageError for a path that is none, or is taken.
        """

        def register(function: Function) -> Function:
            if not inspect.iscoroutinefunction(function):
                raise UsageError(f"{path!r}: a raw socket is served by an async def")
            if self.routes.find(Request("GET", path))[0] is not None:
                raise UsageError(f"{path!r} is taken")
            raw = Raw.at(path, subprotocols)
            for protocol in (sockjs_at(path, raw, sockjs), raw) if sockjs else (raw,):
                self.routes.add(protocol)
                self.reception.sockets[protocol] = function
            return function

        return register

    def authenticate(self, hook: H) -> H:
        """Ask the decorated function, ``async def`` or ``def``, who a client is, before the first topic it joins. It is
        given a ``Handshake``, and returns the identity, or a ``Pass`` to be asked again; or raises ``Unauthorized``.

        Raises UsageError when there is such a function already.
        """
        if self.reception.introductions.hook is not None:
            raise UsageError("there is one @app.authenticate in an application, and this is the second")
        self.reception.introductions.hook = hook
        return hook

    def background(self, function: B) -> B:
        """Run the decorated ``async def`` beside the clients, from the application's start to its end, when it is
        cancelled. What it raises is logged, and stops nothing else.

        Raises UsageError for what is no ``async def`` without parameters.
        """
        self._background.add(function)
        return function

    def publish(
        self,
        topic: str,
        event: str,
        *payload: Any,
        to: str = "",
        keep: bool = True,
        volatile: bool = False,
        key: str = "",
        id: str | None = None,
    ) -> Awaitable[Position]:
        """Tell everyone in a topic, or in its room ``to``, which may also stand in the topic's name (``topic#room``).
        The options are those of ``Channel.publish``. From a thread other than the event loop's it blocks, and returns
        the position itself.

        Raises NotFound when no channel has this topic, BrokerError when the log could not take it.
        """
        name, _, room = canonical(topic).partition("#")
        blueprint, _ = self.reception.channels.find(name)
        body = encode((event, *payload))
        envelope = addressed("", to or room, volatile, key)
        work = partial(self._publish, name, body, blueprint.history if keep else None, envelope, id)
        return self._workers.on_loop(work) if self._started else work()

    async def _publish(self, *arguments: Any) -> Position:
        await self.start()
        return await self.hub.publish(*arguments)

    async def call(self, topic: str, event: str, *payload: Any, timeout: float = 10.0) -> list[Any]:
        """Ask everyone in a topic, on all nodes, and gather the answers that come within ``timeout`` seconds.

        Who leaves, fails or stays silent is not in the list.
        """
        await self.start()
        return await self.nodes.call(canonical(topic), encode((event, *payload)), timeout)

    async def disconnect(self, who: str, error: Disconnect | str = "", *, timeout: float = 5.0) -> int:
        """End the connection of this id, or all of this identity, on all nodes, and give their number. ``error`` is
        the reason of a ``Kicked``, or what else they are to be told: ``Banned("spam")``.

        Nodes that do not answer within ``timeout`` seconds are not counted.
        """
        await self.start()
        return await self.nodes.end(who, Kicked(error) if isinstance(error, str) else error, timeout)

    async def presence(self, topic: str) -> Present:
        """Who is in a topic, and how many. Raises NotFound when no channel has this topic."""
        await self.start()
        name = canonical(topic)
        blueprint, _ = self.reception.channels.find(name)
        return await self.attendance.present(name, blueprint.presence)

    def metrics(self) -> str:
        """How this node is, in numbers, as Prometheus reads them: for a route of your own. From any thread; before the
        start there is little to say."""
        told = list(metrics.of_process())
        if self._started:
            spoken = [protocol.name for protocol in self.routes.protocols]
            scheme = self.broker_url.partition("://")[0]
            told += metrics.of_node(self.reception, spoken, self.hub, self._lateness, scheme)
        return written(told)

    # -- starting and stopping -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start, if it has not started: servers call it, and the first client does where a server does not.

        Raises UsageError for what a person must mend.
        """
        if self._started:
            if self._loop.is_closed():  # nobody closed us with it: what was running is gone
                self._started, self._starting = False, None
            elif self._loop is asyncio.get_running_loop():
                return
            else:
                raise UsageError("an App serves one event loop at a time, and this one has another: make one for each")
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._started:
                return
            loop = self._loop = asyncio.get_running_loop()
            broker = brokers.create(self.broker_url)
            self.hub = Hub(broker, loop, self.complain)
            self.eager, self.deadlines, self._workers = Eager(loop), Deadlines(loop), Workers()
            self._lateness = Lateness(loop.time())
            self.deadlines.watch(self._lateness)
            reception = self.reception
            reception.open(self.hub, self.eager, self.deadlines, self._workers)
            self.nodes = Nodes(self.hub, reception.connections, self.complain)
            reception.attendance = self.attendance = Attendance(self, reception.hook)
            await self.nodes.start()
            await self.attendance.start()
            if not STATIC.is_dir():  # a package that was made of a checkout in which nobody has run `make`
                log.warning("there are no browser clients to serve: run `make demo` in the checkout, and install again")
            self._started, self._until, self._ending = True, None, None
            self._background.start(self.complain)

    async def close(self) -> None:
        """Tell every client to come back later, finish what runs, and stop: all within ``patience``, counted from the
        beginning of ``drain`` if that came first. What is not done by then is given up."""
        if not self._started:
            return
        if self._ending is not None:
            self._ending.cancel()
        await self.drain(0.0)
        await self._background.close(self.complain, self._left())
        if self.eager.running:
            _, late = await asyncio.wait(self.eager.running, timeout=self._left() / 2)
            for task in late:
                task.cancel()
        self.eager.close()
        self.deadlines.close()
        self.nodes.close()
        try:
            async with asyncio.timeout(self._left()):
                await self.hub.broker.close()
        except TimeoutError:
            log.warning("the broker did not end in time")
        self._workers.close()
        self._started = False
        self._starting = None

    async def drain(self, seconds: float) -> None:
        """Let nobody in any more, and tell every client to come back: spread over ``seconds`` at the most, each when
        what it asked for is done."""
        if self._started:
            self._until = self._until or self._loop.time() + self.patience
            self.reception.closed = True
            self.attendance.goodbye()
            await drain(self.reception.connections, seconds)
            self.hub.flush()

    def _left(self) -> float:
        """Seconds until stopping has to be over; a moment at least, for what needs no more."""
        return max(0.5, (self._until or 0.0) - self._loop.time())

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """For applications that mount this one: ``FastAPI(lifespan=app.lifespan)``."""
        await self.start()
        with listening(self._hear_of_the_end):
            try:
                yield
            finally:
                await self.close()

    def _hear_of_the_end(self) -> None:
        """Servers of others wait until event streams have ended; ours sends them away itself."""
        if self.hosted and self._ending is None:
            self._ending = self._loop.create_task(self.drain(self.patience / 2))

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        await asgi.serve(self, scope, receive, send)

    def doors(self) -> list[tuple[str, str, str]]:
        """What is served where, for people to read: what, its path, a remark."""
        served = [(protocol.title or protocol.name, path, "") for protocol, path in self.routes.places()]
        if self.files.find("/index.html") is not None:
            served.insert(0, ("pages", "/", ""))
        elif self.fallback is None:
            served.insert(0, ("pages", "none", "App(pages=folder) serves some"))
        served.append(("health", "/hubbub/health", ""))
        if self.secret is not None:
            served.append(("metrics", "/hubbub/metrics", "for who has the secret"))
        return served

    # -- what the servers ask --------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self.reception.closed

    def session(self) -> Session:
        return self.reception.session()

    def connect(self, protocol: type[Protocol], request: Request, key: str | None = None) -> Connection:
        return self.reception.connect(protocol, request, key)

    def find(self, key: str) -> Connection:
        return self.reception.find(key)

    def complain(self, what: str, error: BaseException) -> None:
        self.reception.complain(what, error)


def _load(names: Iterable[str] | None) -> list[type[Protocol]]:
    return [protocols.load(name) for name in (protocols.DEFAULT if names is None else names)]
