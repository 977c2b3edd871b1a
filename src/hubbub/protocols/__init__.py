"""Every wire format that Hubbub speaks, one file each; ``base`` is their contract."""

from importlib import import_module

from hubbub.errors import UsageError
from hubbub.protocols.base import Protocol

PROTOCOLS = {
    "native": "hubbub.protocols.native:Native",
    "engineio": "hubbub.protocols.engineio:EngineIO",
    "socketio": "hubbub.protocols.socketio:SocketIO",
    "phoenix": "hubbub.protocols.phoenix:Phoenix",
    "sockjs": "hubbub.protocols.sockjs:SockJSSession",
    "sse": "hubbub.protocols.sse:SSE",
    "polling": "hubbub.protocols.polling:Polling",
}

DEFAULT = ("native", "socketio", "phoenix", "sockjs", "sse", "polling")
"""What an application speaks unless it is told otherwise."""


def load(name: str) -> type[Protocol]:
    """The protocol of this name. Its module is imported now. Raises UsageError for a name that is not in the table."""
    try:
        module, _, attribute = PROTOCOLS[name].partition(":")
    except KeyError:
        raise UsageError(f"there is no protocol {name!r}; there are {', '.join(PROTOCOLS)}") from None
    protocol: type[Protocol] = getattr(import_module(module), attribute)
    return protocol
