"""Connect: what a handshake and a join cost. Each client comes as it would by itself, opens, joins and stays."""

from bench.claims import versus
from bench.crowd import crowd
from bench.processes import Server
from bench.roster import HUBBUB, PYTHON_SOCKETIO, SERVERS, SOCKETIO_NODE, Peer
from bench.scenario import Figures, Scenario, account, shares

FIRST, ALL = 2_000, 5_000
"""The first clients make a server load and compile what it needs, and V8 wants many; what the rest take counts."""

_CASE = f"{ALL - FIRST:,} clients"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        clients.grow(FIRST)
        with account(server) as done:
            clients.grow(ALL)
        memory = server.memory() / (1 << 20)
    count = ALL - FIRST
    return {
        _CASE: {"cpu": done.used / count * 1e6, "rate": count / done.span, "resident": memory, **shares([done])},
    }


CONNECT = Scenario(
    name="connect",
    title="Connect and join",
    unit="client",
    figure="cpu",
    peers=SERVERS,
    measure=_measure,
    claims=[
        versus(HUBBUB.name, SOCKETIO_NODE.name, _CASE, 1 / 2),
        versus(HUBBUB.name, PYTHON_SOCKETIO.name, _CASE, 1 / 2),
    ],
)
