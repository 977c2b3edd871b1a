"""What URL and headers of a Phoenix client say."""

import base64

import msgspec
import pytest

from hubbub.errors import Forbidden
from hubbub.protocols.base import Request
from hubbub.protocols.phoenix_request import auth_token, session_key, socket_params, version
from hubbub.servers.asgi import read_query


def socket(query="", **headers):
    values, repeated = read_query(query)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", "/socket/websocket", values, named, repeated=repeated)


def poll(query="", **headers):
    return msgspec.structs.replace(socket(query, **headers), path="/socket/longpoll")


@pytest.mark.parametrize(
    ("query", "spoken"), [("", 1), ("vsn=1.0.0", 1), ("vsn=1.0.7", 1), ("vsn=2.0.0", 2), ("vsn=2.0.12", 2)]
)
def test_a_version_that_is_spoken(query, spoken):
    assert version(socket(query)) == spoken


@pytest.mark.parametrize(
    "said", ["", "1", "2", "2.0", "2.1.0", "3.0.0", "2.0.0.0", "2.0.01", "2.0.0-rc.1", "x", "\uff12.0.0"]
)
def test_a_version_that_is_not(said):
    with pytest.raises(Forbidden):
        version(socket(f"vsn={said}"))


def test_a_long_poll_says_its_session_in_a_header_or_in_the_query():
    assert session_key(poll("vsn=2.0.0", x_phoenix_longpoll_token="hubbub.abc")) == "abc"
    assert session_key(poll("vsn=2.0.0&token=hubbub.abc")) == "abc"
    assert session_key(poll("vsn=2.0.0&token=mine")) is None
    assert session_key(poll("vsn=2.0.0")) is None


def test_an_application_may_have_a_parameter_of_the_same_name():
    """phoenix.js 1.8 writes ours behind it, 1.9 says it in a header."""
    both = poll("token=mine&vsn=2.0.0&token=hubbub.abc")
    assert session_key(both) == "abc"
    assert socket_params(both) == {"token": "mine"}
    assert session_key(poll("token=mine", x_phoenix_longpoll_token="hubbub.abc")) == "abc"
    assert socket_params(poll("token=hubbub.abc")) == {}


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("vsn=2.0.0&name=Ada&age=36", {"name": "Ada", "age": "36"}),
        ("user[name]=Ada&user[tags][0]=a&user[tags][1]=b", {"user": {"name": "Ada", "tags": {"0": "a", "1": "b"}}}),
        ("a=1&a[b]=2", {"a": "1"}),
        ("a[b]=2&a=1", {"a": {"b": "2"}}),
        ("a[b]=1&a[b][c]=2", {"a": {"b": "1"}}),
        ("a[=1&]b=2&[c]=3&d[]=4&e]f[=5", {"a[": "1", "]b": "2", "[c]": "3", "d[]": "4", "e]f[": "5"}),
        ("a" + "[b]" * 9 + "=1", {"a" + "[b]" * 9: "1"}),
        ("__proto__[x]=1", {"__proto__": {"x": "1"}}),
        ("empty=", {"empty": ""}),
    ],
)
def test_parameters_of_a_socket(query, params):
    assert socket_params(socket(query)) == params


def bearer(token, encode=base64.b64encode):
    return "phoenix, base64url.bearer.phx." + encode(token.encode()).decode().rstrip("=")


@pytest.mark.parametrize("token", ["", "a", "ab", "abc", "SFMyNTY.g2gDbQ?>~", "é😀"])
def test_a_token_beside_the_subprotocol(token):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        request = socket(sec_websocket_protocol=bearer(token, encode))
        assert auth_token(request) == token
        assert socket_params(request) == {"auth_token": token}


def test_a_token_in_a_header_of_a_poll():
    assert socket_params(poll("a=1", x_phoenix_authtoken="secret")) == {"a": "1", "auth_token": "secret"}


def test_no_token():
    assert auth_token(socket()) is None
    assert auth_token(socket(sec_websocket_protocol="phoenix, other")) is None


@pytest.mark.parametrize("encoded", ["!", "a", "ab=cd", "/w"])
def test_a_token_that_cannot_be_read_is_refused_and_not_repeated(encoded):
    with pytest.raises(Forbidden) as refused:
        auth_token(socket(sec_websocket_protocol=f"phoenix, base64url.bearer.phx.{encoded}"))
    assert str(refused.value) == "the token cannot be read"
