"""SockJS 0.3, continued: WebSockets, what happens when receivers clash or break off, and HTTP itself.

Of the suite's 68 cases two are left out. ``test_haproxy`` wants the handshake of draft 76 (2010), which was never a
standard, has no masking, and which no client of the last ten years speaks. ``Http10.test_streaming`` wants a stream
without chunks where the request is of HTTP/1.0: uvicorn, which writes our responses, sends chunks then, too.
"""

import asyncio

import pytest

from tests.conformance.sockjs_clients import Wire, new_session
from tests.conformance.test_sockjs import ANOTHER, GO_AWAY, PRELUDE

WELCOME = "Welcome to SockJS!\n"
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}


def path_of(address):
    return "/" + address.partition("://")[2].partition("/")[2]


class TestWebSocket:
    async def test_a_conversation(self, http, echo):
        async with http.socket(f"{new_session(echo)}/websocket") as socket:
            assert await socket.read() == "o"
            await socket.send('["a"]')
            assert await socket.read() == 'a["a"]'

    async def test_it_is_closed_after_the_close_frame(self, http, url):
        async with http.socket(f"{new_session(f'{url}/close')}/websocket") as socket:
            assert await socket.read() == "o"
            assert await socket.read() == GO_AWAY
            assert await socket.closed() == (3000, "Go away!")

    async def test_the_answer_to_the_handshake(self, echo):
        async with Wire.open(echo) as wire:
            key = {"Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw=="}
            status, headers = await wire.ask("GET", path_of(new_session(echo)) + "/websocket", **UPGRADE, **key)
        assert status == 101
        assert headers["sec-websocket-accept"] == "HSmrc0sMlYUkAGmm5OPpG2HaGWk="
        assert headers["connection"].lower() == "upgrade"
        assert headers["upgrade"].lower() == "websocket"
        assert "content-length" not in headers

    async def test_empty_messages_are_passed_over(self, http, echo):
        async with http.socket(f"{new_session(echo)}/websocket") as socket:
            assert await socket.read() == "o"
            for nothing in ("", "[]"):
                await socket.send(nothing)
            await socket.send('["a"]')
            assert await socket.read() == 'a["a"]'

    async def test_two_may_have_one_session_id(self, http, echo):
        address = f"{new_session(echo)}/websocket"
        async with http.socket(address) as one, http.socket(address) as other:
            assert [await one.read(), await other.read()] == ["o", "o"]
            await one.send('["a"]')
            assert await one.read() == 'a["a"]'
            await other.send('["b"]')
            assert await other.read() == 'a["b"]'
        async with http.socket(address) as again:
            assert await again.read() == "o"
            await again.send('["a"]')
            assert await again.read() == 'a["a"]'

    @pytest.mark.parametrize("broken", ['["a', "{}", "[1]", '["a"'])
    async def test_broken_json_ends_it(self, http, echo, broken):
        async with http.socket(f"{new_session(echo)}/websocket") as socket:
            assert await socket.read() == "o"
            await socket.send(broken)
            assert await socket.closed() == (1002, "Broken framing.")

    async def test_a_plain_get_is_no_handshake(self, http, echo):
        assert (await http.get(f"{echo}/0/0/websocket")).status == 400

    async def test_nor_is_one_whose_connection_header_was_rewritten(self, echo):
        async with Wire.open(echo) as wire:
            path = path_of(echo) + "/0/0/websocket"
            assert (await wire.ask("GET", path, Upgrade="WebSocket", Connection="close"))[0] == 400

    @pytest.mark.parametrize("headers", [{}, {"Upgrade": "WebSocket", "Connection": "Upgrade"}])
    async def test_it_is_opened_with_get(self, echo, headers):
        async with Wire.open(echo) as wire:
            status, told = await wire.ask("POST", path_of(echo) + "/0/0/websocket", Content_Length="0", **headers)
        assert status == 405
        assert "GET" in told["allow"]
        if not headers:  # to a handshake another server's WebSockets answer in their own way
            assert "content-type" not in told


