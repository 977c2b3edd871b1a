"""WebSocket frames (RFC 6455): reading a client's, building the server's. Pure.

Rules:

1. What a client sends becomes events: ``str`` is a text message, ``bytes`` a binary one; Ping, Pong and Close are what
   they are called; a ProtocolError is how the connection must be closed, and nothing comes after it, or after Close.
2. ``feed`` raises nothing, so the messages before an error are never lost with it.
3. However the bytes are cut, the events are the same; and the time it takes grows with the bytes alone.
4. What is wrong is refused as soon as it can be known: a length before its payload, a bad byte of text before the
   frame has come whole.
5. Most frames come whole, alone and small. ``feed`` reads those by itself; all else is for ``_Partial``, which exists
   only while there is half a frame or half a message. An idle connection has no buffer.
"""

from codecs import utf_8_decode
from collections.abc import Callable
from struct import Struct
from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # its wheels without C
    from websockets.utils import apply_mask

from hubbub.errors import ProtocolError
from hubbub.servers.control import NO_CODE, Close, Ping, Pong, read_close
from hubbub.servers.deflate import Inflater, compress

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
"""Opcodes (section 5.2)."""

FIN: Final = 0x80
COMPRESSED: Final = 0x40
RESERVED: Final = 0x70
MASKED: Final = 0x80
"""Bits of a frame's first two bytes. RSV1 marks the first frame of a compressed message (RFC 7692, section 6)."""

FINAL_TEXT: Final = FIN | TEXT
FINAL_BINARY: Final = FIN | BINARY

SLICE: Final = 1_024
"""Bytes to feed at once to a reader that inflates: what they come out as is at most a thousand times as much (zlib's
own figure), and the reader of it can say in between that it has enough."""


Event = str | bytes | Ping | Pong | Close | ProtocolError


_unmask: Final[Callable[[bytes, bytes], bytes]] = apply_mask

# -- reading --------------------------------------------------------------------------------------------------------


class FrameReader:
    """Reads what one client sends.

    ``max_message`` is in bytes, after decompression; ``max_fragments`` counts the frames of one message, empty ones
    too. With an ``inflater`` compressed messages are understood.

    The errors that ``feed`` gives have these close codes: 1002 for broken frames, 1007 for text that is not UTF-8 and
    corrupt compressed data, 1008 for too many fragments, 1009 for a message that is too big.
    """

    __slots__ = ("_inflater", "_max_fragments", "_max_message", "_partial")

    def __init__(self, max_message: int, max_fragments: int, inflater: Inflater | None = None) -> None:
        self._max_message = max_message
        self._max_fragments = max_fragments
        self._inflater = inflater
        self._partial: _Partial | _Deaf | None = None

    def feed(self, data: bytes) -> list[Event]:
        """What is complete now that these bytes have come, in order."""
        events: list[Event] = []
        start, end = 0, len(data)
        while start < end:
            if self._partial is None and end - start > 5:
                first, length = data[start], data[start + 1] - MASKED
                body = start + 6
                plain = 0 <= length < 126
                if length == 126:
                    length = data[start + 2] << 8 | data[start + 3]
                    body = start + 8
                    plain = length >= 126
                stop = body + length
                if plain and stop <= end and length <= self._max_message:
                    if first == FINAL_TEXT:
                        try:
                            events.append(_unmask(data[body:stop], data[body - 4 : body]).decode())
                            start = stop
                            continue
                        except UnicodeDecodeError:
                            pass  # said below
                    elif first == FINAL_BINARY:
                        events.append(_unmask(data[body:stop], data[body - 4 : body]))
                        start = stop
                        continue
            start = self._step(data, start, events)
        return events

    def _step(self, data: bytes, start: int, events: list[Event]) -> int:
        """Read on until the next frame ends, or the data. Return where that was."""
        partial = self._partial or _Partial(self._max_message, self._max_fragments, self._inflater)
        try:
            start = partial.read(data, start, events)
        except ProtocolError as error:
            events.append(error)
        if events and isinstance(events[-1], Close | ProtocolError):
            self._partial, self._inflater = _DEAF, None
            return len(data)
        self._partial = None if partial.idle else partial
        return start


class _Deaf:
    """Section 1.4: "any data received after a Close frame is ignored"."""

    idle = False

    def read(self, data: bytes, start: int, events: list[Event]) -> int:
        return len(data)


_DEAF = _Deaf()


