r"""SockJS on the wire: how a frame is written on each kind of response, and how messages are written and read. Pure.

Source: the repository sockjs/sockjs-protocol, sockjs-protocol.py (0.3.3 and later). Sentences in quotes are from there.

A frame is a letter and what belongs to it, whatever carries it:

    o                       the session is open
    a["message","another"]  messages, each a text
    h                       a sign of life
    c[3000,"Go away!"]      the session is over, and why

Rules:

1. A transport knows how to write one frame, and what comes before the first one. It holds no state.
2. A message is written as a JSON text in which nothing is left that a browser, a proxy or a script could mistake.
"""

import json
import re
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring
from urllib.parse import parse_qsl

import msgspec

from hubbub.errors import Invalid, ProtocolError
from hubbub.messages import Frame
from hubbub.protocols.base import Line, Request

OPEN, HEARTBEAT = "o", "h"


def array(messages: Sequence[Frame]) -> str:
    """The frame of these messages, each written by ``quote``."""
    return f"a[{','.join(map(str, messages))}]"


def close(code: int, reason: str) -> str:
    return f"c[{code},{quote(reason)}]"


# -- how a frame is written --------------------------------------------------------------------------------------------

JAVASCRIPT = "application/javascript; charset=UTF-8"
FORM = "application/x-www-form-urlencoded"

PRELUDE = "h" * 2_048 + "\n"
"""Old browsers show nothing of a response before it has 2 KiB."""

HTML = """<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.%s;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>"""
"""The page whose scripts call its parent. Some browsers show nothing of a page before it has 1 KiB."""


class Transport(msgspec.Struct, frozen=True):
    """A way to hear of a session. ``write`` makes of a frame a piece of the response, and ``prelude`` comes before the
    first piece; both are given the name of the client's callback, where there is one."""

    name: str
    """The last part of its URL."""
    method: str
    line: Line
    content_type: str
    write: Callable[[str, str], str]
    prelude: Callable[[str], str] = lambda callback: ""
    calls_back: bool = False


def _line(frame: str, callback: str) -> str:
    return f"{frame}\n"


def _event(frame: str, callback: str) -> str:
    # The suite does not tell, but sockjs-client decodes this as it would a URL (lib/transport/receiver/eventsource.js).
    return f"data: {frame.replace('%', '%25')}\r\n\r\n"


def _script(frame: str, callback: str) -> str:
    # A `</script>` in a message would end the script around it, and begin the next one (CVE-2020-8823).
    text = _json(frame).replace("<", r"\u003c")
    return f"<script>\np({text});\n</script>\r\n"


def _call(frame: str, callback: str) -> str:
    # The comment is for a browser that was told to take this for something else than a script (CVE-2014-4671).
    return f"/**/{callback}({_json(frame)});\r\n"


def _json(frame: str) -> str:
    return encode_basestring(frame)


TRANSPORTS = {
    transport.name: transport
    for transport in (
        Transport("xhr", "POST", "poll", JAVASCRIPT, _line),
        Transport("xhr_streaming", "POST", "stream", JAVASCRIPT, _line, lambda callback: PRELUDE),
        Transport("eventsource", "GET", "stream", "text/event-stream", _event, lambda callback: "\r\n"),
        Transport(
            "htmlfile", "GET", "stream", "text/html; charset=UTF-8", _script,
            lambda callback: (HTML % callback).ljust(1_024) + "\r\n\r\n", calls_back=True,
        ),
        Transport("jsonp", "GET", "poll", JAVASCRIPT, _call, calls_back=True),
    )
}  # fmt: skip

SENDERS = ("xhr_send", "jsonp_send")
WEBSOCKET = "websocket"

_CALLBACK = re.compile(r"[a-zA-Z0-9\-_.]{1,128}")


def transport(request: Request) -> Transport | None:
    """Which one this request is; None for those that only send, and for a WebSocket."""
    return TRANSPORTS.get(request.path.rpartition("/")[2])


def callback(request: Request) -> str:
    """The function that the client wants called. Raises Invalid."""
    name = request.query.get("c") or request.query.get("callback")
    if not name:
        raise Invalid('"callback" parameter required')
    if _CALLBACK.fullmatch(name) is None:
        raise Invalid('invalid "callback" parameter')
    return name


_SEGMENT = re.compile(r"[^./]{1,255}")


def is_session(parts: Sequence[str]) -> bool:
    """Whether these parts of a path are those of a session: what load balancers go by, the client's own name for it,
    and the transport. "But not an empty string, anything containing dots or paths with less or more parts." """
    return len(parts) == 3 and all(_SEGMENT.fullmatch(part) for part in parts[:2])


# -- how messages are written and read ---------------------------------------------------------------------------------

_UNSAFE = re.compile("[\ud800-\udfff\u200c-\u200f\u2028-\u202f\u2060-\u206f\ufff0-\uffff]")
"""Beside control characters, which JSON itself does not allow: what scripts and browsers change on their way, and
halves of surrogate pairs, which are no Unicode."""


def quote(text: str) -> str:
    """A text as JSON that survives every transport."""
    quoted = encode_basestring(text)
    return quoted if quoted.isascii() else _UNSAFE.sub(_escape, quoted)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def texts(data: str, limit: int) -> list[str]:
    """The messages in an array of texts, or the one that is a text. Raises ValueError for anything else, ProtocolError
    for more than ``limit``."""
    try:
        messages = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(messages, str):
        return [messages]
    if not isinstance(messages, list) or not all(isinstance(message, str) for message in messages):
        raise ValueError("not an array of texts")
    if len(messages) > limit:
        raise ProtocolError(f"more than {limit} messages at once", 1009)
    return messages


def posted(request: Request, data: Frame, limit: int) -> list[str]:
    """The messages in the body of a request. Raises Invalid, and of too many ProtocolError."""
    if isinstance(data, bytes):
        raise Invalid("Broken JSON encoding.")
    if request.path.endswith("/jsonp_send") and request.headers.get("content-type", "").startswith(FORM):
        data = _form_field(data)
    if not data:
        raise Invalid("Payload expected.")
    try:
        return texts(data, limit)
    except ValueError:
        raise Invalid("Broken JSON encoding.") from None


def _form_field(data: str) -> str:
    """The field ``d`` of a form."""
    try:
        return dict(reversed(parse_qsl(data, max_num_fields=10))).get("d", "")
    except ValueError:
        return ""
