"""Which protocol serves which path. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hubbub.protocols.base import Protocol, Route


class Door(NamedTuple):
    """The rows of one protocol's table that share a path."""

    protocol: type[Protocol]
    routes: Mapping[str, Route]
    """By method; WebSocket upgrades under ``WEBSOCKET``."""


class Routes:
    """The tables of all protocols that are spoken, by path. A trailing slash does not matter."""

    def __init__(self, protocols: Iterable[type[Protocol]]) -> None:
        self.protocols = tuple(protocols)
        self._exact: dict[str, Door] = {}
        self._patterns: list[tuple[re.Pattern[str], Door]] = []
        for protocol in self.protocols:
            for path in dict.fromkeys(route.path for route in protocol.routes):
                rows = {
                    "WEBSOCKET" if route.line == "socket" else route.method: route
                    for route in protocol.routes
                    if route.path == path
                }
                self._add(path.rstrip("/"), Door(protocol, rows))

    def _add(self, path: str, door: Door) -> None:
        if "{" not in path:
            self._exact[path] = door
            return
        pieces = re.split(r"\{(\w+)\}", path)
        source = "".join(f"(?P<{piece}>[^/]+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
        self._patterns.append((re.compile(source), door))

    def find(self, path: str) -> tuple[Door, Mapping[str, str]] | None:
        """The door at this path, and what the braces in it stood for."""
        path = path.rstrip("/")
        door = self._exact.get(path)
        if door is not None:
            return door, {}
        for pattern, door in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                return door, found.groupdict()
        return None

    @staticmethod
    def has_sessions(protocol: type[Protocol]) -> bool:
        """Whether later requests must find the conversation again."""
        return any(route.line != "socket" for route in protocol.routes)
