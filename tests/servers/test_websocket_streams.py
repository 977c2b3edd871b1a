"""However a stream is cut, its events are the same; whatever it holds, nothing is raised; another library agrees."""

from codecs import getincrementaldecoder

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from hubbub.errors import ProtocolError
from hubbub.servers.control import Close, Ping, Pong
from hubbub.servers.deflate import Inflater, compress
from hubbub.servers.websocket import BINARY, CLOSE, CONTINUATION, TEXT, Event, FrameReader
from tests.servers.frames import client_frame, first_bad_byte, read, said

LIMIT = 300

payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([bytes(125), bytes(126), bytes(LIMIT), bytes(LIMIT + 1)]),
    st.sampled_from([1000, 1005, 3000, 5000]).map(lambda code: code.to_bytes(2) + b"bye"),
)

likely = st.builds(
    client_frame,
    opcode=st.sampled_from([TEXT, BINARY, CONTINUATION, CONTINUATION, 9, 10]),
    payload=payloads,
    final=st.sampled_from([True, True, False]),
)
unlikely = st.builds(
    client_frame,
    opcode=st.integers(0, 15),
    payload=payloads,
    final=st.booleans(),
    reserved=st.integers(0, 7),
    mask=st.sampled_from([b"mask", None]),
)
closing = st.builds(client_frame, opcode=st.just(CLOSE), payload=payloads)


@st.composite
def deflated(draw: st.DrawFn) -> bytes:
    """A compressed message in one or two fragments, sometimes broken."""
    body = draw(st.one_of(payloads.map(compress), st.binary(max_size=10)))
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    cut = draw(st.integers(0, len(body)))
    if draw(st.booleans()):
        return client_frame(opcode, body, reserved=4)
    return client_frame(opcode, body[:cut], final=False, reserved=4) + client_frame(CONTINUATION, body[cut:])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A valid message in fragments, with control frames between them."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    body = draw(st.text(max_size=60)).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
    pieces = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    stream = b""
    for index, piece in enumerate(pieces):
        stream += client_frame(CONTINUATION if index else opcode, piece, final=index == len(pieces) - 1)
        if draw(st.booleans()):
            stream += client_frame(9, piece[:125])
    return stream


frames = st.one_of(messages(), messages(), messages(), likely, closing, unlikely)
streams_of_frames = st.lists(frames, max_size=8).map(b"".join)
streams = st.lists(st.one_of(frames, st.binary(max_size=9)), max_size=8).map(b"".join)
deflated_streams = st.lists(st.one_of(deflated(), messages()), max_size=6).map(b"".join)


def new_reader(compression: bool, limit: int = LIMIT) -> FrameReader:
    return FrameReader(limit, 1_000, Inflater() if compression else None)


def cut_at(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[start:stop] for start, stop in zip([0, *places], [*places, len(stream)], strict=True)]


@settings(max_examples=400, deadline=None)
@given(st.one_of(streams, deflated_streams), st.lists(st.integers(0, 10_000), max_size=10), st.booleans())
def test_cuts_change_nothing(stream: bytes, cuts: list[int], compression: bool) -> None:
    whole = said(new_reader(compression).feed(stream))
    assert said(read(new_reader(compression), cut_at(stream, cuts))) == whole
    assert said(read(new_reader(compression), [bytes([byte]) for byte in stream])) == whole


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=100), streams, deflated_streams), max_size=4), st.booleans())
def test_nothing_is_raised_and_nothing_follows_the_end(pieces: list[bytes], compression: bool) -> None:
    events = read(new_reader(compression), pieces)
    ends = [index for index, event in enumerate(events) if isinstance(event, Close | ProtocolError)]
    assert all(type(event) in (str, bytes, Ping, Pong, Close, ProtocolError) for event in events)
    assert ends in ([], [len(events) - 1])


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=12))
def test_text_is_what_the_unicode_standard_says(payload: bytes) -> None:
    reader = new_reader(False)
    stream = client_frame(TEXT, payload)
    answers = [said(reader.feed(piece)) for piece in [stream[:6], *(bytes([byte]) for byte in stream[6:])]]
    bad = first_bad_byte(payload)
    if bad is None:
        assert answers[-1] == [payload.decode()]
    else:
        assert answers.index([1007]) == min(bad + 1, len(payload))


# -- against another library ----------------------------------------------------------------------------------------

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


class Theirs:
    """The sans-I/O server of the ``websockets`` library, saying what it hears in our words.

    It leaves to its callers what we do here: putting fragments together, and UTF-8. It counts limits in another way,
    with the Pings within a message, so there are none.
    """

    def __init__(self, compression: bool) -> None:
        extensions = [ServerPerMessageDeflateFactory(server_max_window_bits=15)] if compression else []
        self.protocol = ServerProtocol(extensions=extensions, max_size=None)
        self.protocol.receive_data(REQUEST)
        (request,) = self.protocol.events_received()
        self.protocol.send_response(self.protocol.accept(request))  # type: ignore[arg-type]
        self.opcode = Opcode.CONT
        self.body = b""

    def feed(self, stream: bytes) -> list[object]:
        self.protocol.receive_data(stream)
        told: list[object] = []
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            told += self._hear(event)
            if told and type(told[-1]) in (Close, int):
                return told
        error = self.protocol.parser_exc
        if error is not None and not isinstance(error, EOFError):
            told.append(1007 if isinstance(error, UnicodeDecodeError) or "decompression" in str(error) else 1002)
        return told

    def _hear(self, event: Frame) -> list[object]:
        data = bytes(event.data)
        if event.opcode is Opcode.PING:
            return [Ping(data)]
        if event.opcode is Opcode.PONG:
            return [Pong(data)]
        if event.opcode is Opcode.CLOSE:
            return [Close(int.from_bytes(data[:2]) if data else 1005, data[2:].decode())]
        if event.opcode is not Opcode.CONT:
            self.opcode, self.body = event.opcode, b""
        self.body += data
        if self.opcode is Opcode.TEXT:
            try:
                message: str | bytes = getincrementaldecoder("utf-8")().decode(self.body, event.fin)
            except UnicodeDecodeError:
                return [1007]
        else:
            message = self.body
        return [message] if event.fin else []


def known_difference(ours: Event, theirs: object) -> bool:
    """Whether the two last events differ for a reason that is known."""
    match ours:
        case Close():
            return theirs == 1002  # it refuses a Close within a message, which section 5.4 allows
        case ProtocolError(reason="a length in more bytes than it needs"):
            return True  # it takes what section 5.2 forbids, and goes on
    return False


@settings(max_examples=600, deadline=None)
@given(streams_of_frames)
def test_another_library_hears_the_same(stream: bytes) -> None:
    events, theirs = new_reader(False, 1_000_000).feed(stream), Theirs(False).feed(stream)
    if events and theirs and known_difference(events[-1], theirs[min(len(events), len(theirs)) - 1]):
        del events[-1], theirs[len(events) :]
    assert said(events) == theirs


@settings(max_examples=300, deadline=None)
@given(st.lists(payloads, max_size=6), st.integers(0, 20))
def test_another_library_inflates_the_same(bodies: list[bytes], cut: int) -> None:
    stream = b""
    for body in map(compress, bodies):
        stream += client_frame(BINARY, body[:cut], final=False, reserved=4) + client_frame(CONTINUATION, body[cut:])
    assert new_reader(True, 1_000_000).feed(stream) == Theirs(True).feed(stream) == bodies
