"""Which protocol serves which path. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from hubbub import patterns
from hubbub.protocols.base import Protocol, Request, Route


class Door(NamedTuple):
    """The rows of one protocol's table that share a path."""

    protocol: type[Protocol]
    routes: Mapping[str, Route]
    """By method; WebSocket upgrades under ``WEBSOCKET``."""

    @property
    def methods(self) -> str:
        """What may be asked here, as HTTP lists it."""
        names = dict.fromkeys((*self.routes, "OPTIONS"))
        return ", ".join("GET" if name == "WEBSOCKET" else name for name in names)


class Routes:
    """The tables of all protocols that are spoken, by path. One trailing slash does not matter."""

    def __init__(self, protocols: Iterable[type[Protocol]]) -> None:
        self.protocols: list[type[Protocol]] = []
        self._exact: dict[str, list[Door]] = {}
        self._patterns: list[tuple[re.Pattern[str], Door]] = []
        for protocol in protocols:
            self.add(protocol)

    def add(self, protocol: type[Protocol]) -> None:
        """One table more. Raises UsageError for a path that cannot be read."""
        self.protocols.append(protocol)
        for path in dict.fromkeys(route.path for route in protocol.routes):
            rows = {
                "WEBSOCKET" if route.line == "socket" else route.method: route
                for route in protocol.routes
                if route.path == path
            }
            owner = next(iter(rows.values())).protocol or protocol
            door, place = Door(owner, rows), path.removesuffix("/")
            if "{" in place or "}" in place:
                self._patterns.append((patterns.read(place, paths=True), door))
            else:
                self._exact.setdefault(place, []).append(door)

    def find(self, request: Request) -> tuple[Door | None, Request]:
        """The door for this request, and the request with what the braces in the door's path stood for. Exact paths go
        before patterns, and protocols in their order."""
        path = request.path.removesuffix("/")
        for door in self._exact.get(path, ()):
            if door.protocol.accepts(request):
                return door, request
        for pattern, door in self._patterns:
            found = pattern.fullmatch(request.path) or pattern.fullmatch(path)
            if found is not None and door.protocol.accepts(request):
                return door, msgspec.structs.replace(request, variables=found.groupdict())
        return None, request

    def places(self) -> Iterator[tuple[type[Protocol], str]]:
        """What is spoken where, without the paths that are below another one of the same protocol."""
        for protocol in self.protocols:
            paths = dict.fromkeys(route.path for route in protocol.routes)
            for path in paths:
                if not any(path.startswith(f"{other}/") for other in paths):
                    yield protocol, path

    @staticmethod
    def has_sessions(protocol: type[Protocol]) -> bool:
        """Whether later requests must find the conversation again."""
        return any(route.line not in ("socket", "page") for route in protocol.routes)
