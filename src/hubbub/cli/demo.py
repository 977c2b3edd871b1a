"""`hubbub demo [NAME]`: run one of the demos, and keep what is said in it."""

import os
from pathlib import Path

import click
import msgspec

from hubbub.cli import folders, run, target
from hubbub.cli.settings import settings
from hubbub.config import load
from hubbub.errors import UsageError
from hubbub.telemetry import set_up_logging

PACKAGE = Path(__file__).parents[1]
PLACES = (PACKAGE / "demos", PACKAGE.parents[1] / "demos")
"""Where demos are: in an installed package, and in a checkout."""


@click.command("demo", short_help="Run one of the demos.")
@click.argument("name", default="chat")
@click.option("--list", "only_list", is_flag=True, help="Say which demos there are.")
@settings("host", "port", "broker", "log_level")
def command(name: str, only_list: bool, **options: object) -> int:
    """Run the demo NAME: the chat, unless told otherwise.

    What is said in it is kept in a database of this user, and survives a restart.
    """
    found = demos()
    if only_list:
        width = max(map(len, found), default=0)
        for each in found:
            click.echo(f"{each:{width}}  {title(found[each])}")
        return 0
    if name not in found:
        raise UsageError(f"There is no demo {name!r}; there are {', '.join(found) or 'none at all'}.")
    # No files: the working directory may hold another application's settings.
    config = load(None, os.environ, options)
    if config.broker is None:
        config = msgspec.structs.replace(config, broker=f"sqlite:///{folders.data() / name}.db")
    set_up_logging(config.log_level, config.log_format)
    run.start(target.find(str(found[name] / "app.py"), Path.cwd()), f"the demo {name}", config)
    return 0


def demos() -> dict[str, Path]:
    """The demos by name."""
    return {app.parent.name: app.parent for place in PLACES for app in sorted(place.glob("*/app.py"))}


def title(folder: Path) -> str:
    """The first line of the demo's README."""
    try:
        return (folder / "README.md").read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
    except OSError:
        return ""
