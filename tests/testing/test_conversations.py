"""The contract's checker: it lets a protocol pass that keeps the contract, and finds each promise that is broken."""

import pytest

from hubbub.errors import ProtocolError
from hubbub.messages import Bye, Publication, Send
from hubbub.protocols.base import Dialect, Protocol, Request, Route
from hubbub.testing.conversations import Conversation, check_protocol

SAMPLES = [("say hello", "socket"), ("say again", "socket")]


class Shouting(Protocol):
    """A protocol that keeps the contract: each message is shouted at everyone, and a sign of life is asked for."""

    name = "shouting"
    routes = (Route("GET", "/shouting", "socket"),)

    def __init__(self, session):
        self.line = "socket"
        self.deadline = session.now + 10
        self.plain = False
        self.dialect = Dialect("shouting", self.encode)
        self.owed = ["WELCOME"]

    def encode(self, publication):
        return (publication.body.hex(),)

    def receive(self, data, line, now):
        if not isinstance(data, str) or not data.startswith("say "):
            raise ProtocolError("not a word I know")
        return (Send("everyone", "say", (data[4:],)),)

    def send(self, message):
        return ("HERE",)

    def pack(self, frames, line):
        owed, self.owed, self.plain = self.owed, [], True
        return [*owed, *frames]

    def tick(self, now):
        return (Bye("timeout"),) if now >= self.deadline else ()


class Raising(Shouting):
    def receive(self, data, line, now):
        return (Send("everyone", "say", (data.split(" ", 1)[1],)),)


class Lying(Shouting):
    def receive(self, data, line, now):
        self.owed = ["AND ANOTHER THING"]
        self.plain = True
        return super().receive(data, line, now)


class Repeating(Shouting):
    def pack(self, frames, line):
        return ["WELCOME", *frames]


class Remembering(Shouting):
    def receive(self, data, line, now):
        self.dialect = Dialect("shouting", lambda publication: (data,))
        return super().receive(data, line, now)


class Listing(Shouting):
    def encode(self, publication):
        return [publication.body.hex()]


class Impatient(Shouting):
    def tick(self, now):
        return (Bye("timeout"),)


class Stuck(Shouting):
    def tick(self, now):
        return ()


class Late(Shouting):
    def __init__(self, session):
        super().__init__(session)
        self.deadline = session.now


class Unsayable(Shouting):
    def close(self, error, line):
        return [], 1006


class Nowhere(Shouting):
    routes = ()


class Welcoming(Shouting):
    @classmethod
    def refuse(cls, error, request):
        response = super().refuse(error, request)
        return type(response)(200, response.body)


def begin(protocol):
    def start():
        conversation = Conversation(protocol, Request("GET", "/shouting"))
        conversation.attach("socket")
        assert conversation.heard() == ["WELCOME"]
        return conversation

    return start


def test_a_protocol_that_keeps_the_contract_passes():
    check_protocol(begin(Shouting), SAMPLES)


@pytest.mark.parametrize(
    "protocol", [Lying, Repeating, Remembering, Listing, Impatient, Stuck, Late, Unsayable, Nowhere, Welcoming]
)
def test_a_broken_promise_is_found(protocol):
    with pytest.raises(AssertionError):
        check_protocol(begin(protocol), SAMPLES)


def test_any_other_error_than_a_protocol_error_is_found():
    with pytest.raises((AttributeError, TypeError, IndexError)):
        check_protocol(begin(Raising), SAMPLES)


def test_a_conversation_is_served_as_a_connection_would():
    conversation = begin(Shouting)()
    assert conversation.say("say hello") == [Send("everyone", "say", ("hello",))]
    conversation.publish(Publication("everyone", b"\x01"))
    assert conversation.heard() == ["01"]
    conversation.sleep(9)
    assert conversation.over is None
    conversation.sleep(1)
    assert conversation.over == "timeout"
