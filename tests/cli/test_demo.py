"""`hubbub demo`: the demos are found and run, and what is said in them is kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run, Running, assert_mistake

Start = Callable[..., Running]


def test_the_demos_are_listed(hubbub: Run) -> None:
    done = hubbub("demo", "--list")
    assert done.returncode == 0
    assert {"chat", "tutorial"} <= {line.split()[0] for line in done.stdout.splitlines()}


def test_a_demo_that_is_not_there_is_one_sentence_that_names_those_that_are(hubbub: Run) -> None:
    assert_mistake(hubbub("demo", "nope"), r"There is no demo 'nope'; there are chat, .*tutorial.*\.")


@pytest.mark.parametrize("arguments", [[], ["chat"], ["tutorial"]])
def test_a_demo_runs_and_keeps_what_is_said_where_the_user_keeps_data(
    start: Start, folder: Path, arguments: list[str]
) -> None:
    name = arguments[0] if arguments else "chat"
    running = start("demo", *arguments)
    assert f"serves the demo {name} at http://127.0.0.1:" in running.first_line
    database = folder.parent / "data" / "hubbub" / f"{name}.db"
    assert f"sqlite:///{database}" in running.rest()
    assert database.is_file()


def test_another_broker_can_be_asked_for(start: Start, folder: Path) -> None:
    assert "memory://" in start("demo", "tutorial", "--broker", "memory://").rest()
    assert not (folder.parent / "data" / "hubbub").exists()


def test_the_settings_of_the_folder_are_for_another_application(start: Start, folder: Path) -> None:
    (folder / "hubbub.toml").write_text('broker = "carrier-pigeon://x"')
    assert "sqlite:///" in start("demo").rest()
