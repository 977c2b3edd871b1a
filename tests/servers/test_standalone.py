"""How the server behind ``hubbub run`` stops."""

import socket

import pytest

from hubbub import App
from tests.conftest import LANES, running

UPGRADE = (
    b"GET /hubbub/websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize("lane", LANES)
def test_a_client_that_does_not_answer_holds_up_the_end_no_longer_than_told(lane):
    with running(App(), lane=lane, drain_timeout=1.0) as url:
        host, port = url.removeprefix("http://").split(":")
        client = socket.create_connection((host, int(port)), timeout=10)
        client.sendall(UPGRADE)
        assert client.recv(12) == b"HTTP/1.1 101"
    with client:
        while True:  # the server's thread has ended by now, so its last word is there: a Close, then the end
            try:
                if not client.recv(65_536):
                    break
            except ConnectionResetError:
                break
