"""Protocols without a network: drive one by hand, and check one against its contract.

    def test_my_protocol():
        check_protocol(start, [("join", "socket"), ("send 1 2 3", "socket")])

where ``start`` gives a conversation that has just begun, and the samples are what a client of it may say then.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

from hubbub.bodies import encode
from hubbub.errors import (
    Banned,
    Conflict,
    Expired,
    Forbidden,
    HubbubError,
    Invalid,
    Kicked,
    Missed,
    NotFound,
    ProtocolError,
    Shutdown,
    TimedOut,
    TooBig,
    TooMany,
    TooSlow,
    Unauthorized,
)
from hubbub.limits import Limits
from hubbub.messages import Bye, Command, Frame, Message, Publication
from hubbub.protocols.base import Line, Protocol, Request, Response, Session

ERRORS: tuple[HubbubError, ...] = (
    Banned(), Conflict(), Expired(), Forbidden(), HubbubError(), Invalid(), Kicked(), Missed(), NotFound(),
    ProtocolError(), Shutdown(), TimedOut(), TooBig(), TooMany(), TooSlow(), Unauthorized(),
)  # fmt: skip
BODIES = (encode(["said", {"text": "\u00e9\u2028\U0001f642"}]), encode(["said", b"\x00\xff", {"more": [b""]}]))
ODDITIES = ('"', "[", "{", "\\", ",", "-", "0", "\u00b2", "\x00", "\x1e", "\ud800", "\U0001f642", "NaN", "9" * 400)


class Conversation:
    """One client of a protocol, served as ``hubbub.connection`` would: an outbox, lines that come and go, and time
    that passes when it is told to.

    ``commands`` are those that the client caused and nobody has taken yet; ``over`` says how it ended.
    """

    def __init__(
        self,
        protocol: type[Protocol],
        request: Request,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        now: float = 1_000.0,
        key: str = "key",
        id: str = "id",
    ) -> None:
        self.now = now
        self.over: str | None = None
        self.commands: list[Command] = []
        self.code: int | None = None
        self._outbox: list[Frame] = []
        self._lines: dict[Line, list[Frame]] = {}
        self._answered: set[Line] = set()
        self.request = request
        self.protocol = protocol(Session(key, id, limits, now))
        self._run(self.protocol.open(request, now))

    # -- the client ------------------------------------------------------------------------------------------------

    def attach(self, line: Line, request: Request | None = None) -> None:
        """The client opens a line, by a request like its first unless told otherwise.

        Raises Conflict or ProtocolError, as the protocol does; by the latter it ends."""
        try:
            self.protocol.attach(line, self.now, request or self.request)
        except ProtocolError as error:
            self.end(error)
            raise
        self._lines[line] = []
        self._answered.discard(line)
        self._drain()

    def detach(self, line: Line) -> None:
        """The client drops a line."""
        del self._lines[line]
        if self.over is None:
            self._run(self.protocol.detach(line, self.now))

    def say(self, data: Frame, line: Line = "socket") -> list[Command]:
        """The client sends a message, or a request with this body. Returns the commands that it caused."""
        try:
            self._run(self.protocol.receive(data, line, self.now))
        except ProtocolError as error:
            self.end(error)
            raise
        commands, self.commands = self.commands, []
        return commands

    def post(self, data: Frame, request: Request | None = None) -> Response:
        """The client posts this, and reads the answer. Raises Refused, as the protocol does."""
        request = request or self.request
        try:
            self._run(self.protocol.post(request, data, self.now))
        except ProtocolError as error:
            self.end(error)
            raise
        return self.protocol.answer("post", b"", request)

    def heard(self, line: Line = "socket") -> list[Frame]:
        """What arrived on a line since the last look."""
        frames = self._lines[line]
        if line == "poll" and frames:
            del self._lines[line]
            return ["".join(frame if isinstance(frame, str) else frame.decode() for frame in frames)]
        self._lines[line] = []
        return frames

    def poll(self) -> Response | None:
        """Attach a poll if there is none, and give its answer, or None while it is held."""
        if "poll" not in self._lines:
            self.attach("poll")
        body = self.heard("poll")
        return self.protocol.answer("poll", str(body[0]).encode(), self.request) if body else None

    # -- the server ------------------------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        """The application tells the client something."""
        self._outbox += self.protocol.send(message)
        self._drain()

    def publish(self, publication: Publication) -> None:
        """The client's topic has a publication."""
        self._outbox += self.protocol.dialect.encode(publication)
        self._drain()

    def end(self, error: HubbubError) -> None:
        """The server ends it."""
        last = {line: self.protocol.close(error, line) for line in self._lines}
        self._drain()
        for line, (frames, code) in last.items():
            self._lines[line] += frames
            self.code = code
        self.over = error.code

    def sleep(self, seconds: float) -> None:
        """Let time pass, and the protocol have its ticks."""
        until = self.now + seconds
        while self.over is None and self.protocol.deadline is not None and self.protocol.deadline <= until:
            self.now = max(self.now, self.protocol.deadline)
            self._run(self.protocol.tick(self.now))
            due = self.protocol.deadline
            assert self.over is not None or due is None or due > self.now, "a tick moves its deadline, or ends it all"
        self.now = until

    # -- inside ----------------------------------------------------------------------------------------------------

    def _run(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, Bye):
                self.over = command.reason
                break
            self.commands.append(command)
        self._drain()

    def _drain(self) -> None:
        for line, heard in self._lines.items():
            if line in self._answered:
                continue
            current = line == self.protocol.line
            packed = self.protocol.pack(self._outbox if current else (), line)
            heard.extend(packed)
            if current:
                self._outbox = []
            if packed and (line == "poll" or (line == "stream" and self.protocol.spent)):
                self._answered.add(line)
                self.protocol.answered(line, self.now)