class _Partial:
    """Half a frame, half a message, or half a frame within half a message."""

    __slots__ = (
        "body", "checked", "compressed", "control", "final", "fragments", "head", "inflater", "left", "mask",
        "max_fragments", "max_message", "opcode", "received", "text",
    )  # fmt: skip

    def __init__(self, max_message: int, max_fragments: int, inflater: Inflater | None) -> None:
        self.max_message = max_message
        self.max_fragments = max_fragments
        self.inflater = inflater
        # the frame
        self.head = b""
        self.mask = b""  # empty between frames; turned so that its first byte is for the next one to come
        self.opcode = 0
        self.final = False
        self.left = 0
        self.control = b""
        # the message
        self.fragments = 0  # 0 between messages
        self.text = False
        self.compressed = False
        self.body = bytearray()
        self.checked = 0  # so many bytes of the body are known to be UTF-8
        self.received = 0  # bytes on the wire, which are not those of the body when it is compressed

    @property
    def idle(self) -> bool:
        return not (self.head or self.mask or self.fragments)

    def read(self, data: bytes, start: int, events: list[Event]) -> int:
        if not self.mask:
            start = self._read_head(data, start)
            if not self.mask:
                return start
        stop = min(start + self.left, len(data))
        piece = _unmask(data[start:stop], self.mask)
        self.left -= len(piece)
        if self.opcode >= CLOSE:
            self.control += piece
        else:
            self._append(piece)
        if self.left:
            turn = len(piece) % 4
            self.mask = self.mask[turn:] + self.mask[:turn]
        else:
            self.mask = b""
            self._end_frame(events)
        return stop

    def _read_head(self, data: bytes, start: int) -> int:
        known = len(self.head)
        head = self.head + data[start : start + 14 - known]
        if len(head) > 1:
            self._check_head(head[0], head[1])
            short = head[1] & 127
            size = 6 if short < 126 else 8 if short == 126 else 14
            if len(head) >= size:
                self._begin_frame(head[0], short, head[2 : size - 4])
                self.mask = head[size - 4 : size]
                self.head = b""
                return start + size - known
        self.head = head
        return len(data)

    def _check_head(self, first: int, second: int) -> None:
        """What can be known from two bytes (section 5.2)."""
        opcode = first & 15
        if not second & MASKED:
            raise ProtocolError("a client's frame that is not masked")
        if BINARY < opcode < CLOSE or opcode > PONG:
            raise ProtocolError(f"the reserved opcode {opcode}")
        compressible = self.inflater is not None and opcode in (TEXT, BINARY)
        if first & (RESERVED & ~COMPRESSED if compressible else RESERVED):
            raise ProtocolError("reserved bits without an extension that gives them a meaning")
        if opcode >= CLOSE:
            if not first & FIN:
                raise ProtocolError("a control frame in fragments")
            if second & 127 > 125:
                raise ProtocolError("a control frame of more than 125 bytes")
        elif opcode == CONTINUATION and not self.fragments:
            raise ProtocolError("a continuation with nothing to continue")
        elif opcode != CONTINUATION and self.fragments:
            raise ProtocolError("a new message within a message")

    def _begin_frame(self, first: int, short: int, extended: bytes) -> None:
        length = int.from_bytes(extended) if extended else short
        if length >> 63:
            raise ProtocolError("a length with its most significant bit set")
        if extended and length < (126 if short == 126 else 65_536):
            # "the minimal number of bytes MUST be used to encode the length"
            raise ProtocolError("a length in more bytes than it needs")
        self.opcode = first & 15
        self.final = bool(first & FIN)
        self.left = length
        if self.opcode >= CLOSE:
            return
        if self.opcode != CONTINUATION:
            self.text = self.opcode == TEXT
            self.compressed = bool(first & COMPRESSED)
        self.received += length
        # What is too big on the wire is too big. Compressing makes nothing larger by more than an eighth, zlib's own
        # worst case (deflateBound).
        if self.received > self.max_message + (self.max_message // 8 + 64 if self.compressed else 0):
            raise self._too_big()
        self.fragments += 1
        if self.fragments > self.max_fragments:
            raise ProtocolError(f"a message in more than {self.max_fragments} fragments", 1008)

    def _append(self, piece: bytes) -> None:
        if self.inflater is not None and self.compressed:
            piece = self.inflater.inflate(piece, self.max_message + 1 - len(self.body))
        self.body += piece
        too_big = len(self.body) > self.max_message
        if self.text and (too_big or self.left or not self.final):  # if not, it is decoded as soon as this returns
            self._check_text()
        if too_big:
            raise self._too_big()

    def _check_text(self) -> None:
        try:
            self.checked += utf_8_decode(self.body[self.checked :])[1]
        except UnicodeDecodeError:
            raise self._not_text() from None
        # Of what could become a surrogate the decoder wants to see the third byte, but none is UTF-8.
        if len(self.body) - self.checked == 2 and self.body[-2] == 0xED and self.body[-1] >= 0xA0:
            raise self._not_text()

    def _end_frame(self, events: list[Event]) -> None:
        if self.opcode >= CLOSE:
            payload, self.control = self.control, b""
            events.append(
                Ping(payload) if self.opcode == PING else Pong(payload) if self.opcode == PONG else read_close(payload)
            )
        elif self.final:
            events.append(self._end_message())

    def _end_message(self) -> str | bytes:
        if self.inflater is not None and self.compressed:
            self.inflater.finish()
        try:
            message = self.body.decode() if self.text else bytes(self.body)
        except UnicodeDecodeError:
            raise self._not_text() from None
        self.body = bytearray()
        self.fragments = self.checked = self.received = 0
        return message

    @staticmethod
    def _not_text() -> ProtocolError:
        return ProtocolError("text that is not UTF-8", 1007)

    def _too_big(self) -> ProtocolError:
        return ProtocolError(f"a message of more than {self.max_message} bytes", 1009)


# -- writing --------------------------------------------------------------------------------------------------------

_HEAD_16: Final = 126 << 16
_TEXT_16: Final = FINAL_TEXT << 24 | _HEAD_16
"""Four bytes of a head whose last two are the length."""

_head_64: Final = Struct("!BBQ").pack


def _frame(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65_536:
        return (first << 24 | _HEAD_16 | length).to_bytes(4, "big") + payload
    return _head_64(first, 127, length) + payload


def frame(data: str | bytes) -> bytes:
    """A whole message: text or binary, by the type of ``data``. Raises UnicodeEncodeError for lone surrogates."""
    if isinstance(data, str):
        payload = data.encode()
        length = len(payload)
        if 126 <= length < 65_536:  # most are, and this is called for each
            return (_TEXT_16 | length).to_bytes(4, "big") + payload
        return _frame(FINAL_TEXT, payload)
    return _frame(FINAL_BINARY, data)


def text_frame(payload: str | bytes) -> bytes:
    """A whole text message. As bytes, ``payload`` is UTF-8 already."""
    return _frame(FINAL_TEXT, payload.encode() if isinstance(payload, str) else payload)


def binary_frame(payload: bytes) -> bytes:
    """A whole binary message."""
    return _frame(FINAL_BINARY, payload)


WORTHWHILE = 256
"""Bytes from which a message is compressed. It costs 10 us to take a third off one of 256 bytes of JSON, and 7 us to
take a sixth off one of 128, which fits into one packet with or without."""


def deflated_frame(data: str | bytes, window: int = 15) -> bytes:
    """A whole message, compressed if it is worth it and that makes it smaller, for clients with which
    permessage-deflate was agreed on (see ``deflate.compress``)."""
    opcode, payload = (FINAL_TEXT, data.encode()) if isinstance(data, str) else (FINAL_BINARY, data)
    if len(payload) < WORTHWHILE:
        return _frame(opcode, payload)
    body = compress(payload, window)
    return _frame(opcode | COMPRESSED, body) if len(body) < len(payload) else _frame(opcode, payload)


def ping_frame(payload: bytes = b"") -> bytes:
    """Asks for a sign of life. ``payload`` has at most 125 bytes."""
    return _frame(FIN | PING, payload)


def pong_frame(payload: bytes = b"") -> bytes:
    """Answers a Ping with its payload."""
    return _frame(FIN | PONG, payload)


def close_frame(code: int = NO_CODE, reason: str = "") -> bytes:
    """The last frame. ``NO_CODE`` sends no code, and no reason; a reason of more than 123 bytes is cut."""
    if code == NO_CODE:
        return _frame(FIN | CLOSE, b"")
    return _frame(FIN | CLOSE, code.to_bytes(2) + short(reason).encode())


def short(reason: str) -> str:
    """A reason, cut to the 123 bytes that a Close frame has room for."""
    return reason.encode(errors="replace")[:123].decode(errors="ignore")
