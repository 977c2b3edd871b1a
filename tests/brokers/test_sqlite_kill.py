"""SIGKILL in the middle of ten thousand publications: what was acknowledged is in the log, once, without holes."""

import asyncio
import random
import subprocess
import sys

import pytest

from hubbub.brokers.sqlite import SqliteBroker
from hubbub.history import Keep, Position

PUBLISHERS, EACH = 200, 50
KEEP = Keep(count=100_000)

PROGRAM = """
import asyncio, os, sys
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.history import Keep
path, publishers, each = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
async def main():
    broker = SqliteBroker("sqlite:///" + path)
    await broker.start(lambda *_: None)
    epoch = (await broker.read("chat", limit=0)).position.epoch
    os.write(1, f"{epoch}\\n".encode())
    async def speak(name):
        for n in range(each):
            id = f"{name}.{n}"
            position = await broker.publish("chat", id.encode(), Keep(count=100_000), id=id)
            assert position.epoch == epoch
            os.write(1, f"{position.offset} {id}\\n".encode())
    await asyncio.gather(*map(speak, range(publishers)))
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def acknowledged(path, kill_after):
    """Run the program, kill it when it has said so much, and give what it said: the epoch, and offset by id."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(path), str(PUBLISHERS), str(EACH), stdout=subprocess.PIPE
    )
    epoch = (await child.stdout.readline()).decode().strip()
    lines = [await child.stdout.readline() for _ in range(kill_after)]
    child.kill()
    lines += (await child.stdout.read()).splitlines(keepends=True)
    assert await child.wait() == -9
    return epoch, {id: int(offset) for offset, id in (line.decode().split() for line in lines if line.endswith(b"\n"))}


@pytest.mark.parametrize("seed", range(5))
async def test_every_acknowledged_publication_is_in_the_log_once(path, seed):
    kill_after = random.Random(seed).randrange(PUBLISHERS * EACH)
    epoch, offsets = await acknowledged(path, kill_after)
    assert len(offsets) >= kill_after

    delivered = []
    broker = SqliteBroker(f"sqlite:///{path}")
    await broker.start(lambda topic, data, position: delivered.append((data, position)))
    page = await broker.read("chat", limit=100_000)
    log = {entry.data.decode(): entry.offset for entry in page.entries}
    assert page.position == Position(epoch, len(page.entries)), "the epoch is what it was"
    assert page.complete
    assert [entry.offset for entry in page.entries] == list(range(1, len(page.entries) + 1)), "there are no holes"
    assert len(log) == len(page.entries), "nothing is there twice"
    assert offsets.items() <= log.items(), "all that was acknowledged is there, where it was said to be"

    # Clients that heard nothing try again, and so do some that did: each publication is still one.
    ids = [f"{name}.{n}" for name in range(PUBLISHERS) for n in range(EACH)]
    results = [broker.publish("chat", id.encode(), KEEP, id=id) for id in ids]
    positions = {id: await result for id, result in zip(ids, results, strict=True)}
    await broker.close()
    assert {position.epoch for position in positions.values()} == {epoch}
    assert all(positions[id].offset == offset for id, offset in log.items())
    assert sorted(position.offset for position in positions.values()) == list(range(1, len(ids) + 1))
    assert len(delivered) == len(ids) - len(log)
