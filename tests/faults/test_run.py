"""The short part of what `make soak` does for long: clients of all kinds, real nodes and brokers, and faults."""

import asyncio
from types import SimpleNamespace

import pytest

from .checker import tell
from .polled_clients import ALL_KINDS
from .run import Run
from .world import World

SEED = 1
DEADLINE = 150.0


@pytest.mark.parametrize(("broker", "nodes", "faults"), [("memory", 1, 4), ("sqlite", 1, 4), ("redis", 2, 6)])
async def test_nothing_is_lost_doubled_or_out_of_order(broker, nodes, faults, tmp_path):
    async with (
        asyncio.timeout(DEADLINE),
        World(tmp_path, broker, nodes, SEED, drain=1.0) as world,
        Run(world, SEED, rate=150.0, kinds=ALL_KINDS) as run,
    ):
        run.long = 0.3
        await run.misfortunes(faults, quiet=0.2)
        findings = await run.finish()
        numbers = run.numbers()
    assert not any(findings.values()), tell(findings)
    assert numbers["delivered"] >= numbers["clients"] * numbers["acknowledged"] - numbers["clients"] > 100
    assert numbers["came back"] == numbers["recovered"] > 0


def test_nobody_may_fill_a_backlog():
    with pytest.raises(AssertionError):
        Run(SimpleNamespace(broker="memory", ports=[]), SEED, window=1_001)
