"""What the load generator says in each wire format, and what it must hear before it counts.

Payloads are plain letters, so that one stands on the wire as it is, and every message of a kind has the same size.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

FIRST_NUMBER = 1_000
"""Acknowledgement numbers run from here for at most 9,000: four digits each, so that all frames are of one size."""


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

    def encode(self, text: str) -> bytes:
        """The bytes that say this."""
        return text.encode() if self.path is None else frame(text)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


SOCKETIO = Wire(
    path="/socket.io/?EIO=4&transport=websocket",
    greeting=((None, "0{"), ("40", "40{")),
    publish=lambda payload: "42" + _compact(["publish", payload]),
    echo=lambda payload, number: f"42{number}" + _compact(["echo", payload]),
)

NATIVE = Wire(
    path="/hubbub/websocket",
    greeting=((None, '{"welcome":'), ('{"join":"/","ref":1}', '{"reply":1,"ok":true')),
    publish=lambda payload: _compact({"send": "/", "event": "publish", "payload": payload}),
    echo=lambda payload, number: _compact({"send": "/", "event": "echo", "payload": payload, "ref": number}),
)

RAW = Wire(
    path="/",
    greeting=(),
    publish=lambda payload: payload,
    echo=lambda payload, number: payload,
)

BARE = Wire(
    path=None,
    greeting=((None, "hello"),),
    publish=lambda payload: payload,
    echo=lambda payload, number: payload,
)


def frame(text: str) -> bytes:
    """One masked text frame, as RFC 6455, section 5.2, wants it from a client."""
    data = text.encode()
    size = len(data)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 1 << 16:
        head = b"\x81\xfe" + size.to_bytes(2)
    else:
        head = b"\x81\xff" + size.to_bytes(8)
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def unframe(data: bytes) -> tuple[int, int, int] | None:
    """Opcode, start of the payload and end of the frame at the beginning of what a server sent, once it is whole."""
    if len(data) < 2:
        return None
    size, start = data[1] & 0x7F, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start])
    stop = start + size
    return None if len(data) < stop else (data[0] & 0x0F, start, stop)
