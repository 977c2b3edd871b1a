"""The token bucket: how often something may happen. Pure."""


class TokenBucket:
    """Lets ``rate`` things a second pass, and ``burst`` at once. Time is given by the caller, in seconds."""

    __slots__ = ("burst", "filled", "rate", "tokens")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate = rate
        self.burst = float(burst)
        self.tokens = self.burst
        self.filled = now

    def take(self, now: float) -> bool:
        """Take one token, and say whether there was one."""
        tokens = self.tokens + (now - self.filled) * self.rate
        self.filled = now
        if tokens > self.burst:
            tokens = self.burst
        if tokens < 1.0:
            self.tokens = tokens
            return False
        self.tokens = tokens - 1.0
        return True
