"""Socket.IO clients, in the states in which tests begin, and the application of the official suite."""

import msgspec

from hubbub.bodies import encode
from hubbub.errors import NotFound
from hubbub.limits import Limits
from hubbub.messages import Join, Push, Raw, Reply, Send
from hubbub.protocols.base import Request
from hubbub.protocols.socketio import SocketIO
from hubbub.testing.conversations import Conversation

SUITE = Limits(heartbeat=0.3, patience=0.2, message=1_000_000, handshake=1.0)
DEFAULTS = Limits()
TOPICS = ("/", "custom")


def opened(limits=SUITE):
    request = Request("GET", "/socket.io/", {"EIO": "4", "transport": "websocket"}, {"upgrade": "websocket"})
    conversation = Conversation(SocketIO, request, limits)
    conversation.attach("socket")
    [handshake] = conversation.heard()
    assert handshake.startswith('0{"sid":"key","upgrades":[]')
    return conversation


def polling(limits=SUITE):
    conversation = Conversation(SocketIO, Request("GET", "/socket.io/", {"EIO": "4", "transport": "polling"}), limits)
    conversation.poll()
    return conversation


def connected(namespace="/", limits=DEFAULTS):
    """A client in a namespace, with nothing left to read."""
    conversation = opened(limits)
    serve(conversation, conversation.say("40" if namespace == "/" else f"40{namespace},"))
    conversation.heard()
    return conversation


def serve(conversation, commands):
    """The application of the official suite."""
    for command in commands:
        if isinstance(command, Join) and command.topic not in TOPICS:
            conversation.tell(Reply(command, error=NotFound()))
        elif isinstance(command, Join):
            conversation.tell(Reply(command))
            conversation.tell(Push(command.topic, encode(["auth", command.params or {}])))
        elif isinstance(command, Send) and command.event == "message":
            conversation.tell(Push(command.topic, encode(["message-back", *command.arguments])))
        elif isinstance(command, Send) and command.event == "message-with-ack":
            conversation.tell(Reply(command, encode(list(command.arguments))))


def said(conversation, *frames):
    for frame in frames:
        serve(conversation, conversation.say(frame))
    return conversation.heard()


def plain(arguments):
    return [msgspec.json.decode(value) if isinstance(value, Raw) else value for value in arguments]


def packet(**fields):
    return msgspec.msgpack.encode(fields)


# What socket.io-msgpack-parser 3.0.2 encodes: undefined, dates and (in Node.js) array buffers are extensions.
CONNECT = bytes.fromhex("83a47479706500a464617461d40000a36e7370a12f")
CONNECT_ADMIN = bytes.fromhex("83a47479706500a46461746181a5746f6b656ea3313233a36e7370a62f61646d696e")
EVENT = bytes.fromhex(
    "84a47479706502a46461746195a3736179a26869cb3ff8000000000000fdce00011170a76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f"
)
EVENT_ACK = bytes.fromhex(
    "85a47479706502a46461746192a373617981a16193c3c0d40000a76f7074696f6e7381a8636f6d7072657373c3a2696407a36e7370a52f726f6f6d"
)
EVENT_BYTES = bytes.fromhex(
    "84a47479706502a46461746193a3736179c7030001020381a164d7000000000005265c00a76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f"
)
ACK = bytes.fromhex("84a47479706503a269640ca46461746191a26f6ba36e7370a12f")
DISCONNECT = bytes.fromhex("82a47479706501a36e7370a12f")


def packed(connect=CONNECT):
    conversation = opened(Limits())
    [join] = conversation.say(connect)
    conversation.tell(Reply(join))
    conversation.heard()
    return conversation
