"""Clients of every kind, which come back by themselves and go on where they were, each by its dialect's own means.

Each speaks in one topic: what it says it says again, under the same number, until it is acknowledged. What it sends and
hears goes into the record, and nothing is judged here.
"""

import asyncio
import random
import time
from collections import Counter

import msgspec

from .record import ACKED, Broken, Joined, Left, Turn, checksum, position
from .wires import BINARY, DEADLINE, TEXT, Socket, open_line

PAUSE = 0.1
"""Seconds before a client knocks again: up to this at first, then twice as many, up to ``LONGEST``."""
LONGEST = 1.0
AGAIN = 0.3
"""Seconds after which something that was refused for now is said again."""

encode = msgspec.json.encode
decode = msgspec.json.decode


class Life:
    """What comes in by a door, stays until its line is gone, and comes back. ``doors`` are ports to knock at."""

    def __init__(self, name, doors, seed):
        self.name = name
        self.doors = doors
        self.chance = random.Random(f"{name} {seed}")
        self.door = self.chance.randrange(len(doors))
        self.line = None
        self.task = None
        self.paused = False
        self.entered = 0
        """How often it was let in."""

    def begin(self):
        self.task = asyncio.get_running_loop().create_task(self.live())

    async def stop(self):
        self.task.cancel()
        await asyncio.wait((self.task,), timeout=DEADLINE)
        self.hang_up()

    async def live(self):
        pause = PAUSE
        while True:
            before = self.entered
            try:
                await self.visit(self.doors[self.door])
            except (OSError, TimeoutError):
                pass
            finally:
                self.hang_up()
                self.gone("the line broke")
            self.door = (self.door + 1) % len(self.doors)
            pause = PAUSE if self.entered > before else min(2 * pause, LONGEST)
            await asyncio.sleep(self.chance.uniform(0.2, 1.0) * pause)

    async def visit(self, port):
        """Come in, and stay until the line is gone. Raises OSError, TimeoutError."""
        raise NotImplementedError

    def gone(self, why):
        """It is no longer in."""
        raise NotImplementedError

    def hang_up(self):
        if self.line is not None:
            self.line.abort()
            self.line = None

    def pause(self, on):
        """Read nothing, as a phone in a pocket."""
        self.paused = on
        if self.line is not None:
            self.line.pause(on)


