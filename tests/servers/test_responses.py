"""Responses that go on, byte by byte: chunks whole and in order, whoever writes them, and the connection as it was
afterwards."""

import asyncio
import json
import logging
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager

import pytest
import trustme

from hubbub import App, Channel, Kicked, Limits, on
from hubbub.bodies import encode
from hubbub.envelope import addressed
from hubbub.servers import requests
from tests.conftest import LANES, running
from tests.protocols.event_streams import Reader

COUNT, PAD = 2_000, "x" * 8_000
"""16 MB in all: more than the kernel keeps for any socket (4 MB, by its default)."""
DEADLINE = 20.0


class Line:
    """One connection, and the responses on it."""

    def __init__(self, url, room=4_096, context=None):
        host, port = url.rpartition("/")[2].split(":")
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.connect((host, int(port)))
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        self.file = self.socket.makefile("rb")
        self.reader = Reader()
        self.events = []

    def ask(self, path, version="1.1", method="GET", **headers):
        fields = {"host": "a", "accept": "text/event-stream", **headers}
        lines = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
        self.socket.sendall(f"{method} {path} HTTP/{version}\r\n{lines}\r\n".encode())
        return self

    def head(self):
        lines = []
        while (line := self.file.readline()) not in (b"\r\n", b""):
            lines.append(line.decode().strip().lower())
        return lines

    def chunk(self):
        """The next chunk, empty if it is the last."""
        size = self.file.readline()
        assert size.endswith(b"\r\n"), size
        data = self.file.read(int(size, 16))
        assert self.file.read(2) == b"\r\n"
        return data

    def event(self):
        while not self.events:
            data = self.chunk()
            assert data, "the response has ended"
            self.events += self.reader.feed(data)
        return self.events.pop(0)

    def rest(self):
        """The events up to the end of the response."""
        while data := self.chunk():
            self.events += self.reader.feed(data)
        return self.events

    def body(self):
        """The status and the body of a whole response with a length."""
        lines = self.head()
        (length,) = [line for line in lines if line.startswith("content-length: ")]
        return lines[0].split()[1], self.file.read(int(length.partition(": ")[2]))

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()


@contextmanager
def stream(url, path="/topics/lobby", **options):
    """A line on which a stream has begun."""
    line = Line(url, **options).ask(path)
    try:
        head = line.head()
        assert head[0] == "http/1.1 200 ok"
        assert "transfer-encoding: chunked" in head
        line.id = line.event().data["id"]
        yield line
    finally:
        line.close()


class Stage:
    """An application, its thread, and what a test has done in it."""

    def __init__(self, overflow="disconnect", **limits):
        self.app = App(limits=Limits(**limits))
        self.left = threading.Semaphore(0)
        stage = self

        class Lobby(Channel):
            async def join(self):
                stage.loop = asyncio.get_running_loop()

            @on("leave")
            async def out(self):
                raise Kicked("out")

            def leave(self, reason):
                stage.left.release()

        Lobby.overflow = overflow
        self.app.channel("{topic}")(Lobby)

    def do(self, work):
        """Have this done by the server's loop, all in one turn."""

        async def run():
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(DEADLINE)

    def say(self, *numbers, topic="lobby", pad="", **options):
        for number in numbers:
            self.app.hub.publish(topic, encode(["n", number, pad]), **options)

    def connection(self, line):
        (found,) = [one for one in self.app.reception.connections.values() if one.id == line.id]
        return found


@pytest.fixture(params=LANES)
def lane(request):
    return request.param


def faults(caplog):
    """What server and loop complain of; of ours, what is worse than advice."""
    least = {"uvicorn.error": logging.WARNING, "asyncio": logging.WARNING}
    return [record for record in caplog.records if record.levelno >= least.get(record.name, logging.ERROR)]


def numbers(line, count):
    return [line.event().data[0] for _ in range(count)]


