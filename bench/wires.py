"""What the load generator says in each wire format, and what it must hear before it counts.

Payloads are plain letters, so that one stands on the wire as it is, and every message of a kind has the same size.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

FIRST_NUMBER = 1_000
"""Acknowledgement numbers run from here for at most 9,000: four digits each, so that all frames are of one size."""


TEXT, BINARY, PING, PONG = 1, 2, 9, 10


@dataclass(frozen=True)
class Wire:
    """A wire format.

    ``path`` is where the WebSocket handshake goes; without one the wire is a bare TCP stream that carries frames
    from the first byte. ``greeting`` is what happens then: pairs of what we say (None: we only listen) and how the
    answer begins. ``publish`` makes the message that has a payload told to everyone, ``echo`` the message that has
    it sent back, with an acknowledgement number where the wire has such.
    """

    path: str | None
    greeting: tuple[tuple[str | None, str], ...]
    publish: Callable[[str], str]
    echo: Callable[[str, int], str]
    heartbeat: tuple[bytes, bytes] | None = None
    """What a server sends to see whether we live, and what it wants to hear; None if it never asks."""
    deflate: bool = False
    """Whether the handshake offers permessage-deflate."""

    def encode(self, text: str) -> bytes:
        """The bytes that say this."""
        return text.encode() if self.path is None else frame(text)


def frame(text: str, opcode: int = TEXT) -> bytes:
    """One masked frame, as RFC 6455, section 5.2, wants it from a client."""
    data = text.encode()
    size, first = len(data), bytes((0x80 | opcode,))
    if size < 126:
        head = first + bytes((0x80 | size,))
    elif size < 1 << 16:
        head = first + b"\xfe" + size.to_bytes(2)
    else:
        head = first + b"\xff" + size.to_bytes(8)
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def socketio(topic: str = "/") -> Wire:
    """Engine.IO 4 and Socket.IO 5, over WebSocket. A topic is a namespace."""
    place = "" if topic == "/" else f"/{topic},"
    return Wire(
        path="/socket.io/?EIO=4&transport=websocket",
        greeting=((None, "0{"), (f"40{place}", f"40{place}{{")),
        publish=lambda payload: f"42{place}" + _compact(["publish", payload]),
        echo=lambda payload, number: f"42{place}{number}" + _compact(["echo", payload]),
        heartbeat=(b"\x81\x012", frame("3")),
    )


def native(topic: str = "/", after: str | None = None) -> Wire:
    """Hubbub's own, in JSON: docs/protocols/native.md. With ``after`` all that was published since is wanted."""
    join = {"join": topic, "ref": 1} | ({} if after is None else {"after": after})
    return Wire(
        path="/hubbub/websocket",
        greeting=((None, '{"welcome":'), (_compact(join), '{"reply":1,"ok":true')),
        publish=lambda payload: _compact({"send": topic, "event": "publish", "payload": payload}),
        echo=lambda payload, number: _compact({"send": topic, "event": "echo", "payload": payload, "ref": number}),
        heartbeat=(b"\x89\x00", frame("", PONG)),
    )


def phoenix(topic: str = "/") -> Wire:
    """Phoenix Channels, serializer 2: arrays of join reference, reference, topic, event and payload."""
    return Wire(
        path="/socket/websocket?vsn=2.0.0",
        greeting=((_compact(["1", "1", topic, "phx_join", {}]), _compact(["1", "1", topic, "phx_reply"])[:-1]),),
        publish=lambda payload: _compact(["1", None, topic, "publish", payload]),
        echo=lambda payload, number: _compact(["1", str(number), topic, "echo", payload]),
    )


SOCKETIO, NATIVE, PHOENIX = socketio(), native(), phoenix()

RAW = Wire(
    path="/",
    greeting=(),
    publish=lambda payload: payload,
    echo=lambda payload, number: payload,
)

MARKED = Wire(
    path="/",
    greeting=(),
    publish=lambda payload: payload,
    echo=lambda payload, number: f"echo{payload}",
)
"""For servers whose one program does both works, and is told by the message which."""

BARE = Wire(
    path=None,
    greeting=((None, "hello"),),
    publish=lambda payload: payload,
    echo=lambda payload, number: payload,
)


def unframe(data: bytes) -> tuple[int, int, int] | None:
    """First byte, payload's start and end of the frame at the beginning of what a server sent, once it is whole."""
    if len(data) < 2:
        return None
    size, start = data[1] & 0x7F, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start])
    stop = start + size
    return None if len(data) < stop else (data[0], start, stop)