# -- the contract -------------------------------------------------------------------------------------------------


def check_protocol(start: Callable[[], Conversation], samples: Sequence[tuple[Frame, Line]]) -> None:
    """Assert what every protocol promises. ``start`` gives a new conversation with its lines attached; ``samples``
    are things that its client may say in that order, and the line that each is said on."""
    _check_table(start)
    _check_order(start, samples)
    _check_rubbish(start, samples)
    _check_publications(start, samples)
    _check_time(start)
    _check_errors(start)


def _check_table(start: Callable[[], Conversation]) -> None:
    protocol = type(start().protocol)
    assert protocol.name and protocol.routes, "a protocol has a name and routes"
    for route in protocol.routes:
        assert route.path.startswith("/") and route.line in get_args(Line)


def _check_order(start: Callable[[], Conversation], samples: Sequence[tuple[Frame, Line]]) -> None:
    conversation = start()
    protocol = conversation.protocol
    for data, line in samples:
        protocol.receive(data, line, conversation.now)
        frames: list[Frame] = ["one", b"two", "three"]
        if protocol.plain:
            assert protocol.pack(frames, protocol.line) == frames, "plain, and yet something was owed"
        protocol.pack((), protocol.line)
        assert not protocol.pack((), protocol.line), "what was packed is owed no more"


def _check_rubbish(start: Callable[[], Conversation], samples: Sequence[tuple[Frame, Line]]) -> None:
    """Only ProtocolError leaves ``receive``, whatever is said at whatever point of the conversation."""
    for index, (sample, line) in enumerate(samples):
        for rubbish in corruptions(sample):
            conversation = start()
            for data, earlier in samples[:index]:
                conversation.say(data, earlier)
            try:
                conversation.protocol.receive(rubbish, line, conversation.now)
            except ProtocolError as error:
                assert 1000 <= error.close_code < 5000


def corruptions(sample: Frame) -> Iterator[Frame]:
    """What may become of a message: cut anywhere, followed by more, with an odd piece anywhere, of the wrong type."""
    nothing: Any = sample[:0]
    yield nothing
    if isinstance(sample, str):
        yield sample.encode()
        pieces: Sequence[Any] = ODDITIES
    else:
        yield sample.decode("latin-1")
        pieces = [bytes((byte,)) for byte in (0x00, 0x80, 0xC1, 0xC7, 0xD4, 0xDD, 0xDF, 0xFF)]
    step = max(1, len(sample) // 40)
    for cut in range(0, len(sample) + 1, step):
        yield sample[:cut]
        for piece in pieces:
            yield sample[:cut] + piece + sample[cut:]
            yield sample[:cut] + piece + sample[cut + 1 :]
    yield sample + sample  # type: ignore[operator]
    yield sample + pieces[0] * 100_000


def _check_publications(start: Callable[[], Conversation], samples: Sequence[tuple[Frame, Line]]) -> None:
    """``encode`` depends on nothing but the publication: a dialect says the same at any time of any conversation."""
    conversation = start()
    first = _encoded(conversation.protocol)
    for data, line in samples:
        conversation.say(data, line)
        later = _encoded(conversation.protocol)
        assert all(frames == first.get(what, frames) for what, frames in later.items())
    assert _encoded(start().protocol) == first


def _encoded(protocol: Protocol) -> dict[tuple[str, bytes], tuple[Frame, ...]]:
    dialect = protocol.dialect
    encoded = {(dialect.name, body): dialect.encode(Publication("room:lobby", body)) for body in BODIES}
    for frames in encoded.values():
        assert isinstance(frames, tuple)
        assert all(isinstance(frame, str | bytes) for frame in frames)
    return encoded


def _check_time(start: Callable[[], Conversation]) -> None:
    conversation = start()
    protocol = conversation.protocol
    if protocol.deadline is None:
        return
    assert protocol.deadline > conversation.now, "a deadline lies ahead"
    before = protocol.deadline
    assert not protocol.tick(conversation.now) and protocol.deadline == before, "a tick before its time does nothing"
    conversation.sleep(3_600.0)


def _check_errors(start: Callable[[], Conversation]) -> None:
    for error in ERRORS:
        response = type(start().protocol).refuse(error, Request("GET", "/"))
        assert 400 <= response.status < 600
        for line in ("socket", "stream", "poll", "post"):
            conversation = start()
            frames, code = conversation.protocol.close(error, line)
            assert all(isinstance(frame, str | bytes) for frame in frames)
            assert 1000 <= code < 5000 and code not in (1005, 1006, 1015), "a code that may be sent (RFC 6455, 7.4)"
