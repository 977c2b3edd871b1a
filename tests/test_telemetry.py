"""Telemetry: lines that programs and people can read, and that nobody can forge."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from hubbub.telemetry import ConsoleFormatter, JSONFormatter, set_up_logging


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("hubbub.hub", logging.WARNING, __file__, 1, message, (), None)
    made.created = 1_700_000_000.25
    made.msecs = 250.0
    vars(made).update(fields)
    return made


def with_traceback(message: str) -> logging.LogRecord:
    try:
        raise LookupError("lost")
    except LookupError as error:
        made = record(message)
        made.exc_info = (LookupError, error, error.__traceback__)
        return made


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    chatty = {name: logging.getLogger(name).level for name in ("uvicorn", "asyncio", "websockets", "watchfiles")}
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in chatty.items():
        logging.getLogger(name).setLevel(before)


def test_json_is_one_object_with_the_fields_beside_the_event() -> None:
    line = JSONFormatter().format(record("it overflowed", topic="/chat", size=3))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "hubbub.hub",
        "event": "it overflowed",
        "topic": "/chat",
        "size": 3,
    }


def test_json_takes_what_json_does_not_know() -> None:
    assert json.loads(JSONFormatter().format(record("x", error=ValueError("no"))))["error"] == "no"


def test_json_keeps_a_traceback_inside_its_line() -> None:
    line = JSONFormatter().format(with_traceback("it failed"))
    assert "\n" not in line
    assert "LookupError: lost" in json.loads(line)["traceback"]


def test_the_console_says_clock_level_event_and_values() -> None:
    line = ConsoleFormatter(colours=False).format(record("it overflowed", topic="/chat", size=3))
    assert line.endswith(" warning  it overflowed  topic=/chat size=3")
    assert "\x1b[33mwarning" in ConsoleFormatter(colours=True).format(record("it overflowed"))


def test_the_console_shows_tracebacks() -> None:
    assert "LookupError: lost" in ConsoleFormatter(colours=False).format(with_traceback("it failed"))


def test_a_client_cannot_write_a_line_of_its_own() -> None:
    line = ConsoleFormatter(colours=False).format(record("odd\rname", name_given="a\n14:03:07 info all is well\x1b[2J"))
    assert line.isprintable()
    assert r"a\n14:03:07 info all is well\x1b[2J" in line


def test_auto_is_json_where_nobody_sits(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    set_up_logging("info", "auto", stream)
    logging.getLogger("hubbub.test").info("hello", extra={"n": 1})
    assert json.loads(stream.getvalue())["event"] == "hello"


def test_info_is_quiet_about_what_goes_well(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    set_up_logging("info", "console", stream)
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("hubbub").debug("a detail")
    assert stream.getvalue() == ""
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert "Invalid HTTP request" in stream.getvalue()


def test_debug_is_not(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    set_up_logging("debug", "console", stream)
    logging.getLogger("uvicorn.error").info("Started server process")
    assert "Started server process" in stream.getvalue()
