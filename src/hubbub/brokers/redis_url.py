"""Where Redis is: what the broker's URL says, and connections to there.

    redis://[user:password@]host[:6379][/0]                        one server; rediss:// with TLS; valkey:// is the same
    redis+sentinel://[user:password@]host[:26379],host/name[/0]    the primary that these sentinels call by this name
    redis+cluster://[user:password@]host[:6379],host               a cluster, of which these are some nodes

Options follow a question mark:

    prefix=chat              what our keys and channels begin with (hubbub): where applications share a server
    sentinel_username=       for the sentinels themselves
    sentinel_password=
    ssl_ca_certs=            files, for rediss://, rediss+sentinel:// and rediss+cluster://
    ssl_certfile=
    ssl_keyfile=
"""

import asyncio
import re
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import ConnectionError as NotReached
from redis.exceptions import RedisError

from hubbub.errors import UsageError

PATIENCE = 5.0
"""Seconds for a server to take a connection and say hello: it may be slow by some, as when it saves or forks."""

SHARDS = 64
"""Pieces that the topics of a cluster are dealt into; it spreads the pieces over its nodes. Another number would give
every topic another place, and every log a new life."""

OPTIONS = {"prefix", "sentinel_username", "sentinel_password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}

Address = tuple[str, int]


class Place(NamedTuple):
    """What a URL says."""

    kind: str
    """``""`` for one server, or ``sentinel`` or ``cluster``."""
    tls: bool
    addresses: tuple[Address, ...]
    service: str
    db: int
    username: str | None
    password: str | None
    options: dict[str, str]

    @property
    def prefix(self) -> str:
        return self.options.get("prefix", "hubbub")

    @property
    def shards(self) -> int:
        return SHARDS if self.kind == "cluster" else 1

    def __str__(self) -> str:
        hosts = ", ".join(f"{host}:{port}" for host, port in self.addresses)
        return {"": "Redis at ", "sentinel": "the sentinels at ", "cluster": "the Redis cluster at "}[self.kind] + hosts

    async def open(self, address: Address | None = None) -> Connection:
        """A connection: to the server, to the primary, or to this node of the cluster, or else to any.

        Raises RedisError, OSError or TimeoutError.
        """
        async with asyncio.timeout(PATIENCE):
            if self.kind == "sentinel":
                return await self._open_primary()
            return await self._open_first((address,) if address else self.addresses)

    async def _open_first(self, addresses: tuple[Address, ...]) -> Connection:
        fault: Exception = NotReached("there is nobody to ask")
        for address in addresses:
            try:
                return await self._connect(address, self.username, self.password, self.db)
            except (RedisError, OSError) as error:
                fault = error
        raise fault

    async def _open_primary(self) -> Connection:
        fault: Exception = NotReached(f"the sentinels know no primary named {self.service}")
        for address in self.addresses:
            try:
                primary = await self._ask_sentinel(address)
            except (RedisError, OSError) as error:
                fault = error
                continue
            if primary is not None:
                return await self._connect(primary, self.username, self.password, self.db)
        raise fault

    async def _ask_sentinel(self, address: Address) -> Address | None:
        options = self.options
        sentinel = await self._connect(address, options.get("sentinel_username"), options.get("sentinel_password"), 0)
        try:
            found = await ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
        finally:
            await sentinel.disconnect(nowait=True)
        return (found[0].decode(), int(found[1])) if found else None

    async def _connect(self, address: Address, username: str | None, password: str | None, db: int) -> Connection:
        files = {name: value for name, value in self.options.items() if name.startswith("ssl_")}
        kind: Any = SSLConnection if self.tls else Connection
        connection: Connection = kind(
            host=address[0],
            port=address[1],
            db=db,
            username=username,
            password=password,
            protocol=2,  # a subscriber's messages come as plain replies, in order
            socket_timeout=None,  # who waits says how long
            socket_connect_timeout=PATIENCE,
            socket_keepalive=True,
            client_name="hubbub",
            **(files if self.tls else {}),
        )
        try:
            await cast(Awaitable[None], connection.connect())  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection


async def ask(connection: Connection, *command: str | bytes | int) -> Any:
    """One command, and its reply. Raises RedisError, OSError."""
    await write(connection, connection.pack_command(*command))
    return await connection.read_response(disable_decoding=True)


async def write(connection: Connection, packed: Sequence[bytes]) -> None:
    """Send what redis-py has packed. Raises RedisError, OSError."""
    try:
        await connection.send_packed_command(packed, check_health=False)
    except RuntimeError as error:  # uvloop's word for a line that was reset while nobody read from it
        raise NotReached("connection reset by peer") from error


async def facts(connection: Connection, section: str) -> dict[str, str]:
    """A section of INFO."""
    text: bytes = await ask(connection, "INFO", section)
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


def place_of(url: str) -> Place:
    """Read a URL. Raises UsageError, which repeats nothing that may be secret."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise UsageError("the URL of Redis cannot be read: it is redis://host:6379/0") from None
    scheme, _, kind = parts.scheme.partition("+")
    access, _, hosts = parts.netloc.rpartition("@")
    username, _, password = access.partition(":")
    service, db = _path(parts.path, kind)
    if unknown := options.keys() - OPTIONS:
        raise UsageError(f"Redis has no option {min(unknown)!r}; there are {', '.join(sorted(OPTIONS))}")
    if not re.fullmatch(r"[^\s{}]+", options.get("prefix", "hubbub")):
        raise UsageError("the prefix of Redis is a word, without braces")
    return Place(
        kind,
        scheme == "rediss",
        tuple(_address(host, 26379 if kind == "sentinel" else 6379) for host in hosts.split(",")),
        service,
        db,
        unquote(username) or None,
        unquote(password) or None,
        options,
    )


def _path(path: str, kind: str) -> tuple[str, int]:
    """What follows the hosts: a sentinel's name of the primary, and a number of a database."""
    names = [unquote(name) for name in path.strip("/").split("/") if name]
    service = ""
    if kind == "sentinel":
        if not names:
            raise UsageError("sentinels need the name of their primary: redis+sentinel://host:26379/name")
        service = names.pop(0)
    if len(names) > 1 or (names and not re.fullmatch(r"\d{1,5}", names[0])):
        raise UsageError("a database of Redis is a number: redis://host:6379/0")
    if kind == "cluster" and names and names[0] != "0":
        raise UsageError("a cluster has no databases: redis+cluster://host:6379")
    return service, int(names[0]) if names else 0


def _address(text: str, default: int) -> Address:
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.%]+)\]|([^\s:\[\]]*))(?::(\d{1,5}))?", text)
    port = int(found[3] or default) if found else 0
    if not found or not 0 < port < 65_536:
        raise UsageError("the URL of Redis cannot be read: it is redis://host:6379/0")
    return found[1] or found[2] or "localhost", port
