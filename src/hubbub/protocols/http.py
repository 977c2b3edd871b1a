"""Topics in HTTP: what URLs, headers and bodies ask for, and how replies, refusals and events look. Pure.

Specification: docs/protocols/http.md. Polling and server-sent events stand on this.

Rules:

1. What a client asks is read whole before anything is done: a request that does not fit has no effect.
2. A refusal is a status and problem details (RFC 9457), on every URL and whoever refused.
3. What came as text, in a query or a form, stays text (``Form``): its types are the channel's to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from hubbub.bodies import event_and_payload, parts
from hubbub.errors import Disconnect, HubbubError, Invalid, NotFound, Refused
from hubbub.history import Position
from hubbub.limits import Limits
from hubbub.messages import Form, Join, Leave, Publication, Raw, Reply, canonical
from hubbub.protocols.base import Dialect, Request, Response

EVENT_STREAM = "text/event-stream"
JSON = "application/json"
PROBLEM = "application/problem+json"
FORM = "application/x-www-form-urlencoded"
BYTES = "application/octet-stream"
TAKEN = f"{JSON}, {FORM}, text/plain, {BYTES}"
CONNECTION = "hubbub-connection"

OWN = frozenset({"after", "wait", "limit", "topic", "join"})
"""The parameters of a query that are no join parameters."""

AGAIN = {429: "1", 503: "2"}
"""Seconds after which to try again, by status. A bucket of ``Limits.rate`` has filled a little after one; a restart
takes longer."""


class NotAcceptable(Refused):
    """There are JSON and text/event-stream here."""

    code = "not_acceptable"
    status = 406


class UnsupportedMediaType(Refused):
    """A body of this type cannot be read here."""

    code = "unsupported_media_type"
    status = 415


# -- negotiation -------------------------------------------------------------------------------------------------------


def quality(accept: str, *names: str) -> float:
    """How welcome a media type is (RFC 9110, section 12.5.1). ``names`` are what may stand for it in the header, the
    most precise first: ``application/json``, ``application/*``, ``*/*``."""
    given = {}
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        given[name] = next((_weight(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
    return next((given[name] for name in names if name in given), 0.0)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0


def wants_stream(request: Request) -> bool:
    """Whether this asks for an event stream. It has to say so: ``*/*`` does not."""
    accept = request.headers.get("accept", "")
    stream = quality(accept, EVENT_STREAM)
    return request.method == "GET" and stream > 0 and stream >= quality(accept, JSON)


def takes_json(request: Request) -> bool:
    accept = request.headers.get("accept") or "*/*"
    return quality(accept, JSON, "application/*", "*/*") > 0


# -- what a URL asks for -----------------------------------------------------------------------------------------------


class Asked(msgspec.Struct, frozen=True):
    """A request to listen. ``several``: to any number of topics, by their names, and not to the one of the path."""

    joins: tuple[Join, ...]
    several: bool
    wait: float
    limit: int


class JoinMessage(msgspec.Struct):
    """A join as the native protocol says it."""

    join: str
    params: Raw | UnsetType = UNSET
    after: str | None = None


def read_asked(request: Request, limits: Limits) -> Asked:
    """Raises Invalid."""
    joins = read_joins(request)
    if not joins:
        raise Invalid("topic: missing")
    several = "topic" in request.query or "join" in request.query
    after = request.headers.get("last-event-id") or request.query.get("after", "")
    if after:
        texts = after.split(",") if several else [after]
        if len(texts) != len(joins):
            raise Invalid(f"after: expected {len(joins)} positions, separated by commas, got {len(texts)}")
        joins = [msgspec.structs.replace(join, after=_position(text)) for join, text in zip(joins, texts, strict=True)]
    return Asked(
        tuple(msgspec.structs.replace(join, ref=number) for number, join in enumerate(joins)),
        several,
        min(_number(request, "wait", 0.0), limits.poll),
        int(min(_number(request, "limit", limits.history, least=1), limits.history)),
    )


def read_joins(request: Request) -> list[Join]:
    """A join for each topic, in the order of the URL; the first one counts where one is named twice."""
    params = read_params(request)
    names = values(request, "topic")
    if "topic" in request.variables:
        names = (request.variables["topic"], *names)
    joins = [Join(canonical(name), params) for name in names]
    joins += [_read_join(text) for text in values(request, "join")]
    if not all(join.topic for join in joins):
        raise Invalid("topic: missing")
    return list({join.topic: join for join in reversed(joins)}.values())[::-1]


def read_params(request: Request) -> Form | None:
    """What is said to the channel."""
    return Form((name, value) for name, value in request.query.items() if name not in OWN) or None


def values(request: Request, name: str) -> tuple[str, ...]:
    """All values of a parameter."""
    if name in request.repeated:
        return request.repeated[name]
    return (request.query[name],) if name in request.query else ()


