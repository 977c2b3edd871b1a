"""What URL and headers of a Phoenix client say: its version, its session, its token, its parameters. Pure.

Source: the repository phoenixframework/phoenix, lib/phoenix/transports and lib/phoenix/socket.ex, and
assets/js/phoenix/ajax.js for how parameters become a query.
"""

import binascii
import re
from typing import Any, Final

from hubbub.errors import Forbidden
from hubbub.protocols.base import Request

LONGPOLL: Final = "/longpoll"

SESSION: Final = "hubbub."
"""Every long poll's token begins so. An application may well have a parameter ``token`` of its own, and clients of
Phoenix 1.8 write both into one query."""

BEARER: Final = "base64url.bearer.phx."
"""What the WebSocket subprotocol begins with that is none, but the client's token."""

# Phoenix's serializers ask for "~> 1.0.0" and "~> 2.0.0".
_VERSION = re.compile(r"([12])\.0\.(?:0|[1-9][0-9]*)")
_NESTED = re.compile(r"[^\[\]]+(?:\[[^\[\]]+\]){1,8}")


def is_longpoll(request: Request) -> bool:
    return request.path.rstrip("/").endswith(LONGPOLL)


def version(request: Request) -> int:
    """Which version of the protocol is spoken. Raises Forbidden for one that is not known here."""
    found = _VERSION.fullmatch(request.query.get("vsn", "1.0.0"))
    if found is None:
        raise Forbidden("vsn: 1.0.0 and 2.0.0 are spoken here")
    return int(found[1])


def session_key(request: Request) -> str | None:
    """The session that a long poll's request belongs to. Newer clients say it in a header, older ones in the query."""
    said = request.headers.get("x-phoenix-longpoll-token") or _last(request, "token")
    return said.removeprefix(SESSION) if said.startswith(SESSION) else None


def auth_token(request: Request) -> str | None:
    """phoenix.js's ``authToken``. Raises Forbidden for one that cannot be read; no error repeats it."""
    if is_longpoll(request):
        return request.headers.get("x-phoenix-authtoken")
    for name in request.headers.get("sec-websocket-protocol", "").split(","):
        encoded = name.strip()
        if encoded.startswith(BEARER):
            return _from_base64(encoded.removeprefix(BEARER))
    return None


def socket_params(request: Request) -> dict[str, Any]:
    """The parameters given to the client's socket: text, as a query has it, in objects where names have brackets."""
    params: dict[str, Any] = {}
    for name, value in request.query.items():
        if name != "vsn" and not (name == "token" and value.startswith(SESSION)):
            _lay(params, name, value)
    token = auth_token(request)
    if token is not None:
        params["auth_token"] = token
    return params


def _last(request: Request, name: str) -> str:
    values = request.repeated.get(name)
    return values[-1] if values else request.query.get(name, "")


def _from_base64(text: str) -> str:
    """phoenix.js makes it with ``btoa`` and cuts the padding off, others take the alphabet that is safe in URLs."""
    padded = text.translate({ord("-"): "+", ord("_"): "/"}) + "=" * (-len(text) % 4)
    try:
        return binascii.a2b_base64(padded, strict_mode=True).decode()
    except ValueError:
        raise Forbidden("the token cannot be read") from None


def _lay(params: dict[str, Any], name: str, value: str) -> None:
    """``user[name]=Ada`` is ``{"user": {"name": "Ada"}}``. What contradicts an earlier parameter is left out."""
    *way, last = name.replace("]", "").split("[") if _NESTED.fullmatch(name) else [name]
    place: Any = params
    for step in way:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            return
    place.setdefault(last, value)
