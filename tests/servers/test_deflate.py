"""Compressed messages: the examples of RFC 7692, the limits, what is broken, and what is sent."""

import random
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.servers.control import Ping
from hubbub.servers.deflate import (
    FINAL_BLOCKS,
    Inflater,
    compress,
)
from hubbub.servers.websocket import (
    BINARY,
    CONTINUATION,
    PING,
    TEXT,
    WORTHWHILE,
    Event,
    FrameReader,
    deflated_frame,
    frame,
)
from tests.servers.frames import client_frame, read, said

RSV1 = 4


def new_reader(limit: int = 1_000_000, inflater: Inflater | None = None) -> FrameReader:
    return FrameReader(limit, 100_000, inflater or Inflater())


def packed(body: bytes, opcode: int = BINARY) -> bytes:
    return client_frame(opcode, body, reserved=RSV1)


# -- the examples of RFC 7692, section 7.2.3 ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "f2 48 cd c9 c9 07 00",  # one fixed block
        "00 05 00 fa ff 48 65 6c 6c 6f 00",  # not compressed
        "f3 48 cd c9 c9 07 00 00",  # marked as the final block
        "f2 48 05 00 00 00 ff ff ca c9 c9 07 00",  # two blocks
    ],
)
def test_hello_in_all_its_forms(body: str) -> None:
    stream = packed(bytes.fromhex(body), TEXT)
    assert new_reader().feed(stream) == ["Hello"]
    assert read(new_reader(), [bytes([byte]) for byte in stream]) == ["Hello"]
    assert new_reader().feed(stream * 3) == ["Hello"] * 3


def test_hello_in_two_fragments() -> None:
    first = client_frame(TEXT, bytes.fromhex("f248cd"), final=False, reserved=RSV1)
    second = client_frame(CONTINUATION, bytes.fromhex("c9c90700"))
    assert new_reader().feed(first + client_frame(PING, b"") + second) == [Ping(b""), "Hello"]


def test_the_second_hello_may_refer_to_the_first() -> None:
    stream = packed(bytes.fromhex("f248cdc9c90700"), TEXT) + packed(bytes.fromhex("f200110000"), TEXT)
    assert new_reader().feed(stream) == ["Hello", "Hello"]
    forgetful = new_reader(inflater=Inflater(keep_context=False))
    assert said(forgetful.feed(stream)) == ["Hello", 1007]


@pytest.mark.parametrize("body", [b"\x00", b"\x02\x00", b""])
def test_an_empty_message(body: bytes) -> None:
    stream = (
        packed(bytes.fromhex("f248cdc9c90700"), TEXT) + packed(body, TEXT) + packed(bytes.fromhex("f200110000"), TEXT)
    )
    assert new_reader().feed(stream) == ["Hello", "", "Hello"]


def test_a_final_block_may_be_the_last_thing_said() -> None:
    hello = packed(bytes.fromhex("f348cdc9c90700"), TEXT)  # without the zero byte that the RFC puts behind it
    assert new_reader().feed(hello * 2) == ["Hello", "Hello"]


def test_messages_may_stay_uncompressed() -> None:
    assert new_reader().feed(client_frame(TEXT, b"a") + packed(compress(b"b"), TEXT) + client_frame(TEXT, b"c")) == [
        *"abc"
    ]


# -- where RSV1 may be (RFC 7692, section 6) ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stream",
    [
        client_frame(TEXT, b"a", final=False, reserved=RSV1) + client_frame(CONTINUATION, b"b", reserved=RSV1),
        client_frame(TEXT, b"a", final=False) + client_frame(CONTINUATION, b"b", reserved=RSV1),
        client_frame(PING, b"", reserved=RSV1),
        client_frame(8, b"", reserved=RSV1),
        *(client_frame(TEXT, b"a", reserved=bits) for bits in [1, 2, 3, 5, 6, 7]),
    ],
)
def test_reserved_bits_stay_reserved(stream: bytes) -> None:
    assert said(new_reader().feed(stream)) == [1002]


# -- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"\x00", b"ab", random.Random(1).randbytes(997)])
def test_the_limit_is_on_what_comes_out(content: bytes) -> None:
    message = (content * 20_000)[:20_000]
    for limit, expected in [(20_000, [message]), (20_001, [message]), (19_999, [1009])]:
        stream = packed(compress(message))
        assert said(new_reader(limit).feed(stream)) == expected
        assert said(read(new_reader(limit), [stream[i : i + 1] for i in range(len(stream))])) == expected


def test_noise_grows_by_compression_and_still_fits() -> None:
    noise = random.Random(2).randbytes(20_000)
    body = compress(noise)
    assert len(body) > 20_000
    assert new_reader(20_000).feed(packed(body)) == [noise]


def test_a_compressed_length_beyond_reason_is_refused_before_its_payload() -> None:
    head = bytes((0xC2, 0xFE)) + (2_000).to_bytes(2) + b"mask"
    assert said(new_reader(1_000).feed(head)) == [1009]


