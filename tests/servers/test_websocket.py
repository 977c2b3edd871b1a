"""What a client's frames become, case by case: the ground that the Autobahn groups 1 to 7 and 10 cover, in memory.

Every stream is read whole, byte by byte and with more behind it; ``test_websocket_streams.py`` cuts at random.
"""

import sys
import time
import tracemalloc

import pytest

from hubbub.errors import ProtocolError
from hubbub.servers.control import Close, Ping, Pong
from hubbub.servers.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FrameReader,
    binary_frame,
    close_frame,
    frame,
    ping_frame,
    pong_frame,
    text_frame,
)
from tests.servers.frames import client_frame, first_bad_byte, read, said

LIMIT = 70_000


def text(payload: bytes | str, *, final: bool = True) -> bytes:
    return client_frame(TEXT, payload.encode() if isinstance(payload, str) else payload, final=final)


def more(payload: bytes | str, *, final: bool = True) -> bytes:
    return client_frame(CONTINUATION, payload.encode() if isinstance(payload, str) else payload, final=final)


def binary(payload: bytes) -> bytes:
    return client_frame(BINARY, payload)


def ping(payload: bytes = b"") -> bytes:
    return client_frame(PING, payload)


def close(code: int, reason: bytes = b"") -> bytes:
    return client_frame(CLOSE, code.to_bytes(2) + reason)


SIZES = [0, 1, 16, 125, 126, 127, 128, 65_535, 65_536]

