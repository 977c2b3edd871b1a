"""Who is measured: us and the peers, what each speaks, and how it is started."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.install import BUN, CERTIFICATE, COMPILED, KERNEL, NODE, PYTHON
from bench.wires import BARE, EVENTS, MARKED, NATIVE, PHOENIX, RAW, SOCKETIO, Wire, native, phoenix, socketio

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
    secure: tuple[str, ...] = ()
    """What its command has more for TLS; nothing if it was not set up for that."""
    rooms: Callable[[Sequence[str]], Wire] | None = None
    """The wire of a client that joins these, and speaks in the last."""

    def over_tls(self) -> "Peer":
        """The same behind TLS."""
        assert self.secure
        return replace(self, wire=replace(self.wire, tls=True), command=(*self.command, *self.secure))

    def start(self, work: Work) -> list[str]:
        """The command that starts it for this work."""
        return [word.replace("{work}", work) for word in self.command]


HUBBUB_RUN = (sys.executable, "-m", "hubbub", "run", "bench/peers/hubbub_app.py:app", "--port", "{port}", "--quiet")

_SECURE = ("--ssl-certfile", CERTIFICATE)


def socketio_rooms(names: Sequence[str], **more: str) -> Wire:
    """On Node a client's rooms are its server's choice: here it names them when it connects."""
    return replace(SOCKETIO, greeting=((None, "0{"), ("40" + json.dumps({"rooms": names, **more}), "40{")))


def _path(names: Sequence[str]) -> Wire:
    (name,) = names
    return replace(RAW, path=f"/{name}")


HUBBUB = Peer("hubbub", SOCKETIO, HUBBUB_RUN, ("certificate",), _SECURE, socketio)
HUBBUB_ASGI = Peer("hubbub, ASGI lane", SOCKETIO, (sys.executable, *_UVICORN, "hubbub_app:app"))
HUBBUB_NATIVE = Peer("hubbub, native", NATIVE, HUBBUB_RUN, ("certificate",), _SECURE, native)
HUBBUB_PHOENIX = Peer("hubbub, Phoenix", PHOENIX, HUBBUB_RUN, ("certificate",), _SECURE, phoenix)
HUBBUB_COMPILED = replace(
    HUBBUB, name="hubbub, compiled", command=(COMPILED, *HUBBUB_RUN[1:]), needs=("compiled", "certificate")
)
HUBBUB_NATIVE_COMPILED = replace(HUBBUB_COMPILED, name="hubbub, native, compiled", wire=NATIVE, rooms=native)
HUBBUB_EVENTS = replace(HUBBUB, wire=EVENTS)
HUBBUB_ASGI_EVENTS = replace(HUBBUB_ASGI, wire=EVENTS)
SOCKETIO_NODE = Peer(
    "Socket.IO on Node",
    SOCKETIO,
    (NODE, "bench/peers/socketio.mjs", "{port}"),
    ("node", "certificate"),
    (CERTIFICATE,),
    socketio_rooms,
)
PYTHON_SOCKETIO = Peer(
    "python-socketio", SOCKETIO, (PYTHON, *_UVICORN, "python_socketio:app"), ("python", "certificate"), _SECURE
)
WS = Peer("ws on Node", RAW, (NODE, "bench/peers/ws.mjs", "{port}", "{work}"), ("node",))
BUN_PUBLISH = Peer("Bun", RAW, (BUN, "bench/peers/bun.mjs", "{port}", "{work}"), ("node",), rooms=_path)
CHANNELS = Peer("Django Channels", MARKED, (PYTHON, *_DAPHNE, "django_channels:application"), ("python",))
STARLETTE = Peer("Starlette, websockets", MARKED, (PYTHON, *_UVICORN, "starlette_app:app"), ("python",))
STARLETTE_WSPROTO = Peer(
    "Starlette, wsproto", MARKED, (PYTHON, *_UVICORN, "--ws", "wsproto", "starlette_app:app"), ("python",)
)
SENDS = Peer("C, one send() per socket", BARE, (KERNEL, "{port}", "{work}", str(len(PAYLOAD))), ("kernel",))
WRITES = Peer(
    "uvloop, one write() per socket",
    BARE,
    (sys.executable, "bench/peers/bare_loop.py", "{port}", "{work}", str(len(PAYLOAD))),
)
EVENTS_NODE = Peer("http on Node", EVENTS, (NODE, "bench/peers/events.mjs", "{port}"), ("node",))
EVENTS_STARLETTE = Peer("Starlette, a stream", EVENTS, (PYTHON, *_UVICORN, "starlette_events:app"), ("python",))
EVENTS_SSE = replace(EVENTS_STARLETTE, name="Starlette, sse-starlette", wire=replace(EVENTS, path="/source"))

OURS: Sequence[Peer] = (
    HUBBUB, HUBBUB_COMPILED, HUBBUB_ASGI, HUBBUB_NATIVE, HUBBUB_NATIVE_COMPILED, HUBBUB_PHOENIX,
)  # fmt: skip
SPEAK_SOCKETIO: Sequence[Peer] = (SOCKETIO_NODE, PYTHON_SOCKETIO)
SPEAK_MESSAGES: Sequence[Peer] = (WS, BUN_PUBLISH, CHANNELS, STARLETTE, STARLETTE_WSPROTO)
SPEAK_EVENTS: Sequence[Peer] = (EVENTS_NODE, EVENTS_STARLETTE, EVENTS_SSE)

SERVERS: Sequence[Peer] = (*OURS, *SPEAK_SOCKETIO, *SPEAK_MESSAGES)
FLOORS: Sequence[Peer] = (WRITES, SENDS)
"""What the event loop takes, and what the kernel does. They speak no protocol, and are told the size of messages."""
PEERS: Sequence[Peer] = (*SERVERS, *FLOORS)

PAIRS = (
    (HUBBUB, SOCKETIO_NODE),
    (HUBBUB, PYTHON_SOCKETIO),
    (HUBBUB_COMPILED, SOCKETIO_NODE),
    (HUBBUB_COMPILED, HUBBUB),
    (HUBBUB_ASGI, SOCKETIO_NODE),
    (HUBBUB_ASGI, PYTHON_SOCKETIO),
    *((HUBBUB_NATIVE, peer) for peer in (*SPEAK_MESSAGES, *FLOORS)),
    (HUBBUB_NATIVE, SOCKETIO_NODE),
    (HUBBUB_NATIVE_COMPILED, WS),
    (HUBBUB_PHOENIX, HUBBUB),
    *((ours, peer) for ours in (HUBBUB_EVENTS, HUBBUB_ASGI_EVENTS) for peer in SPEAK_EVENTS),
)
"""Who is compared with whom: ours first, each with those who do the same work on a wire of the same kind."""
