"""A channel class, read once: its events, what each wants, and what its topics ask of the hub."""

import inspect
from collections.abc import Callable
from typing import Any

from hubbub.binding import Binder
from hubbub.channels.base import Channel
from hubbub.errors import UsageError
from hubbub.gathering import Terms


class Method:
    """A method clients can reach: the function, its binder, and whether it runs in a thread."""

    __slots__ = ("binder", "function", "threaded")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.binder = Binder(function, skip=1)
        self.function = self.binder.function
        self.threaded = not inspect.iscoroutinefunction(function)


class Blueprint:
    """What is known of a channel class before anyone joins."""

    __slots__ = ("channel", "events", "history", "join", "leave", "overflow", "presence")

    def __init__(self, channel: type[Channel]) -> None:
        """Raises UsageError when the class cannot be served."""
        self.channel = channel
        self.history = channel.history
        self.overflow = channel.overflow
        self.join = None if channel.join is Channel.join else Method(channel.join)
        self.leave = None if channel.leave is Channel.leave else channel.leave
        self.presence: Terms | None = _terms(channel) if channel.presence else None
        self.events: dict[str, Method] = {}
        for name, member in inspect.getmembers(channel, inspect.isfunction):
            event = getattr(member, "__hubbub_event__", None)
            if event is None:
                continue
            if event in self.events:
                raise UsageError(f"{channel.__name__}.{name}: the event {event!r} has two methods")
            self.events[event] = Method(member)
        if self.overflow not in ("disconnect", "latest", "drop_oldest"):
            raise UsageError(
                f"{channel.__name__}.overflow is {self.overflow!r}; it can be disconnect, latest or drop_oldest"
            )


def _terms(channel: type[Channel]) -> Terms:
    return Terms(
        float(channel.presence_grace),
        channel.presence_list,
        channel.online is not Channel.online,
        channel.offline is not Channel.offline,
    )
