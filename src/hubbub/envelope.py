"""What a publication's bytes say about its delivery, beside its body. Pure."""

import msgspec


class Envelope(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a publication says about its delivery. On the broker it stands before the body: 0x01, its length in two
    bytes, itself in MessagePack. A body that needs none stands alone: its first byte is never 0x01."""

    sender: str = ""
    """The connection that is left out."""
    room: str = ""
    volatile: bool = False
    """Whoever cannot take it at once goes without."""
    key: str = ""
    """What it replaces where ``overflow`` is ``latest``: one value per event and key."""


PLAIN = Envelope()
_envelope = msgspec.msgpack.Decoder(Envelope)


def addressed(sender: str = "", room: str = "", volatile: bool = False, key: str = "") -> Envelope:
    """The envelope that says this: PLAIN, if that is nothing."""
    return Envelope(sender, room, volatile, key) if sender or room or volatile or key else PLAIN


def seal(envelope: Envelope, body: bytes) -> bytes:
    if envelope is PLAIN:
        return body
    head = msgspec.msgpack.encode(envelope)
    return b"\x01" + len(head).to_bytes(2) + head + body


def unseal(data: bytes) -> tuple[Envelope, bytes]:
    """Raises ValueError for what was not sealed by us."""
    if data[:1] != b"\x01":
        return PLAIN, data
    stop = 3 + int.from_bytes(data[1:3])
    try:
        return _envelope.decode(data[3:stop]), data[stop:]
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
