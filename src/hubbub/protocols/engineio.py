"""Engine.IO 4: one conversation over HTTP long-polling, over a WebSocket, or over the first and then the second. Pure.

Source: the repository socketio/socket.io, docs/engine.io-protocol/v4-current.md (version 4.1, without WebTransport).
Sentences in quotes are from there.

Rules:

1. A frame is a packet as a WebSocket carries it (engineio_packets); a poll's answer is a payload of such frames.
2. Control packets are owed, and leave before messages. What a poll has no room for is held, and leaves before
   anything newer: on the next poll, or on the WebSocket after an upgrade.
3. What is stacked on Engine.IO overrides ``message`` (the client's words), ``send`` (ours) and ``farewell`` (the last
   ones). It sees messages, never lines.
"""

from collections.abc import Sequence
from math import inf
from typing import ClassVar

import msgspec

from hubbub.errors import Conflict, Forbidden, HubbubError, NotFound, ProtocolError, Unauthorized, WrongMethod
from hubbub.messages import Bye, Command, Frame, Join, Left, Message, Publication, Push, Send
from hubbub.protocols import engineio_packets as packets
from hubbub.protocols.base import Dialect, Line, Protocol, Request, Response, Route, Session
from hubbub.protocols.engineio_packets import CLOSE, MESSAGE, NOOP, OPEN, PING, PONG, SEPARATOR, UPGRADE

TOPIC = "engine.io/"

YIELD = 0.05
"""Seconds in which an upgrade that is on its way on the WebSocket may overtake a poll that should not have come."""

CODES = {
    "Transport unknown": 0,
    "Session ID unknown": 1,
    "Bad handshake method": 2,
    "Bad request": 3,
    "Forbidden": 4,
    "Unsupported protocol version": 5,
}
"""How the reference server numbers its refusals (packages/engine.io/lib/server.ts). Any other is a bad request."""

REASONS = {NotFound: "Session ID unknown", WrongMethod: "Bad handshake method"}
"""What it says of what others call otherwise."""


def routes_at(path: str) -> tuple[Route, ...]:
    """The routes of an Engine.IO server at this path."""
    return Route("GET", path, "socket"), Route("GET", path, "poll"), Route("POST", path, "post")


def encode(publication: Publication) -> tuple[Frame, ...]:
    return packets.messages(publication.body)


RAW = Dialect("engineio", encode)