def test_all_comes_whole_and_in_order_with_what_is_ones_own(lane):
    stage = Stage(heartbeat=0.05)

    def said_and_pushed():
        stage.say(1, 2)
        stage.app.hub.queue(stage.connection(one), ('data: ["own"]\n\n',))
        stage.say(3)

    with running(stage.app, lane=lane) as url, stream(url) as one, stream(url) as other:
        stage.do(said_and_pushed)
        assert [one.event().data[0] for _ in range(4)] == [1, 2, "own", 3]
        assert numbers(other, 3) == [1, 2, 3]
        while one.chunk() != b":\n\n":  # a heartbeat, with none of it lost
            pass
        for number in range(4, 50):
            stage.do(lambda number=number: stage.say(number))
        assert numbers(one, 46) == numbers(other, 46) == [*range(4, 50)]


def test_what_is_said_in_one_turn_leaves_in_one_write(lane):
    stage = Stage()
    with running(stage.app, lane=lane) as url, stream(url, room=1 << 20) as one:
        stage.do(lambda: stage.say(*range(20)))
        assert one.socket.recv(65_536).count(b"data: [") == 20


def test_only_the_fast_lane_has_the_hub_write_and_only_to_who_can_read_chunks(lane):
    stage = Stage()
    with running(stage.app, lane=lane) as url, stream(url) as one:
        assert stage.do(lambda: stage.connection(one).wire is not None) == (lane == "fast")
        old = Line(url).ask("/topics/lobby", version="1.0")
        while b"hubbub.open" not in old.file.readline():
            pass
        wired = stage.do(lambda: [one.wire is not None for one in stage.app.reception.connections.values()])
        assert sorted(wired) == [False, lane == "fast"]
        stage.do(lambda: stage.say("to all"))
        assert numbers(one, 1) == ["to all"]
        while b"to all" not in old.file.readline():
            pass
        old.close()


class Shouting:
    """An application around ours, which changes what it sends."""

    def __init__(self, app):
        self._app = app

    def __getattr__(self, name):
        return getattr(self._app, name)

    async def __call__(self, scope, receive, send):
        async def shout(message):
            await send({**message, "body": message["body"].upper()} if "body" in message else message)

        await self._app(scope, receive, shout if scope["type"] == "http" else send)


def test_who_stands_between_sees_all_that_is_written(lane):
    stage = Stage()
    with running(Shouting(stage.app), lane=lane) as url:
        line = Line(url).ask("/topics/lobby")
        line.head()
        assert b"HUBBUB.OPEN" in line.chunk()
        stage.do(lambda: stage.say("hello"))
        assert b'"HELLO"' in line.chunk()
        line.close()


def test_who_is_sent_out_of_its_topic_is_told_so_in_its_place_and_the_response_ends(lane):
    stage = Stage()

    def out():
        stage.say("before")
        stage.connection(one).memberships["lobby"].kick(Kicked("out"))

    with running(stage.app, lane=lane) as url, stream(url) as one, stream(url) as other:
        stage.do(out)
        assert [event.event for event in one.rest()] == ["n", "hubbub.left"]
        assert stage.left.acquire(timeout=DEADLINE)
        stage.do(lambda: stage.say("after"))
        assert numbers(other, 2) == ["before", "after"]


# -- who reads late ----------------------------------------------------------------------------------------------------


def flood(stage, **options):
    for number in range(COUNT):
        stage.do(lambda number=number: stage.say(number, pad=PAD, **options))
    stage.do(lambda: stage.say("end"))


@pytest.mark.parametrize("overflow", ["disconnect", "drop_oldest", "latest"])
def test_who_reads_late_gets_all_in_order_as_far_as_there_is_room(lane, overflow):
    stage = Stage(overflow, outbox=64 << 20, stalled=60.0)

    def each_its_own(number):
        stage.say(number, pad=PAD, envelope=addressed(key=str(number)))

    with running(stage.app, lane=lane) as url, stream(url) as one, stream(url, room=1 << 20) as other:
        reading = threading.Thread(target=lambda: numbers(other, COUNT + 1), daemon=True)
        reading.start()
        for number in range(COUNT):
            stage.do(lambda number=number: each_its_own(number))
        stage.do(lambda: stage.say("end"))
        assert stage.do(lambda: stage.connection(one).wire) is None
        assert numbers(one, COUNT + 1) == [*range(COUNT), "end"]
        reading.join(DEADLINE)
        assert not reading.is_alive()
        # and goes on as before
        assert stage.do(lambda: stage.connection(one).wire is not None) == (lane == "fast")
        stage.do(lambda: stage.say("more"))
        assert numbers(one, 1) == numbers(other, 1) == ["more"]


