"""The same application under other ASGI servers, and mounted in other applications."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import socketio
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from hubbub import App, UsageError
from tests.conftest import LANES
from tests.interop.app import Lobby, app
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
HOSTS = {
    "uvicorn": ["-m", "uvicorn", "tests.interop.app:app", "--log-level=warning", "--port={port}"],
    "hypercorn": ["-m", "hypercorn", "tests.interop.app:app", "--bind=127.0.0.1:{port}", "--log-level=WARNING"],
    "granian": ["-m", "granian", "tests.interop.app:app", "--interface=asgi", "--port={port}", "--log-level=warning"],
}


@asynccontextmanager
async def hosted(name):
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *(part.format(port=port) for part in HOSTS[name]), cwd=ROOT
    )
    try:
        async with asyncio.timeout(40), aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{port}/hubbub/health") as response:
                        assert response.status == 200
                        break
                except aiohttp.ClientConnectionError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def converse(url, transport, path="socket.io"):
    """A whole conversation: it joins, is answered, hears another, and leaves."""
    ada, bob = socketio.AsyncClient(reconnection=False), socketio.AsyncClient(reconnection=False)
    heard = asyncio.Queue()
    bob.on("said", heard.put)
    for client, name in ((ada, "Ada"), (bob, "Bob")):
        await client.connect(url, transports=[transport], socketio_path=path, auth={"name": name})
    try:
        assert await ada.call("text", "hi", timeout=20) == "HI"
        assert await ada.call("echo", b"\x00\xff", timeout=20) == b"\x00\xff"
        await ada.emit("say", "hello")
        assert await asyncio.wait_for(heard.get(), 20) == {"name": "Ada", "text": "hello"}
    finally:
        await ada.disconnect()
        await bob.disconnect()


@pytest.mark.parametrize("name", HOSTS)
async def test_other_servers(name):
    async with hosted(name) as (url, _):
        for transport in ("websocket", "polling"):
            await converse(url, transport)


async def greet(request: Request):
    return PlainTextResponse("a page of the other application")


async def own_socket(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


async def talk_to_neighbours(url):
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/greet") as response:
            assert await response.text() == "a page of the other application"
        async with http.ws_connect(f"{url.replace('http', 'ws')}/own") as websocket:
            await websocket.send_str("to the neighbour")
            assert await websocket.receive_str(timeout=20) == "to the neighbour"


def starlette():
    routes = [Route("/greet", greet), WebSocketRoute("/own", own_socket), Mount("/rt", app)]
    return Starlette(routes=routes)


def fastapi():
    application = FastAPI(lifespan=app.lifespan)
    application.add_api_route("/greet", greet)
    application.add_api_websocket_route("/own", own_socket)
    application.mount("/rt", app)
    return application


@pytest.mark.parametrize("make", [starlette, fastapi])
async def test_mounted_beside_routes_and_websockets_of_others(serve, make):
    host = make()
    host.start, host.drain, host.close = app.start, app.drain, app.close
    url = serve(host, lane="asgi")
    for transport in ("websocket", "polling"):
        await converse(url, transport, "rt/socket.io")
    await talk_to_neighbours(url)


async def test_an_app_serves_one_event_loop_at_a_time(serve):
    app = App()
    serve(app)
    with pytest.raises(UsageError, match="another: make one for each"):
        await app.start()
    serve.stop()
    await app.start()
    await app.close()


@pytest.mark.parametrize("lane", LANES)
async def test_around_another_application(serve, lane):
    around = App(fallback=Starlette(routes=[Route("/greet", greet), WebSocketRoute("/own", own_socket)]))
    around.channel("/")(Lobby)
    url = serve(around, lane=lane)
    for transport in ("websocket", "polling"):
        await converse(url, transport)
    await talk_to_neighbours(url)


@pytest.mark.parametrize("name", ["uvicorn", "granian"])
async def test_an_event_stream_does_not_hold_up_a_server_that_is_to_end(name):
    async with hosted(name) as (url, process), aiohttp.ClientSession() as http:
        headers = {"accept": "text/event-stream"}
        async with asyncio.timeout(30), http.get(f"{url}/topics/%2F?name=Ada", headers=headers) as response:
            assert await response.content.readuntil(b"\n\n")
            process.terminate()
            assert b'event: hubbub.bye\ndata: {"code":"shutdown"' in await response.content.read()
            await process.wait()
