"""Which protocol gets which request."""

import pytest

from hubbub.protocols.base import Protocol, Request, Route
from hubbub.servers.routes import Routes


class Inner(Protocol):
    name = "inner"
    routes = (Route("GET", "/inner", "socket"),)


class Outer(Protocol):
    name = "outer"
    routes = (
        Route("GET", "/outer", "page"),
        Route("GET", "/outer/socket", "socket", Inner),
        Route("GET", "/outer/{session}/poll", "poll"),
        Route("POST", "/outer/{session}/poll", "post"),
    )


class Deep(Protocol):
    name = "deep"
    routes = (Route("GET", "/deep", "page"), Route("GET", "/deep/{topic:path}", "poll"))


@pytest.fixture
def routes():
    return Routes([Outer, Inner])


@pytest.mark.parametrize("path", ["/outer", "/outer/"])
def test_one_trailing_slash_does_not_matter(routes, path):
    door, _ = routes.find(Request("GET", path))
    assert door.protocol is Outer


@pytest.mark.parametrize("path", ["/outer//", "//outer", "/outer/x", "/outer//poll", "/outer/a/b/poll", "", "/"])
def test_another_path_is_nobodys(routes, path):
    assert routes.find(Request("GET", path))[0] is None


def test_what_stands_in_a_brace_is_told(routes):
    door, request = routes.find(Request("GET", "/outer/abc/poll"))
    assert door.protocol is Outer
    assert request.variables == {"session": "abc"}


def test_a_row_may_be_another_protocols(routes):
    door, _ = routes.find(Request("GET", "/outer/socket"))
    assert door.protocol is Inner


def test_people_are_shown_the_outermost_places(routes):
    assert list(routes.places()) == [(Outer, "/outer"), (Inner, "/inner")]


def test_a_door_knows_what_may_be_asked_at_it(routes):
    assert routes.find(Request("GET", "/outer/abc/poll"))[0].methods == "GET, POST, OPTIONS"
    assert routes.find(Request("GET", "/inner"))[0].methods == "GET, OPTIONS"


@pytest.mark.parametrize(
    ("path", "variables"),
    [
        ("/deep", {}),
        ("/deep/", {}),
        ("/deep/a", {"topic": "a"}),
        ("/deep/a/b", {"topic": "a/b"}),
        ("/deep/a/", {"topic": "a/"}),
        ("/deep//", {"topic": "/"}),
        ("/deep///b", {"topic": "//b"}),
    ],
)
def test_a_path_in_a_brace_may_have_slashes_anywhere(path, variables):
    door, request = Routes([Deep]).find(Request("GET", path))
    assert door is not None
    assert request.variables == variables
