"""RFC 6455 to the letter: the Autobahn-numbered cases of groups 1 to 7 and 10, none of them only nearly right.

The rest of the 517 takes minutes: ``make conformance``.
"""

import pytest

from tests.conformance import autobahn
from tests.conftest import LANES


@pytest.mark.parametrize("lane", LANES)
async def test_framing_pings_reserved_bits_opcodes_fragments_text_and_closing(serve, lane):
    groups = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
    assert await autobahn.run(serve(autobahn.app, lane=lane), *groups) == (247, {})


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("case", ["12.1.3", "12.2.3", "13.5.3"])
async def test_compression(serve, lane, case):
    assert await autobahn.run(serve(autobahn.app, lane=lane), case) == (1, {})
