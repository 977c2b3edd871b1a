"""The clients of a run that poll do as those of browsers do when a line of theirs breaks."""

import asyncio

from . import polled_clients
from .polled_clients import Polls, SocketIOUpgraded
from .record import Record


class Line:
    """Notes what is said on it, and proves to work."""

    def __init__(self, client):
        self.client = client
        self.said = []
        self.opened, self.gone = (asyncio.get_running_loop().create_future() for _ in range(2))
        self.opened.set_result(None)

    def send(self, data):
        self.said.append(data)
        if data == b"2probe":
            self.client.hear_on_socket(b"3probe")

    def abort(self):
        """It is over."""


class Rest:
    """The polls rest already. ``reached`` says that somebody wanted to know."""

    def __init__(self):
        self.reached = asyncio.Event()

    async def wait(self):
        self.reached.set()


async def test_who_could_not_post_does_not_go_on_by_its_socket(monkeypatch):
    client = SocketIOUpgraded(Record(), "client", "log:a", [0])
    client.sid, client.probed = "sid", asyncio.get_running_loop().create_future()
    socket = Line(client)
    line = client.line = Polls(Line(client), Line(client))
    line.rested = Rest()
    posting, cut = asyncio.Event(), asyncio.Event()

    async def open_line(make, port):
        return socket

    async def post(line, said):
        posting.set()
        await cut.wait()
        raise ConnectionError("it was cut")

    monkeypatch.setattr(polled_clients, "open_line", open_line)
    client.post = post
    async with asyncio.timeout(5):
        speaking = asyncio.ensure_future(client.speak(line))
        line.send(b"the first")
        await posting.wait()
        line.send(b"the second")
        moving = asyncio.ensure_future(client.upgrade(line))
        await line.rested.reached.wait()
        cut.set()
        await asyncio.gather(speaking, moving, return_exceptions=True)
    assert socket.said == [b"2probe"]
