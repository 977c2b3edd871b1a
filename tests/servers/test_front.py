"""What becomes of a connection's first bytes on the fast lane, however they come, and whatever they ask for."""

import asyncio
import socket

import pytest

from hubbub import App, Channel
from tests.conftest import running
from tests.servers.clients import TEXT, request
from tests.servers.frames import client_frame

PATH = "/hubbub/websocket"
JOIN = client_frame(TEXT, b'{"join":"lobby","ref":1}')
JOINED = b'{"reply":1,"ok":true'


def application():
    app = App()

    @app.channel("lobby")
    class Lobby(Channel):
        pass

    return app


def asked(url):
    """A fresh line to the server."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def heard(line, end):
    """What comes, up to these bytes."""
    data = b""
    while end not in data:
        piece = line.recv(65_536)
        assert piece, data
        data += piece
    return data


@pytest.fixture(scope="module")
def url():
    with running(application(), lane="fast") as url:
        yield url


def test_the_answer_to_a_handshake_and_the_first_words_come_in_one_piece(url):
    with asked(url) as line:
        line.sendall(request(url, PATH))
        piece = line.recv(65_536)
    assert piece.startswith(b"HTTP/1.1 101 ")
    assert b'{"welcome":' in piece


def test_what_a_client_in_a_hurry_says_behind_its_request_is_heard(url):
    with asked(url) as line:
        line.sendall(request(url, PATH) + JOIN)
        assert JOINED in heard(line, JOINED)


@pytest.mark.parametrize("size", [1, 40])
def test_a_request_may_come_in_pieces(url, size):
    whole = request(url, PATH)
    with asked(url) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(whole), size):
            line.sendall(whole[start : start + size])
        assert heard(line, b'{"welcome":').startswith(b"HTTP/1.1 101 ")
        line.sendall(JOIN)
        heard(line, JOINED)


def test_a_line_that_carried_http_may_become_a_websocket(url):
    with asked(url) as line:
        line.sendall(f"GET /hubbub/health HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\n\r\n".encode())
        assert heard(line, b"ok").startswith(b"HTTP/1.1 200 ")
        line.sendall(request(url, PATH))
        assert heard(line, b'{"welcome":').startswith(b"HTTP/1.1 101 ")


def test_a_header_that_only_speaks_of_websockets_asks_for_none(url):
    asks = f"GET /hubbub/health HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\nX-Upgrade: websocket\r\n\r\n"
    with asked(url) as line:
        line.sendall(asks.encode())
        assert heard(line, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("asks", "status"),
    [
        (b"nonsense\r\nUpgrade: websocket\r\n\r\n", 400),
        (b"POST /hubbub/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 405),
        (b"GET /hubbub/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
    ],
)
def test_what_is_wrong_with_a_request_is_said(url, asks, status):
    with asked(url) as line:
        line.sendall(asks)
        assert heard(line, b"\r\n\r\n").startswith(b"HTTP/1.1 %d " % status)


async def test_websockets_of_an_application_around_ours_are_its_own(serve):
    async def around(scope, receive, send):
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": f"this is {scope['path']}"})
        await send({"type": "websocket.close"})

    app = application()
    app.fallback = around
    url = serve(app, lane="fast")
    line = asked(url)
    with line:
        line.sendall(request(url, "/theirs"))
        await asyncio.to_thread(heard, line, b"this is /theirs")


def test_a_line_on_which_nothing_was_said_is_closed_when_the_server_stops():
    with running(application(), lane="fast") as url:
        line = asked(url)
        with asked(url) as other:  # once it is answered, the first line was accepted, too
            other.sendall(request(url, PATH))
            heard(other, b'{"welcome":')
    with line:
        assert line.recv(1) == b""
