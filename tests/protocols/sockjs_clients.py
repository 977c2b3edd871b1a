"""SockJS clients, in the states in which tests begin."""

from hubbub.limits import Limits
from hubbub.protocols.base import Request, Session
from hubbub.protocols.native import Native
from hubbub.protocols.sockjs import NOBODY, SockJSSession, at
from hubbub.protocols.sockjs_pages import SockJS
from hubbub.servers.routes import Routes
from hubbub.testing.conversations import Conversation

LIMITS = Limits(heartbeat=25.0)
SMALL = at("/small", Native, SockJS(response_limit=4_096, cookie=True))


def request(name, method=None, base="/sockjs", headers=(), **query):
    """A request of the session ``abc``, as the server hands it over."""
    method = method or ("GET" if name in ("websocket", "eventsource", "htmlfile", "jsonp") else "POST")
    asked = Request(method, f"{base}/000/abc/{name}", query, dict(headers))
    door, found = Routes([SockJSSession, SMALL]).find(asked)
    assert door is not None
    return found


def start(name, protocol=SockJSSession, limits=LIMITS, **query):
    """A session that is opened by a receiver of this kind. What it is told first is still to be read."""
    line = "socket" if name == "websocket" else "poll" if name in ("xhr", "jsonp") else "stream"
    asked = request(name, base=protocol.path, **query)
    conversation = Conversation(protocol, asked, limits)
    conversation.attach(line)
    return conversation


def opened(name, protocol=SockJSSession, limits=LIMITS, **query):
    """The same, with the open frame and the welcome read."""
    conversation = start(name, protocol, limits, **query)
    if conversation.protocol.line == NOBODY:  # of a poll, which was answered by the open frame
        conversation.heard("poll")
        conversation.attach("poll")
        conversation.heard("poll")
    else:
        conversation.heard(conversation.protocol.line)
    return conversation


def session(key="key"):
    return Session(key, "id", LIMITS, 0.0)