class EngineIO(Protocol):
    """Engine.IO by itself: each message of the client is a ``Send`` of the event "message" to the topic ``engine.io/``
    (a channel may call it by its path), and each "message" event there is a message to the client."""

    __slots__ = (
        "_beat", "_due", "_held", "_noop", "_noop_at", "_owed", "_pinged", "_poll", "_post", "_probed", "_replies",
        "_socket", "_stray", "deadline", "dialect", "id", "key", "limits", "line", "plain",
    )  # fmt: skip

    name = "engineio"
    title = "Engine.IO"
    path: ClassVar[str] = "/" + TOPIC
    routes = routes_at(path)
    dialect: Dialect

    def __init__(self, session: Session) -> None:
        self.key = session.key
        self.id = session.id
        self.limits = session.limits
        self.dialect = RAW
        self.line: Line = "poll"
        self.plain = False
        self.deadline: float | None = None
        self._owed: tuple[Frame, ...] = ()  # to the client, before any message
        self._held: tuple[Frame, ...] = ()  # messages that the last poll had no room for
        self._replies: tuple[Frame, ...] = ()  # to a WebSocket that is not the line yet
        self._noop = False  # the open poll, or else the next one, is to end now
        self._noop_at = inf  # when the open poll is to end, if the upgrade does not come first
        self._stray = False  # the open poll should not be there
        self._poll = self._post = self._socket = False  # what is attached, and unanswered
        self._probed: float | None = None  # when a WebSocket last proved that it works
        self._pinged = False  # the heartbeat waits for a pong
        self._beat = inf  # when it does its next step
        self._due = inf  # when whatever else is waited for must have come

    # -- HTTP --------------------------------------------------------------------------------------------------------

    @classmethod
    def session(cls, request: Request) -> str | None:
        query, repeated = request.query, request.repeated
        transport = query.get("transport")
        socket = request.scheme in ("ws", "wss") or request.headers.get("upgrade", "").lower() == "websocket"
        # "If a mandatory query parameter is missing, then the server MUST respond with an HTTP 400 error status."
        if transport not in ("polling", "websocket") or "transport" in repeated:
            raise ProtocolError("Transport unknown")
        if query.get("EIO") != "4" or "EIO" in repeated:
            raise ProtocolError("Unsupported protocol version")
        if socket != (transport == "websocket") or "sid" in repeated:
            raise ProtocolError("Bad request")
        key = query.get("sid") or None
        if key is None and not socket and request.method != "GET":
            raise ProtocolError("Bad handshake method")
        # In version 4 binary messages are base64 in a text: a body that says it is binary is of another version.
        if request.headers.get("content-type", "").startswith("application/octet-stream"):
            raise ProtocolError("Bad request")
        return key

    @classmethod
    def refuse(cls, error: HubbubError, request: Request) -> Response:
        reason = REASONS.get(type(error), error.reason)
        code = CODES["Forbidden"] if isinstance(error, Forbidden | Unauthorized) else CODES.get(reason, 3)
        status = 400 if type(error) in REASONS else error.status
        return Response(status, msgspec.json.encode({"code": code, "message": reason}), "application/json")

    def answer(self, line: Line, body: bytes, request: Request) -> Response:
        # "To indicate success, the server MUST return an HTTP 200 response, with the string `ok` in the response body."
        if line == "poll" and self._stray:
            error = Conflict("this session has moved to its WebSocket")
            return self.refuse(error, request)
        return Response(body=b"ok" if line == "post" else body, headers=(("cache-control", "no-store"),))

    # -- lines -------------------------------------------------------------------------------------------------------

    def open(self, request: Request, now: float) -> Sequence[Command]:
        socket = request.query.get("transport") == "websocket"
        if socket:
            self.line = "socket"
        handshake = {
            "sid": self.key,
            "upgrades": [] if socket else ["websocket"],
            "pingInterval": round(self.limits.heartbeat * 1_000),
            "pingTimeout": round(self.limits.patience * 1_000),
            "maxPayload": self.limits.message,
        }
        self._owe(OPEN + msgspec.json.encode(handshake).decode())
        self._beat = now + self.limits.heartbeat
        self._schedule()
        return (Join(TOPIC),)

    def attach(self, line: Line, now: float, request: Request) -> None:
        if self.deadline is not None and now >= self.deadline and (self._pinged or now >= self._due):
            raise ProtocolError("this session has timed out")
        if line == "socket":
            # "A client MUST NOT open more than one WebSocket connection per session. Should it happen, the server
            # MUST close the WebSocket connection."
            if self._socket:
                raise Conflict("this session has a WebSocket already")
            self._socket = True
        elif self.line == "socket":
            raise Conflict("this session has moved to its WebSocket")
        elif line == "poll":
            # "a client MUST NOT have more than one active `GET` request. Should it happen, the server MUST return an
            # HTTP 400 error status and close the session."
            if self._poll:
                raise ProtocolError("this session has an open poll already")
            self._poll = True
            # The client may have polled again before it read our `3probe`. Then it waits for that poll to end before
            # it upgrades, and nothing else might end it for a long time.
            if self._probed is not None and now < self._probed + self.limits.handshake:
                self._noop_at = now + YIELD
                self._schedule()
        else:
            if self._post:
                raise ProtocolError("this session has an open post already")
            self._post = True

    def detach(self, line: Line, now: float) -> Sequence[Command]:
        if line == "socket":
            self._socket = False
            self._probed, self._replies, self._noop_at = None, (), inf
            return (Bye(),) if self.line == "socket" else ()
        if line == "poll":
            lost, self._poll = self._poll, False
        else:
            lost, self._post = self._post, False
        # Packets may have been lost with the request, and nothing in the protocol would tell which.
        return (Bye("aborted"),) if lost and self.line == "poll" else ()

    def pack(self, frames: Sequence[Frame], line: Line) -> list[Frame]:
        if line == "socket" == self.line:
            if self.plain:
                return list(frames)
            packed = [*self._owed, *self._held, *frames]
            self._owed = self._held = ()
            self.plain = True
            return packed
        if line == "socket":
            replies, self._replies = self._replies, ()
            return list(replies)
        if line == "poll" == self.line:
            return self._answer_poll(frames)
        if line == "poll" and self._poll:
            self._poll = self._noop = False
            return [NOOP]
        return []

    def close(self, error: HubbubError, line: Line) -> tuple[list[Frame], int]:
        _, code = super().close(error, line)
        if line == self.line == "socket":
            return list(self.farewell(error)), code
        if line == "poll" and self._poll:
            self._poll = self._noop = False
            if self.line == "socket":
                return [NOOP], code
            # A client that reads `1` closes before it has understood the messages beside it.
            last = [*self._owed, *self._held, *(self.farewell(error) or (CLOSE,))]
            self._owed = self._held = ()
            return [packets.join(last)], code
        return [], code

    # -- what the client says ----------------------------------------------------------------------------------------

    def receive(self, data: Frame, line: Line, now: float) -> Sequence[Command]:
        if line == "socket":
            return self._packet(data, now) if self.line == "socket" else self._probe(data, now)
        if self.line == "socket" and not self._post:
            raise ProtocolError("this session has moved to its WebSocket")
        self._post = False
        commands: list[Command] = []
        for packet in packets.split(data, self.limits.packets):
            commands.extend(self._packet(packet, now))
        return commands

    def message(self, data: Frame, now: float) -> Sequence[Command]:
        """Understand one message of the client. Raises ProtocolError, and nothing else."""
        return (Send(TOPIC, "message", (data,)),)

    def _packet(self, packet: Frame, now: float) -> Sequence[Command]:
        if type(packet) is bytes:
            return self.message(packet, now)
        kind = packet[:1]
        if kind == MESSAGE:
            return self.message(packet[1:], now)
        if kind == PONG:
            self._pinged = False
            self._beat = now + self.limits.heartbeat
            self._schedule()
            return ()
        if kind == CLOSE:
            self._noop = True  # the open poll ends, or the one that is on its way
            return (Bye(),)
        if kind == NOOP:
            return ()
        if kind == PING:
            raise ProtocolError("in this version of the protocol, pings come from the server")
        raise ProtocolError("no packet of this type is expected here")

    def _probe(self, packet: Frame, now: float) -> Sequence[Command]:
        """The first words on a WebSocket, while polling goes on: `2probe`, and at last `5`."""
        if packet == PING + "probe":
            # "send a `noop` packet to any pending `GET` request (if applicable) to cleanly close HTTP long-polling
            # transport [and] respond with a `pong` packet with the string `probe` in the payload"
            self._replies = (PONG + "probe",)
            self._noop = self._poll
            self._probed = now
            return ()
        if packet == UPGRADE and self._probed is not None:
            self.line = "socket"
            # A client pauses its polls before it upgrades: one that is open now came too late.
            self._noop = self._stray = self._poll
            self._owe(*self._replies)
            self._probed, self._replies, self._noop_at = None, (), inf
            return ()
        raise ProtocolError("a WebSocket of a polling session begins with a probe")

    # -- what the client is told -------------------------------------------------------------------------------------

    def send(self, message: Message) -> tuple[Frame, ...]:
        if isinstance(message, Push):
            return packets.messages(message.body)
        if isinstance(message, Left) or (message.error is not None and isinstance(message.to, Join)):
            self._give_up()  # its one topic was all there was to say
        return ()

    def farewell(self, error: HubbubError) -> Sequence[Frame]:
        """The last messages before the server ends the conversation."""
        return ()

    def _owe(self, *control: Frame) -> None:
        self._owed += control
        self.plain = self.line == "socket" and not self._owed and not self._held

    def _answer_poll(self, frames: Sequence[Frame]) -> list[Frame]:
        """What the open poll is answered with; without one, or too much for it, frames are held."""
        frames = (*self._held, *frames)
        texts = packets.fill(self._owed, frames, self.limits.message) if self._poll else []
        self._held = frames[max(0, len(texts) - len(self._owed)) :]
        if sum(map(len, self._held)) > self.limits.outbox:
            self._give_up()  # it polls, but slower than it is told things
        if not texts and not (self._poll and self._noop):
            return []
        self._owed = ()
        self._poll = self._noop = False
        self._noop_at = inf
        return [SEPARATOR.join(texts) or NOOP]

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> Sequence[Command]:
        if now >= self._due or (self._pinged and now >= self._beat):
            return (Bye("timeout"),)
        if now >= self._beat:
            # "At a given interval ... the server sends a `ping` packet and the client has a few seconds ... to send a
            # `pong` packet back." The seconds count from when the ping was due, except that a server which was late
            # itself does not hold all of it against its clients.
            self._owe(PING)
            self._pinged = True
            self._beat = max(self._beat, now - self.limits.patience / 2) + self.limits.patience
        if now >= self._noop_at:
            self._noop, self._noop_at = True, inf
        self._schedule()
        return ()

    def _give_up(self) -> None:
        self._due = 0.0
        self._schedule()

    def _schedule(self) -> None:
        self.deadline = min(self._beat, self._due, self._noop_at)
