"""Compressed WebSocket messages: the extension permessage-deflate (RFC 7692). Pure.

Rules:

1. What we send is compressed without memory of what was sent before (``server_no_context_takeover``, section
   7.1.1.1), so a publication is compressed once and everyone gets the same bytes.
2. What we receive is inflated as it arrives, and what comes *out* is limited: a kilobyte can inflate to a megabyte.
3. A connection that has not sent a compressed message yet has no inflater's memory.
"""

import re
import zlib
from collections.abc import Iterator

import msgspec

from hubbub.errors import ProtocolError

TAIL = b"\x00\x00\xff\xff"
"""What the sender leaves out and the receiver puts back (section 7.2.1, step 3, and 7.2.2, step 1)."""

CLIENT_WINDOW = 12
"""The most window bits that a client may use, if it lets us say so. An inflater with context keeps 11 KiB with 12
bits and 39 KiB with 15, for as long as the connection lasts."""

LEVEL, WINDOW, MEMORY = 3, 12, 5
"""How zlib compresses. 4 KiB of chat-like JSON become 1,140 bytes in 18 us; level 6 makes 1,080 of it in 31 us, level
1 makes 1,220 in 16. A compressor of 12 window bits takes 32 KiB instead of 256, so that making one costs 1 us and not
up to 50; on messages of a few KiB it compresses as well as one of 15."""

FINAL_BLOCKS = 16
"""Final blocks in one message. They are allowed (section 7.2.3.4), each takes a new inflater, and one can be made of
two bytes."""


# -- agreeing -------------------------------------------------------------------------------------------------------


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides will do. Window bits are the base-two logarithm of a window's bytes, 8 to 15; None where the
    client did not offer to talk about them, which means 15."""

    client_no_context_takeover: bool
    server_max_window_bits: int | None
    client_max_window_bits: int | None

    @property
    def header(self) -> str:
        """The value of ``Sec-WebSocket-Extensions`` in the response."""
        parameters = ["permessage-deflate", "server_no_context_takeover"]
        if self.client_no_context_takeover:
            parameters.append("client_no_context_takeover")
        if self.server_max_window_bits is not None:
            parameters.append(f"server_max_window_bits={self.server_max_window_bits}")
        if self.client_max_window_bits is not None:
            parameters.append(f"client_max_window_bits={self.client_max_window_bits}")
        return "; ".join(parameters)

    @property
    def window(self) -> int:
        """The ``window`` to ``compress`` with for this client."""
        return self.server_max_window_bits or 15

    def inflater(self) -> "Inflater":
        """A new inflater of what this client sends."""
        return Inflater(self.client_max_window_bits or 15, keep_context=not self.client_no_context_takeover)


def negotiate(offers: str, *, keep_context: bool = True) -> Agreement | None:
    """Accept the first offer that can be, from the value of ``Sec-WebSocket-Extensions`` in a request; None when there
    is none.

    Without ``keep_context`` clients are asked to compress every message by itself: more bytes, and no memory between
    messages. Raises ProtocolError for a value that is not a list of extensions.
    """
    for name, parameters in read_extensions(offers):
        if name == "permessage-deflate" and (agreement := _accept(parameters, keep_context)) is not None:
            return agreement
    return None


_WINDOWS = {str(bits): bits for bits in range(8, 16)}


def _accept(parameters: list[tuple[str, str | None]], keep_context: bool) -> Agreement | None:
    """Section 7 declines an offer that "contains an extension parameter not defined for use in an offer", one "with an
    invalid value", or "multiple extension parameters with the same name"."""
    asked = dict(parameters)
    if len(asked) != len(parameters):
        return None
    server_window = client_window = None
    for name, value in asked.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                return None
        elif name == "server_max_window_bits":
            server_window = _WINDOWS.get(value or "")
            if server_window is None:
                return None
        elif name == "client_max_window_bits":
            client_window = 15 if value is None else _WINDOWS.get(value)
            if client_window is None:
                return None
        else:
            return None
    return Agreement(
        client_no_context_takeover="client_no_context_takeover" in asked or not keep_context,
        server_max_window_bits=server_window,
        client_max_window_bits=None if client_window is None else min(client_window, CLIENT_WINDOW),
    )


# RFC 6455, section 9.1. Quantifiers are possessive: no header makes them look at a byte more than twice.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_SPACE = r"[ \t]*+"
_NAME = re.compile(rf"{_SPACE}({_TOKEN}++){_SPACE}")
_PARAMETER = re.compile(
    rf';{_SPACE}({_TOKEN}++){_SPACE}(?:={_SPACE}(?:({_TOKEN}++)|"((?:{_TOKEN}|\\{_TOKEN})++)"){_SPACE})?'
)
_GAP = re.compile(r"[ \t,]*+")


