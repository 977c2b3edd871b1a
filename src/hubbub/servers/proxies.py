"""Whose word is taken for where a client comes from.

``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed only of trusted peers, and of the addresses in them only
the last that no trusted proxy wrote: anyone can send the rest.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from hubbub.errors import UsageError

REMEMBERED = 4_096
"""Peers that are read once, and not each time they come. What stands in a header is not remembered: anyone can send
that, and as much of it as they like."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The trusted peers: addresses and networks with commas between them, or ``*`` for all."""

    __slots__ = ("_all", "_networks", "_trusts_peer")

    def __init__(self, trusted: str) -> None:
        names = [name.strip() for name in trusted.split(",") if name.strip()]
        self._all = "*" in names
        self._networks: list[Network] = []
        for name in names:
            if name != "*":
                try:
                    self._networks.append(ipaddress.ip_network(name, strict=False))
                except ValueError:
                    raise UsageError(f"{name!r} is neither an address nor a network of trusted proxies") from None
        self._trusts_peer = lru_cache(REMEMBERED)(self.trusts)  # most clients come by few proxies, or come again

    def trusts(self, address: str) -> bool:
        """Whether this is a trusted address."""
        if self._all:
            return True
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(parsed.version == network.version and parsed in network for network in self._networks)

    def resolve(self, peer: str, scheme: str, headers: Mapping[str, str]) -> tuple[str, str]:
        """The client's address and the scheme it used."""
        if not self._trusts_peer(peer):
            return peer, scheme
        proto = headers.get("x-forwarded-proto", "").strip().lower()
        if proto in ("http", "https", "ws", "wss"):
            scheme = "https" if proto in ("https", "wss") else "http"
        hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",") if hop.strip()][-100:]
        client = peer
        for hop in reversed(hops):
            client = _bare(hop)
            if self._all or not self.trusts(client):
                break
        if self._all and hops:
            client = _bare(hops[0])
        return client, scheme


def _bare(hop: str) -> str:
    """The address without its port: ``[::1]:80``, ``10.0.0.1:80``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
