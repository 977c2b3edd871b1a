"""A channel class, read once: its events, what each wants, and what its topics ask of the hub; and which is whose."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from hubbub import patterns
from hubbub.binding import Binder
from hubbub.channels.base import Channel
from hubbub.errors import NotFound, UsageError
from hubbub.gathering import Terms
from hubbub.messages import canonical


class Method:
    """A method clients can reach: the function, its binder, and whether it runs in a thread."""

    __slots__ = ("binder", "function", "threaded")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.binder = Binder(function, skip=1)
        self.function = self.binder.function
        self.threaded = not inspect.iscoroutinefunction(function)


class Blueprint:
    """What is known of a channel class before anyone joins."""

    __slots__ = ("channel", "events", "history", "join", "leave", "overflow", "presence", "recover")

    def __init__(self, channel: type[Channel]) -> None:
        """Raises UsageError when the class cannot be served."""
        self.channel = channel
        self.history = channel.history
        self.overflow = channel.overflow
        self.join = None if channel.join is Channel.join else Method(channel.join)
        self.leave = None if channel.leave is Channel.leave else channel.leave
        self.presence: Terms | None = _terms(channel) if channel.presence else None
        self.recover = None if channel.recover is Channel.recover else Method(channel.recover)
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


class Directory:
    """Which blueprint serves which topic: exact names go before patterns, and those in order."""

    __slots__ = ("_exact", "_patterns")

    def __init__(self) -> None:
        self._exact: dict[str, Blueprint] = {}
        self._patterns: list[tuple[re.Pattern[str], Blueprint]] = []

    def add(self, pattern: str, blueprint: Blueprint) -> None:
        """Raises UsageError for a pattern that is taken, or is none."""
        name = canonical(pattern)
        if "#" in name or not name:
            raise UsageError(f"{pattern!r}: a topic has a name, without '#'")
        if "{" in name or "}" in name:
            self._patterns.append((patterns.read(name), blueprint))
        elif name in self._exact:
            raise UsageError(f"{pattern!r} has two channels")
        else:
            self._exact[name] = blueprint

    def find(self, topic: str) -> tuple[Blueprint, Mapping[str, str]]:
        """The blueprint, and what the braces of its pattern stand for. Raises NotFound."""
        blueprint = self._exact.get(topic)
        if blueprint is not None:
            return blueprint, {}
        for pattern, blueprint in self._patterns:
            found = pattern.fullmatch(topic)
            if found is not None:
                return blueprint, found.groupdict()
        raise NotFound(f"there is no topic {topic[:100]!r}")
