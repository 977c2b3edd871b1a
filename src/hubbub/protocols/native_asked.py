"""What a client of the native protocol may ask: the fields of its messages, and their types. Pure."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from hubbub.messages import Raw


class Asked(msgspec.Struct):
    """Any message of a client."""

    send: str | None = None
    join: str | None = None
    leave: str | None = None
    answer: int | None = None
    topic: str | None = None
    event: str | None = None
    ref: str | int | float | bool | None = None
    id: str | None = None
    after: str | None = None
    ping: Raw | UnsetType = UNSET
    params: Any = UNSET
    payload: Any = UNSET


class AskedInJson(Asked):
    """The same, with what is the channel's to read left encoded."""

    params: Raw | UnsetType = UNSET
    payload: Raw | UnsetType = UNSET
