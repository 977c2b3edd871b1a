"""python-socketio under uvicorn, as its documentation sets it up."""

from typing import Any

import socketio

server = socketio.AsyncServer(async_mode="asgi", ping_interval=600)
app = socketio.ASGIApp(server)


async def publish(sid: str, data: Any) -> None:
    await server.emit("m", data)


async def echo(sid: str, data: Any) -> Any:
    return data


server.on("publish", publish)
server.on("echo", echo)
