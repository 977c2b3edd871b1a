"""Mixed: a topic in which every client speaks another dialect, beside topics in which all speak one.

Somebody speaks, in Hubbub's own protocol, always the same; all others listen. What a delivery costs when a thousand
clients are split over all dialects is compared with what it costs, on average, in the dialects by themselves.

An event stream is an HTTP response, which uvicorn writes, and not our lane: a delivery by it costs more than twice what
one by a WebSocket does. So the dialects of WebSockets are also put together without it. In a wide window several events
leave in one chunk, whose size is no multiple of one's: there streams cannot be counted, and are left out.
"""

from collections.abc import Iterator, Sequence

from bench.claims import Cell, Claim, Mean, versus
from bench.crowd import Crowd, crowd
from bench.load import FanOut
from bench.processes import Server
from bench.roster import HUBBUB_RUN, PAYLOAD, Peer
from bench.scenario import Figures, Scenario, measure
from bench.wires import NATIVE, PHOENIX, SOCKETIO, Wire, native_msgpack, phoenix_objects, sockjs, sse

LISTENERS = 1_000
"""In each case, as far as it can be divided; who speaks is one more."""

WINDOWS = (1, 32)

STEP = 16
"""Clients that come at once, so that dialects are not in the order of joining."""

DIALECTS = {
    "Hubbub's own, JSON": NATIVE,
    "Hubbub's own, MessagePack": native_msgpack(),
    "Socket.IO": SOCKETIO,
    "Phoenix 2": PHOENIX,
    "Phoenix 1": phoenix_objects(),
    "SockJS": sockjs(),
    "Server-sent events": sse(),
}

SINGLE = [Peer(name, wire, HUBBUB_RUN) for name, wire in DIALECTS.items()]
SOCKETS = [peer for peer in SINGLE if not peer.wire.stream]
MIXTURES = {"all together": SINGLE, "all WebSockets together": SOCKETS}
TOGETHER = [Peer(name, NATIVE, HUBBUB_RUN) for name in MIXTURES]


def _name(window: int) -> str:
    return f"{LISTENERS:,} clients, window {window}"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    wires = [part.wire for part in MIXTURES.get(peer.name, [peer])]
    figures = {}
    with Server(peer.start("fanout")) as server, crowd(server.port, NATIVE) as clients:
        clients.grow(1)
        parts = [Crowd(server.port, wire) for wire in wires]
        _fill(parts, LISTENERS // len(parts), clients)
        for window in WINDOWS[:1] if any(wire.stream for wire in wires) else WINDOWS:
            load = FanOut(clients, PAYLOAD, _sizes(clients, parts), window)
            figures[_name(window)] = measure(server, load.run, seconds)
            load.drain()
    return figures


def _fill(parts: Sequence[Crowd], size: int, everyone: Crowd) -> None:
    """Let all parts grow in turns. Who has come leaves with everyone."""
    while len(parts[-1]) < size:
        for part in parts:
            had = len(part)
            try:
                part.grow(min(size, had + STEP))
            finally:
                everyone.extend(part[had:])


def _sizes(everyone: Crowd, parts: Sequence[Crowd]) -> list[int]:
    """Have one payload told to all, see that it reaches each, and give the sizes of its frame, client by client."""
    everyone[0].say(NATIVE.publish(PAYLOAD))
    sizes: dict[Wire, int] = {part.wire: part.hear(PAYLOAD) for part in parts}
    speaker, size = everyone[0].hear(len(PAYLOAD))
    assert PAYLOAD in speaker
    return [size, *(sizes[client.wire] for client in everyone[1:])]


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
