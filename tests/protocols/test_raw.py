"""Raw sockets as a conversation: messages pass as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import UsageError
from hubbub.messages import Verbatim
from hubbub.protocols.base import Request, Route
from hubbub.protocols.raw import Raw
from hubbub.testing.conversations import Conversation, check_protocol

Echo = Raw.at("/echo/{room}", ["b", "a"])


def opened():
    conversation = Conversation(Echo, Request("GET", "/echo/red"))
    conversation.attach("socket")
    return conversation


def test_it_keeps_the_contract():
    check_protocol(opened, [("hello", "socket"), (b"\x00\xff", "socket"), ("[1]", "socket")])


@given(st.text() | st.binary())
def test_a_message_passes_as_it_is_either_way(message):
    assert opened().say(message) == [Verbatim(message)]
    assert opened().protocol.carry(message) == (message,)


def test_nothing_is_owed_and_nothing_ticks():
    conversation = opened()
    assert conversation.heard() == []
    assert conversation.protocol.plain
    assert conversation.protocol.deadline is None


def test_it_ends_with_its_line():
    conversation = opened()
    conversation.detach("socket")
    assert conversation.over == "closed"


def test_each_path_has_a_table_of_its_own():
    assert Echo.routes == (Route("GET", "/echo/{room}", "socket"),)
    assert Echo.subprotocols == ("b", "a")
    assert Raw.at("/other").subprotocols == ()


@pytest.mark.parametrize("path", ["", "echo", "/echo?a=b", "/echo#red"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(UsageError):
        Raw.at(path)
