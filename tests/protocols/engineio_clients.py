"""Engine.IO clients, in the states in which tests begin."""

from hubbub.bodies import encode
from hubbub.limits import Limits
from hubbub.messages import Publication
from hubbub.protocols.base import Request
from hubbub.protocols.engineio import EngineIO
from hubbub.testing.conversations import Conversation

SUITE = Limits(heartbeat=0.3, patience=0.2, message=1_000_000, handshake=1.0)
PATH, TOPIC = "/engine.io/", "engine.io/"


def request(method="GET", headers=(), repeated=(), **query):
    query = {"EIO": "4", "transport": "polling"} | query
    given = {name: value for name, value in query.items() if value is not None}
    return Request(method, PATH, given, dict(headers), repeated=dict.fromkeys(repeated, ("", "")))


def websocket(**query):
    return request(headers={"upgrade": "websocket"}, **({"transport": "websocket"} | query))


def polling(limits=SUITE):
    """A session whose handshake is done, over polling."""
    conversation = Conversation(EngineIO, request(), limits)
    assert conversation.poll() is not None
    conversation.commands.clear()
    return conversation


def socket(limits=SUITE):
    conversation = Conversation(EngineIO, websocket(), limits)
    conversation.attach("socket")
    assert conversation.heard()
    conversation.commands.clear()
    return conversation


def upgraded():
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.say("5")
    assert conversation.heard() == ["3probe"]
    return conversation


def body(response):
    return None if response is None else response.body.decode()


def echo(conversation, commands):
    for command in commands:
        conversation.publish(Publication(command.topic, encode([command.event, *command.arguments])))


def fill(conversation, count, text="x"):
    for number in range(count):
        conversation.publish(Publication(TOPIC, encode(["message", f"{number}{text}"])))
