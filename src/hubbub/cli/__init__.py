"""The command line: one file a verb.

What goes wrong is one sentence on standard error, never a traceback, and an exit code:

    0   done, or ended by Ctrl-C
    1   the server could not be reached, or refused
    2   a mistake in the command, the configuration or the application: nothing was started
"""

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from hubbub import __version__
from hubbub.errors import HubbubError, UsageError
from hubbub.metrics import COMPILED

VERBS = ("run", "demo", "new", "publish", "listen")


class Verbs(click.Group):
    """Imports a verb when it is asked for: publishing one line need not load a server."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"hubbub.cli.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if name not in VERBS and not name.startswith("-"):
            near = difflib.get_close_matches(name, VERBS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(VERBS)}."
            context.fail(f"There is no command {name!r}; {hint}")
        return super().resolve_command(context, arguments)


@click.group("hubbub", cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="hubbub %(version)s" + " (compiled)" * COMPILED)
@click.pass_context
def hubbub(context: click.Context) -> None:
    """The real-time server for Python: every client, one hub."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    try:
        code = hubbub.main(arguments, prog_name="hubbub", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        code = 0
    except click.ClickException as error:
        code = fail(error.format_message(), 2)
    except HubbubError as error:
        code = fail(error.reason, 2 if isinstance(error, UsageError) else 1)
    sys.exit(code if isinstance(code, int) else 0)


def fail(sentence: str, code: int) -> int:
    """Say what went wrong, in one line, and give back the exit code."""
    line = " ".join(sentence.split())
    click.echo(f"{click.style('hubbub:', fg='red')} {line}", err=True)
    return code
