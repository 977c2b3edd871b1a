"""Heartbeat: what 10,000 connections take that say nothing but that they live."""

from bench.claims import Cell, Claim
from bench.crowd import crowd
from bench.load import answer
from bench.processes import Server
from bench.roster import HUBBUB, HUBBUB_NATIVE, SOCKETIO_NODE, Peer
from bench.scenario import Figures, Scenario, account, shares

CONNECTIONS = 10_000
INTERVAL = 25
"""Seconds between two heartbeats: the default of Engine.IO, and ours."""

_CASE = f"{CONNECTIONS:,} connections, a heartbeat every {INTERVAL} s"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    with Server(peer.start("fanout"), {"HEARTBEAT": str(INTERVAL)}) as server, crowd(server.port, peer.wire) as clients:
        while len(clients) < CONNECTIONS:
            clients.grow(len(clients) + CONNECTIONS // 20)
            answer(clients, 0.1)
        answer(clients, INTERVAL / 5)  # so that a fifth had their first, and all is compiled
        with account(server) as done:
            beats = answer(clients, INTERVAL)
        memory = server.memory() / (1 << 20)
    cpu = done.used / done.span / CONNECTIONS * 1e6
    return {_CASE: {"cpu": cpu, "rate": beats / done.span, "resident": memory, **shares([done])}}


OURS = (HUBBUB, HUBBUB_NATIVE)

HEARTBEAT = Scenario(
    name="heartbeat",
    title="Idle connections",
    unit="connection and second",
    figure="cpu",
    peers=(*OURS, SOCKETIO_NODE),
    measure=_measure,
    claims=[Claim(f"{peer.name}: {_CASE}", Cell(peer.name, _CASE, "cpu"), None, 8.0) for peer in OURS],
)