class TestBareWebSocket:
    @pytest.mark.parametrize("path", ["/websocket", ""])
    async def test_messages_go_as_they_are(self, http, echo, path):
        async with http.socket(echo + path) as socket:
            for message in ("Hello world!\uffff", "", '["a"]'):
                await socket.send(message)
                assert await socket.read() == message

    async def test_it_is_closed_in_its_own_words(self, http, url):
        async with http.socket(f"{url}/close/websocket") as socket:
            assert await socket.closed() == (3000, "Go away!")


class TestReceivers:
    async def test_a_closed_session_says_so_to_a_second_stream(self, http, url):
        session = new_session(f"{url}/close")
        async with http.stream("POST", f"{session}/xhr_streaming") as first:
            assert [await first.chunk() for _ in range(3)] == [PRELUDE, "o\n", GO_AWAY + "\n"]
            async with http.stream("POST", f"{session}/xhr_streaming") as second:
                assert [await second.chunk() for _ in range(2)] == [PRELUDE, GO_AWAY + "\n"]
                assert await first.chunk() == await second.chunk() == ""

    async def test_a_second_stream_is_sent_away(self, http, echo):
        session = new_session(echo)
        async with http.stream("POST", f"{session}/xhr_streaming") as first:
            assert [await first.chunk() for _ in range(2)] == [PRELUDE, "o\n"]
            async with http.stream("POST", f"{session}/xhr_streaming") as second:
                assert [await second.chunk() for _ in range(3)] == [PRELUDE, ANOTHER + "\n", ""]
            assert await http.send(session, '["still here"]') == 204
            assert await first.chunk() == 'a["still here"]\n'

    async def test_a_second_poll_is_sent_away(self, http, session):
        polls = [asyncio.ensure_future(http.poll(session)) for _ in range(2)]
        (second,), (first,) = await asyncio.wait(polls, return_when=asyncio.FIRST_COMPLETED)
        assert second.result() == ANOTHER + "\n"
        assert await http.send(session, '["for the first"]') == 204
        assert await first == 'a["for the first"]\n'

    @pytest.mark.parametrize("name", ["xhr", "xhr_streaming"])
    async def test_a_receiver_that_breaks_off_ends_the_session(self, http, session, name):
        head = f"POST {path_of(session)}/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        async with Wire.open(session) as one, Wire.open(session) as other:
            for wire in (one, other):
                wire.writer.write(head.encode())
            # Whoever came second is told so, and then the other one is known to have arrived.
            reads = [asyncio.ensure_future(wire.reader.readuntil(ANOTHER.encode())) for wire in (one, other)]
            _, (first,) = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
            first.cancel()
        async with asyncio.timeout(20):
            while (frame := await http.poll(session)) == ANOTHER + "\n":
                pass
        assert frame == 'c[1002,"Connection interrupted"]\n'


class TestHttp10:
    async def test_a_whole_answer(self, echo):
        async with Wire.open(echo) as wire:
            status, headers = await wire.ask("GET", path_of(echo), "1.0", Connection="Keep-Alive")
            assert status == 200
            assert "transfer-encoding" not in headers
            assert headers["content-length"] == "19"
            assert await wire.read(19) == WELCOME
            if headers.get("connection", "close").lower() == "close":
                assert await wire.closed()
            else:
                assert (await wire.ask("GET", path_of(echo), "1.0"))[0] == 200


class TestHttp11:
    async def test_a_whole_answer(self, echo):
        async with Wire.open(echo) as wire:
            for _ in range(2):
                status, headers = await wire.ask("GET", path_of(echo), Connection="Keep-Alive")
                assert status == 200
                assert headers.get("connection", "keep-alive").lower() == "keep-alive"
                assert "transfer-encoding" not in headers
                assert headers["content-length"] == "19"
                assert await wire.read(19) == WELCOME

    async def test_a_stream(self, url):
        address = f"{new_session(f'{url}/close')}/xhr_streaming"
        async with Wire.open(url) as wire:
            status, headers = await wire.ask("POST", path_of(address), Content_Length="0")
            assert status == 200
            assert headers["transfer-encoding"] == "chunked"
            assert "content-length" not in headers
            assert [await wire.chunk() for _ in range(4)] == [PRELUDE, "o\n", GO_AWAY + "\n", ""]
