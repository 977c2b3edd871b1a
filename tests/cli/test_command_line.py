"""`hubbub` itself: help, version, and what it says of a command it does not understand."""

import pytest

from hubbub.cli import VERBS
from hubbub.config import SETTINGS

from .conftest import Run, assert_mistake


def test_alone_it_says_what_it_can_do(hubbub: Run) -> None:
    done = hubbub()
    assert done.returncode == 0
    assert all(f"  {verb} " in done.stdout for verb in VERBS)


def test_it_knows_its_version(hubbub: Run) -> None:
    assert hubbub("--version").stdout.split()[0] == "hubbub"


def test_run_has_an_option_for_every_setting(hubbub: Run) -> None:
    text = hubbub("run", "--help").stdout
    assert all(setting.option in text for setting in SETTINGS.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rum"], r"There is no command 'rum'; did you mean run\?"),
        (["serve-it"], r"There is no command 'serve-it'; there are run, demo, new, publish, listen\."),
        (["run"], r"Missing argument 'MODULE:APP'\."),
        (["run", "chat", "--prot", "1"], r"No such option.*--prot.*"),
        (["publish", "room"], r"Missing argument 'EVENT'\."),
        (["new"], r"Missing argument 'NAME'\."),
    ],
)
def test_what_it_does_not_understand_is_one_sentence(hubbub: Run, arguments: list[str], sentence: str) -> None:
    assert_mistake(hubbub(*arguments), sentence)
