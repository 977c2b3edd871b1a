"""Hubbub, the real-time server for Python: every client, one hub."""

from hubbub.app import App, SockJS
from hubbub.channels.base import Channel, Past, Published, on
from hubbub.errors import (
    Banned,
    BrokerError,
    Disconnect,
    Expired,
    Forbidden,
    HubbubError,
    Invalid,
    Kicked,
    NotFound,
    ProtocolError,
    Refused,
    Shutdown,
    TooBig,
    TooMany,
    TooSlow,
    Unauthorized,
    Unavailable,
    UsageError,
)
from hubbub.gathering import Present
from hubbub.history import Keep, Position
from hubbub.introduction import Handshake, Pass
from hubbub.limits import Limits
from hubbub.sockets import Socket
from hubbub.version import __version__ as __version__

__all__ = [
    "App",
    "Banned",
    "BrokerError",
    "Channel",
    "Disconnect",
    "Expired",
    "Forbidden",
    "Handshake",
    "HubbubError",
    "Invalid",
    "Keep",
    "Kicked",
    "Limits",
    "NotFound",
    "Pass",
    "Past",
    "Position",
    "Present",
    "ProtocolError",
    "Published",
    "Refused",
    "Shutdown",
    "SockJS",
    "Socket",
    "TooBig",
    "TooMany",
    "TooSlow",
    "Unauthorized",
    "Unavailable",
    "UsageError",
    "on",
]
