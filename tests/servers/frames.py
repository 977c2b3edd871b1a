"""A client's frames, and what text is: written from the specifications, apart from the code that is tested."""

from collections.abc import Iterable

from hubbub.errors import ProtocolError
from hubbub.servers.websocket import Event, FrameReader

MASK = b"\x37\xfa\x21\x3d"


def client_frame(
    opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0, mask: bytes | None = MASK
) -> bytes:
    """A frame as RFC 6455, section 5.2 draws it. ``reserved`` holds RSV1 (4), RSV2 (2) and RSV3 (1)."""
    first = final << 7 | reserved << 4 | opcode
    length = len(payload)
    masked = 0 if mask is None else 0x80
    if length < 126:
        head = bytes((first, masked | length))
    elif length < 65_536:
        head = bytes((first, masked | 126)) + length.to_bytes(2)
    else:
        head = bytes((first, masked | 127)) + length.to_bytes(8)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def read(reader: FrameReader, pieces: Iterable[bytes]) -> list[Event]:
    """All events of a stream that comes in pieces."""
    return [event for piece in pieces for event in reader.feed(piece)]


def said(events: Iterable[Event]) -> list[object]:
    """Events that can be compared: an error is its close code."""
    return [event.close_code if isinstance(event, ProtocolError) else event for event in events]


# The Unicode Standard, table 3-7, "Well-Formed UTF-8 Byte Sequences": by the first byte, what may follow.
_TAIL = range(0x80, 0xC0)
_FOLLOWING: dict[int, list[range]] = {
    **{first: [] for first in range(0x80)},
    **{first: [_TAIL] for first in range(0xC2, 0xE0)},
    0xE0: [range(0xA0, 0xC0), _TAIL],
    **{first: [_TAIL, _TAIL] for first in range(0xE1, 0xF0)},
    0xED: [range(0x80, 0xA0), _TAIL],
    0xF0: [range(0x90, 0xC0), _TAIL, _TAIL],
    **{first: [_TAIL, _TAIL, _TAIL] for first in range(0xF1, 0xF4)},
    0xF4: [range(0x80, 0x90), _TAIL, _TAIL],
}


def first_bad_byte(payload: bytes) -> int | None:
    """Where text can no longer be UTF-8; its length if only its end is missing; None if it is UTF-8."""
    expected: list[range] = []
    for index, byte in enumerate(payload):
        if expected:
            if byte not in expected[0]:
                return index
            expected = expected[1:]
        elif byte in _FOLLOWING:
            expected = _FOLLOWING[byte]
        else:
            return index
    return len(payload) if expected else None
