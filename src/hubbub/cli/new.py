"""`hubbub new NAME`: a project to begin with. It is a chat that runs, and a test that passes."""

import re
from pathlib import Path

import click

from hubbub.cli.plain import plain
from hubbub.errors import UsageError

TEMPLATE = Path(__file__).parent / "project"
"""The project as it is written out: PROJECT in a file is its name, and ``gitignore`` gets its dot."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}[A-Za-z0-9]|[A-Za-z]")


@click.command("new", short_help="Make a project to begin with.")
@click.argument("name")
def command(name: str) -> int:
    """Make the folder NAME with a chat in it, ready to run."""
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a project: letters, digits, - and _, a letter first.")
    folder = Path(name)
    try:
        folder.mkdir()
    except FileExistsError:
        raise UsageError(f"There is something named {name} here already.") from None
    except OSError as error:
        raise UsageError(f"The folder {name} cannot be made: {plain(error)}.") from None
    try:
        write(folder)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {plain(error)}.") from None
    click.echo(f"{name} is ready:\n\n    cd {name}\n    hubbub run app --reload")
    return 0


def write(folder: Path) -> None:
    """Fill this folder, whose name is the project's."""
    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_dir() or "__pycache__" in source.parts:
            continue
        place = source.relative_to(TEMPLATE)
        target = folder / place.with_name(".gitignore" if place.name == "gitignore" else place.name)
        target.parent.mkdir(exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8").replace("PROJECT", folder.name), encoding="utf-8")
