"""Who is measured: us and the peers, what each speaks, and how it is started."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.install import BUN, KERNEL, NODE, PYTHON
from bench.wires import BARE, MARKED, NATIVE, PHOENIX, RAW, SOCKETIO, Wire

Work = Literal["fanout", "echo"]

PAYLOAD = "x" * 128
"""What every message carries: 128 bytes, the size of a short chat message with its name and time."""

_QUIET = ("--log-level", "warning")
_UVICORN = (
    "-m", "uvicorn", "--port", "{port}", "--backlog", "4096",
    "--ws-ping-interval", "3600",  # its own 20 s would be heard among what is counted
    *_QUIET,
)  # fmt: skip
_DAPHNE = ("-m", "daphne", "--port", "{port}", "--ping-interval", "3600", "--verbosity", "0")


@dataclass(frozen=True)
class Peer:
    """A server to be measured. ``{port}`` and ``{work}`` in its command are replaced."""

    name: str
    wire: Wire
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """What has to be installed for it: see ``bench.install``."""

    def start(self, work: Work) -> list[str]:
        """The command that starts it for this work."""
        return [word.replace("{work}", work) for word in self.command]


HUBBUB_RUN = (sys.executable, "-m", "hubbub", "run", "bench/peers/hubbub_app.py:app", "--port", "{port}", "--quiet")

HUBBUB = Peer("hubbub", SOCKETIO, HUBBUB_RUN)
HUBBUB_ASGI = Peer("hubbub, ASGI lane", SOCKETIO, (sys.executable, *_UVICORN, "hubbub_app:app"))
HUBBUB_NATIVE = Peer("hubbub, native", NATIVE, HUBBUB_RUN)
HUBBUB_PHOENIX = Peer("hubbub, Phoenix", PHOENIX, HUBBUB_RUN)
SOCKETIO_NODE = Peer("Socket.IO on Node", SOCKETIO, (NODE, "bench/peers/socketio.mjs", "{port}"), ("node",))
PYTHON_SOCKETIO = Peer("python-socketio", SOCKETIO, (PYTHON, *_UVICORN, "python_socketio:app"), ("python",))
WS = Peer("ws on Node", RAW, (NODE, "bench/peers/ws.mjs", "{port}", "{work}"), ("node",))
BUN_PUBLISH = Peer("Bun", RAW, (BUN, "bench/peers/bun.mjs", "{port}", "{work}"), ("node",))
CHANNELS = Peer("Django Channels", MARKED, (PYTHON, *_DAPHNE, "django_channels:application"), ("python",))
STARLETTE = Peer("Starlette, websockets", MARKED, (PYTHON, *_UVICORN, "starlette_app:app"), ("python",))
STARLETTE_WSPROTO = Peer(
    "Starlette, wsproto", MARKED, (PYTHON, *_UVICORN, "--ws", "wsproto", "starlette_app:app"), ("python",)
)
SENDS = Peer("C, one send() per socket", BARE, (KERNEL, "{port}", "{work}", str(len(PAYLOAD))), ("kernel",))

OURS: Sequence[Peer] = (HUBBUB, HUBBUB_ASGI, HUBBUB_NATIVE, HUBBUB_PHOENIX)
SPEAK_SOCKETIO: Sequence[Peer] = (SOCKETIO_NODE, PYTHON_SOCKETIO)
SPEAK_MESSAGES: Sequence[Peer] = (WS, BUN_PUBLISH, CHANNELS, STARLETTE, STARLETTE_WSPROTO)

PEERS: Sequence[Peer] = (*OURS, *SPEAK_SOCKETIO, *SPEAK_MESSAGES, SENDS)

PAIRS = (
    (HUBBUB, SOCKETIO_NODE),
    (HUBBUB, PYTHON_SOCKETIO),
    (HUBBUB_ASGI, SOCKETIO_NODE),
    (HUBBUB_ASGI, PYTHON_SOCKETIO),
    *((HUBBUB_NATIVE, peer) for peer in (*SPEAK_MESSAGES, SENDS)),
    (HUBBUB_PHOENIX, HUBBUB),
)
"""Who is compared with whom: ours first, each with those who do the same work on a wire of the same kind."""
