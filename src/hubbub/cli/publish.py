"""`hubbub publish TOPIC EVENT JSON`: tell everyone in a topic, from outside the server."""

import http.client
import sys

import click
import msgspec

from hubbub.cli.plain import plain
from hubbub.cli.server import Server, at
from hubbub.cli.settings import settings
from hubbub.errors import HubbubError, UsageError

PATIENCE = 15.0
"""Seconds for the server to answer: a publication waits for the disk, and a busy disk for its turn."""


@click.command("publish", short_help="Tell everyone in a topic something.")
@click.argument("topic")
@click.argument("event")
@click.argument("payload", metavar="[JSON]...", nargs=-1)
@at
@settings("secret")
def command(topic: str, event: str, payload: tuple[str, ...], url: str | None, secret: str | None) -> int:
    """Publish EVENT with its payload in TOPIC, and print the position it got.

    Each JSON is one value of the payload; one that is - is read from standard input. A text is written '"text"'.

    The server wants its secret: --secret, HUBBUB_SECRET, or, of a server that the same user runs on this machine,
    what it left there.
    """
    server = Server.find(url, secret)
    values = [_json(value) for value in payload]
    body = msgspec.json.encode({"topic": topic, "event": event, "payload": values})
    status, answer = post(server, "/hubbub/publish", body)
    if status != 200:
        raise HubbubError(_refusal(server, status, answer))
    position = _field(answer, "position")
    if position:
        click.echo(position)
    else:
        click.echo("published; this topic keeps no history", err=True)
    return 0


def post(server: Server, path: str, body: bytes) -> tuple[int, bytes]:
    """POST JSON, straight and not through a proxy: the secret is for the server alone. Raises HubbubError."""
    headers = {"content-type": "application/json"}
    if server.secret is not None:
        headers["authorization"] = f"Bearer {server.secret}"
    kind = http.client.HTTPSConnection if server.tls else http.client.HTTPConnection
    connection = kind(server.host, server.port, timeout=PATIENCE)
    try:
        connection.request("POST", server.path + path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(1 << 20)
    except (OSError, UnicodeError) as error:
        raise HubbubError(f"{server} cannot be reached: {plain(error)}.") from None
    except http.client.HTTPException:
        raise HubbubError(f"{server} does not speak HTTP.") from None
    finally:
        connection.close()


def _json(text: str) -> msgspec.Raw:
    """One value, checked but as it was written: a number keeps all its digits. Raises UsageError."""
    data = sys.stdin.buffer.read() if text == "-" else text.encode(errors="surrogateescape")
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        shown = "Standard input" if text == "-" else repr(text[:60])
        raise UsageError(f"{shown} is not JSON: {error}; a text is written '\"text\"'.") from None
    return msgspec.Raw(data)


def _refusal(server: Server, status: int, answer: bytes) -> str:
    detail = _field(answer, "detail")
    if status == 401:
        return f"{server} wants its secret: give the right one with --secret or HUBBUB_SECRET."
    if detail is None:
        return f"{server} answered with HTTP status {status}: is Hubbub there?"
    return f"{server} refused it: {detail.rstrip('.')}."


def _field(answer: bytes, name: str) -> str | None:
    try:
        found = msgspec.json.decode(answer, type=dict[str, object]).get(name)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found if isinstance(found, str) else None
