"""Socket.IO 5: namespaces, events and acknowledgements, stacked on Engine.IO 4. Pure.

Source: the repository socketio/socket.io, docs/socket.io-protocol/v5-current.md; where it is silent, packages/socket.io
and packages/socket.io-client decide. Sentences in quotes are from the specification.

Rules:

1. A namespace is a topic: CONNECT joins, its ``auth`` object is the join's parameters, DISCONNECT leaves. The topic
   has the namespace's name without the slash, except for ``/`` itself.
2. An acknowledgement id is a ref: an ACK is the reply to an event, or the client's answer to a push.
3. Events and ACKs for a namespace that the client is not in end the connection, as with the reference server; but
   not those that were on their way when the server took the client out of it.
4. On topics with a log a CONNECT is answered with a ``pid``, and every event says where the log stands: "connection
   state recovery", as packages/socket.io has it. A client that comes back with both gets all that it missed. The pid
   holds the position of the first CONNECT, for a client that heard nothing since.
5. A client whose first message is binary speaks MessagePack packets (socketio_msgpack), all others text ones
   (socketio_packets).
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hubbub.bodies import decode
from hubbub.errors import Disconnect, HubbubError, NotFound, ProtocolError
from hubbub.history import Position
from hubbub.messages import Answer, Command, Frame, Join, Leave, Left, Message, Push, Raw, Reply, Send
from hubbub.protocols.base import Line, Request, Session
from hubbub.protocols.engineio import EngineIO, routes_at
from hubbub.protocols.socketio_msgpack import PackedPackets
from hubbub.protocols.socketio_packets import (
    ACK,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Assembly,
    Packet,
    Packets,
    TextPackets,
    namespace_of,
    noting,
    simple_event,
    topic_of,
)

TEXT: Final = TextPackets()
PACKED: Final = PackedPackets()

JOINING: Final = 1
JOINED: Final = 2
LEFT: Final = 3
"""How a client stands to a namespace; LEFT is by the server's will, and the client may not know it yet."""