def read_extensions(header: str) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """The extensions of a header: each its name, and its parameters in order with their values.

    Raises ProtocolError where the header stops being a list of extensions.
    """
    position = _end(_GAP.match(header))
    while position < len(header):
        name = _NAME.match(header, position)
        if name is None:
            raise ProtocolError("Sec-WebSocket-Extensions is not a list of extensions")
        position = name.end()
        parameters: list[tuple[str, str | None]] = []
        while (found := _PARAMETER.match(header, position)) is not None:
            key, token, quoted = found.groups()
            # "the value after quoted-string unescaping MUST conform to the 'token' ABNF"
            parameters.append((key, token if quoted is None else quoted.replace("\\", "")))
            position = found.end()
        yield name[1], parameters
        if header[position : position + 1] not in ("", ","):
            raise ProtocolError("Sec-WebSocket-Extensions is not a list of extensions")
        position = _end(_GAP.match(header, position))


def _end(found: re.Match[str] | None) -> int:
    assert found is not None  # the pattern matches nothing, too
    return found.end()


# -- sending --------------------------------------------------------------------------------------------------------


def compress(payload: bytes, window: int = 15) -> bytes:
    """The body of a compressed message (section 7.2.1), for clients whose window has ``window`` bits or more."""
    # zlib has no raw window of 8 bits. With 9 it never looks back further than 512 - 262 bytes (its MAX_DIST), which
    # 8 bits can follow.
    bits = max(9, min(window, WINDOW))
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -bits, MEMORY)
    body = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return body[:-4]


# -- receiving ------------------------------------------------------------------------------------------------------


class Inflater:
    """Inflates the messages of one client: ``inflate`` each piece as it comes, then ``finish`` the message.

    After a ProtocolError nothing more can be inflated.
    """

    __slots__ = ("_decoder", "_final_blocks", "_keep_context", "_midway", "_window")

    def __init__(self, window: int = 15, *, keep_context: bool = True) -> None:
        self._window = window
        self._keep_context = keep_context
        self._decoder: zlib._Decompress | None = None
        self._midway = False
        self._final_blocks = 0

    def inflate(self, piece: bytes, most: int) -> bytes:
        """What this piece of a message inflates to: at most ``most`` bytes (1 or more), and the rest is not made.

        So ask for one byte more than you would take: if you get it, the message is too big. Raises ProtocolError:
        1007 when the piece is corrupt, 1008 for more than ``FINAL_BLOCKS`` of them.
        """
        if not piece:
            return b""
        self._midway = True
        if self._decoder is None:
            self._decoder = zlib.decompressobj(-self._window)
        try:
            output = self._decoder.decompress(piece, most)
            # Section 7.2.3.4: a block may say that it is the final one, and others may follow.
            while len(output) < most and (rest := self._decoder.unused_data):
                self._final_blocks += 1
                if self._final_blocks > FINAL_BLOCKS:
                    raise ProtocolError("too many final blocks in a compressed message", 1008)
                self._decoder = zlib.decompressobj(-self._window)
                output += self._decoder.decompress(rest, most - len(output))
        except zlib.error:
            raise ProtocolError("corrupt compressed data", 1007) from None
        return output

    def finish(self) -> None:
        """The message has ended. Raises ProtocolError: 1007 when it may not end there."""
        # A message of no bytes at all is what zlib flushes when it has nothing to say: take it for an empty one.
        # "inflate() decompresses as much data as possible" (zlib's manual): whatever the tail adds is the tail itself,
        # taken for data.
        final = self._decoder is not None and self._decoder.eof
        if self._midway and not final and (self.inflate(TAIL, 1) or not self._between_blocks()):
            raise ProtocolError("a compressed message that breaks off", 1007)
        if final or not self._keep_context:
            self._decoder = None
        self._midway = False
        self._final_blocks = 0

    def _between_blocks(self) -> bool:
        """Whether a new block could begin here: try an empty final one, on a copy (1 us) if the original is needed."""
        assert self._decoder is not None
        if self._decoder.eof:
            return False  # the last block swallowed what should have come after it
        probe = self._decoder.copy() if self._keep_context else self._decoder
        try:
            return not probe.decompress(b"\x03\x00", 1) and probe.eof
        except zlib.error:
            return False
