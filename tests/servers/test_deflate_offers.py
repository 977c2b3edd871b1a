"""What is agreed on about compression, and conversations that keep to it: the ground of Autobahn groups 12 and 13."""

import time

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from hubbub.errors import ProtocolError
from hubbub.servers.deflate import CLIENT_WINDOW, Agreement, negotiate, read_extensions
from hubbub.servers.handshake import Handshake
from hubbub.servers.websocket import FrameReader, deflated_frame
from tests.servers.frames import read


def agreed(**parameters: int | bool | None) -> Agreement:
    nothing: dict[str, int | bool | None] = {
        "client_no_context_takeover": False,
        "server_max_window_bits": None,
        "client_max_window_bits": None,
    }
    return Agreement(**(nothing | parameters))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offers", "agreement"),
    [
        ("permessage-deflate", agreed()),
        ("permessage-deflate; server_no_context_takeover", agreed()),
        ("permessage-deflate; client_no_context_takeover", agreed(client_no_context_takeover=True)),
        ("permessage-deflate; client_max_window_bits", agreed(client_max_window_bits=CLIENT_WINDOW)),
        ("permessage-deflate; client_max_window_bits=15", agreed(client_max_window_bits=CLIENT_WINDOW)),
        ("permessage-deflate; client_max_window_bits=9", agreed(client_max_window_bits=9)),
        ("permessage-deflate; client_max_window_bits=8", agreed(client_max_window_bits=8)),
        ("permessage-deflate; server_max_window_bits=8", agreed(server_max_window_bits=8)),
        ("permessage-deflate; server_max_window_bits=15", agreed(server_max_window_bits=15)),
        ('permessage-deflate; server_max_window_bits="10"', agreed(server_max_window_bits=10)),
        ('permessage-deflate; server_max_window_bits="1\\0"', agreed(server_max_window_bits=10)),
        ("permessage-deflate ;client_max_window_bits = 10\t,x", agreed(client_max_window_bits=10)),
        # an offer that cannot be accepted gives way to the next
        ("permessage-deflate; client_max_window_bits=7, permessage-deflate", agreed()),
        ("permessage-deflate; unknown, permessage-deflate; server_max_window_bits=9", agreed(server_max_window_bits=9)),
        ("x-webkit-deflate-frame, permessage-deflate", agreed()),
        ("a;b=c, , ,permessage-deflate", agreed()),
        ("permessage-deflate, permessage-deflate; server_max_window_bits=9", agreed()),
    ],
)
def test_the_first_offer_that_can_be_is_accepted(offers: str, agreement: Agreement) -> None:
    assert negotiate(offers) == agreement


@pytest.mark.parametrize(
    "offers",
    [
        "",
        " , ,",
        "permessage-bzip2",
        "PERMESSAGE-DEFLATE",
        "constructor",
        "__proto__",
        *(
            f"permessage-deflate; server_max_window_bits={bits}"
            for bits in ["0", "7", "16", "1000", "abc", "08", "1e1"]
        ),
        *(f"permessage-deflate; client_max_window_bits={bits}" for bits in ["0", "7", "16", "1000", "abc", "08", "+9"]),
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; mux",
    ],
)
def test_offers_that_cannot_be_accepted_are_declined(offers: str) -> None:
    assert negotiate(offers) is None


@pytest.mark.parametrize(
    "offers",
    [
        ",;constructor",
        ";",
        "=",
        "permessage-deflate;",
        "permessage-deflate; ",
        "permessage-deflate; =1",
        "permessage-deflate; server_max_window_bits=",
        'permessage-deflate; server_max_window_bits=""',
        'permessage-deflate; server_max_window_bits="10',
        'permessage-deflate; server_max_window_bits="1 0"',
        'permessage-deflate; server_max_window_bits="10"x',
        "permessage deflate",
        "permessage-deflate; a b",
        "permessage-d\xe9flate",
        "permessage-deflate\x00",
    ],
)
def test_what_is_no_list_of_extensions_is_refused(offers: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(read_extensions(offers))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "header",
    [
        'a; b="' + r"\c" * 4_096,
        "a; b=" + '"' * 8_192,
        "a" + " " * 8_192 + "b",
        "a;" + " " * 8_192 + "=",
        "a" + ";b" * 4_096 + "=",
        "," * 8_192 + ";",
        "\t, " * 2_700 + '"',
    ],
)
def test_headers_made_to_be_slow_are_not(header: str) -> None:
    took = []
    for _ in range(3):
        began = time.thread_time()
        with pytest.raises(ProtocolError):
            list(read_extensions(header))
        took.append(time.thread_time() - began)
    assert min(took) < 0.05  # 0.5 ms here; a quadratic reader takes 100 and more


def test_what_was_agreed_on_is_said_in_the_response() -> None:
    assert agreed().header == "permessage-deflate; server_no_context_takeover"
    everything = agreed(client_no_context_takeover=True, server_max_window_bits=9, client_max_window_bits=10)
    assert everything.header == (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=9; client_max_window_bits=10"
    )


def test_clients_can_be_asked_to_keep_no_context() -> None:
    agreement = negotiate("permessage-deflate", keep_context=False)
    assert agreement == agreed(client_no_context_takeover=True)


# -- with another library as the client -----------------------------------------------------------------------------

TEXTS = [
    "",
    "a",
    "{'text': 'ü'}" * 3,
    *("lorem ipsum dolor sit amet " * (size // 27) for size in [64, 1_024, 8_192, 131_072]),
]


@pytest.mark.parametrize("client_context", [True, False])
@pytest.mark.parametrize("server_context", [True, False])
@pytest.mark.parametrize("server_window", [None, 8, 9, 15])
@pytest.mark.parametrize("client_window", [None, True, 9, 15])
def test_a_conversation(
    client_context: bool, server_context: bool, server_window: int | None, client_window: int | bool | None
) -> None:
    offer = ClientPerMessageDeflateFactory(
        client_no_context_takeover=not client_context,
        server_no_context_takeover=not server_context,
        server_max_window_bits=server_window,
        client_max_window_bits=client_window,
    )
    client = ClientProtocol(parse_uri("ws://hub/"), extensions=[offer], max_size=1_000_000)
    client.send_request(client.connect())
    handshake = Handshake.parse(b"".join(client.data_to_send()))
    agreement = negotiate(handshake.headers["sec-websocket-extensions"])
    assert agreement is not None
    client.receive_data(handshake.accept(extensions=agreement.header))
    client.events_received()
    assert client.state is State.OPEN, client.handshake_exc
    reader = FrameReader(1_000_000, 1_000, agreement.inflater())
    for text in TEXTS * 2:
        client.send_text(text.encode())
        assert read(reader, client.data_to_send()) == [text]
        client.receive_data(deflated_frame(text, agreement.window))
        (echo,) = client.events_received()
        assert isinstance(echo, Frame)
        assert bytes(echo.data).decode() == text
