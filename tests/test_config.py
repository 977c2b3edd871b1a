"""Config: where each setting comes from, and what is said of one that does not fit."""

from pathlib import Path

import pytest

from hubbub.config import SETTINGS, Config, load
from hubbub.errors import UsageError


def test_defaults_serve_this_machine_only(tmp_path: Path) -> None:
    config = load(tmp_path, {}, {})
    assert (config.host, config.port, config.broker, config.lane) == ("127.0.0.1", 3000, None, "fast")


def test_each_source_wins_over_those_before_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.hubbub]\nport = 1\nhost = "a"\nlane = "asgi"\nlog_level = "error"')
    assert load(tmp_path, {}, {}).port == 1
    (tmp_path / "hubbub.toml").write_text('port = 2\nhost = "b"\nlane = "fast"')
    assert load(tmp_path, {}, {}).port == 2
    environ = {"HUBBUB_PORT": "3", "HUBBUB_HOST": "c"}
    assert load(tmp_path, environ, {}).port == 3
    config = load(tmp_path, environ, {"port": "4", "host": None})
    assert (config.port, config.host, config.lane, config.log_level) == (4, "c", "fast", "error")


def test_without_a_directory_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hubbub.toml").write_text("port = 2")
    monkeypatch.chdir(tmp_path)
    assert load(None, {}, {}).port == 3000


def test_a_pyproject_of_other_tools_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.ruff]\nline-length = 1')
    assert load(tmp_path, {}, {}) == Config()


def test_text_becomes_what_the_setting_is(tmp_path: Path) -> None:
    config = load(tmp_path, {"HUBBUB_RELOAD": "true", "HUBBUB_DRAIN_TIMEOUT": "2.5"}, {})
    assert (config.reload, config.drain_timeout) == (True, 2.5)


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, {"HUBBUB_PORT": ""}, {}).port == 3000


@pytest.mark.parametrize(
    ("environ", "options", "sentence"),
    [
        ({"HUBBUB_PORT": "abc"}, {}, "HUBBUB_PORT must be a whole number from 0 to 65535, not 'abc'."),
        ({}, {"port": "65536"}, "--port must be a whole number from 0 to 65535, not '65536'."),
        ({}, {"port": "-1"}, "--port must be a whole number from 0 to 65535, not '-1'."),
        ({"HUBBUB_RELOAD": "maybe"}, {}, "HUBBUB_RELOAD must be true or false, not 'maybe'."),
        ({}, {"lane": "slow"}, "--lane must be fast or asgi, not 'slow'."),
        ({}, {"drain_timeout": "nan"}, "--drain-timeout must be a number of seconds from 0 to 3600, not 'nan'."),
        ({}, {"log_level": "x" * 99}, "--log-level must be debug, info, warning or error, not '" + "x" * 56 + "...."),
        ({"HUBBUB_SECRET": "two\nlines"}, {}, "HUBBUB_SECRET must be printable ASCII without blanks."),
        ({}, {"ssl_keyfile": "k"}, "A private key (ssl_keyfile) needs its certificate (ssl_certfile)."),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_its_source(
    tmp_path: Path, environ: dict[str, str], options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, environ, options)
    assert caught.value.reason == sentence


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("hubbub.toml", 'port = "x"', "hubbub.toml: port must be a whole number from 0 to 65535, not 'x'."),
        ("hubbub.toml", "port = true", "hubbub.toml: port must be a whole number from 0 to 65535, not True."),
        ("hubbub.toml", "prot = 1", "hubbub.toml: there is no setting 'prot'; did you mean port?"),
        ("hubbub.toml", "secret = 5", "hubbub.toml: secret must be printable ASCII without blanks."),
        ("pyproject.toml", "[tool]\nhubbub = 1", "pyproject.toml: tool.hubbub must be a table."),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_it(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError) as caught:
        load(tmp_path, {}, {})
    assert caught.value.reason == sentence


def test_a_file_that_is_not_toml_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "hubbub.toml").write_text("port =\n")
    with pytest.raises(UsageError, match=r"^hubbub\.toml cannot be read: [^\n]+line 1[^\n]+$"):
        load(tmp_path, {}, {})
    (tmp_path / "hubbub.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"^hubbub\.toml cannot be read: [^\n]+$"):
        load(tmp_path, {}, {})


def test_every_setting_has_its_three_names_and_a_description() -> None:
    assert list(SETTINGS) == list(Config.__struct_fields__)
    assert (SETTINGS["drain_timeout"].variable, SETTINGS["drain_timeout"].option) == (
        "HUBBUB_DRAIN_TIMEOUT",
        "--drain-timeout",
    )
    assert all(setting.wanted and setting.description.endswith(".") for setting in SETTINGS.values())


def test_the_secret_is_never_shown(tmp_path: Path) -> None:
    config = load(tmp_path, {"HUBBUB_SECRET": "swordfish"}, {})
    assert config.secret == "swordfish"
    assert "swordfish" not in f"{config!r} {config}"
    assert "port=3000" in repr(config)
