"""Real runs in one process: nothing is found in a right one, and each planted bug in every run that has it."""

import asyncio

import pytest

from .checker import VERDICTS, tell
from .planted import BUGS
from .stage import Bug, Stage

SEEDS = range(10)


class Nothing(Bug):
    presence = True


async def play(bug):
    """Ten runs, side by side."""
    return await asyncio.gather(*[Stage(seed, bug).play() for seed in SEEDS])


async def test_nothing_is_found_where_nothing_is_wrong():
    for findings in await play(Nothing):
        assert not any(findings.values()), tell(findings)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
async def test_it_is_found_in_every_run(bug):
    for seed, findings in enumerate(await play(bug)):
        assert findings[bug.verdict], f"seed {seed}: found {[verdict for verdict in VERDICTS if findings[verdict]]}"
