"""Mixed: a topic in which every client speaks another dialect, beside topics in which all speak one.

Somebody speaks, in Hubbub's own protocol, always the same; all others listen. What a delivery costs when a thousand
clients are split over all dialects is compared with what it costs, on average, in the dialects by themselves.

An event stream is an HTTP response, of which each event is a chunk. The dialects of WebSockets are also put together
without it.
"""

from collections.abc import Iterator

from bench.claims import Cell, Claim, Mean, versus
from bench.crowd import crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import HUBBUB_RUN, PAYLOAD, Peer
from bench.scenario import Figures, Scenario, measure
from bench.wires import EVENTS, NATIVE, PHOENIX, SOCKETIO, native_msgpack, phoenix_objects, sockjs

LISTENERS = 1_000
"""In each case, as far as it can be divided; who speaks is one more."""

WINDOWS = (1, 32)

DIALECTS = {
    "Hubbub's own, JSON": NATIVE,
    "Hubbub's own, MessagePack": native_msgpack(),
    "Socket.IO": SOCKETIO,
    "Phoenix 2": PHOENIX,
    "Phoenix 1": phoenix_objects(),
    "SockJS": sockjs(),
    "Server-sent events": EVENTS,
}

SINGLE = [Peer(name, wire, HUBBUB_RUN) for name, wire in DIALECTS.items()]
SOCKETS = [peer for peer in SINGLE if peer.wire is not EVENTS]
MIXTURES = {"all together": SINGLE, "all WebSockets together": SOCKETS}
TOGETHER = [Peer(name, NATIVE, HUBBUB_RUN) for name in MIXTURES]


def _name(window: int) -> str:
    return f"{LISTENERS:,} clients, window {window}"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    wires = [part.wire for part in MIXTURES.get(peer.name, [peer])]
    figures = {}
    with Server(peer.start("fanout")) as server, crowd(server.port, NATIVE) as clients:
        clients.grow(1)
        for _ in range(LISTENERS // len(wires)):  # in turns, so that dialects are not in the order of joining
            for wire in wires:
                clients.admit([wire])
        for window in WINDOWS:
            load = FanOut(clients, PAYLOAD, clients.probe_mixed(PAYLOAD), window)
            figures[_name(window)] = measure(server, load, seconds)
    return figures


def _claims(window: int) -> Iterator[Claim]:
    case = _name(window)
    for name, parts in MIXTURES.items():
        cell = Cell(name, case, "cpu")
        mean = Mean([Cell(peer.name, case, "cpu") for peer in parts])
        yield Claim(f"{name} / the mean of the same by themselves: {case}", cell, mean, 1.3)
        yield versus(name, "Socket.IO", case, 1.3)


MIXED = Scenario(
    name="mixed",
    title="Fan-out of 128 bytes to clients of all dialects",
    unit="delivery",
    figure="cpu",
    peers=[*SINGLE, *TOGETHER],
    measure=_measure,
    claims=[claim for window in WINDOWS for claim in _claims(window)],
)
