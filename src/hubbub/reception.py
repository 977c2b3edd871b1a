"""Where clients arrive, are found again, and are led to their topics.

It is the *desk* of connections, and the *house* of memberships and visits: what they ask of the application.
"""

import logging
import secrets
from typing import Any, cast

import msgspec

from hubbub.attendance import Attendance
from hubbub.blueprint import Directory
from hubbub.connection import Connection
from hubbub.deadlines import Deadlines
from hubbub.eager import Eager
from hubbub.errors import HubbubError, Invalid, NotFound, Shutdown, TooMany
from hubbub.hub import Hub
from hubbub.introduction import Introductions
from hubbub.limits import Limits
from hubbub.membership import Membership
from hubbub.messages import Answer, Command, Join, Leave, Reply, Send, Verbatim, canonical
from hubbub.protocols.base import Protocol, Request, Session
from hubbub.servers.carriers import subprotocol
from hubbub.servers.routes import Routes
from hubbub.sockets import Function, Visit
from hubbub.workers import Workers

log = logging.getLogger("hubbub")

ENDS = (
    "aborted", "banned", "cancelled", "closed", "expired", "failed", "forbidden", "kicked", "missed", "protocol error",
    "shutdown", "timeout", "too many", "too slow", "unauthorized", "other",
)  # fmt: skip
"""How connections end, as it is counted. An application's own words for it are "other": there may be any number."""


class Reception:
    """One application's. Nobody can come before it was opened."""

    attendance: Attendance

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.channels = Directory()
        self.sockets: dict[type[Protocol], Function] = {}
        self.introductions = Introductions(self)
        self.connections: dict[str, Connection] = {}
        self._sessions: dict[str, Connection] = {}
        self.opened: dict[str, int] = {}
        """Clients that have come, by protocol."""
        self.ends = dict.fromkeys(ENDS, 0)
        """Clients that are gone, by the reason."""
        self.refusals = dict.fromkeys(("rate", "backlog", "topics"), 0)
        self.commands = 0
        self.faults = 0
        self.closed = False
        """Nobody new is let in."""

    def open(self, hub: Hub, eager: Eager, deadlines: Deadlines, workers: Workers) -> None:
        self.closed = False
        self.hub = hub
        self.eager = eager
        self.deadlines = deadlines
        self.in_thread = workers.in_thread
        self.on_loop = workers.on_loop
        self.queue = hub.queue
        self.regroup = hub.regroup
        self.flush = hub.flush

    # -- what the servers ask --------------------------------------------------------------------------------------

    def session(self) -> Session:
        """What a new conversation is given."""
        chance = secrets.token_urlsafe(30)  # 18 bytes that are secret, and 12 that are not
        return Session(chance[:24], chance[24:], self.limits, self.deadlines.now())

    def connect(self, protocol: type[Protocol], request: Request, key: str | None = None) -> Connection:
        """A new client, whose session may have a ``key`` already. Raises Shutdown when nobody is let in any more, and
        what its protocol raises of the request."""
        if self.closed:
            raise Shutdown
        session = self.session()
        if key is not None:
            session = msgspec.structs.replace(session, key=key)
        conversation = protocol(session)
        connection = Connection(self, conversation, session.key, session.id, request.client)
        commands = conversation.open(request, session.now)
        self.connections[session.id] = connection
        self.opened[conversation.name] = self.opened.get(conversation.name, 0) + 1
        if Routes.has_sessions(protocol):
            self._sessions[session.key] = connection
        self.introductions.expect(connection, request)
        function = self.sockets.get(protocol)
        if function is not None:
            chosen = subprotocol(protocol, request.headers)
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
        self.commands += 1
        if type(command) is Send:
            membership = connection.memberships.get(command.topic) or self._membership(connection, command.topic)
            if membership is None:
                connection.tell(Reply(command, error=NotFound("the topic was not joined")))
            else:
                membership.send(command)
        elif type(command) is Verbatim:
            connection.visit.take(command.data)
        elif type(command) is Join:
            self._join(connection, command)
        elif type(command) is Leave:
            membership = self._membership(connection, command.topic)
            if membership is None:
                connection.tell(Reply(command))
            else:
                membership.leave("left", command)
        elif type(command) is Answer:
            membership = self._membership(connection, command.topic)
            if membership is not None:
                membership.answer(command)

    @staticmethod
    def _membership(connection: Connection, topic: str) -> Membership | None:
        memberships: dict[str, Membership] = connection.memberships
        return memberships.get(topic) or memberships.get(canonical(topic))

    def _join(self, connection: Connection, command: Join) -> None:
        topic = canonical(command.topic)
        older: Membership | None = connection.memberships.get(topic)
        try:
            if len(topic) > self.limits.topic_length or "#" in topic:
                raise Invalid(f"a topic's name has at most {self.limits.topic_length} characters, and no '#'")
            blueprint, variables = self.channels.find(topic)
            if older is None and len(connection.memberships) >= self.limits.topics:
                self.refusals["topics"] += 1
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

    def ended(self, connection: Connection, reason: str) -> None:
        self.connections.pop(connection.id, None)
        end = reason.replace("_", " ")
        self.ends[end if end in self.ends else "other"] += 1
        self.introductions.forget(connection)
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

    async def hook(self, topic: str, name: str, arguments: tuple[Any, ...]) -> None:
        """Call a hook of a topic's channel, on an object that is no client's."""
        blueprint, _ = self.channels.find(topic)
        nobody = Connection(self, cast(Protocol, None), "", "")
        nobody.ended = True
        membership = Membership(self, blueprint, nobody, topic)
        membership.left = True
        await membership.hook(name, arguments)

    def complain(self, what: str, error: BaseException) -> None:
        """Tell the operator of a fault."""
        self.faults += 1
        log.error(what, exc_info=error)
