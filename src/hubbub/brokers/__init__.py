"""Which broker answers which URL: the only place that knows them by name.

    memory://                     in this process alone, gone when it ends
    sqlite:///chat.db             in a file beside the application
    sqlite:////var/lib/chat.db    in a file anywhere
    redis://host:6379/0           in Redis or Valkey, for many nodes; also rediss://, redis+sentinel://, redis+cluster://

``base`` is their contract.
"""

from collections.abc import Callable
from importlib import import_module

from hubbub.brokers.base import Broker
from hubbub.errors import UsageError

BROKERS = {
    "memory": "hubbub.brokers.memory:MemoryBroker",
    "sqlite": "hubbub.brokers.sqlite:SqliteBroker",
    "redis": "hubbub.brokers.redis:RedisBroker",
    "rediss": "hubbub.brokers.redis:RedisBroker",
    "valkey": "hubbub.brokers.redis:RedisBroker",
    "redis+sentinel": "hubbub.brokers.redis:RedisBroker",
    "rediss+sentinel": "hubbub.brokers.redis:RedisBroker",
    "redis+cluster": "hubbub.brokers.redis:RedisBroker",
    "rediss+cluster": "hubbub.brokers.redis:RedisBroker",
}
"""Scheme to class. A class is imported when its scheme is asked for, for what it stands on may not be installed."""


def create(url: str) -> Broker:
    """The broker of this URL, not yet started.

    Raises UsageError for an unknown scheme, for a URL that the broker cannot read, and when a package is missing.
    """
    scheme, colon, _ = url.partition("://")
    known = ", ".join(f"{name}://" for name in BROKERS)
    if not colon:
        raise UsageError(f"a broker is named by a URL, and this is none; there are {known}")
    if scheme not in BROKERS:  # of the URL only the scheme is repeated: what follows may be a password
        raise UsageError(f"there is no broker {scheme}://; there are {known}")
    module, _, name = BROKERS[scheme].partition(":")
    try:
        broker: Callable[[str], Broker] = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "hubbub":
            raise
        extra = module.rpartition(".")[2] if module.startswith("hubbub.") else scheme
        raise UsageError(f"{scheme}:// needs {error.name}, which is missing: pip install 'hubbub[{extra}]'") from None
    return broker(url)
