"""The portable lane's start and stop: ASGI's lifespan, for the application and for its fallback."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hubbub.errors import UsageError
from hubbub.servers.carriers import Host

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def serve(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    """Start and stop with the server that runs us."""
    if host.fallback is not None:
        # The fallback's own start and stop are inside ours; one that knows no lifespan simply raises (ASGI 3.0).
        async with _FallbackLifespan(host.fallback, scope):
            await _own_lifespan(host, receive, send)
    else:
        await _own_lifespan(host, receive, send)


async def _own_lifespan(host: Host, receive: Receive, send: Send) -> None:
    await receive()
    try:
        await host.start()
    except UsageError as error:
        await send({"type": "lifespan.startup.failed", "message": error.reason})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await host.close()
    await send({"type": "lifespan.shutdown.complete"})


class _FallbackLifespan:
    """Runs another ASGI application's lifespan around a block."""

    def __init__(self, app: Callable[..., Awaitable[None]], scope: Scope) -> None:
        self._app = app
        self._scope = dict(scope)
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(self._app(self._scope, self._inbox.get, self._outbox.put))
        await self._ask("lifespan.startup")

    async def __aexit__(self, *_: object) -> None:
        await self._ask("lifespan.shutdown")
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()

    async def _ask(self, kind: str) -> None:
        if self._task.done():
            return
        await self._inbox.put({"type": kind})
        answer = asyncio.ensure_future(self._outbox.get())
        await asyncio.wait((answer, self._task), return_when=asyncio.FIRST_COMPLETED)
        if answer.done() and answer.result()["type"].endswith("failed"):
            raise UsageError(answer.result().get("message", "the fallback application did not start"))
        answer.cancel()
