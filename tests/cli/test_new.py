"""`hubbub new`: what it writes runs and passes its test, and nothing is written over."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import DEADLINE, Run, assert_mistake


def test_the_new_projects_own_test_passes(hubbub: Run, folder: Path) -> None:
    done = hubbub("new", "my-chat")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cd my-chat" in done.stdout
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio"],
        cwd=folder / "my-chat",
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_the_project_bears_its_name_everywhere(hubbub: Run, folder: Path) -> None:
    hubbub("new", "garden")
    files = [path for path in (folder / "garden").rglob("*") if path.is_file()]
    names = {str(path.relative_to(folder / "garden")) for path in files}
    assert names >= {"app.py", "pages/index.html", "test_app.py", "README.md", "pyproject.toml", ".gitignore"}
    assert not any("PROJECT" in path.read_text() for path in files)
    assert "<title>garden</title>" in (folder / "garden" / "pages" / "index.html").read_text()


def test_nothing_is_written_over(hubbub: Run, folder: Path) -> None:
    (folder / "chat").mkdir()
    (folder / "chat" / "app.py").write_text("mine")
    assert_mistake(hubbub("new", "chat"), r"There is something named chat here already\.")
    assert [path.name for path in (folder / "chat").iterdir()] == ["app.py"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/x", "-x", "7up", "a b", "x" * 65, "a-", "ä", "a\n"])
def test_a_name_is_a_word(hubbub: Run, folder: Path, name: str) -> None:
    assert_mistake(hubbub("new", "--", name), r".* is no name for a project: .*")
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(hubbub: Run, folder: Path) -> None:
    (folder / "chat").symlink_to(folder / "nowhere" / "at" / "all")
    assert_mistake(hubbub("new", "chat"), r"There is something named chat here already\.")