def test_who_reads_late_over_tls_gets_all_in_order(lane, tmp_path):
    authority, both, context = trustme.CA(), tmp_path / "both.pem", ssl.create_default_context()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(both))
    authority.configure_trust(context)
    stage = Stage(outbox=64 << 20, stalled=60.0)
    with running(stage.app, lane=lane, ssl_certfile=str(both)) as url, stream(url, context=context) as one:
        assert stage.do(lambda: stage.connection(one).wire is not None) == (lane == "fast")
        flood(stage)
        assert numbers(one, COUNT + 1) == [*range(COUNT), "end"]


def test_what_may_be_dropped_is_and_the_rest_is_in_order(lane):
    stage = Stage("drop_oldest", outbox=100_000, stalled=60.0)
    with running(stage.app, lane=lane) as url, stream(url) as one:
        flood(stage)
        heard = []
        while not heard or heard[-1] != "end":
            heard += numbers(one, 1)
        assert heard[-2] == COUNT - 1
        assert len(heard) < COUNT
        assert heard[:-1] == sorted(set(heard[:-1]))


def test_of_what_is_replaced_only_the_newest_waits(lane):
    stage = Stage("latest", stalled=60.0)
    with running(stage.app, lane=lane) as url, stream(url) as one:
        flood(stage)
        stage.do(lambda: stage.say("last"))
        heard = []
        while not heard or heard[-1] != "last":
            heard += numbers(one, 1)
        assert len(heard) < COUNT
        assert heard[:-1] == sorted(set(heard[:-1]) - {"end"}) + ["end"] * ("end" in heard)


def test_who_may_miss_nothing_and_does_not_read_is_told_so_at_last(lane):
    stage = Stage(outbox=100_000, stalled=60.0)
    with running(stage.app, lane=lane) as url, stream(url) as one:
        stage.do(lambda: None)
        while not stage.left.acquire(blocking=False):
            stage.do(lambda: stage.say(0, pad=PAD))
        bye = one.rest()[-1]
        assert (bye.event, bye.data["code"], bye.data["come_back"]) == ("hubbub.bye", "too_slow", True)


@pytest.mark.parametrize("secure", [False, True])
def test_who_reads_nothing_of_that_either_is_cut_off(secure, tmp_path, monkeypatch):
    """By the fast lane: ASGI has no word for it."""
    monkeypatch.setattr(requests, "FAREWELL", 0.2)
    authority, both, context = trustme.CA(), tmp_path / "both.pem", ssl.create_default_context()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(both))
    authority.configure_trust(context)
    options = {"ssl_certfile": str(both)} if secure else {}
    stage = Stage(outbox=100_000, stalled=60.0)
    with (
        running(stage.app, lane="fast", **options) as url,
        stream(url, context=context if secure else None) as one,
        stream(url, "/topics/elsewhere", context=context if secure else None) as other,
    ):
        transport = stage.do(lambda: stage.connection(one).wire.__self__.transport)
        while not stage.left.acquire(blocking=False):
            stage.do(lambda: stage.say(0, pad=PAD))
        deadline = time.monotonic() + DEADLINE
        while not stage.do(transport.is_closing):
            assert time.monotonic() < deadline
        data = one.file.read()
        assert b"hubbub.bye" not in data
        assert not data.endswith(b"\r\n0\r\n\r\n")
        stage.do(lambda: stage.say("to others", topic="elsewhere"))
        assert numbers(other, 1) == ["to others"]


# -- who goes away -----------------------------------------------------------------------------------------------------


def test_who_vanishes_costs_nobody_a_message(lane, caplog):
    """Numbers of descriptors are given again at once: all that comes on a line must be that line's own."""
    stage = Stage()
    with running(stage.app, lane=lane) as url, stream(url) as faithful:
        for number in range(30):
            fickle = []
            for _ in range(6):
                line = Line(url).ask("/topics/lobby")
                line.head()
                line.event()
                fickle.append(line)
            for line in fickle[::2]:
                line.reset()
            stage.do(lambda number=number: stage.say(number, pad=PAD))
            elsewhere = Line(url).ask("/topics/elsewhere")
            for line in (faithful, *fickle[1::2]):
                assert numbers(line, 1) == [number]
            elsewhere.head()
            assert "elsewhere" in elsewhere.event().data["topics"]
            for line in (elsewhere, *fickle[1::2]):
                line.close()
        for _ in range(30 * 7):
            assert stage.left.acquire(timeout=DEADLINE)
    assert faults(caplog) == []


