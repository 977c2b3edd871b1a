"""Fan-out: one client publishes, everyone in the topic gets it.

With a window of 1 a publication is let go when the one before has reached everybody: no server can join frames, and
what is left is the price of a write per client. With a wider window publications come together, as they do in a busy
place, and a server that joins what goes to one socket may show it.
"""

from bench.claims import Cell, Claim, versus
from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import (
    BUN_PUBLISH,
    FLOORS,
    HUBBUB,
    HUBBUB_ASGI,
    HUBBUB_NATIVE,
    PAYLOAD,
    PEERS,
    PYTHON_SOCKETIO,
    SENDS,
    SOCKETIO_NODE,
    Peer,
)
from bench.scenario import Figures, Scenario, measure

CASES = ((10, 32, 1), (100, 32, 1), (1_000, 1, 1), (1_000, 4, 1), (1_000, 32, 1), (1_000, 4, 32))
"""Clients, publications on their way at once, and how many times 128 bytes each has. The crowd only grows."""


def _name(size: int, window: int, length: int = 1) -> str:
    return f"{size:,} clients, window {window}" + (f", {len(PAYLOAD) * length:,} bytes" if length > 1 else "")


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    figures = {}
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        for size, window, length in CASES:
            if peer in FLOORS and length > 1:
                continue  # it was started with the size of its messages
            clients.grow(size)
            payload = PAYLOAD * length
            load = FanOut(clients, payload, clients.probe(payload), window)
            figures[_name(size, window, length)] = measure(server, load, seconds)
    return figures


def _faster(ours: Peer, theirs: Peer, case: str) -> Claim:
    text = f"deliveries a second of {theirs.name} / {ours.name}: {case}"
    return Claim(text, Cell(theirs.name, case, "rate"), Cell(ours.name, case, "rate"), 1.0)


_SINGLE, _FEW, _MANY = _name(1_000, 1), _name(1_000, 4), _name(1_000, 32)

FANOUT = Scenario(
    name="fanout",
    title="Fan-out of 128 bytes",
    unit="delivery",
    figure="cpu",
    peers=PEERS,
    measure=_measure,
    claims=[
        versus(HUBBUB.name, SOCKETIO_NODE.name, _SINGLE, 1 / 2),
        versus(HUBBUB.name, SOCKETIO_NODE.name, _FEW, 1 / 5),
        versus(HUBBUB.name, SOCKETIO_NODE.name, _MANY, 1 / 5),
        *(versus(HUBBUB.name, PYTHON_SOCKETIO.name, case, 1 / 12) for case in (_SINGLE, _FEW, _MANY)),
        *(versus(HUBBUB_ASGI.name, PYTHON_SOCKETIO.name, case, 1 / 3) for case in (_SINGLE, _FEW, _MANY)),
        *(_faster(HUBBUB, SENDS, case) for case in (_FEW, _MANY)),
        *(_faster(HUBBUB_NATIVE, BUN_PUBLISH, case) for case in (_SINGLE, _FEW, _MANY)),
    ],
)
"""In a window of 1 every server pays one write per client, and that alone is half of what Node takes: see the C
program."""
