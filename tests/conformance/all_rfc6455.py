"""All 517 Autobahn-numbered cases, on both lanes: ``make conformance``."""

import pytest

from tests.conformance import autobahn
from tests.conftest import LANES, running

GROUPS = {
    **dict.fromkeys(("1", "2", "3", "4", "5", "6", "7", "10"), 0),
    "1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "10": 1,
    "9": 54,
    **{f"12.{number}": 18 for number in range(1, 6)},
    **{f"13.{number}": 18 for number in range(1, 8)},
}  # fmt: skip
"""How many cases there are in each."""


def test_that_is_all_of_them():
    assert sum(GROUPS.values()) == 517


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(autobahn.app, lane=request.param) as url:
        yield url


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("group", GROUPS)
async def test_group(url, group):
    assert await autobahn.run(url, f"{group}.*") == (GROUPS[group], {})
