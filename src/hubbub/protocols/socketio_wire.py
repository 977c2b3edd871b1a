"""A packet of Socket.IO in MessagePack, as it arrives: its fields, and their types. Pure."""

from typing import Any

import msgspec


class Wire(msgspec.Struct):
    """See ``socketio_msgpack``."""

    type: int
    nsp: str
    data: Any = None
    id: int | None = None
