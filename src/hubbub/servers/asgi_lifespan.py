"""The portable lane's start and stop: ASGI's lifespan, for the application and for its fallback."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import nullcontext
from typing import Any

from hubbub.errors import UsageError
from hubbub.servers.carriers import Host
from hubbub.tasks import heed

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def serve(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    """Start and stop with the server that runs us. The fallback starts before us and stops after us; only then is the
    server told, for it ends the loop when it has heard so."""
    fallback = nullcontext() if host.fallback is None else _FallbackLifespan(host.fallback, scope)
    phase = "startup"
    await receive()
    try:
        async with fallback, host.lifespan():
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except UsageError as error:
        await send({"type": f"lifespan.{phase}.failed", "message": error.reason})
    else:
        await send({"type": "lifespan.shutdown.complete"})


class _FallbackLifespan:
    """Runs another ASGI application's lifespan around a block. One that knows none simply raises (ASGI 3.0)."""

    def __init__(self, app: Callable[..., Awaitable[None]], scope: Scope) -> None:
        self._app = app
        self._scope = dict(scope)
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(self._app(self._scope, self._inbox.get, self._outbox.put))
        self._task.add_done_callback(heed)  # what it had to say, it sent
        await self._ask("lifespan.startup")

    async def __aexit__(self, *_: object) -> None:
        await self._ask("lifespan.shutdown")
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _ask(self, kind: str) -> None:
        if self._task.done():
            return
        await self._inbox.put({"type": kind})
        answer = asyncio.ensure_future(self._outbox.get())
        await asyncio.wait((answer, self._task), return_when=asyncio.FIRST_COMPLETED)
        if answer.done() and answer.result()["type"].endswith("failed"):
            raise UsageError(answer.result().get("message", "the fallback application failed"))
        answer.cancel()
