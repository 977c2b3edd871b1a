"""The clients that have a WebSocket: of the native protocol in JSON and MessagePack, SockJS, Socket.IO and Phoenix."""

import asyncio
import time

import msgspec

from .clients import Client, Life, decode, encode
from .wires import BINARY, DEADLINE, TEXT, Socket, open_line


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
