"""What the SockJS tests begin with."""

import aiohttp
import pytest

from tests.conformance.sockjs_app import app
from tests.conformance.sockjs_clients import Http, new_session
from tests.conftest import LANES, running


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield url


@pytest.fixture
def echo(url):
    return f"{url}/echo"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client:
        yield Http(client)


@pytest.fixture
async def session(http, echo):
    """One that has been opened by a poll."""
    session = new_session(echo)
    assert await http.poll(session) == "o\n"
    return session
