"""Who may connect from where.

A browser attaches the user's cookies to a WebSocket that any page opens, and no CORS rule stops it (CWE-1385,
cross-site WebSocket hijacking). So one check serves every door: a request that carries an ``Origin`` comes from a
page, and that page must be ours or on the list. Programs that are no browsers send no ``Origin`` and are let in.

What a page embeds (a script, a frame) is fetched without an ``Origin``, and yet with cookies. Of that browsers say
whether it crosses sites (https://www.w3.org/TR/fetch-metadata/), and the ``Referer`` says from where.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from hubbub.errors import UsageError

STRANGERS = 20
"""How many origins are told of to the operator: a list that strangers could make long."""

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def _split(origin: str) -> tuple[str, str, int | None] | None:
    """scheme, host, port; None for what is no origin (RFC 6454, section 6.2)."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if (
        not parts.scheme
        or not parts.hostname
        or parts.username is not None
        or parts.path
        or parts.query
        or parts.fragment
    ):
        return None
    return parts.scheme, parts.hostname.rstrip("."), port or _DEFAULT_PORTS.get(parts.scheme)


def origin_of(headers: Mapping[str, str]) -> str | None:
    """The origin of the page that asks; None where no page of another origin does: a person may follow a link to us."""
    origin = headers.get("origin")
    if origin is not None or headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return origin
    if headers.get("sec-fetch-dest") == "document":
        return None
    return "/".join(headers.get("referer", "null").split("/")[:3])


class Origins:
    """The pages that may connect: always those of the same host and port, and those listed; ``"*"`` lists all."""

    __slots__ = ("_all", "_listed", "_strangers")

    def __init__(self, listed: str | Iterable[str] | None = None) -> None:
        names = [listed] if isinstance(listed, str) else list(listed or ())
        self._all = "*" in names
        self._listed = set()
        self._strangers: set[str] = set()
        for name in names:
            if name == "*":
                continue
            parts = _split(name.rstrip("/"))
            if parts is None or parts[0] not in _DEFAULT_PORTS:
                raise UsageError(f"{name!r} is no origin: it looks like https://example.com")
            self._listed.add(parts)

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Whether a request with these ``Origin`` and ``Host`` headers may come in.

        The scheme of our own host is not compared: behind a proxy that ends TLS we would not know it.
        """
        if origin is None or self._all:
            return True
        parts = _split(origin)
        if parts is None:
            return False
        if parts in self._listed:
            return True
        own = _split(f"{parts[0]}://{host}") if host else None
        return own is not None and own[1:] == parts[1:]

    def is_news(self, origin: str) -> bool:
        """Whether this origin was not refused before, and is one of the first ``STRANGERS`` that were."""
        if origin[:200] in self._strangers or len(self._strangers) == STRANGERS:
            return False
        self._strangers.add(origin[:200])
        return True
