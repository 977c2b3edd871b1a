"""Who may open a WebSocket, and what the others are told."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from hubbub.errors import ProtocolError, UsageError, WrongMethod
from hubbub.protocols.base import Response
from hubbub.servers.handshake import MAX_HEADERS, MAX_LINE, Handshake, reject

HEADERS = {
    "Host": "hub.example",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def request(
    changes: dict[str, str | None] | None = None,
    *,
    line: str = "GET /chat?room=1 HTTP/1.1",
    more: bytes = b"",
) -> bytes:
    """A valid request, with other headers (None leaves one out) and ``more`` header lines."""
    headers = HEADERS | (changes or {})
    lines = [f"{name}: {value}".encode("latin-1") for name, value in headers.items() if value is not None]
    return b"\r\n".join([line.encode("latin-1"), *lines, *([more] if more else []), b"", b""])


def status(data: bytes) -> int:
    """The status of the refusal."""
    with pytest.raises(ProtocolError) as caught:
        Handshake.parse(data)
    assert caught.value.reason
    return caught.value.status


# -- what is accepted -----------------------------------------------------------------------------------------------


def test_the_example_of_the_rfc() -> None:
    handshake = Handshake.parse(request({"Origin": "http://example.com", "Sec-WebSocket-Protocol": "chat, superchat"}))
    assert handshake.target == "/chat?room=1"
    assert handshake.headers["origin"] == "http://example.com"
    assert handshake.rest == b""
    assert handshake.accept("chat") == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"\r\n"
    )


def test_an_answer_may_have_extensions_and_headers_of_its_own() -> None:
    answer = Handshake.parse(request()).accept(extensions="permessage-deflate", headers=[("Set-Cookie", "a=b")])
    assert answer.endswith(b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSet-Cookie: a=b\r\n\r\n")
    assert b"Sec-WebSocket-Protocol" not in answer


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "keep-alive,upgrade,,"},
        {"Host": "localhost:3000"},
        {"Host": "127.0.0.1:3000"},
        {"Host": "[::1]:3000"},
        {"Host": "xn--nxasmq6b.example"},
        {"Content-Length": "0"},
        {"X-Text": "\xe4\xf6\xfc \x85 and\ttab"},
        {"X-Empty": ""},
        {"Sec-WebSocket-Protocol": "v1.phoenix, , v2.phoenix"},
        {"User-Agent": "x" * (MAX_LINE - len("User-Agent: "))},
    ],
)
def test_what_clients_may_say(changes: dict[str, str | None]) -> None:
    assert Handshake.parse(request(changes)).key == HEADERS["Sec-WebSocket-Key"]


def test_headers_that_come_twice_are_one_list() -> None:
    handshake = Handshake.parse(request(more=b"Accept: a\r\nAccept:b \r\nUpgrade: h2c\r\nSec-WebSocket-Protocol: x"))
    assert handshake.headers["accept"] == "a, b"
    assert handshake.headers["upgrade"] == "websocket, h2c"


def test_frames_in_a_hurry_are_kept() -> None:
    assert Handshake.parse(request() + b"\x81\x80mask\r\n\r\n").rest == b"\x81\x80mask\r\n\r\n"


def test_another_library_is_let_in() -> None:
    client = ClientProtocol(parse_uri("ws://hub:3000/a/b?c=d"), subprotocols=[Subprotocol("v2"), Subprotocol("v1")])
    client.send_request(client.connect())
    handshake = Handshake.parse(b"".join(client.data_to_send()))
    client.receive_data(handshake.accept("v1"))
    assert client.events_received()
    assert client.state is State.OPEN
    assert client.subprotocol == "v1"
    assert handshake.target == "/a/b?c=d"


@pytest.mark.parametrize("method", ["POST", "PUT", "get"])
def test_another_method_is_refused_with_the_right_one(method):
    with pytest.raises(WrongMethod) as error:
        Handshake.parse(request(line=f"{method} / HTTP/1.1"))
    assert (error.value.status, error.value.allowed) == (405, "GET")


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.0",
        "GET / HTTP/2.0",
        "GET / HTTP/1.1 ",
        "GET  / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "GET / http/1.1",
        "GET /",
        "GET",
        "",
        "GET chat HTTP/1.1",
        "GET * HTTP/1.1",
        "GET ws://hub/ HTTP/1.1",
        "GET /#top HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /\x00 HTTP/1.1",
        "GET /\xe4 HTTP/1.1",
        "GET / HTTP/1.1\nX: y",
        "\x16\x03\x01",
    ],
)
def test_request_lines_that_open_nothing(line: str) -> None:
    assert status(request(line=line)) == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"Host": None},
        {"Host": ""},
        {"Host": "http://[::1"},
        {"Host": "a b"},
        {"Host": "a/b"},
        {"Host": "a@b"},
        {"Host": "a:b"},
        {"Host": "[::1"},
        {"Host": "a, b"},
        {"Host": "a" * 300},
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Upgrade": "web socket"},
        {"Upgrade": "websoc\u212aet".encode().decode("latin-1")},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Connection": "upgraded"},
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": ""},
        {"Sec-WebSocket-Key": "%%%"},
        {"Sec-WebSocket-Key": "aGVsbG8="},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ"},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZSE="},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j-_=="},
        {"Sec-WebSocket-Protocol": "a b"},
        {"Sec-WebSocket-Protocol": "\xe4"},
        {"Sec-WebSocket-Protocol": 'a, "b"'},
        {"Content-Length": "5"},
        {"Content-Length": "-0"},
        {"Transfer-Encoding": "chunked"},
    ],
)
def test_headers_that_open_nothing(changes: dict[str, str | None]) -> None:
    assert status(request(changes)) == 400


@pytest.mark.parametrize(
    "more",
    [
        b"Host: other",
        b"Origin: a\r\nOrigin: b",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"SEC-WEBSOCKET-VERSION: 13",
        b"Content-Length: 0\r\nContent-Length: 0",
        b"no colon",
        b": no name",
        b"space before : colon",
        b" folded: x",
        b"X: a\r\n folded",
        b"X: a\nY: b",
        b"X: a\rY: b",
        b"X\x00: a",
        b"X\xe4: a",
        *(b"X: a" + bytes([control]) + b"b" for control in [0, 7, 8, 11, 12, 13, 10, 0x1B, 0x1C, 0x1D, 0x1E, 0x7F]),
    ],
)
def test_broken_or_doubled_headers_are_refused(more: bytes) -> None:
    assert status(request(more=more)) == 400


@pytest.mark.parametrize("version", ["8", "0", "99", "013", "13, 8", "x"])
def test_other_versions_are_told_which_one_is_spoken(version: str) -> None:
    assert status(request({"Sec-WebSocket-Version": version})) == 426


def test_too_much_is_refused() -> None:
    assert status(request(line=f"GET /{'a' * MAX_LINE} HTTP/1.1")) == 414
    assert status(request({"Cookie": "a" * MAX_LINE})) == 431
    assert Handshake.parse(request(more=b"\r\n".join([b"X: y"] * (MAX_HEADERS - 5))))
    assert status(request(more=b"\r\n".join([b"X: y"] * (MAX_HEADERS - 4)))) == 431
    # so many that what is asked for would not be seen: ws had to learn that (CVE-2024-37890)
    assert status(request({"Upgrade": None}, more=b"X: y\r\n" * 2_000 + b"Upgrade: websocket")) == 431


def test_half_a_request_is_refused() -> None:
    whole = request()
    for cut in range(len(whole) - 1):
        assert status(whole[:cut]) == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec-WebSocket-Protocol": "b" + " " * 8_000 + "x"},
        {"Sec-WebSocket-Protocol": "," * 8_000 + "x y"},
        {"Connection": "a," * 4_000},
        {"Host": "a" * 8_000},
        {"Host": "[" + ":" * 8_000},
        {"Sec-WebSocket-Key": "=" * 8_000},
        {"Cookie": 'a="b\\' * 1_600, "Host": None},
    ],
)
def test_headers_made_to_be_slow_are_not(changes: dict[str, str | None]) -> None:
    data = request(changes)
    took = []
    for _ in range(3):
        began = time.thread_time()
        assert status(data) == 400
        took.append(time.thread_time() - began)
    assert min(took) < 0.05  # 1 ms here


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(), st.binary().map(lambda more: request(more=more))))
def test_nothing_but_a_protocol_error_leaves(data: bytes) -> None:
    try:
        Handshake.parse(data)
    except ProtocolError as error:
        assert error.status in (400, 414, 426, 431)


# -- how it is refused ----------------------------------------------------------------------------------------------


def test_a_refusal_is_whole_and_closes() -> None:
    assert reject(Response(403, b"No.\n", headers=(("x-why", "because"),))) == (
        b"HTTP/1.1 403 Forbidden\r\nx-why: because\r\nContent-Length: 4\r\nConnection: close\r\n"
        b"Content-Type: text/plain; charset=UTF-8\r\n\r\nNo.\n"
    )


def test_a_refused_version_is_named() -> None:
    answer = reject(Response(426, b"Only version 13."))
    assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\n" in answer


def test_who_is_not_known_is_told_how_to_say_it() -> None:
    assert b"\r\nwww-authenticate: Bearer\r\n" in reject(Response(401, b"Who are you?"))
    answer = reject(Response(401, headers=(("WWW-Authenticate", "Negotiate"),)))
    assert answer.lower().count(b"www-authenticate") == 1


def test_a_status_without_a_name_can_be_sent() -> None:
    assert reject(Response(499, content_type="")) == b"HTTP/1.1 499 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "\x00", "\u2028", "\u20ac"])
def test_no_header_is_smuggled_into_an_answer(value: str) -> None:
    with pytest.raises(UsageError):
        reject(Response(302, headers=(("Location", value),)))
    with pytest.raises(UsageError):
        reject(Response(302, headers=((value, "x"),)))
    with pytest.raises(UsageError):
        Handshake.parse(request()).accept(value)
