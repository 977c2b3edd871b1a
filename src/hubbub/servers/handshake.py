"""The opening handshake of a WebSocket (RFC 6455, section 4.2), and the HTTP response to one that is refused. Pure.

Rules:

1. One request, one answer: whoever is refused is told to close the connection, so that nobody between can take what
   comes next for another request.
2. Headers are read strictly (RFC 9110, section 5), in time that grows with their length alone.
3. No header that is written holds a control character, wherever it came from.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1
from http import HTTPStatus
from typing import Self

import msgspec

from hubbub.errors import ProtocolError, UsageError, WrongMethod
from hubbub.protocols.base import Response, challenge

MAX_LINE = 8_192
"""Bytes in one line of the request: what Apache and nginx take, too."""

MAX_HEADERS = 128
"""Header lines in one request. Browsers send about 20."""

VERSION = "13"

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What is appended to the client's key (section 1.3)."""


class VersionNotSupported(ProtocolError):
    """Only version 13 of the WebSocket protocol is spoken here."""

    status = 426


class TargetTooLong(ProtocolError):
    """The request's target is too long."""

    status = 414


class HeadersTooLarge(ProtocolError):
    """The request has too many headers, or one that is too long."""

    status = 431


class Handshake(msgspec.Struct, frozen=True):
    """A valid request to open a WebSocket."""

    target: str
    """Path and query, as they were sent."""
    headers: dict[str, str]
    """Names are lower-case. What came more than once is one list, with commas."""
    key: str
    rest: bytes = b""
    """What came behind the request: the first frames of a client in a hurry."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a whole request. Raises ProtocolError, whose ``status`` is that of the refusal."""
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            raise ProtocolError("the request is not complete")
        first, *lines = head.split(b"\r\n")
        target = _read_request_line(first)
        headers = _read_headers(lines)
        _check(headers)
        return cls(target, headers, headers["sec-websocket-key"], rest)

    def accept(
        self, subprotocol: str | None = None, extensions: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> bytes:
        """The response that opens the WebSocket."""
        digest = sha1(self.key.encode() + GUID, usedforsecurity=False).digest()
        fields = list(headers)
        if extensions is not None:
            fields.insert(0, ("Sec-WebSocket-Extensions", extensions))
        if subprotocol is not None:
            fields.insert(0, ("Sec-WebSocket-Protocol", subprotocol))
        return b"%b%b\r\n%b\r\n" % (_ACCEPTED, b64encode(digest), _write_fields(fields))


def wants_websocket(data: bytes) -> bool:
    """Whether this may be a whole request to open a WebSocket: ``Handshake.parse`` says whether it is one."""
    return _UPGRADE.search(data, 0, MAX_LINE) is not None and b"\r\n\r\n" in data


def reject(response: Response) -> bytes:
    """The whole of an HTTP response, after which the connection is closed."""
    fields = [*response.headers, ("Content-Length", str(len(response.body))), ("Connection", "close")]
    fields += challenge(response)
    if response.content_type:
        fields.append(("Content-Type", response.content_type))
    if response.status == VersionNotSupported.status:
        # Section 4.4, and RFC 9110, section 15.5.22: a 426 says which versions, and which protocol, are spoken here
        fields += [("Sec-WebSocket-Version", VERSION), ("Upgrade", "websocket")]
    return _write_head(response.status, fields) + response.body


# -- reading --------------------------------------------------------------------------------------------------------

_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*websocket", re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"([A-Za-z]+) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
_HOST = re.compile(r"(?:\[[0-9A-Za-z:.%~_\-]+\]|[0-9A-Za-z\-._~%!$&'()*+,;=]+)(?::[0-9]{0,5})?")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_KEY = re.compile(r"[0-9A-Za-z+/]{22}==")  # sixteen bytes as base64

_ONCE = frozenset({"host", "origin", "sec-websocket-key", "sec-websocket-version", "content-length"})


def _read_request_line(line: bytes) -> str:
    if len(line) > MAX_LINE:
        raise TargetTooLong
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise ProtocolError("a broken request line")
    method, target, version = found.groups()
    if method != b"GET":
        raise WrongMethod("GET")
    if version != b"1.1":
        raise ProtocolError("a WebSocket is opened with HTTP/1.1")
    if not target.startswith(b"/") or b"#" in target:
        raise ProtocolError("the request's target is not a path")
    return target.decode()


def _read_headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MAX_HEADERS:
        raise HeadersTooLarge
    headers: dict[str, str] = {}
    for line in lines:
        if len(line) > MAX_LINE:
            raise HeadersTooLarge
        found = _HEADER.fullmatch(line)
        if found is None:
            raise ProtocolError("a broken header")
        name, value = found.groups()
        key, text = name.decode().lower(), value.strip(b" \t").decode("latin-1")
        if key not in headers:
            headers[key] = text
        elif key in _ONCE:
            raise ProtocolError(f"two headers {key}")
        else:
            headers[key] += f", {text}"
    return headers


def _check(headers: dict[str, str]) -> None:
    """Section 4.2.1, point by point."""
    if len(host := headers.get("host", "")) > 260 or _HOST.fullmatch(host) is None:  # 253 of a name, and a port
        raise ProtocolError("no valid Host")
    if "websocket" not in _list(headers, "upgrade"):
        raise ProtocolError("no Upgrade to websocket")
    if "upgrade" not in _list(headers, "connection"):
        raise ProtocolError("no Connection: Upgrade")
    if "sec-websocket-version" not in headers:
        raise ProtocolError("no Sec-WebSocket-Version")
    if headers["sec-websocket-version"] != VERSION:
        raise VersionNotSupported
    if _KEY.fullmatch(headers.get("sec-websocket-key", "")) is None:
        raise ProtocolError("no valid Sec-WebSocket-Key")
    if any(_TOKEN.fullmatch(name) is None for name in _list(headers, "sec-websocket-protocol")):
        raise ProtocolError("Sec-WebSocket-Protocol is not a list of tokens")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise ProtocolError("a WebSocket is opened without a body")


def _list(headers: dict[str, str], name: str) -> list[str]:
    """The elements of a list, in lower case. Empty ones do not count (RFC 9110, section 5.6.1.2)."""
    if name not in headers:
        return []
    return [element for part in headers[name].lower().split(",") if (element := part.strip(" \t"))]


# -- writing --------------------------------------------------------------------------------------------------------

_ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
_FIELD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*")


def _write_head(status: int, fields: Iterable[tuple[str, str]]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, phrase.encode(), _write_fields(fields))


def _write_fields(fields: Iterable[tuple[str, str]]) -> bytes:
    written = b""
    for name, value in fields:
        line = f"{name}: {value}"
        if _FIELD.fullmatch(line) is None:
            raise UsageError(f"the header {name!r} cannot be sent: {value!r}")
        written += line.encode("latin-1") + b"\r\n"
    return written