def test_who_sends_nonsense_while_it_listens_is_cut_off(lane):
    stage = Stage()
    with running(stage.app, lane=lane) as url, stream(url) as one:
        one.socket.sendall(b"nonsense\r\n\r\n")
        assert stage.left.acquire(timeout=DEADLINE)
        stage.do(lambda: stage.say("nobody is there"))
        assert one.file.read().startswith(b"HTTP/1.1 400 ")


# -- the connection around the response --------------------------------------------------------------------------------


def test_a_connection_serves_pages_before_and_after_a_stream_and_another_stream(lane):
    stage = Stage()
    with running(stage.app, lane=lane) as url:
        line = Line(url)
        for turn in range(3):
            assert line.ask("/hubbub/health").body() == ("200", b"ok")
            line.ask("/topics/lobby").head()
            opening = line.event()
            stage.do(lambda turn=turn: stage.say(turn, pad=PAD))
            assert numbers(line, 1) == [turn]
            with_key = {"hubbub-connection": opening.data["connection"], "content-length": "0"}
            other = Line(url)
            assert other.ask("/topics/lobby/leave", method="POST", **with_key).body()[0] == "403"
            other.close()
            assert [event.event for event in line.rest()] == ["hubbub.bye"]
            line.events, line.reader = [], Reader()
        # a request that came with the one before waits for its end
        line.ask("/topics/lobby").ask("/hubbub/health").head()
        opening = line.event()
        stage.do(lambda: stage.say("in between"))
        assert numbers(line, 1) == ["in between"]
        stage.do(lambda: [one.end(Kicked("out"), "kicked") for one in list(stage.app.reception.connections.values())])
        assert [event.event for event in line.rest()] == ["hubbub.bye"]
        assert line.body() == ("200", b"ok")
        line.close()


def test_streams_of_several_topics_hear_each_of_them(lane):
    stage = Stage()
    with (
        running(stage.app, lane=lane) as url,
        stream(url, "/topics?topic=a&topic=b") as both,
        stream(url, "/topics/a") as a,
        stream(url, "/topics/b") as b,
    ):
        for number in range(20):
            stage.do(lambda number=number: stage.say(number, topic="ab"[number % 2]))
        heard = [both.event().data for _ in range(20)]
        assert [(said["topic"], said["payload"][0]) for said in heard] == [("ab"[n % 2], n) for n in range(20)]
        assert numbers(a, 10) == [*range(0, 20, 2)]
        assert numbers(b, 10) == [*range(1, 20, 2)]


def test_a_head_is_all_that_is_asked_for(lane):
    stage = Stage()
    with running(stage.app, lane=lane) as url:
        line = Line(url).ask("/topics/lobby", method="HEAD")
        assert line.head()[0].startswith("http/1.1 ")
        line.close()


@pytest.mark.parametrize("late", [False, True])
def test_draining_ends_the_response_and_the_connection(lane, caplog, late):
    stage = Stage(outbox=64 << 20, stalled=60.0)
    count = 400 if late else 10
    with running(stage.app, lane=lane, drain_timeout=5.0) as url:
        line = Line(url).ask("/topics/lobby")
        line.head()
        line.event()
        stage.do(lambda: stage.say(*range(count), pad=PAD))
        ended = []
        reading = threading.Thread(target=lambda: ended.extend([*line.rest(), line.file.read()]))
        if late:
            threading.Timer(0.5, reading.start).start()
        else:
            reading.start()
    reading.join(DEADLINE)
    line.close()
    *said, bye, rest = ended
    assert [event.data[0] for event in said] == [*range(count)]
    assert (bye.event, bye.data["code"], rest) == ("hubbub.bye", "shutdown", b"")
    assert json.dumps(bye.data["come_back"]) == "true"
    assert faults(caplog) == []