class Client(Life):
    """One client in one topic."""

    kind = ""
    tracked = True

    def __init__(self, record, name, topic, doors, seed=0):
        super().__init__(name, doors, seed)
        self.record = record
        self.topic = topic
        self.story = record.story(name, self.kind, topic)
        self.position = None
        self.joined = False
        self.leaving = False
        self.started = 0.0
        self.returns = []
        """Pairs of times: when it lost its line, and when it was back."""
        self.lost_at = None
        self.n = 0
        self.unanswered = {}
        self.pad = ""
        """What makes its messages longer."""
        self.codes = Counter()
        """What it was refused with, and how often."""
        self.turns = None
        """What it is told of presence, if that is to be recorded."""
        self.present = {}
        """By key: the refs of its metas."""

    def gone(self, why):
        self.leaving = False
        if self.joined:
            self.joined = False
            self.lost_at = time.monotonic()
            self.story.events.append(Broken(self.lost_at, why))

    def let_in(self, told, recovered):
        """It is in its topic, and stands at this position."""
        now, asked = time.monotonic(), position(self.position)
        fresh = asked is None
        self.story.events.append(Joined(now, self.started, asked, recovered, position(told), fresh))
        if not recovered:
            self.position = told
        self.joined, self.leaving = True, False
        self.entered += 1
        if self.lost_at is not None:
            self.returns.append((self.lost_at, now))
            self.lost_at = None
        for n in list(self.unanswered):
            self.send(n, self.unanswered[n])

    # -- what it says and hears ----------------------------------------------------------------------------------------

    def say(self):
        self.n += 1
        n = self.n
        payload = {"by": self.name, "n": n, "sum": checksum(self.topic, self.name, n), "pad": self.pad}
        self.unanswered[n] = payload
        self.record.invoke(self.name, n, self.topic)
        if self.joined:
            self.send(n, payload)

    def send(self, n, payload):
        raise NotImplementedError

    def acknowledged(self, n, at):
        if self.unanswered.pop(n, None) is not None:
            sent = self.record.sent[self.name, n]
            sent.answered, sent.outcome, sent.position = time.monotonic(), ACKED, position(at)

    def out(self):
        """It has left its topic, and been told so: what comes now came too late."""
        self.joined = False
        self.story.events.append(Left(time.monotonic()))

    def refused(self, n, code):
        """For now: it is said again, behind what was said since."""
        self.codes[code] += 1
        if n in self.unanswered:
            self.record.sent[self.name, n].again = True
            asyncio.get_running_loop().call_later(AGAIN, self.again, n)

    def again(self, n):
        if self.joined and n in self.unanswered:
            self.send(n, self.unanswered[n])

    def heard(self, payload, at):
        self.position = at
        self.story.heard(payload, position(at))

    def presence(self, event, told):
        """Keep the list as phoenix.js does, and write down which keys appear and disappear by it."""
        if self.turns is None:
            return
        now = time.monotonic()
        if event == "presence_state":
            self.present = {key: refs(each) for key, each in told.items()}
            self.turns.append(Turn(now, frozenset(told), frozenset(), state=True))
        elif event == "presence_diff":
            joins = {key for key, each in told["joins"].items() if self.appear(key, refs(each))}
            leaves = {key for key, each in told["leaves"].items() if self.disappear(key, refs(each))}
            if joins or leaves:
                self.turns.append(Turn(now, frozenset(joins), frozenset(leaves)))

    def appear(self, key, come):
        """Whether that is to be told: the key was not there, or this of it was already."""
        there = self.present.setdefault(key, set())
        told = not there or bool(there & come)
        there |= come
        return told

    def disappear(self, key, gone):
        there = self.present.get(key, set())
        told = not there or not gone <= there or gone == there
        there -= gone
        if not there:
            self.present.pop(key, None)
        return told


def refs(told):
    return {meta["phx_ref"] for meta in told["metas"]}


