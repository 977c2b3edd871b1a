"""What the kernel does not take at once comes later, whole and in order; and nobody gets what was another's."""

import asyncio
import itertools
import json
import re
import socket
import struct
import threading

import pytest

from hubbub import App, Channel, Limits, on
from hubbub.servers.websocket import frame
from tests.conftest import LANES, running
from tests.servers.clients import TEXT, request
from tests.servers.frames import client_frame

PATH = "/hubbub/websocket"
PING, PONG = 9, 10
COUNT, PAD = 2_000, "x" * 8_000
"""16 MB in all: more than the kernel keeps for any socket (4 MB, by its default)."""


class Reader:
    """One client, whose bytes are looked at one by one."""

    def __init__(self, url, **options):
        host, port = url.removeprefix("http://").split(":")
        self.line = socket.socket()
        self.line.settimeout(20)
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.line.connect((host, int(port)))
        self.line.sendall(request(url, PATH, **options))
        self.file = self.line.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.file.read(1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def say(self, message):
        self.line.sendall(client_frame(TEXT, json.dumps(message).encode()))

    def frame(self):
        first, length = self.file.read(2)
        if length >= 126:
            length = int.from_bytes(self.file.read(2 if length == 126 else 8))
        payload = self.file.read(length)
        assert len(payload) == length
        return first, payload

    def rest(self, end):
        """All bytes up to these."""
        data = b""
        while not data.endswith(end):
            piece = self.file.read1()
            assert piece
            data += piece
        return data

    def hear(self, key):
        """The next message with this key, and nothing broken before it."""
        while True:
            first, payload = self.frame()
            assert first == 0x80 | TEXT
            message = json.loads(payload)
            if key in message:
                return message

    def reset(self):
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.file.close()
        self.line.close()


def join(url):
    reader = Reader(url)
    reader.say({"join": "lobby", "ref": 1})
    assert reader.hear("reply")["ok"]
    return reader


@pytest.mark.parametrize("lane", LANES)
def test_who_reads_late_gets_all_in_order(lane):
    flooded = threading.Event()
    told = []
    app = App(limits=Limits(outbox=64 << 20))

    @app.channel("lobby")
    class Lobby(Channel):
        @on("flood")
        async def flood(self):
            for number in range(COUNT):
                told.append(["to all", number])
                await self.publish("n", "to all", number, PAD)
                if number % 7 == 0:
                    told.append(["to one", number])
                    await self.push("n", "to one", number, PAD)
                await asyncio.sleep(0)
            flooded.set()

    with running(app, lane=lane) as url:
        reader = join(url)
        reader.line.sendall(client_frame(PING, b"before"))
        reader.say({"send": "lobby", "event": "flood"})
        assert flooded.wait(20)
        reader.line.sendall(client_frame(PING, b"behind"))
        heard, pongs = [], []
        while len(heard) < COUNT + len(range(0, COUNT, 7)) or len(pongs) < 2:
            first, payload = reader.frame()
            if first == 0x80 | PONG:
                pongs.append(payload)
            else:
                *said, pad = json.loads(payload)["payload"]
                assert pad == PAD
                heard.append(said)
        reader.close()
    assert heard == told
    assert pongs == [b"before", b"behind"]


def test_what_waits_is_not_overtaken_when_the_kernel_has_room_again():
    """All within one turn of the server's loop, so that what waits can leave only by the order of the writes."""
    full, emptied = threading.Event(), threading.Event()
    taken = 0
    numbers = itertools.count()
    app = App()

    @app.channel("lobby")
    class Lobby(Channel):
        @on("flood")
        async def flood(self):
            nonlocal taken
            wire = self.connection.wire
            waiting = wire.__self__.transport.get_write_buffer_size
            while not waiting():
                made = frame(json.dumps([next(numbers), PAD]))
                wire(made)
                taken += len(made)
            taken -= waiting()
            full.set()
            assert emptied.wait(20)
            for _ in range(20):
                wire(frame(json.dumps([next(numbers), PAD])))

    with running(app, lane="fast") as url:
        reader = join(url)
        reader.say({"send": "lobby", "event": "flood", "ref": 2})
        assert full.wait(20)
        data = reader.file.read(taken)
        emptied.set()
        data += reader.rest(b'{"reply":2,"ok":true}')
        reader.close()
    heard = [int(number) for number in re.findall(rb"\[(\d+), ", data)]
    assert heard == [*range(next(numbers))]


def test_nobody_gets_what_was_for_one_who_had_its_place_before():
    """Numbers of descriptors are given again at once: all that comes on a line must be that line's own."""
    app = App()

    @app.channel("lobby")
    class Lobby(Channel):
        @on("say")
        async def say(self, number: int):
            await self.publish("n", number, PAD)

    with running(app, lane="fast") as url:
        speaker = join(url)
        for number in range(30):
            readers = [join(url) for _ in range(10)]
            speaker.say({"send": "lobby", "event": "say", "payload": number})
            for reader in readers[::2]:
                reader.reset()
            late = [join(url) for _ in range(5)]
            for reader in (speaker, *readers[1::2]):
                assert reader.hear("event")["payload"][0] == number
            for reader in (*readers[1::2], *late):
                reader.close()
        speaker.close()
