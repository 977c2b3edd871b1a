"""Forwarded headers are believed only of trusted peers."""

import pytest

from hubbub.errors import UsageError
from hubbub.servers.proxies import Proxies


@pytest.mark.parametrize(
    ("trusted", "peer", "headers", "expected"),
    [
        ("127.0.0.1", "9.9.9.9", {"x-forwarded-for": "1.1.1.1", "x-forwarded-proto": "https"}, ("9.9.9.9", "http")),
        ("127.0.0.1", "127.0.0.1", {"x-forwarded-for": "1.1.1.1", "x-forwarded-proto": "https"}, ("1.1.1.1", "https")),
        ("127.0.0.1", "127.0.0.1", {"x-forwarded-for": "6.6.6.6, 1.1.1.1"}, ("1.1.1.1", "http")),
        ("127.0.0.1,10.0.0.0/8", "127.0.0.1", {"x-forwarded-for": "6.6.6.6, 1.1.1.1, 10.0.0.2"}, ("1.1.1.1", "http")),
        ("127.0.0.1", "127.0.0.1", {"x-forwarded-for": "1.1.1.1:1234"}, ("1.1.1.1", "http")),
        ("::1", "::1", {"x-forwarded-for": "[2001:db8::1]:80"}, ("2001:db8::1", "http")),
        ("*", "9.9.9.9", {"x-forwarded-for": "1.1.1.1, 2.2.2.2"}, ("1.1.1.1", "http")),
        ("127.0.0.1", "127.0.0.1", {"x-forwarded-proto": "gopher"}, ("127.0.0.1", "http")),
        ("127.0.0.1", "127.0.0.1", {"x-forwarded-for": " , ,"}, ("127.0.0.1", "http")),
        ("", "127.0.0.1", {"x-forwarded-for": "1.1.1.1"}, ("127.0.0.1", "http")),
    ],
)
def test_the_last_address_that_no_trusted_proxy_wrote(trusted, peer, headers, expected):
    assert Proxies(trusted).resolve(peer, "http", headers) == expected


def test_a_thousand_hops_are_cut():
    hops = ", ".join(["127.0.0.1"] * 1_000)
    assert Proxies("127.0.0.1").resolve("127.0.0.1", "http", {"x-forwarded-for": hops})[0] == "127.0.0.1"


def test_what_is_no_address_is_the_developers_mistake():
    with pytest.raises(UsageError, match="example"):
        Proxies("example")
