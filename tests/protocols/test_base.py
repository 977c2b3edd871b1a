"""The table of protocols, and what every protocol in it must be."""

import pytest

from hubbub.errors import ProtocolError, UsageError
from hubbub.protocols import PROTOCOLS, load
from hubbub.protocols.base import Protocol, Request


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_in_the_table_is_there_by_its_name(name):
    protocol = load(name)
    assert issubclass(protocol, Protocol)
    assert protocol.name == name


def test_no_two_protocols_claim_the_same_requests():
    claims = [(route.method, route.path, route.line) for name in PROTOCOLS for route in load(name).routes]
    assert len(claims) == len(set(claims))


def test_an_unknown_protocol_is_named_with_those_there_are():
    with pytest.raises(UsageError, match=r"no protocol 'telnet'.*socketio"):
        load("telnet")


def test_a_protocol_without_words_of_its_own_refuses_in_plain_text():
    response = Protocol.refuse(ProtocolError("not like this"), Request("GET", "/"))
    assert (response.status, response.body) == (400, b"not like this")
