"""What a client says with control frames (RFC 6455, section 5.5): Ping, Pong and Close. Pure."""

import msgspec

from hubbub.errors import ProtocolError

NO_CODE = 1005
"""The code of a Close frame that has none (section 7.1.5). It is never on the wire."""

CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}).union(range(3000, 5000))
"""Codes that may be in a Close frame: those registered with IANA, and those for libraries and applications (section
7.4). 1004, 1005, 1006 and 1015 are registered in order not to be sent."""


class Ping(msgspec.Struct, frozen=True, gc=False):
    """Wants a Pong with the same payload."""

    payload: bytes


class Pong(msgspec.Struct, frozen=True, gc=False):
    """A sign of life."""

    payload: bytes


class Close(msgspec.Struct, frozen=True, gc=False):
    """The client's last word, to be answered with a Close frame. ``code`` is ``NO_CODE`` when it gave none."""

    code: int
    reason: str


def read_close(payload: bytes) -> Close:
    """What the payload of a Close frame says (section 5.5.1). Raises ProtocolError."""
    if not payload:
        return Close(NO_CODE, "")
    try:
        close = Close(int.from_bytes(payload[:2]), payload[2:].decode())
    except UnicodeDecodeError:
        raise ProtocolError("the reason of a Close frame is not UTF-8", 1007) from None
    if len(payload) < 2 or close.code not in CODES:
        raise ProtocolError("a Close frame without a code that may be sent")
    return close
