"""The server that a command talks to: where it is, and its secret."""

import ipaddress
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from hubbub.cli import secrets
from hubbub.config import Config, load
from hubbub.errors import UsageError

EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
at = click.option(
    "--url", help="Where the server is, as in http://host:port; by default where `hubbub run` serves from this folder."
)


class Server(NamedTuple):
    """An address, and what is known of its secret. ``path`` is where Hubbub is mounted, without a slash at its
    end."""

    tls: bool
    host: str
    port: int
    path: str
    secret: str | None

    @classmethod
    def find(cls, url: str | None, secret: str | None) -> "Server":
        """The server at this URL, or else the one that is configured, and what of its secret can be known here.
        Raises UsageError."""
        config = load(Path.cwd(), os.environ, {"secret": secret})
        tls, host, port, path = _parse(url) if url is not None else _configured(config)
        left = secrets.find(port) if config.secret is None and _is_here(host) else None
        return cls(tls, host, port, path, config.secret or left)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"


def _parse(url: str) -> tuple[bool, str, int, str]:
    wrong = UsageError(f"--url must be as in http://127.0.0.1:3000, not {url!r}.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong
    tls = parts.scheme == "https"
    return tls, parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/")


def _configured(config: Config) -> tuple[bool, str, int, str]:
    return config.ssl_certfile is not None, EVERY.get(config.host, config.host), config.port, ""


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
