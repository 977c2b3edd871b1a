"""The packets of Engine.IO 4, and the payloads that carry several of them over HTTP. Pure.

Source: the repository socketio/socket.io, docs/engine.io-protocol/v4-current.md, "Packet encoding". Sentences in quotes
are from there.

A packet is here what a WebSocket carries: text with the packet's type in front, or bytes for a binary message. In a
payload the same packets stand between record separators, bytes as base64:

    4hello <1e> 2 <1e> bAQIDBA==
"""

import binascii
from collections.abc import Iterable, Sequence

import msgspec

from hubbub.bodies import decode, event_and_payload
from hubbub.errors import ProtocolError
from hubbub.messages import Frame

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"
SEPARATOR = "\x1e"
BASE64 = "b"

PACKETS_A_POLL = 16
"""The client of python-engineio gives up on a payload of more packets than this; others take any number."""


def split(body: Frame, limit: int) -> list[Frame]:
    """The packets of a payload. Raises ProtocolError for more than ``limit``, and for what is none."""
    if not isinstance(body, str):
        raise ProtocolError("a payload is text", 1003)
    if body.count(SEPARATOR) >= limit:
        raise ProtocolError("too many packets in one payload", 1008)
    return [_from_base64(packet[1:]) if packet[:1] == BASE64 else packet for packet in body.split(SEPARATOR)]


def join(packets: Iterable[Frame]) -> str:
    """A payload of these packets."""
    return SEPARATOR.join(map(_as_text, packets))


def fill(owed: Sequence[Frame], packets: Iterable[Frame], limit: int) -> list[str]:
    """What goes into one payload: all that is owed, then as many packets as fit into about ``limit`` bytes. One that
    is too big for any payload goes when it would be alone."""
    texts = [_as_text(packet) for packet in owed]
    size = 0
    for packet in packets:
        text = _as_text(packet)
        size += 1 + (len(text) if text.isascii() else len(text.encode()))
        if len(texts) >= PACKETS_A_POLL or (texts and size > limit):
            break
        texts.append(text)
    return texts


def messages(body: bytes) -> tuple[Frame, ...]:
    """The raw message in the body of an event: ``["message", data]``. Engine.IO has no events, so any other is not
    for its clients; what is neither text nor bytes travels as JSON."""
    event, payload = event_and_payload(body)
    if event != "message" or not payload:
        return ()
    data = decode(payload[0])
    if isinstance(data, bytes):
        return (data,)
    return (MESSAGE + (data if isinstance(data, str) else msgspec.json.encode(payload[0]).decode()),)


def _as_text(packet: Frame) -> str:
    # "Binary payloads MUST be base64-encoded and prefixed with a `b` character."
    if isinstance(packet, bytes):
        return BASE64 + binascii.b2a_base64(packet, newline=False).decode()
    # "this assumes the record separator is not used in the data": what one client smuggled into a message must not
    # become a packet to another.
    return packet.replace(SEPARATOR, "\ufffd") if SEPARATOR in packet else packet


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error is one, and so is the complaint about text that is not ASCII
        raise ProtocolError("invalid base64", 1007) from None
