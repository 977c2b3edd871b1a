"""Server-sent events under uvicorn: a queue for each who listens, read by Starlette's response, or sse-starlette's."""

import asyncio
import json
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

everyone: set[asyncio.Queue[str]] = set()


async def post(request: Request) -> Response:
    data = json.dumps((await request.body()).decode())
    for queue in everyone:
        queue.put_nowait(data)
    return Response(status_code=204)


async def hear() -> AsyncIterator[str]:
    queue: asyncio.Queue[str] = asyncio.Queue()
    everyone.add(queue)
    try:
        while True:
            yield await queue.get()
    finally:
        everyone.discard(queue)


async def text() -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for data in hear():
        yield f"event: m\ndata: {data}\n\n"


async def events() -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(retry=2_000)
    async for data in hear():
        yield ServerSentEvent(data, event="m")


async def stream(request: Request) -> Response:
    return StreamingResponse(text(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def source(request: Request) -> Response:
    return EventSourceResponse(events(), ping=3_600, sep="\n")


app = Starlette(
    routes=[
        Route("/topics/{topic:path}/publish", post, methods=["POST"]),
        Route("/topics/{topic:path}", stream),
        Route("/source", source),
    ]
)
