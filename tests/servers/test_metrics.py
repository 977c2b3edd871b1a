"""Who may ask for the numbers: who has the secret, as for publishing; on both lanes, mounted, and around another."""

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from hubbub import App
from tests.conftest import LANES
from tests.exposition import number, read

PATH = "/hubbub/metrics"
SECRET = "swordfish"
WRONG = [
    {},
    {"authorization": ""},
    {"authorization": SECRET},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": "Bearer trout"},
    {"authorization": f"Bearer {SECRET}x"},
    {"authorization": f"bearer {SECRET}"},
    {"authorization": "Bearer None"},
    {"authorization": "Bearer sw\xf6rdfish"},
    {"authorization": "Basic c3dvcmRmaXNo"},
]


@pytest.fixture(params=LANES)
def lane(request):
    return request.param


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
        yield session


async def test_who_has_the_secret_is_told(serve, http, lane):
    url = serve(App(secret=SECRET), lane=lane)
    headers = {"authorization": f"Bearer {SECRET}"}
    async with http.get(url + PATH, headers=headers) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        text = await response.text()
    assert number(read(text), "hubbub_broker_up", scheme="memory") == 1
    async with http.head(url + PATH, headers=headers) as response:
        assert response.status == 200
        assert await response.read() == b""
    async with http.post(url + PATH, headers=headers) as response:
        assert response.status == 404


@pytest.mark.parametrize("secret", [SECRET, None])
async def test_nobody_else_is(serve, http, lane, secret):
    url = serve(App(secret=secret), lane=lane)
    for headers in WRONG if secret else [*WRONG, {"authorization": f"Bearer {SECRET}"}]:
        async with http.get(f"{url}{PATH}?secret={SECRET}", headers=headers) as response:
            assert response.status == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.content_type == "application/problem+json"
            told = await response.text()
        assert "hubbub_" not in told
        assert SECRET not in told


def test_where_it_is_mounted_they_are_below_it_and_the_application_may_have_a_route_of_its_own():
    app = App(secret=SECRET)
    around = Starlette(
        routes=[Route("/mine", lambda request: PlainTextResponse(app.metrics())), Mount("/rt", app)],
        lifespan=app.lifespan,
    )
    with TestClient(around) as client:
        headers = {"authorization": f"Bearer {SECRET}"}
        theirs = read(client.get(f"/rt{PATH}", headers=headers).text)
        assert set(theirs) == set(read(client.get("/mine").text))
        assert client.get(f"/rt{PATH}").status_code == 401
        assert client.get(PATH, headers=headers).status_code == 404


def test_an_application_around_which_we_stand_gets_no_such_request():
    app = App(secret=SECRET, fallback=Starlette(routes=[Route(PATH, lambda request: PlainTextResponse("theirs"))]))
    with TestClient(app) as client:
        assert client.get(PATH).status_code == 401


def test_it_is_among_what_is_served_where_there_is_a_secret():
    assert "metrics" not in [what for what, *_ in App().doors()]
    assert ("metrics", PATH, "for who has the secret") in App(secret=SECRET).doors()
