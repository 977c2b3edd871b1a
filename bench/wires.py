"""What the load generator says in each wire format, and what it must hear before it counts.

Payloads are plain letters, so that one stands on the wire as it is, and every message of a kind has the same size.
What is not text is written here as Latin-1, a letter for each byte.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

FIRST_NUMBER = 1_000
"""Acknowledgement numbers run from here for at most 9,000: four digits each, so that all frames are of one size."""

TEXT, BINARY, PING, PONG = 1, 2, 9, 10

Way = Literal["WebSocket", "stream of bytes", "event stream", "polling", "posting"]


@dataclass(frozen=True)
class Wire:
    """A wire format.

    ``path`` is where requests go, and ``{client}`` in it is a name of each client's own. ``greeting`` is what happens
    when it was taken: pairs of what we say (None: we only listen) and how the answer begins. ``publish`` makes the
    message that has a payload told to everyone, ``echo`` the message that has it sent back, with an acknowledgement
    number where the wire has such.
    """

    path: str
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
    way: Way = "WebSocket"
    """What carries it. Nothing can be said on an event stream."""

    def encode(self, text: str) -> bytes:
        """The bytes that say this."""
        if self.way == "posting":
            return request("POST", self.path, body=text)
        return frame(text, BINARY if self.binary else TEXT) if self.way == "WebSocket" else text.encode()


def request(method: str, path: str, *lines: str, body: str = "") -> bytes:
    """An HTTP request. What has a body has one of text."""
    sized = ("Content-Type: text/plain;charset=UTF-8", f"Content-Length: {len(body)}") if body else ()
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, *sized, "", body]).encode()


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


def socketio(topics: Sequence[str] = ("/",)) -> Wire:
    """Engine.IO 4 and Socket.IO 5, over WebSocket. A topic is a namespace. All are joined, and what is said is said in
    the last of them: so also below."""
    places = ["" if topic == "/" else f"/{topic}," for topic in topics]
    place = places[-1]
    return Wire(
        path="/socket.io/?EIO=4&transport=websocket",
        greeting=((None, "0{"), *((f"40{place}", f"40{place}{{") for place in places)),
        publish=lambda payload: f"42{place}" + _compact(["publish", payload]),
        echo=lambda payload, number: f"42{place}{number}" + _compact(["echo", payload]),
        chat=lambda payload, number: f"42{place}{number}" + _compact(["publish", payload]),
        heartbeat=(b"\x81\x012", frame("3")),
    )


def native(topics: Sequence[str] = ("/",), after: str | None = None) -> Wire:
    """Hubbub's own, in JSON: docs/protocols/native.md. With ``after`` all that was published since is wanted."""
    more = {"ref": 1} | ({} if after is None else {"after": after})
    send = {"send": topics[-1]}
    return Wire(
        path="/hubbub/websocket",
        greeting=(
            (None, '{"welcome":'),
            *((_compact({"join": topic, **more}), '{"reply":1,"ok":true') for topic in topics),
        ),
        publish=lambda payload: _compact(send | {"event": "publish", "payload": payload}),
        echo=lambda payload, number: _compact(send | {"event": "echo", "payload": payload, "ref": number}),
        chat=lambda payload, number: _compact(send | {"event": "publish", "payload": payload, "ref": number}),
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


def _unsayable(payload: str, number: int = 0) -> str:
    raise NotImplementedError


EVENTS = Wire(
    path="/topics/%2F", greeting=((None, "retry: "),), publish=_unsayable, echo=_unsayable, way="event stream"
)
"""Server-sent events: docs/protocols/http.md."""

POSTS = Wire(path="/topics/%2F/publish", greeting=(), publish=str, echo=_unsayable, way="posting")
"""What makes such events."""


def phoenix(topics: Sequence[str] = ("/",)) -> Wire:
    """Phoenix Channels, serializer 2: arrays of join reference, reference, topic, event and payload."""
    topic = topics[-1]
    return Wire(
        path="/socket/websocket?vsn=2.0.0",
        greeting=tuple(
            (_compact(["1", "1", name, "phx_join", {}]), _compact(["1", "1", name, "phx_reply"])[:-1])
            for name in topics
        ),
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

SOCKETIO_POLLING = replace(SOCKETIO, path="/socket.io/?EIO=4&transport=polling", way="polling")

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
    path="",
    way="stream of bytes",
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
