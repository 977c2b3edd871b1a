"""Chat: everyone speaks, everyone hears it, and who spoke is told that it was said.

With as many messages on their way as there are clients, everybody has one; with a tenth, a tenth of them speak at once.
"""

from bench.claims import versus
from bench.crowd import crowd
from bench.load import Chat
from bench.processes import Server
from bench.roster import HUBBUB, OURS, PAYLOAD, SOCKETIO_NODE, SPEAK_SOCKETIO, Peer
from bench.scenario import Figures, Scenario, measure
from bench.wires import FIRST_NUMBER

CLIENTS = 200
WINDOWS = (CLIENTS // 10, CLIENTS)
"""Messages on their way at once, in all."""


def _name(window: int) -> str:
    return f"{CLIENTS} clients, {window} in flight"


def _measure(peer: Peer, seconds: float) -> dict[str, Figures]:
    figures = {}
    with Server(peer.start("fanout")) as server, crowd(server.port, peer.wire) as clients:
        clients.grow(CLIENTS)
        for window in WINDOWS:
            load = Chat(clients, PAYLOAD, clients.probe_chat(PAYLOAD, FIRST_NUMBER), window)
            figures[_name(window)] = measure(server, load, seconds)
    return figures


CHAT = Scenario(
    name="chat",
    title="Chat of 128 bytes, acknowledged",
    unit="delivery",
    figure="cpu",
    peers=(*OURS, *SPEAK_SOCKETIO),
    measure=_measure,
    claims=[versus(HUBBUB.name, SOCKETIO_NODE.name, _name(window), 1 / 4) for window in WINDOWS],
)
