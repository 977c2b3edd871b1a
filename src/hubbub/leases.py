"""Which other nodes live. Pure."""

from collections.abc import Iterator


class Leases:
    """Which other nodes live. A node is lost when it has been silent for a lease, while one's own beats came back over
    the same broker: where even those do not, it is the broker that is gone, and nobody is lost by that."""

    __slots__ = ("_heard", "_own", "lease", "node")

    def __init__(self, node: str, lease: float, now: float) -> None:
        self.node = node
        self.lease = lease
        self._own = now
        self._heard: dict[str, float] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._heard

    def __iter__(self) -> Iterator[str]:
        return iter(self._heard)

    def __len__(self) -> int:
        return len(self._heard)

    def hear(self, node: str, now: float) -> bool:
        """This node lives, be it oneself. True when something may have been missed: it was unknown or lost; or, of
        oneself, one was deaf for half a lease. Then all others have their time again."""
        if node != self.node:
            new = node not in self._heard
            self._heard[node] = now
            return new
        deaf = now - self._own > self.lease / 2
        self._own = now
        if deaf:
            self._heard = dict.fromkeys(self._heard, now)
        return deaf

    def lost(self) -> list[tuple[str, float]]:
        """Those whose lease has run out, each with when it was last heard: told once."""
        late = [(node, heard) for node, heard in self._heard.items() if heard + self.lease < self._own]
        for node, _ in late:
            del self._heard[node]
        return late

    def leave(self, node: str) -> None:
        """It said goodbye."""
        self._heard.pop(node, None)
