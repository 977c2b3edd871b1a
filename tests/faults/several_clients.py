"""Clients that are in all topics at once, on one line: what they missed of each comes in one round trip.

Such a client is a host, which has the line, and a member for each topic; to the run each member is a client.
"""

from .clients import Client, Life, decode, encode
from .http_clients import OnHttp, OnPages, OnStream, Poll
from .socket_clients import Native, OnSocket


class Host(Life):
    """The one that comes and goes. ``kind`` is what its members are."""

    kind = Client

    def __init__(self, record, name, topics, doors, seed=0):
        super().__init__(name, doors, seed)
        self.members = [self.kind(record, f"{name}.{topic}", topic, doors, seed) for topic in topics]
        self.of = {member.topic: member for member in self.members}
        for member in self.members:
            member.host = self

    @property
    def joined(self):
        return all(member.joined for member in self.members)

    @property
    def codes(self):
        return self.members[0].codes

    def begin(self):
        if self.task is None:
            super().begin()

    def gone(self, why):
        for member in self.members:
            member.gone(why)

    def let_in(self, topic, told, recovered):
        self.entered += 1
        self.of[topic].door, self.of[topic].started = self.door, self.started
        self.of[topic].let_in(told, recovered)


class Member(Client):
    """One topic of a host."""

    host = None
    tracked = False

    def begin(self):
        self.host.begin()

    async def stop(self):
        await self.host.stop()

    def pause(self, on):
        self.host.pause(on)


class NativeMember(Member):
    kind = "native, several topics"

    def send(self, n, payload):
        ref, id = f"{self.topic} {n}", f"{self.name}.{n}"
        self.host.tell({"send": self.topic, "event": "say", "payload": payload, "ref": ref, "id": id})


class NativeHost(OnSocket, Host):
    path = Native.path
    kind = NativeMember

    def tell(self, message):
        if self.line is not None:
            self.line.send(encode(message))

    def opened(self):
        for topic, member in self.of.items():
            self.tell({"join": topic, "after": member.position, "ref": f"{topic} join"})

    def hear(self, data):
        told = decode(data)
        if told.get("event") == "said":
            self.of[told["topic"]].heard(told["payload"], told["position"])
        elif "reply" in told:
            topic, _, ref = told["reply"].partition(" ")
            self.answered(topic, ref, told)
        elif "bye" in told:
            self.gone(told["bye"]["code"])

    def answered(self, topic, ref, told):
        if ref == "join" and told["ok"]:
            self.let_in(topic, told["position"], told.get("recovered"))
        elif ref == "join":
            self.line.abort()
        elif told["ok"]:
            self.of[topic].acknowledged(int(ref), told["payload"]["at"])
        else:
            self.of[topic].refused(int(ref), told["error"]["code"])


class HttpMember(OnHttp, Member):
    """It has a mouth of its own."""


class StreamMember(HttpMember):
    kind = "SSE, several topics"


class StreamHost(OnStream, Host):
    """The id of an event is the positions of all topics."""

    kind = StreamMember
    last = ""

    def asks(self):
        return "/topics?" + "&".join(f"topic={topic}" for topic in self.of), self.last

    def told(self, event, data, id):
        self.last = id or self.last
        if event == "hubbub.open":
            for topic, joined in data["topics"].items():
                self.let_in(topic, joined["position"], joined.get("recovered"))
        elif event == "hubbub.bye":
            self.gone(data["code"])
        elif event is None and data["event"] == "said":
            self.of[data["topic"]].heard(data["payload"], data["position"])


class PollMember(HttpMember, Poll):
    kind = "polling, several topics"


class PollHost(OnPages, Host):
    """The position of a page is those of all topics."""

    kind = PollMember
    last = ""

    def asks(self):
        return "/topics?" + "".join(f"topic={topic}&" for topic in self.of), self.last

    def page(self, page):
        for topic, member in self.of.items():
            member.door, member.started = self.door, self.started
            member.events(page["topics"][topic], [event for event in page["events"] if event["topic"] == topic])
        self.last = page["position"]


HOSTS = (NativeHost, StreamHost, PollHost)
