"""What a POST to a topic asks for: its body in four types, or a message of the native protocol. Pure.

Specification: docs/protocols/http.md.
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, UnsetType

from hubbub.errors import ProtocolError
from hubbub.messages import Arguments, Form, Join, Leave, Raw, Send, canonical
from hubbub.protocols import http
from hubbub.protocols.base import Request
from hubbub.protocols.http import UnsupportedMediaType

FIELDS = 1_000
"""The most fields in a form."""

ID_LENGTH = 255
"""Characters in an ``Idempotency-Key``."""


class PostedMessage(msgspec.Struct):
    """A message of the native protocol."""

    send: str | None = None
    join: str | None = None
    leave: str | None = None
    event: str | None = None
    id: str | None = None
    after: str | None = None
    params: Raw | UnsetType = UNSET
    payload: Raw | UnsetType = UNSET


def read_post(request: Request, data: bytes, known: bool) -> Sequence[Join | Leave | Send]:
    """What is to be done. Who is not ``known`` joins first. Raises ProtocolError, Invalid or UnsupportedMediaType."""
    if request.headers.get("content-encoding", "identity") not in ("", "identity"):
        raise UnsupportedMediaType("send the body as it is, uncompressed")
    if "topic" in request.variables:
        topic, _, event = request.variables["topic"].rpartition("/")
        if not topic and "/" not in request.variables["topic"]:
            raise ProtocolError("which event? The URL is /topics/{topic}/{event}")
        command: Join | Leave | Send = Send(canonical(topic or "/"), event, read_body(request, data))
    else:
        command = _read_message(request, data, known)
    if not isinstance(command, Send):
        return (command,)
    if not command.event:
        raise ProtocolError("which event?")
    command = msgspec.structs.replace(command, ref=0, id=_read_id(request, command.id))
    if known:
        return (command,)
    named = next((join for join in http.read_joins(request) if join.topic == command.topic), None)
    params = http.read_params(request) if named is None else named.params
    return (Join(command.topic, params), command)


def _read_message(request: Request, data: bytes, known: bool) -> Join | Leave | Send:
    try:
        message = msgspec.json.decode(_read_json(request, data), type=PostedMessage)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"this is no message: {error}".replace("`", "")[:300]) from None
    if message.send is not None:
        arguments = () if message.payload is UNSET else (message.payload,)
        return Send(canonical(message.send), message.event or "", arguments, 0, message.id)
    if not known:
        raise ProtocolError("without Hubbub-Connection a message is a send")
    if message.join is not None:
        return http.as_join(message.join, message.params, message.after)
    if message.leave is not None:
        return Leave(canonical(message.leave))
    raise ProtocolError("a message has one of send, join, leave")


def _read_id(request: Request, id: str | None) -> str | None:
    """The client's name for this send. The header may be a string in quotes, as its draft has it, or bare."""
    name = request.headers.get("idempotency-key", "").strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    name = name or id or ""
    if len(name) > ID_LENGTH:
        raise ProtocolError(f"an Idempotency-Key has at most {ID_LENGTH} characters")
    return name or None


def read_body(request: Request, data: bytes) -> Arguments:
    """The payload. Raises ProtocolError or UnsupportedMediaType."""
    kind = _media_type(request)
    if not data:  # some clients say that nothing is octets
        return ()
    # In a form these characters are percent-encoded: what begins so is JSON, from a `curl -d` that was not told.
    if kind == http.FORM and data[:1] not in (b"{", b"[", b'"'):
        return (_read_form(data),)
    if kind == http.BYTES:
        return (data,)
    if kind == "text/plain":
        return (_read_text(data),)
    return (_raw(_read_json(request, data)),)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _read_json(request: Request, data: bytes) -> bytes:
    kind = _media_type(request)
    if kind not in ("", http.JSON, http.FORM, "text/plain") and not kind.endswith("+json"):
        raise UnsupportedMediaType(f"a body of the type {kind[:100]!r} cannot be read here")
    return _read_text(data).encode()


def _read_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError("the body is not UTF-8") from None


def _raw(text: bytes) -> Raw:
    try:
        return Raw(bytes(msgspec.json.decode(text, type=Raw)))
    except RecursionError:
        raise ProtocolError("the body is nested too deeply") from None
    except ValueError as error:
        raise ProtocolError(f"the body is not JSON: {str(error).rpartition(' malformed: ')[2]}"[:300]) from None


def _read_form(data: bytes) -> Form:
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError:
        raise ProtocolError(f"the body is no form of at most {FIELDS} fields in UTF-8") from None
    return Form(reversed(pairs))
