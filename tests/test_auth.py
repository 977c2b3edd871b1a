"""Pages of other origins may not connect, unless they are listed."""

import pytest

from hubbub.auth import Origins, origin_of
from hubbub.errors import UsageError

OWN = "chat.example"


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, OWN, True),
        ("https://chat.example", OWN, True),
        ("http://chat.example", OWN, True),
        ("HTTPS://CHAT.EXAMPLE", OWN, True),
        ("https://chat.example.", OWN, True),
        ("http://localhost:3000", "localhost:3000", True),
        ("http://[::1]:3000", "[::1]:3000", True),
        ("http://localhost:3001", "localhost:3000", False),
        ("https://chat.example:8443", OWN, False),
        ("https://evil.example", OWN, False),
        ("https://chat.example.evil.com", OWN, False),
        ("https://evil-chat.example", OWN, False),
        ("https://chat.example@evil.com", OWN, False),
        ("https://chat.example/path", OWN, False),
        ("https://chat.example, https://evil.example", OWN, False),
        ("null", OWN, False),
        ("file://", OWN, False),
        ("", OWN, False),
        ("https://[::1", OWN, False),
        ("https://chat.example:99999", OWN, False),
        ("https://chat.example", None, False),
        ("https://chat.example", "evil host", False),
    ],
)
def test_by_default_only_the_own_host(origin, host, allowed):
    assert Origins().allows(origin, host) is allowed


def test_a_listed_origin_is_compared_whole():
    origins = Origins(["https://app.example", "http://localhost:8080/"])
    assert origins.allows("https://app.example", OWN)
    assert origins.allows("https://app.example:443", OWN)
    assert origins.allows("http://localhost:8080", OWN)
    assert not origins.allows("http://app.example", OWN)
    assert not origins.allows("https://sub.app.example", OWN)


def test_a_star_lets_everyone_in():
    assert Origins("*").allows("https://anyone.example", OWN)


@pytest.mark.parametrize("listed", ["app.example", "//app.example", "https://app.example/path", "ftp://app.example"])
def test_what_is_no_origin_is_the_developers_mistake(listed):
    with pytest.raises(UsageError):
        Origins([listed])


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({}, None),
        ({"origin": "https://app.example"}, "https://app.example"),
        ({"origin": "null", "sec-fetch-site": "cross-site", "referer": "https://app.example/"}, "null"),
        ({"sec-fetch-site": "none", "referer": "https://app.example/"}, None),
        ({"sec-fetch-site": "same-origin", "referer": "https://app.example/page"}, None),
        ({"sec-fetch-site": "same-site", "referer": "https://app.example/page?x"}, "https://app.example"),
        (
            {"sec-fetch-site": "cross-site", "sec-fetch-dest": "script", "referer": "https://a.example/"},
            "https://a.example",
        ),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, "null"),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document", "referer": "https://a.example/"}, None),
    ],
)
def test_what_a_page_embeds_is_asked_by_that_page(headers, origin):
    assert origin_of(headers) == origin
