"""The secret that a server leaves for publishers of the same user."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hubbub.cli import folders, secrets
from hubbub.errors import UsageError


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_it_is_found_while_the_server_runs_and_not_after() -> None:
    assert secrets.find(3000) is None
    with secrets.left(3000, "swordfish"):
        assert secrets.find(3000) == "swordfish"
        assert secrets.find(3001) is None
    assert secrets.find(3000) is None


def test_nobody_else_can_read_it(runtime: Path) -> None:
    with secrets.left(3000, "swordfish"):
        assert stat.S_IMODE((runtime / "hubbub").stat().st_mode) == 0o700
        assert stat.S_IMODE((runtime / "hubbub" / "3000.secret").stat().st_mode) == 0o600


def test_a_killed_servers_secret_is_not_told_to_whoever_has_the_port_now(runtime: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(30)
    folders.private(runtime / "hubbub")
    (runtime / "hubbub" / "3000.secret").write_text(f"{ended.pid} swordfish")
    assert secrets.find(3000) is None
    with secrets.left(3000, "another"):
        assert secrets.find(3000) == "another"


def test_ending_leaves_the_secret_of_the_server_that_came_after(runtime: Path) -> None:
    with secrets.left(3000, "old"):
        (runtime / "hubbub" / "3000.secret").write_text(f"{os.getppid()} new")
    assert secrets.find(3000) == "new"


def test_a_damaged_file_is_no_secret(runtime: Path) -> None:
    folders.private(runtime / "hubbub")
    for content in (b"", b"x y", b"\xff\xff"):
        (runtime / "hubbub" / "3000.secret").write_bytes(content)
        assert secrets.find(3000) is None


def test_a_folder_that_others_can_enter_is_not_used(runtime: Path) -> None:
    (runtime / "hubbub").mkdir(mode=0o755)
    (runtime / "hubbub").chmod(0o755)
    with pytest.raises(UsageError, match="must be this user's, with mode 0700"), secrets.left(3000, "swordfish"):
        pass
    assert secrets.find(3000) is None


def test_a_symbolic_link_in_the_folders_place_is_not_followed(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    (runtime / "hubbub").symlink_to(tmp_path / "theirs")
    with pytest.raises(UsageError, match="must be this user's"), secrets.left(3000, "swordfish"):
        pass
    assert list((tmp_path / "theirs").iterdir()) == []


def test_without_a_runtime_folder_the_temporary_one_has_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with secrets.left(3000, "swordfish"):
        assert [path.name for path in tmp_path.iterdir()] == [f"hubbub-{os.getuid()}"]
        assert secrets.find(3000) == "swordfish"


def test_data_goes_where_the_user_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert folders.data() == tmp_path / "data" / "hubbub"
    assert folders.data().is_dir()


def test_data_goes_to_a_private_temporary_folder_when_there_is_no_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert folders.data() == tmp_path / f"hubbub-{os.getuid()}"
