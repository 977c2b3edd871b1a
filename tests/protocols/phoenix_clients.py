"""Phoenix clients, in the states in which tests begin."""

import json

import msgspec

from hubbub.limits import Limits
from hubbub.messages import Join, Reply
from hubbub.protocols.base import Request
from hubbub.protocols.phoenix import Phoenix
from hubbub.testing.conversations import Conversation

DEFAULTS = Limits()


def opened(vsn="2.0.0", limits=DEFAULTS, headers=(), **params):
    """A socket that has just been opened."""
    conversation = Conversation(
        Phoenix, Request("GET", "/socket/websocket", {"vsn": vsn, **params}, dict(headers)), limits
    )
    conversation.attach("socket")
    return conversation


def joined(topic="room:lobby", limits=DEFAULTS, vsn="2.0.0"):
    """A socket with one channel, joined by the ref 1, and nothing left to read."""
    conversation = opened(vsn, limits)
    if vsn == "2.0.0":
        [join] = tell(conversation, ["1", "1", topic, "phx_join", {}])
    else:
        [join] = tell(conversation, {"topic": topic, "event": "phx_join", "payload": {}, "ref": "1"})
    conversation.tell(Reply(join))
    conversation.heard()
    return conversation


def polling(limits=DEFAULTS, vsn="2.0.0", headers=(), **params):
    """A long poll's client that has its token."""
    request = Request("GET", "/socket/longpoll", {"vsn": vsn, **params}, dict(headers))
    conversation = Conversation(Phoenix, request, limits)
    assert poll(conversation) == {"status": 410, "token": "hubbub.key", "messages": []}
    return conversation


def poll(conversation):
    """What a poll is answered with; None while it is held."""
    response = conversation.poll()
    if response is None:
        return None
    assert (response.status, response.content_type) == (200, "application/json; charset=utf-8")
    return json.loads(response.body)


def tell(conversation, *messages, line="socket"):
    """Say these, and give the commands that were caused."""
    commands = []
    for message in messages:
        commands += conversation.say(message if isinstance(message, str | bytes) else json.dumps(message), line)
    return commands


def heard(conversation):
    """What has arrived, decoded where it is text."""
    return [json.loads(frame) if isinstance(frame, str) else frame for frame in conversation.heard()]


def plain(command):
    """A command as Python's values; its ref apart."""
    if isinstance(command, Join):
        return command.topic, command.params and msgspec.json.decode(command.params)
    return command.topic, command.event, [
        msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value for value in command.arguments
    ]  # fmt: skip
