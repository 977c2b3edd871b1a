"""The server behind ``hubbub run``: uvicorn for HTTP, TLS and signals, with our own lane for WebSockets, and our
own way out for responses that go on."""

import asyncio
import gc
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hubbub.config import Config
from hubbub.errors import UsageError
from hubbub.limits import Limits
from hubbub.servers.carriers import Host
from hubbub.servers.front import Front
from hubbub.servers.lane import Lane
from hubbub.servers.proxies import Proxies
from hubbub.servers.responses import Responses
from hubbub.servers.strict import StrictWebSocket

BACKLOG = 4_096
"""Connections the kernel queues while the loop is busy: a reconnect storm comes within one round trip."""


def serve(app: Any, settings: Config, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until a signal says to stop. ``ready`` is called with the URL once clients can come.

    Raises UsageError for what a person must mend: the address, the certificate, the broker.
    """
    server, listener = prepare(app, settings, ready)
    with listener, asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(app.start())
        # What exists now lives as long as the server: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        try:
            runner.run(server.serve(sockets=[listener]))
        except KeyboardInterrupt:
            pass


def prepare(app: Any, settings: Config, ready: Callable[[str], None]) -> tuple["Server", socket.socket]:
    """A server that is ready to be started, and its listening socket. Raises as ``serve``."""
    proxies = Proxies(settings.forwarded_allow_ips)
    limits = getattr(app, "limits", None) or Limits()  # another application may be around ours
    strict: Any = partial(StrictWebSocket, fragments=limits.fragments)
    fast: Any = partial(Lane, app, proxies, strict, compression=settings.compression)
    front: Any = partial(Front, app, proxies, Responses, compression=settings.compression)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ws=fast if settings.lane == "fast" else strict,
        ws_ping_interval=limits.heartbeat,
        ws_ping_timeout=limits.patience,
        ws_per_message_deflate=settings.compression,
        http=front if settings.lane == "fast" else HttpToolsProtocol,
        loop="asyncio",  # which loop runs is decided by ``loop_factory``
        lifespan="on",
        log_config=None,
        log_level=None,  # who runs the server has set up logging, or has not
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
        forwarded_allow_ips=settings.forwarded_allow_ips,
    )
    try:
        config.load()
    except FileNotFoundError as error:
        raise UsageError(
            f"The certificate cannot be read: there is no file {error.filename or settings.ssl_certfile}."
        ) from None
    except (ssl.SSLError, OSError) as error:
        raise UsageError(f"The certificate cannot be used: {_plain(error)}.") from None
    return Server(config, app, ready, settings.drain_timeout), listen(settings.host, settings.port)


class Server(uvicorn.Server):
    """uvicorn's, which says when it is ready, and sends clients away before it waits for them. All of stopping takes
    ``patience`` seconds at the most."""

    def __init__(self, config: uvicorn.Config, app: Host, ready: Callable[[str], None], patience: float) -> None:
        super().__init__(config)
        self._patience = patience
        self._app = app
        app.patience, app.hosted = patience, False
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        with suppress(SystemExit):  # it has logged why
            await super().startup(sockets)
        if not self.started:
            raise UsageError("The application that the App falls back to did not start.")
        if sockets:
            host, port = sockets[0].getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            self._ready(f"{'https' if self.config.is_ssl else 'http'}://{name}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for server in self.servers:
            server.close()
        await self._app.drain(self._patience / 2)
        self.config.timeout_graceful_shutdown = max(1, round(self._patience - (loop.time() - begun)))
        await super().shutdown(sockets)
        # Who has not closed its end in the time to drain is cut off: no transport outlives the loop.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UsageError, in one sentence, when that cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise UsageError(f"There is no host {host!r} to listen on.") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"Cannot listen on {host} port {port}: {_plain(error)}.") from None
    listener.setblocking(False)
    return listener


def _plain(error: OSError) -> str:
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    return uvloop.new_event_loop
