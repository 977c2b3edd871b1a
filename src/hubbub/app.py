"""The application: topic patterns to channels, URLs to protocols. It owns hub, broker and origins, starts and stops.

This is the only file that knows the concrete parts by name.
"""

import asyncio
import inspect
import logging
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from hubbub import brokers, protocols
from hubbub.attendance import Attendance
from hubbub.auth import Origins
from hubbub.blueprint import Blueprint, Directory
from hubbub.channels.base import Channel
from hubbub.connection import Connection
from hubbub.deadlines import Deadlines
from hubbub.eager import Eager
from hubbub.envelope import Envelope
from hubbub.errors import Disconnect, HubbubError, Invalid, Kicked, NotFound, Shutdown, TooMany, UsageError
from hubbub.gathering import Present
from hubbub.history import Position
from hubbub.hub import Hub
from hubbub.limits import Limits
from hubbub.membership import Membership
from hubbub.messages import Answer, Bye, Command, Frame, Join, Leave, Reply, Send, Verbatim, canonical, encode
from hubbub.nodes import Nodes
from hubbub.protocols.base import Protocol, Request, Session
from hubbub.protocols.raw import Raw
from hubbub.servers import asgi, carriers
from hubbub.servers.files import Files
from hubbub.servers.routes import Routes
from hubbub.servers.websocket import frame
from hubbub.sockets import Function, Visit

T = TypeVar("T")
C = TypeVar("C", bound=type[Channel])
Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
log = logging.getLogger("hubbub")

STATIC = Path(__file__).parent / "static"