CASES: dict[str, tuple[bytes, list[object]]] = {
    # -- whole messages (5.2, 5.6) --
    **{f"text of {size}": (text("*" * size), ["*" * size]) for size in SIZES},
    **{f"binary of {size}": (binary(b"\xfe" * size), [b"\xfe" * size]) for size in SIZES},
    "of the largest size allowed": (binary(bytes(LIMIT)), [bytes(LIMIT)]),
    "ten in a row": (text("a") * 10, ["a"] * 10),
    # -- pings and pongs (5.5.2, 5.5.3) --
    "empty ping": (ping(), [Ping(b"")]),
    "ping with text": (ping(b"Hello"), [Ping(b"Hello")]),
    "ping with bytes": (ping(b"\x00\xff\xfe\xfd"), [Ping(b"\x00\xff\xfe\xfd")]),
    "ping of 125": (ping(b"\xfe" * 125), [Ping(b"\xfe" * 125)]),
    "ping of 126": (ping(b"\xfe" * 126), [1002]),
    "unasked pong": (client_frame(PONG, b"x"), [Pong(b"x")]),
    "pong, then ping": (client_frame(PONG, b"x") + ping(b"y"), [Pong(b"x"), Ping(b"y")]),
    "ten pings": (ping(b"p") * 10, [Ping(b"p")] * 10),
    # -- reserved bits (5.2) --
    **{f"reserved bits {bits}": (client_frame(TEXT, b"x", reserved=bits), [1002]) for bits in range(1, 8)},
    "reserved bits after a message": (text("a") + client_frame(TEXT, b"b", reserved=3), ["a", 1002]),
    "reserved bits in a ping": (client_frame(PING, b"", reserved=7), [1002]),
    "reserved bits in a close": (client_frame(CLOSE, b"", reserved=4), [1002]),
    # -- reserved opcodes (5.2) --
    **{f"opcode {code}": (text("a") + client_frame(code, b"x") + text("b"), ["a", 1002]) for code in [3, 4, 5, 6, 7]},
    **{f"opcode {code}": (text("a") + client_frame(code, b"x") + text("b"), ["a", 1002]) for code in range(11, 16)},
    # -- masks and lengths (5.1, 5.2) --
    "not masked": (text_frame("x"), [1002]),
    "not masked and empty": (text_frame(""), [1002]),
    "a mask of zeros": (client_frame(TEXT, b"abc", mask=bytes(4)), ["abc"]),
    "5 bytes with a 16-bit length": (b"\x81\xfe\x00\x05" + bytes(9), [1002]),
    "125 bytes with a 16-bit length": (b"\x81\xfe\x00\x7d" + bytes(129), [1002]),
    "65,535 bytes with a 64-bit length": (b"\x82\xff" + (65_535).to_bytes(8) + bytes(4), [1002]),
    "a length of 2**63": (b"\x82\xff" + (1 << 63).to_bytes(8) + bytes(4), [1002]),
    "a length of 2**63 - 1": (b"\x82\xff" + ((1 << 63) - 1).to_bytes(8) + bytes(4), [1009]),
    "a length of 2**32": (b"\x82\xff" + (1 << 32).to_bytes(8) + bytes(4), [1009]),
    "one byte too many": (b"\x82\xff" + (LIMIT + 1).to_bytes(8) + bytes(4), [1009]),
    "one byte too many after a message": (text("a") + b"\x82\xff" + (LIMIT + 1).to_bytes(8) + bytes(4), ["a", 1009]),
    # -- fragments (5.4) --
    "ping in two fragments": (client_frame(PING, b"a", final=False) + more("b"), [1002]),
    "pong in two fragments": (client_frame(PONG, b"a", final=False) + more("b"), [1002]),
    "close in fragments": (client_frame(CLOSE, b"", final=False), [1002]),
    "text in two fragments": (text("frag", final=False) + more("ment"), ["fragment"]),
    "binary in two fragments": (client_frame(BINARY, b"\xff", final=False) + more(b"\xfe"), [b"\xff\xfe"]),
    "a ping between fragments": (text("a", final=False) + ping(b"p") + more("b"), [Ping(b"p"), "ab"]),
    "empty fragments": (text("", final=False) + more("", final=False) + more(""), [""]),
    "an empty one among fragments": (text("", final=False) + more("middle", final=False) + more(""), ["middle"]),
    "pings everywhere": (
        text("1", final=False) + ping(b"a") + more("2", final=False) + ping(b"b") + more("3") + ping(b"c"),
        [Ping(b"a"), Ping(b"b"), "123", Ping(b"c")],
    ),
    "a final continuation of nothing": (more("x") + text("y"), [1002]),
    "a continuation of nothing": (more("x", final=False) + text("y"), [1002]),
    "a continuation after a whole message": (text("a") + more("b"), ["a", 1002]),
    "a message within a message": (text("a", final=False) + text("b"), [1002]),
    "a fragment within a message": (text("a", final=False) + client_frame(BINARY, b"b", final=False), [1002]),
    "too big together": (
        client_frame(BINARY, bytes(LIMIT), final=False) + more(b"") + more(b"x"),
        [bytes(LIMIT), 1002],
    ),
    "one byte too big together": (client_frame(BINARY, bytes(LIMIT), final=False) + more(b"x"), [1009]),
    "64 KiB in frames of 1,300": (
        text("*" * 1_300, final=False) + more("*" * 1_300, final=False) * 49 + more("*" * 536),
        ["*" * 65_536],
    ),
    # -- closing (5.5.1, 7.4) --
    "close": (client_frame(CLOSE, b""), [Close(1005, "")]),
    "close with one byte": (client_frame(CLOSE, b"\x03"), [1002]),
    "close with a code": (close(1000), [Close(1000, "")]),
    "close with a reason": (close(1000, b"bye"), [Close(1000, "bye")]),
    "close with a long reason": (close(1000, b"*" * 123), [Close(1000, "*" * 123)]),
    "close with too long a reason": (close(1000, b"*" * 124), [1002]),
    "close with a reason that is no text": (close(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80"), [1007]),
    "close with half a character": (close(1000, b"\xe2\x82"), [1007]),
    "a message after close": (client_frame(CLOSE, b"") + text("late"), [Close(1005, "")]),
    "a ping after close": (client_frame(CLOSE, b"") + ping(), [Close(1005, "")]),
    "two closes": (close(1000) + close(1001), [Close(1000, "")]),
    "rubbish after close": (close(1000) + b"\xff" * 20, [Close(1000, "")]),
    "close within a message": (text("frag", final=False) + close(1000) + more("ment"), [Close(1000, "")]),
    "a message, then close": (text("a") + close(1000), ["a", Close(1000, "")]),
    **{
        f"close with code {code}": (close(code), [Close(code, "")])
        for code in [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
    },
    **{
        f"close with code {code}": (close(code), [1002])
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]
    },
}

FINISHED = (Close, int)


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    stream, expected = CASES[name]
    assert said(FrameReader(LIMIT, 1_000).feed(stream)) == expected


@pytest.mark.parametrize("name", CASES)
def test_case_byte_by_byte(name: str) -> None:
    stream, expected = CASES[name]
    reader = FrameReader(LIMIT, 1_000)
    assert said(read(reader, [bytes([byte]) for byte in stream])) == expected


@pytest.mark.parametrize("name", CASES)
def test_case_with_more_behind_it(name: str) -> None:
    stream, expected = CASES[name]
    finished = isinstance(expected[-1], FINISHED)
    assert said(FrameReader(LIMIT, 1_000).feed(stream + text("more"))) == (
        expected if finished else [*expected, "more"]
    )


@pytest.mark.parametrize("name", [name for name, (stream, _) in CASES.items() if len(stream) < 200])
def test_case_cut_once_anywhere(name: str) -> None:
    stream, expected = CASES[name]
    for cut in range(len(stream) + 1):
        assert said(read(FrameReader(LIMIT, 1_000), [stream[:cut], stream[cut:]])) == expected


# -- text (8.1) -----------------------------------------------------------------------------------------------------

VALID = [
    "", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "😀" * 40,
    # the first and the last of each length, the neighbours of the surrogates, and characters that are none
    "\x00", "\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff",
    "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\ufdd0", "\U0001ffff", "\U0010fffe",
]  # fmt: skip

INVALID = [
    b"\x80", b"\xbf", b"\x80\xbf", bytes(range(0x80, 0xC0)),  # continuations of nothing
    b"\xc2 ", b"\xdf ", b"\xe0\xa0 ", b"\xef\xbf ", b"\xf0\x90\x80 ", b"\xf4\x8f\xbf ",  # sequences that break off
    b"\xc2", b"\xe2\x82", b"\xf0\x9f\x98",  # at the end
    b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf",  # overlong
    b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf", b"\xc0\x80", b"\xe0\x80\x80",
    b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80",  # surrogates
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",  # beyond U+10FFFF
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
]  # fmt: skip


@pytest.mark.parametrize("message", VALID)
def test_text_survives_any_fragmentation(message: str) -> None:
    payload = message.encode()
    assert FrameReader(LIMIT, 1_000).feed(text(payload)) == [message]
    for cut in range(len(payload) + 1):
        stream = text(payload[:cut], final=False) + ping() + more(payload[cut:])
        assert FrameReader(LIMIT, 1_000).feed(stream) == [Ping(b""), message]


@pytest.mark.parametrize("payload", INVALID)
def test_bytes_that_are_no_text_are_refused(payload: bytes) -> None:
    for before, after in [(b"", b""), ("κόσμε".encode(), b""), (b"", b"and more"), (b"a" * 200, b"b" * 200)]:
        whole = before + payload + after
        assert said(FrameReader(LIMIT, 1_000).feed(text("a") + text(whole))) == ["a", 1007]
        for cut in range(len(before), len(before) + len(payload) + 1):
            stream = text(whole[:cut], final=False) + more(whole[cut:])
            assert said(FrameReader(LIMIT, 1_000).feed(stream)) == [1007]


@pytest.mark.parametrize("payload", INVALID)
@pytest.mark.parametrize("fragmented", [False, True])
def test_a_bad_byte_is_refused_before_the_frame_has_come_whole(payload: bytes, fragmented: bool) -> None:
    bad = first_bad_byte(payload + b" ")
    assert bad is not None
    start = text("κόσμε", final=False) if fragmented else b""
    frame = (more if fragmented else text)(payload + b" " + b"a" * 20)
    pieces = [start + frame[:6], *(bytes([byte]) for byte in frame[6:])]
    reader = FrameReader(LIMIT, 1_000)
    answers = [said(reader.feed(piece)) for piece in pieces]
    assert answers.index([1007]) == bad + 1  # the first piece is all that comes before the payload


# -- limits ---------------------------------------------------------------------------------------------------------


def test_a_length_is_refused_before_its_payload_and_takes_no_memory() -> None:
    reader = FrameReader(1_000_000, 1_000)
    tracemalloc.start()
    try:
        reader.feed(b"\x82\xff" + (1_000_000).to_bytes(8) + b"mask")
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()
    assert said(FrameReader(999_999, 1_000).feed(b"\x82\xff" + (1_000_000).to_bytes(8) + b"mask")) == [1009]


def test_fragments_that_are_too_big_together_are_refused_where_they_cross() -> None:
    reader = FrameReader(10, 1_000)
    assert reader.feed(client_frame(BINARY, bytes(6), final=False)) == []
    assert reader.feed(more(bytes(4), final=False)) == []
    assert said(reader.feed(more(b"x")[:6])) == [1009]


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_fragments_are_counted_even_when_they_are_empty(payload: bytes) -> None:
    allowed = text(payload, final=False) + more(payload, final=False) * 98 + more(payload)
    assert FrameReader(LIMIT, 100).feed(allowed * 2) == [(payload * 100).decode()] * 2
    assert said(FrameReader(LIMIT, 99).feed(allowed)) == [1008]


def test_a_limit_below_the_smallest_frames_holds() -> None:
    assert said(FrameReader(3, 10).feed(text("abc") + text("abcd"))) == ["abc", 1009]


def test_nothing_is_heard_after_an_error() -> None:
    reader = FrameReader(LIMIT, 10)
    assert said(reader.feed(text("a") + text_frame("not masked") + text("b"))) == ["a", 1002]
    assert reader.feed(text("c")) == []
    assert reader.feed(b"\xff") == []


def test_errors_have_a_reason_for_people() -> None:
    (error,) = FrameReader(100, 10).feed(binary(bytes(101)))
    assert isinstance(error, ProtocolError)
    assert (error.close_code, error.reason) == (1009, "a message of more than 100 bytes")


# -- cost -----------------------------------------------------------------------------------------------------------


def test_a_frame_that_comes_byte_by_byte_costs_what_its_bytes_cost() -> None:
    stream = binary(bytes(400_000))
    reader = FrameReader(1_000_000, 10)
    began = time.process_time()
    events = read(reader, [stream[index : index + 1] for index in range(len(stream))])
    assert events == [bytes(400_000)]
    # 1 s here; copying what came before at each byte would move 80 GB
    assert time.process_time() - began < 8


def test_many_fragments_cost_what_their_bytes_cost() -> None:
    stream = text("a", final=False) + more("b", final=False) * 100_000 + more("c")
    began = time.process_time()
    (message,) = FrameReader(1_000_000, 200_000).feed(stream)
    assert message == "a" + "b" * 100_000 + "c"
    assert time.process_time() - began < 8


def test_an_idle_reader_keeps_no_buffer() -> None:
    busy = text("x" * 50_000)
    readers = [FrameReader(LIMIT, 10) for _ in range(100)]
    tracemalloc.start()
    try:
        for reader in readers:
            assert read(reader, [busy[:30_000], busy[30_000:]]) == ["x" * 50_000]
        assert tracemalloc.get_traced_memory()[0] < 100 * 100
    finally:
        tracemalloc.stop()
    assert sys.getsizeof(readers[0]) <= 80


# -- what the server sends ------------------------------------------------------------------------------------------


def test_frames_of_the_server_are_not_masked() -> None:
    assert text_frame("Hello") == text_frame(b"Hello") == frame("Hello") == bytes.fromhex("810548656c6c6f")
    assert binary_frame(b"Hello") == frame(b"Hello") == bytes.fromhex("820548656c6c6f")
    assert ping_frame(b"Hello") == bytes.fromhex("890548656c6c6f")
    assert pong_frame(b"Hello") == bytes.fromhex("8a0548656c6c6f")
    assert ping_frame() == b"\x89\x00"


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (256, b"\x82\x7e\x01\x00"),
        (65_535, b"\x82\x7e\xff\xff"),
        (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_length_takes_as_few_bytes_as_it_can(size: int, head: bytes) -> None:
    assert frame(bytes(size)) == head + bytes(size)


def test_text_is_counted_in_bytes() -> None:
    assert frame("ü" * 63) == b"\x81\x7e\x00\x7e" + "ü".encode() * 63


def test_lone_surrogates_cannot_be_sent() -> None:
    with pytest.raises(UnicodeEncodeError):
        frame("\ud800")


def test_close_frames() -> None:
    assert close_frame() == close_frame(1005, "unsaid") == b"\x88\x00"
    assert close_frame(1000) == b"\x88\x02\x03\xe8"
    assert close_frame(4000, "bye") == b"\x88\x05\x0f\xa0bye"


def test_a_long_reason_is_cut_between_characters() -> None:
    assert close_frame(1000, "a" * 200) == b"\x88\x7d\x03\xe8" + b"a" * 123
    assert close_frame(1000, "ü" * 100) == b"\x88\x7c\x03\xe8" + "ü".encode() * 61
    assert close_frame(1000, "\ud800") == b"\x88\x03\x03\xe8?"
