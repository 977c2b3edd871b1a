"""What the server says of itself. Structured and quiet: one line an event, and no line for what goes well.

An event's sentence is constant; what varies goes beside it, so that programs can count and people can search:

    log.warning("the outbox overflowed", extra={"topic": topic, "client": client})

    14:03:07 warning  the outbox overflowed  topic=/chat client=127.0.0.1                 (console)
    {"time":"2026-01-31T14:03:07.512Z","level":"warning","logger":"hubbub.hub","event":...}      (json)
"""

import json
import logging
import sys
import time
from typing import Any, TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What every LogRecord has; the rest came by ``extra``. (``color_message`` is uvicorn's copy of its sentence.)"""
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}  # ANSI, ECMA-48 8.3.117


def set_up_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send what is logged to ``stream`` (standard error), in the given form: console, json, or auto for console on a
    terminal and json elsewhere.

    Belongs to the command line: an application that mounts Hubbub has its own logging.
    """
    stream = stream or sys.stderr
    if form == "auto":
        form = "console" if stream.isatty() else "json"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter() if form == "json" else ConsoleFormatter(colours=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # At "info" these tell of every request and every start; the start-up table and the exit code say that.
    least = logging.DEBUG if level == "debug" else max(root.level, logging.WARNING)
    for chatty in ("uvicorn", "asyncio", "websockets", "watchfiles"):
        logging.getLogger(chatty).setLevel(least)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JSONFormatter(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in _fields(record).items() if name not in line}
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False, separators=(",", ":"))


class ConsoleFormatter(logging.Formatter):
    """A line for people; only a traceback takes more than one.

    What clients sent may be among the values, so control characters are escaped: nobody writes a second line, or
    moves the reader's cursor (CWE-117).
    """

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self.colours = colours

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower():8}"
        if self.colours:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        values = " ".join(f"{name}={_printable(str(value))}" for name, value in _fields(record).items())
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{clock} {level} {_printable(record.getMessage())}" + (f"  {values}" if values else "")
        if record.exc_info and record.exc_info[0] is not None:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
