"""What the load generator says in each wire format, and what it must hear before it counts.

Payloads are plain letters, so that one stands on the wire as it is, and every message of a kind has the same size.
What is not text is written here as Latin-1, a letter for each byte.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

FIRST_NUMBER = 1_000
"""Acknowledgement numbers run from here for at most 9,000: four digits each, so that all frames are of one size."""


TEXT, BINARY, PING, PONG = 1, 2, 9, 10


@dataclass(frozen=True)
class Wire:
    """A wire format.

    ``path`` is where the WebSocket handshake goes, and ``{client}`` in it is a name of each client's own; without one
    the wire is a bare TCP stream that carries frames from the first byte. ``greeting`` is what happens then: pairs of
    what we say (None: we only listen) and how the answer begins. ``publish`` makes the message that has a payload told
    to everyone, ``echo`` the message that has it sent back, with an acknowledgement number where the wire has such.
    """

    path: str | None
    greeting: tuple[tuple[str | None, str], ...]
    publish: Callable[[str], str]
    echo: Callable[[str, int], str]
    chat: Callable[[str, int], str] | None = None
    """What makes both: told to everyone, and acknowledged to who said it."""
    heartbeat: tuple[bytes, bytes] | None = None
    """What a server sends to see whether we live, and what it wants to hear; None if it never asks."""
    deflate: bool = False
    """Whether the handshake offers permessage-deflate."""
    tls: bool = False
    """Whether all of it goes through TLS."""
    subprotocol: str = ""
    binary: bool = False
    """Whether messages are bytes."""
    stream: bool = False
    """Whether it is no WebSocket but an HTTP response that goes on, in chunks; nothing can be said on it."""

    def encode(self, text: str) -> bytes:
        """The bytes that say this."""
        return text.encode() if self.path is None else frame(text, BINARY if self.binary else TEXT)


def frame(text: str, opcode: int = TEXT) -> bytes:
    """One masked frame, as RFC 6455, section 5.2, wants it from a client."""
    data = text.encode("latin-1" if opcode == BINARY else "utf-8")
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
        chat=lambda payload, number: f"42{place}{number}" + _compact(["publish", payload]),
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
        chat=lambda payload, number: _compact({"send": topic, "event": "publish", "payload": payload, "ref": number}),
        heartbeat=(b"\x89\x00", frame("", PONG)),
    )


def _packed(value: object) -> str:
    return msgspec.msgpack.encode(value).decode("latin-1")


def native_msgpack() -> Wire:
    """The same in MessagePack."""
    return Wire(
        path="/hubbub/websocket",
        greeting=((None, "\x82\xa7welcome"), (_packed({"join": "/", "ref": 1}), "\x83\xa5reply\x01\xa2ok\xc3")),
        publish=lambda payload: _packed({"send": "/", "event": "publish", "payload": payload}),
        echo=lambda payload, number: _packed({"send": "/", "event": "echo", "payload": payload, "ref": number}),
        subprotocol="hubbub.msgpack",
        binary=True,
    )


def sockjs() -> Wire:
    """Hubbub's own inside SockJS 0.3: text in arrays of text."""
    inside = native()
    return Wire(
        path="/sockjs/000/{client}/websocket",
        greeting=(
            (None, "o"),
            (None, 'a["{\\"welcome'),
            (_compact([inside.greeting[1][0]]), 'a["{\\"reply\\":1,\\"ok\\":true'),
        ),
        publish=lambda payload: _compact([inside.publish(payload)]),
        echo=lambda payload, number: _compact([inside.echo(payload, number)]),
    )


def sse() -> Wire:
    """Server-sent events: docs/protocols/http.md. Who listens only listens."""
    return Wire(
        path="/topics/%2F",
        greeting=((None, "retry: "),),
        publish=_unsayable,
        echo=_unsayable,
        stream=True,
    )


def _unsayable(payload: str, number: int = 0) -> str:
    raise NotImplementedError


def phoenix(topic: str = "/") -> Wire:
    """Phoenix Channels, serializer 2: arrays of join reference, reference, topic, event and payload."""
    return Wire(
        path="/socket/websocket?vsn=2.0.0",
        greeting=((_compact(["1", "1", topic, "phx_join", {}]), _compact(["1", "1", topic, "phx_reply"])[:-1]),),
        publish=lambda payload: _compact(["1", None, topic, "publish", payload]),
        echo=lambda payload, number: _compact(["1", str(number), topic, "echo", payload]),
        chat=lambda payload, number: _compact(["1", str(number), topic, "publish", payload]),
    )


def phoenix_objects() -> Wire:
    """The same, serializer 1: objects."""
    join = {"topic": "/", "event": "phx_join", "payload": {}, "ref": "1", "join_ref": "1"}
    return Wire(
        path="/socket/websocket?vsn=1.0.0",
        greeting=((_compact(join), "{"),),
        publish=lambda payload: _compact(join | {"event": "publish", "payload": payload, "ref": None}),
        echo=lambda payload, number: _compact(join | {"event": "echo", "payload": payload, "ref": str(number)}),
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


def unchunk(data: bytes) -> tuple[int, int, int] | None:
    """Payload's start and end, and the end of the whole, of the chunk at the beginning of what a server sent (RFC 9112,
    section 7.1), once it is there."""
    line, found, _ = data.partition(b"\r\n")
    if not found:
        return None
    start = len(line) + 2
    stop = start + int(line, 16)
    return None if len(data) < stop + 2 else (start, stop, stop + 2)


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
