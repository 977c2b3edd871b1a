"""`hubbub run MODULE:APP`: serve an application."""

import os
import signal
from contextlib import ExitStack, suppress
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import urlsplit

import click
from rich.console import Console

from hubbub.app import App
from hubbub.cli import certificate, reload, secrets, target
from hubbub.cli.settings import given, settings
from hubbub.cli.welcome import welcome
from hubbub.config import Config, load
from hubbub.errors import UsageError
from hubbub.servers.standalone import serve
from hubbub.telemetry import set_up_logging


@click.command("run", short_help="Serve an application.")
@click.argument("name", metavar="MODULE:APP")
@settings()
@click.option("--quiet", is_flag=True, help="Do not say what is served where.")
def command(name: str, quiet: bool, **options: object) -> int:
    """Serve the App that MODULE:APP names: chat:app, chat, or path/to/chat.py:app.

    Every setting may also stand in hubbub.toml, in the table [tool.hubbub] of pyproject.toml, or in the environment
    (HUBBUB_PORT and so on). The command line wins.
    """
    directory = Path.cwd()
    config = load(directory, os.environ, options)
    set_up_logging(config.log_level, config.log_format)
    if config.reload:
        told = [name, *given(options)]
        silently = [*told, "--quiet"]
        again = silently if quiet or config.port != 0 else told  # a free port is another one each time
        return reload.supervise(silently if quiet else told, again, target.folder(name, directory))
    start(target.find(name, directory), name, config, quiet=quiet)
    return 0


def start(app: App, name: str, config: Config, *, quiet: bool = False) -> None:
    """Serve, and say so, until a signal ends it. Raises UsageError."""
    if config.broker is not None:
        app.broker_url = config.broker
    if config.ssl_certfile is not None:
        certificate.check(config.ssl_certfile, config.ssl_keyfile)
    password = app.secret = config.secret or app.secret or token_urlsafe(32)
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # one way to end: what was begun is finished, also here
    with ExitStack() as stack:

        def ready(url: str) -> None:
            with suppress(OSError, UsageError):  # publishers on this machine must then be told it, like all others
                stack.enter_context(secrets.left(urlsplit(url).port or 0, password))
            if not quiet:
                welcome(name, url, app.doors(), app.broker_url, config, console)

        serve(app, config, ready)