def bomb() -> bytes:
    """1 MB that inflates to 1 GB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(bytes(1_000_000)) + compressor.flush(zlib.Z_FULL_FLUSH)) * 1_000 + b"\x00"


def test_bombs_do_not_go_off() -> None:
    body = bomb()
    pieces = [body[start : start + 500] for start in range(0, len(body), 500)]
    fragments = client_frame(BINARY, pieces[0], final=False, reserved=RSV1)
    fragments += b"".join(client_frame(CONTINUATION, piece, final=False) for piece in pieces[1:])
    whole = packed(body)
    began = time.process_time()
    assert said(new_reader(1_000_000).feed(whole)) == [1009]
    assert said(new_reader(1_000_000).feed(fragments)) == [1009]
    assert time.process_time() - began < 1  # to inflate it takes longer, and more memory than there is to spare


def test_a_limit_holds_for_every_message_of_a_context() -> None:
    reader = new_reader(1_000)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)

    def next_message(size: int) -> bytes:
        return packed((compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4])

    for _ in range(50):
        assert reader.feed(next_message(1_000)) == [bytes(1_000)]
    assert said(reader.feed(next_message(1_001))) == [1009]


def test_final_blocks_are_counted() -> None:
    final = b"\x03\x00"
    assert new_reader().feed(packed(final * FINAL_BLOCKS + b"\x00") * 2) == [b"", b""]
    began = time.process_time()
    assert said(new_reader().feed(packed(final * 400_000))) == [1008]
    assert time.process_time() - began < 2


def test_a_million_empty_blocks_are_an_empty_message() -> None:
    assert new_reader().feed(packed(b"\x00\x00\x00\xff\xff" * 200_000 + b"\x00")) == [b""]


# -- what is broken -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "ff ff ff ff",  # a block of the type that does not exist
        "00 05 00 00 00 48 65 6c 6c 6f 00",  # a length that its complement denies
        "f2 00 11 00 00",  # looks back to where nothing was
        "f2 48 cd",  # breaks off
        "00 05 00 fa ff 48",  # breaks off in a block that is not compressed
        "f2 48 cd c9 c9 07 00 00 00 ff ff",  # with the tail that should have been left out
        "05 c0 81 00",  # a table of codes that is not one
    ],
)
def test_corrupt_data_ends_the_connection(body: str) -> None:
    broken = packed(bytes.fromhex(body))
    for inflater in (Inflater(keep_context=False), Inflater()):
        reader = new_reader(inflater=inflater)
        assert said(reader.feed(packed(b"\x00") + broken + packed(b"\x00"))) == [b"", 1007]
        assert reader.feed(packed(b"\x00")) == []


def test_compressed_text_must_be_text() -> None:
    for bad in (b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"a" * 500 + b"\xc0"):
        assert said(new_reader().feed(packed(compress(bad), TEXT))) == [1007]


def test_bad_text_is_refused_before_the_message_has_come_whole() -> None:
    compressor = zlib.compressobj(0, zlib.DEFLATED, -15)
    body = compressor.compress(b"abc\xff" * 20) + compressor.flush(zlib.Z_SYNC_FLUSH) + b"more to come"
    assert said(new_reader().feed(client_frame(TEXT, body, final=False, reserved=RSV1))) == [1007]


def test_connections_do_not_mix() -> None:
    readers = [new_reader() for _ in range(3)]
    streams = [packed(compress(bytes([index]) * 5_000)) for index in range(3)]
    answers: list[list[Event]] = [[], [], []]
    for position in range(max(map(len, streams))):
        for index in range(3):
            answers[index] += readers[index].feed(streams[index][position : position + 1])
    assert answers == [[bytes([index]) * 5_000] for index in range(3)]


# -- what is sent ---------------------------------------------------------------------------------------------------


def test_a_message_is_compressed_without_context_and_without_its_tail() -> None:
    body = compress(b"Hello")
    assert body == compress(b"Hello") == bytes.fromhex("f248cdc9c90700")
    assert deflated_frame("Hello" * 60) == deflated_frame(b"Hello" * 60).replace(b"\xc2", b"\xc1", 1)
    assert deflated_frame("Hello" * 60)[0] == 0xC1


def test_what_compression_would_not_make_smaller_is_sent_as_it_is() -> None:
    noise = random.Random(3).randbytes(1_000)
    assert deflated_frame(noise) == frame(noise)
    assert deflated_frame("") == frame("")


def test_what_is_short_is_not_worth_it() -> None:
    short = "x" * (WORTHWHILE - 1)
    assert deflated_frame(short) == frame(short)
    assert len(deflated_frame(short + "x")) < 20


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([b"abc", b"\x00" * 300, b"lorem ipsum", random.Random(4).randbytes(251)]), max_size=60),
    st.integers(8, 15),
)
def test_a_client_follows_with_no_more_window_than_agreed_on(parts: list[bytes], window: int) -> None:
    payload = b"".join(parts)
    decoder = zlib.decompressobj(-window)
    assert decoder.decompress(compress(payload, window) + b"\x00\x00\xff\xff") == payload
