"""SockJS's pages: the greeting, what the server can do, the frame for other origins, and who may ask. Pure.

Source: as of sockjs_transports.
"""

from collections.abc import Callable
from hashlib import sha256
from html import escape

import msgspec

from hubbub.errors import ProtocolError
from hubbub.protocols.base import Request, Response, Session
from hubbub.protocols.sockjs_transports import WEBSOCKET

Headers = tuple[tuple[str, str], ...]

NOT_CACHED: Headers = (("cache-control", "no-store, no-cache, no-transform, must-revalidate, max-age=0"),)
"""Word for word as the specification has it. "iOS 6 caches POSTs." """

CACHED: Headers = (
    ("cache-control", "public, max-age=31536000"),
    # Caches follow max-age and use this only if they are of 1996: as far ahead as nginx goes with `expires max`.
    ("expires", "Thu, 31 Dec 2037 23:55:55 GMT"),
)

CLIENT = "/sockjs/sockjs.min.js"
"""Where we serve sockjs-client, which the frame loads."""

FRAME = """<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="%s"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"""


class SockJS(msgspec.Struct, frozen=True, kw_only=True):
    """How SockJS is spoken at a path: ``@app.socket("/echo", sockjs=SockJS(cookie=True))``."""

    websocket: bool = True
    """Whether WebSockets are offered, to SockJS clients and bare ones."""
    cookie: bool = False
    """Whether clients get a cookie ``JSESSIONID``: some load balancers keep a client on one server by it."""
    response_limit: int = 131_072
    """Bytes after which a stream is ended, and the client asks for another: browsers keep all of a response in memory
    until it ends."""
    disconnect_delay: float = 5.0
    """Seconds without a request that listens after which the client is gone."""
    client_url: str = ""
    """Where the frame for other origins finds sockjs-client; here, unless told otherwise."""


def greet(request: Request, options: SockJS, session: Session) -> Response:
    return Response(body=b"Welcome to SockJS!\n")


def inform(request: Request, options: SockJS, session: Session) -> Response:
    """What clients ask first; how long the answer takes is what they take a round trip to be."""
    told = {
        "websocket": options.websocket,
        "origins": ["*:*"],  # "List of allowed origins. Currently ignored."
        "cookie_needed": options.cookie,
        "entropy": int.from_bytes(sha256(session.key.encode()).digest()[:4]),
    }
    return Response(body=msgspec.json.encode(told), content_type="application/json; charset=UTF-8", headers=NOT_CACHED)


def frame(request: Request, options: SockJS, session: Session) -> Response:
    """A page of this origin for pages of others to talk through."""
    body = (FRAME % escape(options.client_url or request.root + CLIENT)).encode()
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = (*CACHED, ("etag", tag))
    known = [known.strip().removeprefix("W/") for known in request.headers.get("if-none-match", "").split(",")]
    if tag in known:
        return Response(304, content_type="", headers=headers)
    return Response(body=body, content_type="text/html; charset=UTF-8", headers=headers)


def allow(request: Request, options: SockJS, session: Session) -> Response:
    """The answer to OPTIONS. Which origin and which headers, the server says itself."""
    return Response(204, content_type="", headers=(*CACHED, ("access-control-max-age", "31536000")))


def insist(request: Request, options: SockJS, session: Session) -> Response:
    raise ProtocolError('Can "Upgrade" only to "WebSocket".')


def page(request: Request, base: str, options: SockJS, session: Session) -> Response:
    """The page at this path below ``base``. Raises Refused."""
    return _at(request, base)(request, options, session)


def _at(request: Request, base: str) -> Callable[[Request, SockJS, Session], Response]:
    if request.method == "OPTIONS":
        return allow
    name, *more = request.path.split("/")[base.count("/") + 1 :] or [""]
    if more and more[-1] == WEBSOCKET:
        return insist
    if name == "info":
        return inform
    return frame if name else greet
