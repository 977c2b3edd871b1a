"""Pages of other origins may not connect, unless they are listed."""

from contextlib import suppress

import pytest

from hubbub import App
from hubbub.auth import STRANGERS, Origins, origin_of
from hubbub.errors import Forbidden, UsageError
from hubbub.protocols.base import Request
from hubbub.servers.carriers import check_origin

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


def test_whoever_runs_the_server_reads_once_which_origin_was_refused(caplog):
    app = App(origins=["https://app.example"])
    for origin in ("https://app.example", "http://localhost:5173", "http://localhost:5173"):
        with suppress(Forbidden):
            check_origin(app, Request("GET", "/", headers={"origin": origin, "host": "localhost:3000"}))
    assert [record.origin for record in caplog.records] == ["http://localhost:5173"]
    assert "App(origins=...)" in caplog.text


def test_strangers_cannot_fill_the_log():
    origins = Origins()
    assert sum(origins.is_news(f"https://{number}.example") for number in range(1_000)) == STRANGERS
