"""Starlette under uvicorn: the loop over all sockets that its users write. What begins with "echo" goes back."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

everyone: set[WebSocket] = set()


async def room(socket: WebSocket) -> None:
    await socket.accept()
    everyone.add(socket)
    try:
        while True:
            text = await socket.receive_text()
            if text.startswith("echo"):
                await socket.send_text(text)
                continue
            for other in tuple(everyone):
                await other.send_text(text)
    except WebSocketDisconnect:
        pass
    finally:
        everyone.discard(socket)


app = Starlette(routes=[WebSocketRoute("/", room)])
