"""Ports that stay free until a test uses them, and between two servers that it starts there one after the other.

The system deals out ports of its own range to whoever asks for any, so one of those may be somebody else's by the time
it is wanted. These lie below that range, and no two processes of these tests have the same one: who picks one holds it,
as a port of UDP, for as long as it lives.
"""

import random
import socket
from pathlib import Path

FIRST = 20_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PAST = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
_PAST = _PAST if _PAST > FIRST + 1_000 else 32_768
_chance = random.SystemRandom()


def free_port():
    """A port of this machine on which nobody listens, nor will before this process does, or ends."""
    while True:
        port = _chance.randrange(FIRST, _PAST)
        hold = socket.socket(type=socket.SOCK_DGRAM)
        try:
            hold.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            hold.close()
            continue
        hold.detach()
        return port