def _read_join(text: str) -> Join:
    try:
        message = msgspec.json.decode(text, type=JoinMessage)
    except (ValueError, RecursionError):
        raise Invalid(
            'join: expected {"join": topic, "params": object, "after": position}, each but the first optional'
        ) from None
    return as_join(message.join, message.params, message.after)


def as_join(topic: str, params: Raw | UnsetType, after: str | None) -> Join:
    """Raises Invalid."""
    return Join(canonical(topic), None if params is UNSET else params, None, _position(after or ""))


def _position(text: str) -> Position | None:
    try:
        return Position.parse(text.strip()) if text.strip() else None
    except ValueError as error:
        raise Invalid(f"after: {error}") from None


def _number(request: Request, name: str, otherwise: float, least: float = 0) -> float:
    text = request.query.get(name)
    try:
        number = otherwise if text is None else float(text)
    except ValueError:
        number = -1.0
    if not isfinite(number) or number < least:
        raise Invalid(f"{name}: expected a number from {least}")
    return number


# -- what is told ------------------------------------------------------------------------------------------------------


def problem(error: HubbubError, status: int | None = None, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """RFC 9457, section 3."""
    status = status or error.status
    told = {"title": error.code.replace("_", " "), "status": status, "detail": error.reason, "code": error.code}
    if status in AGAIN:
        headers += (("retry-after", AGAIN[status]),)
    if status == 415:
        headers += (("accept", TAKEN),)
    return Response(status, msgspec.json.encode(told), PROBLEM, headers)


def refuse(error: HubbubError, request: Request, methods: Sequence[str]) -> Response:
    """The answer to a request that came to nothing, at a URL that knows these methods."""
    if request.method not in methods:
        error = Refused(f"{request.method} is nothing that can be done here", code="method_not_allowed")
        return problem(error, 405, (("allow", ", ".join((*methods, "OPTIONS"))),))
    if type(error) in (NotFound, Disconnect) and CONNECTION in request.headers:
        error = NotFound("there is no such stream (any more)", code="no_connection")
    return problem(error)


def respond(reply: Reply) -> Response:
    """The response that is this reply."""
    if reply.error is not None:
        return problem(reply.error)
    if isinstance(reply.to, Join):
        return Response(200, msgspec.json.encode(result(reply)), JSON)
    told = parts(reply.body)
    if isinstance(reply.to, Leave) or not told:
        return Response(204, content_type="")
    if len(told) == 1 and type(told[0]) is bytes:
        return Response(200, told[0], BYTES)
    return Response(200, msgspec.json.encode(payload(told)), JSON)


def result(reply: Reply) -> dict[str, Any]:
    """How a join went."""
    if reply.error is not None:
        return {"error": {"code": reply.error.code, "reason": reply.error.reason}}
    told: dict[str, Any] = {}
    if reply.position is not None:
        told["position"] = str(reply.position)
    if reply.recovered is not None:
        told["recovered"] = reply.recovered
    if reply.body != b"[]":
        told["reply"] = payload(parts(reply.body))
    return told


def lost(reply: Reply) -> bool:
    """Whether what followed the position that a join asked for cannot be had."""
    return isinstance(reply.to, Join) and reply.to.after is not None and reply.error is None and not reply.recovered


def join_positions(positions: Iterable[Position | None]) -> str | None:
    """Several positions as one text, in the order of the URL."""
    texts = [str(position) if position else "" for position in positions]
    return ",".join(texts) if any(texts) else None


def payload(told: Sequence[Any]) -> Any:
    """No value, the value, or an array of several."""
    return None if not told else told[0] if len(told) == 1 else told


def message(topic: str, body: bytes, position: Position | None = None) -> str:
    """An event as the native protocol says it."""
    where: dict[str, Any] = {"position": str(position)} if position else {}
    try:
        event, told = event_and_payload(body)
        payloads = {"payload": payload(told)} if told else {}
        return msgspec.json.encode({"topic": topic, "event": event, **payloads, **where}).decode()
    except (ValueError, RecursionError):  # it must not stop what others are told
        return msgspec.json.encode({"topic": topic, "error": UNREADABLE, **where}).decode()


UNREADABLE: Mapping[str, str] = {
    "code": "unreadable",
    "reason": "something was published that this protocol cannot say",
}


def encode_message(publication: Publication) -> tuple[str, ...]:
    return (message(publication.topic, publication.body, publication.position),)


MESSAGES = Dialect("http+json", encode_message)
"""Each publication by itself: the events of a page, and of a stream of several topics."""


class Place(msgspec.Struct):
    """What a message says of where it stands."""

    topic: str
    position: str = ""


place = msgspec.json.Decoder(Place).decode