class App:
    """A real-time application, and an ASGI application: run it with ``hubbub run module:app``, mount it, or both.

    ``broker``: where topics live, as a URL: ``memory://`` or ``sqlite:///chat.db``.
    ``pages``: a folder of web pages to serve.
    ``fallback``: the ASGI application that gets every request that is not ours.
    ``origins``: pages of other hosts that may connect, such as ``https://example.com``; ``"*"`` for all.
    ``secret``: what ``POST /hubbub/publish`` asks for; without one that door is closed.
    ``protocols``: which to speak, by name; all that stand in ``hubbub.protocols`` unless told otherwise.
    """

    def __init__(
        self,
        *,
        broker: str = "memory://",
        pages: str | Path | None = None,
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
        self.files = Files(STATIC, pages)
        self.connections: dict[str, Connection] = {}
        self._sessions: dict[str, Connection] = {}
        self._channels = Directory()
        self._sockets: dict[type[Protocol], Function] = {}
        self._starting: asyncio.Lock | None = None
        self._started = False
        self._loop: asyncio.AbstractEventLoop
        self._thread = 0
        self._pool: ThreadPoolExecutor | None = None
        self.hub: Hub
        self.attendance: Attendance
        self.nodes: Nodes
        self.eager: Eager
        self.deadlines: Deadlines

    # -- what an application is made of ----------------------------------------------------------------------------

    def channel(self, pattern: str) -> Callable[[C], C]:
        """Serve the topics of this pattern with the decorated class. ``{name}`` stands for one or more characters
        but ``/``; a leading slash does not matter. Exact names go before patterns, and those in order.

        Raises UsageError for a pattern that is taken or a class that cannot be served.
        """

        def register(channel: C) -> C:
            self._channels.add(pattern, Blueprint(channel))
            return channel

        return register

    def socket(self, path: str, *, subprotocols: Sequence[str] = ()) -> Callable[[Function], Function]:
        """Serve the WebSockets of this path with the decorated ``async def``, which is given a ``Socket``. ``{name}``
        in the path stands for one segment.

        ``subprotocols``: those that are spoken there, best first; the socket's ``subprotocol`` is the one agreed on.
        Raises UsageError for a path that is none, or is taken.
        """

        def register(function: Function) -> Function:
            if not inspect.iscoroutinefunction(function):
                raise UsageError(f"{path!r}: a raw socket is served by an async def")
            if self.routes.find(Request("GET", path))[0] is not None:
                raise UsageError(f"{path!r} is taken")
            protocol = Raw.at(path, subprotocols)
            self.routes.add(protocol)
            self._sockets[protocol] = function
            return function

        return register

    def publish(
        self, topic: str, event: str, *payload: Any, keep: bool = True, id: str | None = None, key: str = ""
    ) -> Awaitable[Position]:
        """Tell everyone in a topic, or in one of its rooms (``topic#room``). From a thread other than the event
        loop's it blocks, and returns the position itself.

        Raises NotFound when no channel has this topic, BrokerError when the log could not take it.
        """
        name, _, room = canonical(topic).partition("#")
        blueprint, _ = self._channels.find(name)
        body = encode((event, *payload))
        envelope = Envelope(room=room, key=key)
        work = partial(self._publish, name, body, blueprint.history if keep else None, envelope, id)
        return self.on_loop(work)

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
        self._channels.find(name)
        return await self.attendance.present(name)

    # -- starting and stopping -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start, if it has not started: servers call it, and the first client does where a server does not.

        Raises UsageError for what a person must mend.
        """
        if self._started:
            if self._loop.is_closed():  # nobody closed us with it: what was running is gone
                self._started, self._starting = False, None
            else:
                return
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._started:
                return
            loop = self._loop = asyncio.get_running_loop()
            self._thread = threading.get_ident()
            broker = brokers.create(self.broker_url)
            self.hub = Hub(broker, loop, frame, self.complain)
            self.nodes = Nodes(self.hub, self.connections, self.complain)
            await self.nodes.start()
            self.eager = Eager(loop)
            self.deadlines = Deadlines(loop)
            node = secrets.token_urlsafe(6)
            self.attendance = Attendance(node, self.hub, self.deadlines, self.limits, self.eager.start, self._hook)
            self._started = True

    async def close(self) -> None:
        """Tell every client to come back later, finish what runs, and stop."""
        if not self._started:
            return
        self.dismiss()
        if self.eager.running:
            _, late = await asyncio.wait(self.eager.running, timeout=5.0)
            for task in late:
                task.cancel()
        self.eager.close()
        self.deadlines.close()
        self.nodes.close()
        await self.hub.broker.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        self._started = False
        self._starting = None

    def dismiss(self) -> None:
        """Tell every client to come back later, and close its lines."""
        if self._started:
            for connection in list(self.connections.values()):
                connection.end(Shutdown(), "shutdown")
            self.hub.flush()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """For applications that mount this one: ``FastAPI(lifespan=app.lifespan)``."""
        await self.start()
        try:
            yield
        finally:
            await self.close()

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        await asgi.serve(self, scope, receive, send)

    def doors(self) -> list[tuple[str, str, str]]:
        """What is served where, for people to read: what, its path, a remark."""
        served = [
            (protocol.title or protocol.name, path, "")
            for protocol in self.routes.protocols
            for path in outermost(route.path for route in protocol.routes)
        ]
        if self.files.find("/index.html") is not None:
            served.insert(0, ("pages", "/", ""))
        served.append(("health", "/hubbub/health", ""))
        return served

    # -- what the servers ask --------------------------------------------------------------------------------------

    def session(self) -> Session:
        return Session(secrets.token_urlsafe(16), secrets.token_urlsafe(12), self.limits, self._loop.time())

    def connect(self, protocol: type[Protocol], request: Request, key: str | None = None) -> Connection:
        """A new client, whose session may have a ``key`` already. Raises what its protocol raises of the request."""
        session = self.session()
        if key is not None:
            session = msgspec.structs.replace(session, key=key)
        conversation = protocol(session)
        connection = Connection(self, conversation, session.key, session.id, request.client)
        commands = conversation.open(request, session.now)
        self.connections[session.id] = connection
        if self.routes.has_sessions(protocol):
            self._sessions[session.key] = connection
        function = self._sockets.get(protocol)
        if function is not None:
            chosen = carriers.subprotocol(protocol, request.headers)
            connection.visit = Visit(self, function, connection, request, chosen)
        connection.run(commands, session.now)
        return connection

    def find(self, key: str) -> Connection:
        """The client of this session. Raises NotFound."""
        connection = self._sessions.get(key)
        if connection is None:
            raise NotFound("there is no such session")
        return connection

    # -- what connections ask (their Desk) -------------------------------------------------------------------------

    def command(self, connection: Connection, command: Command) -> None:
        if isinstance(command, Verbatim):
            connection.visit.take(command.data)
            return
        if isinstance(command, Join):
            self._join(connection, command)
            return
        if isinstance(command, Bye):  # the connection itself has seen to it
            return
        memberships = connection.memberships
        membership: Membership | None = memberships.get(command.topic) or memberships.get(canonical(command.topic))
        if type(command) is Send:
            if membership is None:
                connection.tell(Reply(command, error=NotFound("the topic was not joined")))
            else:
                membership.send(command)
        elif type(command) is Leave:
            if membership is None:
                connection.tell(Reply(command))
            else:
                membership.leave("left", command)
        elif type(command) is Answer and membership is not None:
            membership.answer(command)

    def _join(self, connection: Connection, command: Join) -> None:
        topic = canonical(command.topic)
        older: Membership | None = connection.memberships.get(topic)
        try:
            if len(topic) > self.limits.topic_length or "#" in topic:
                raise Invalid(f"a topic's name has at most {self.limits.topic_length} characters, and no '#'")
            blueprint, variables = self._channels.find(topic)
            if older is None and len(connection.memberships) >= self.limits.topics:
                raise TooMany(f"more than {self.limits.topics} topics")
        except HubbubError as error:
            connection.tell(Reply(command, error=error))
            return
        if older is not None:
            self._vacate(older)
            older.leave("replaced")
        membership = Membership(self, blueprint, connection, topic)
        connection.memberships[topic] = membership
        membership.join(command, variables)

    def queue(self, connection: Connection, frames: tuple[Frame, ...]) -> None:
        self.hub.queue(connection, frames)

    def regroup(self, connection: Connection) -> None:
        self.hub.regroup(connection)

    def flush(self) -> None:
        self.hub.flush()

    def ended(self, connection: Connection, reason: str) -> None:
        self.connections.pop(connection.id, None)
        if connection.visit is not None:
            connection.visit.leave()
        for membership in list(connection.memberships.values()):
            self._vacate(membership)
            membership.leave(reason)

    def gone(self, connection: Connection) -> None:
        self._sessions.pop(connection.key, None)

    # -- what memberships ask (their House) ------------------------------------------------------------------------

    def forget(self, membership: Membership) -> None:
        memberships = membership.connection.memberships
        if memberships.get(membership.topic) is membership:
            del memberships[membership.topic]
            self._vacate(membership)

    def _vacate(self, membership: Membership) -> None:
        for room in membership.rooms:
            self.hub.leave(membership.connection, f"{membership.topic}#{room}")
        self.hub.leave(membership.connection, membership.topic)

    async def _hook(self, topic: str, name: str, arguments: tuple[Any, ...]) -> None:
        blueprint, _ = self._channels.find(topic)
        nobody = Connection(self, cast(Protocol, None), "", "")
        nobody.ended = True
        membership = Membership(self, blueprint, nobody, topic)
        membership.left = True
        await membership.hook(name, arguments)

    async def in_thread(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if self._pool is None:
            # Threads that block cost memory, not the loop; asyncio's own pool of cores + 4 would let six slow
            # handlers hold up all others.
            self._pool = ThreadPoolExecutor(64, thread_name_prefix="hubbub")
        return await self._loop.run_in_executor(self._pool, partial(function, *arguments, **named))

    def on_loop(self, work: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        if not self._thread or threading.get_ident() == self._thread:
            return work()

        async def finish() -> T:
            return await work()

        return cast(Awaitable[T], asyncio.run_coroutine_threadsafe(finish(), self._loop).result())

    def complain(self, what: str, error: BaseException) -> None:
        log.error(what, exc_info=error)


def outermost(paths: Iterable[str]) -> list[str]:
    """Those that are not below another one."""
    listed = dict.fromkeys(paths)
    return [path for path in listed if not any(path.startswith(f"{other}/") for other in listed)]


def _load(names: Iterable[str] | None) -> list[type[Protocol]]:
    return [protocols.load(name) for name in (protocols.DEFAULT if names is None else names)]
