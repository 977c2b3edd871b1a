"""A reader of event streams, written from https://html.spec.whatwg.org/multipage/server-sent-events.html, section
9.2.6: what the standard says a client makes of them."""

import codecs
import json
import re
from typing import Any, NamedTuple


class Event(NamedTuple):
    event: str
    data: Any
    id: str


class Reader:
    """One stream. Pieces may end anywhere."""

    def __init__(self):
        self.retry = None
        self.last_id = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._fields = {}

    def feed(self, data: bytes) -> list[Event]:
        return self.read(self._decode(data))

    def read(self, text: str) -> list[Event]:
        self._text += text
        events = []
        while found := re.search(r"\r\n|\n|\r(?!$)", self._text):
            line, self._text = self._text[: found.start()], self._text[found.end() :]
            if line:
                self._field(line)
            elif event := self._dispatch():
                events.append(event)
        return events

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._fields.setdefault("data", []).append(value)
        elif name == "event":
            self._fields["event"] = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)

    def _dispatch(self) -> Event | None:
        fields, self._fields = self._fields, {}
        data = "\n".join(fields.get("data", []))
        return Event(fields.get("event") or "message", json.loads(data), self.last_id) if data else None


def read_stream(text: str) -> list[Event]:
    """The events of a whole stream."""
    return Reader().read(text)