class SocketIO(EngineIO):
    """One Socket.IO client in any number of namespaces."""

    __slots__ = ("_assembly", "_greeted", "_packets", "_pids", "_places")

    name = "socketio"
    title = "Socket.IO"
    path = "/socket.io/"
    routes = routes_at(path)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.dialect = TEXT.dialect
        self._packets: Packets = TEXT
        self._greeted = False
        self._places: dict[str, int] = {}
        self._pids: dict[str, str] | None = None
        self._assembly: Assembly | None = None

    def open(self, request: Request, now: float) -> Sequence[Command]:
        super().open(request, now)
        # "If the server does not receive a `CONNECT` packet first, then it MUST close the connection immediately."
        self._due = now + self.limits.handshake
        self._schedule()
        return ()

    # -- what the client says ----------------------------------------------------------------------------------------

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        if type(data) is str and line == self.line == "socket" and self._assembly is None and self._packets is TEXT:
            namespace, commands = simple_event(data)
            if self._places.get(namespace) == JOINED:
                return commands
        return super().receive(data, line, now)

    def message(self, data: Frame, now: float) -> Sequence[Command]:
        if self._assembly is not None:
            return self._attachment(data, now)
        if not self._greeted:
            self._greeted = True
            if isinstance(data, bytes):
                self._packets, self.dialect = PACKED, PACKED.dialect
        packet = self._packets.read(data)
        kind, namespace = packet.type, packet.namespace
        if kind == CONNECT:
            return self._connect(packet)
        place = self._places.get(namespace)
        if place != JOINED and place != LEFT:
            raise ProtocolError("not connected to this namespace")
        if packet.attachments:
            self._expect(packet, len(data), now)
            return ()
        if kind == EVENT or kind == ACK:
            return self._spoken(packet) if place == JOINED else ()
        if kind == DISCONNECT:
            del self._places[namespace]
            return (Leave(topic_of(namespace)),) if place == JOINED else ()
        raise ProtocolError("a connect error from a client")

    def _spoken(self, packet: Packet) -> Sequence[Command]:
        topic = topic_of(packet.namespace)
        if packet.type == EVENT:
            event, *arguments = packet.data
            return (Send(topic, event, arguments, packet.id),)
        if packet.id is None:
            raise ProtocolError("an acknowledgement of nothing")
        return (Answer(topic, packet.id, packet.data),)

    def _connect(self, packet: Packet) -> Sequence[Command]:
        namespace = packet.namespace
        if self._places.get(namespace, LEFT) != LEFT:
            return ()  # a client whose connect() was called twice sends it twice, and expects one answer
        # Twice the limit: whoever counts topics refuses one too many politely, this just keeps the table small.
        if len(self._places) >= 2 * self.limits.topics:
            self._places = {name: known for name, known in self._places.items() if known != LEFT}
            if len(self._places) >= 2 * self.limits.topics:
                raise ProtocolError("too many namespaces", 1008)
        self._places[namespace] = JOINING
        pid, after, params = read_recovery(packet.data)
        if pid is not None:
            self._pids = {**(self._pids or {}), namespace: pid}
        return (Join(topic_of(namespace), params, after=after),)

    def _expect(self, packet: Packet, size: int, now: float) -> None:
        if packet.attachments > self.limits.attachments:
            raise ProtocolError("too many attachments", 1008)
        self._assembly = Assembly(packet, self.limits.message - size)
        self._await_attachment(now)

    def _attachment(self, data: Frame, now: float) -> Sequence[Command]:
        assert self._assembly is not None
        packet = self._assembly.add(data)
        if packet is None:
            self._await_attachment(now)
            return ()
        self._assembly = None
        self._settle()
        return self._spoken(packet) if self._places.get(packet.namespace) == JOINED else ()

    def _await_attachment(self, now: float) -> None:
        """A pong would have to wait behind the attachment, so it may take as long as a pong."""
        self._due = now + self.limits.patience
        self._schedule()

    # -- what the client is told -------------------------------------------------------------------------------------

    def send(self, message: Message) -> tuple[Frame, ...]:
        if isinstance(message, Push):
            body = noting(message.body, message.cursor, logged=False)
            return self._packets.event(namespace_of(message.topic), body, message.ref)
        if isinstance(message, Left):
            namespace = namespace_of(message.topic)
            self._places[namespace] = LEFT
            return self._packets.notice(DISCONNECT, namespace)
        to, error = message.to, message.error
        if isinstance(to, Join):
            return self._welcome(message, namespace_of(to.topic))
        if isinstance(to, Leave):
            return ()  # "No response is expected" to a DISCONNECT
        if error is None:
            return self.returned(to, message.body)
        return self.returned(to, msgspec.json.encode([{"error": {"code": error.code, "reason": error.reason}}]))

    def returned(self, to: Send, body: bytes) -> tuple[Frame, ...]:
        ref = to.ref
        return () if ref is None else self._packets.ack(namespace_of(to.topic), body, ref)

    def _welcome(self, reply: Reply, namespace: str) -> tuple[Frame, ...]:
        error = reply.error
        if error is None:
            self._places[namespace] = JOINED
            if self._assembly is None:
                self._settle()
            return self._packets.notice(CONNECT, namespace, self._greeting(reply, namespace))
        self._places.pop(namespace, None)
        if isinstance(error, NotFound):
            return self._packets.notice(CONNECT_ERROR, namespace, {"message": "Invalid namespace"})
        refusal = {"message": error.reason, "data": {"code": error.code}}
        return self._packets.notice(CONNECT_ERROR, namespace, refusal)

    def _greeting(self, reply: Reply, namespace: str) -> dict[str, Any]:
        if reply.position is None:
            return {"sid": self.id}
        # "this.recovered = pid && this._pid === pid" (packages/socket.io-client/lib/socket.ts)
        pid = (self._pids or {}).get(namespace) if reply.recovered else None
        return {"sid": self.id, "pid": pid or f"{self.id}@{reply.position}"}

    def farewell(self, error: HubbubError) -> Sequence[Frame]:
        """Clients return by themselves when just the line is gone, but not when they were disconnected."""
        if not isinstance(error, Disconnect) or error.come_back:
            return ()
        joined = [namespace for namespace, place in self._places.items() if place == JOINED]
        return [frame for namespace in joined for frame in self._packets.notice(DISCONNECT, namespace)]

    def _settle(self) -> None:
        """Nothing more is waited for, but the heartbeat."""
        self._due = float("inf")
        self._schedule()


def read_recovery(auth: Any) -> tuple[str | None, Position | None, Any]:
    """The ``pid`` of a client that comes back, where it left off, and what else is in its CONNECT."""
    encoded = type(auth) is Raw
    if auth is None or (encoded and b'"pid"' not in bytes(auth)):
        return None, None, auth
    given: dict[str, Any] = _auth.decode(auth) if encoded else dict(auth)
    pid, offset = (decode(given.pop(name, None)) for name in ("pid", "offset"))
    rest = Raw(msgspec.json.encode(given)) if encoded else given
    if not isinstance(pid, str):
        return None, None, rest
    for text in (offset, pid.rpartition("@")[2]):
        try:
            return pid, Position.parse(text), rest
        except (ValueError, AttributeError):
            continue
    return pid, None, rest


_auth = msgspec.json.Decoder(dict[str, Raw])
