"""What the official SockJS protocol suite talks to.

Run it where the suite looks for it, and run it with Python 2.7:

    cd tests/conformance && hubbub run sockjs_app:app --port 8081
"""

from hubbub import App, Socket, SockJS

app = App(protocols=(), origins="*")


async def echo(socket: Socket) -> None:
    async for message in socket:
        await socket.send(message)


app.socket("/echo", sockjs=SockJS(response_limit=4_096))(echo)
app.socket("/disabled_websocket_echo", sockjs=SockJS(websocket=False))(echo)
app.socket("/cookie_needed_echo", sockjs=SockJS(cookie=True))(echo)


@app.socket("/close", sockjs=True)
async def close(socket: Socket) -> None:
    await socket.close(3000, "Go away!")