class OnSocket(Life):
    """One whose line is a WebSocket."""

    path = ""
    subprotocol = ""

    async def visit(self, port):
        line = self.line = await open_line(lambda: Socket(self.where(), self.hear, self.subprotocol), port)
        line.pause(self.paused)
        await asyncio.wait((line.opened, line.gone), timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
        if not line.opened.done() or line.gone.done():
            raise ConnectionError("it was not opened")
        self.started = time.monotonic()
        self.opened()
        asyncio.get_running_loop().call_later(2 * DEADLINE, self.insist, line)
        await line.last()

    def insist(self, line):
        """Who was not let in by now goes elsewhere."""
        if line is self.line and not self.joined and not self.paused:
            line.abort()

    def where(self):
        return self.path

    def opened(self):
        """The line stands."""

    def hear(self, data):
        raise NotImplementedError


class Native(OnSocket, Client):
    kind = "native, JSON"
    path = "/hubbub/websocket"
    opcode = TEXT
    read = staticmethod(decode)
    written = staticmethod(encode)

    def opened(self):
        self.tell({"join": self.topic, "params": {"key": self.name}, "after": self.position, "ref": "join"})

    def step_out(self):
        """Leave, and come back at once."""
        self.leaving = True
        self.tell({"leave": self.topic, "ref": "leave"})

    def tell(self, message):
        self.line.send(self.written(message), self.opcode)

    def send(self, n, payload):
        self.tell({"send": self.topic, "event": "say", "payload": payload, "ref": n, "id": f"{self.name}.{n}"})

    def hear(self, data):
        told = self.read(data)
        event = told.get("event")
        if event == "said":
            self.heard(told["payload"], told["position"])
        elif event is not None:
            self.presence(event, told.get("payload"))
        elif "reply" in told:
            self.answered(told["reply"], told)
        elif "bye" in told:
            self.gone(told["bye"]["code"])

    def answered(self, ref, told):
        if ref == "join":
            if told["ok"]:
                self.let_in(told["position"], told.get("recovered"))
            else:
                self.line.abort()
        elif ref == "leave":
            self.out()
            self.started = time.monotonic()
            Native.opened(self)
        elif told["ok"]:
            self.acknowledged(ref, told["payload"]["at"])
        else:
            self.refused(ref, told["error"]["code"])


class Packed(Native):
    kind = "native, MessagePack"
    subprotocol = "hubbub.msgpack"
    opcode = BINARY
    read = staticmethod(msgspec.msgpack.decode)
    written = staticmethod(msgspec.msgpack.encode)


class SockJS(Native):
    """The same, in the frames of SockJS."""

    kind = "SockJS"

    def where(self):
        return f"/sockjs/000/{self.chance.randrange(1 << 60)}/websocket"

    def opened(self):
        """It begins when the server says so."""

    def tell(self, message):
        self.line.send(encode([encode(message).decode()]))

    def hear(self, data):
        if data[:1] == b"o":
            super().opened()
        elif data[:1] == b"a":
            for message in decode(data[1:]):
                super().hear(message)


class SocketIO(OnSocket, Client):
    """Its way back is "connection state recovery": the pid of its first CONNECT, and the offset of its last event."""

    kind = "Socket.IO"
    path = "/socket.io/?EIO=4&transport=websocket"

    def __init__(self, *given):
        super().__init__(*given)
        self.pid = None

    def hear(self, data):
        kind = data[:2]
        if kind[:1] == b"0":
            way_back = {"pid": self.pid, "offset": self.position} if self.pid else {}
            self.line.send(b"40/%b,%b" % (self.topic.encode(), encode({"key": self.name, **way_back})))
        elif kind == b"2":
            self.line.send(b"3")
        elif kind == b"42":
            event, *rest = decode(data[data.index(b",") + 1 :])
            if event == "said":
                self.heard(*rest)
        elif kind == b"43":
            self.answered(data[data.index(b",") + 1 :])
        elif kind == b"40":
            self.connected(decode(data[data.index(b",") + 1 :])["pid"])
        elif kind in (b"41", b"44"):
            self.line.abort()

    def connected(self, pid):
        recovered = None if self.pid is None else pid == self.pid
        self.pid = pid
        self.let_in(self.position if recovered else pid.rpartition("@")[2], recovered)

    def answered(self, packet):
        at = packet.index(b"[")
        (told,) = decode(packet[at:])
        if "error" in told:
            self.refused(int(packet[:at]), told["error"]["code"])
        else:
            self.acknowledged(int(packet[:at]), told["at"])

    def send(self, n, payload):
        self.line.send(b"42/%b,%d%b" % (self.topic.encode(), n, encode(["say", payload])))


class Phoenix(OnSocket, Client):
    kind = "Phoenix"
    path = "/socket/websocket?vsn=2.0.0"

    join_ref = 0

    def opened(self):
        self.join_ref += 1
        way_back = {"_position": self.position} if self.position else {}
        self.push("join", "phx_join", {"key": self.name, **way_back})

    def push(self, ref, event, payload):
        self.line.send(encode([str(self.join_ref), ref, self.topic, event, payload]))

    def step_out(self):
        self.leaving = True
        self.push("leave", "phx_leave", {})

    def hear(self, data):
        _, ref, _, event, payload = decode(data)
        if event == "said":
            self.heard(payload, payload["_position"])
        elif event == "phx_reply":
            self.answered(ref, payload["status"] == "ok", payload["response"])
        elif event == "phx_error":
            self.line.abort()
        elif event == "phx_close" and self.joined:
            self.out()
            self.started = time.monotonic()
            self.opened()

    def answered(self, ref, ok, response):
        if ref == "join":
            if ok:
                self.let_in(response["_position"], response.get("_recovered"))
            else:
                self.line.abort()
        elif ref == "leave":
            pass  # phx_close follows
        elif ok:
            self.acknowledged(int(ref), response["at"])
        else:
            self.refused(int(ref), response.get("code", response["reason"]))

    def send(self, n, payload):
        self.push(str(n), "say", payload)
