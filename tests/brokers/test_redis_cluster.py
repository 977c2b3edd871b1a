"""Redis in several pieces: clusters, and primaries that sentinels watch over."""

import asyncio
import itertools
import re

import pytest

from hubbub.brokers import create
from hubbub.errors import BrokerError, UsageError
from hubbub.history import Keep
from hubbub.testing.contracts import check_broker

from ..redis_server import RedisCluster, RedisServer

DAY = Keep(count=1_000, seconds=86_400)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster.start()
    finally:
        cluster.kill()


async def insist(broker, data, topic="chat"):
    async with asyncio.timeout(30):
        while True:
            try:
                return await broker.publish(topic, data, DAY, id=data.decode())
            except BrokerError:
                await asyncio.sleep(0.05)


def written(server):
    """How far its replication is."""
    return re.search(r"master_repl_offset:(\d+)", server.ask("INFO", "replication"))[1]


async def settle(true):
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(true):  # noqa: ASYNC110 (another process tells of no event)
            await asyncio.sleep(0.05)


async def test_a_cluster_keeps_the_contract(cluster):
    numbers = itertools.count()
    await check_broker(
        lambda: create(f"{cluster.url}?prefix=contract{next(numbers)}"),
        reopen=lambda broker: create(broker.url),
    )


async def test_topics_are_spread_over_a_cluster_and_heard_everywhere(redis, cluster):
    topics = [f"room:{n}" for n in range(30)]
    one, other = await redis(cluster.url, *topics), await redis(cluster.url, *topics)
    results = [one.publish(topic, topic.encode(), DAY) for topic in topics]
    for result in results:
        assert (await result).offset == 1
    for node in (one, other):
        await node.heard.until(lambda node=node: len(node.heard.publications) == 30)
    assert len(one._writer._lines) == 3


async def test_a_slot_that_moves_takes_its_topics_along(redis, cluster):
    """MOVED answers half a batch, and the order stays."""
    node = await redis(f"{cluster.url}?prefix=moved", "chat")
    results = [node.publish("chat", b"0", DAY)]
    await results[0]
    shard = node._shard("chat")
    right = node._cluster.owners[shard]
    wrong = next(owner for owner in node._cluster.owners.values() if owner != right)
    for n in range(1, 100):
        if n % 10 == 0:
            node._cluster.owners[shard] = wrong
        results.append(node.publish("chat", b"%d" % n, DAY))
        if n % 10 == 5:
            await asyncio.sleep(0)
    assert [(await result).offset for result in results] == list(range(1, 101))
    await node.heard.until(lambda: len(node.heard.of()) == 100)
    assert sorted(node.heard.of(), key=int) == [b"%d" % n for n in range(100)]


async def test_a_node_of_a_cluster_that_dies_is_replaced(redis, cluster):
    url = f"{cluster.url}?prefix=failover"
    first = cluster.nodes[0]
    node, other = await redis(url), await redis(url)
    topic = next(
        f"room:{n}" for n in range(1_000) if node._cluster.owners[node._shard(f"room:{n}")] == ("127.0.0.1", first.port)
    )
    await node.subscribe(topic)
    await other.subscribe(topic)
    for n in range(20):
        await insist(node, b"%d" % n, topic)
    await settle(lambda: written(first) == written(cluster.nodes[3]))
    assert node.answers
    first.kill()
    await settle(lambda: not node.answers)
    for n in range(20, 40):
        last = await insist((node, other)[n % 2], b"%d" % n, topic)
    for one in (node, other):
        await one.heard.until(lambda one=one: one.heard.publications[-1][2] == last)
        assert one.heard.of(topic) == [b"%d" % n for n in range(40)]
        assert one.heard.missed == []
        await settle(lambda one=one: one.answers)  # the line to who is gone leads to nothing of ours any more
    first.start()


async def test_one_server_is_no_cluster(redis, redis_server):
    with pytest.raises(UsageError, match=r"cannot be used: .*cluster support disabled"):
        await redis(redis_server.url.replace("redis:", "redis+cluster:").removesuffix("/0"))


# -- sentinels ------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path):
    """A primary, its replica, and a sentinel that calls them ``chat``."""
    primary = RedisServer(tmp_path / "primary").start()
    replica = RedisServer(tmp_path / "replica", replicaof=f"127.0.0.1 {primary.port}").start()
    folder = tmp_path / "sentinel"
    folder.mkdir()
    sentinel = RedisServer(folder)
    (folder / "sentinel.conf").write_text(
        f"port {sentinel.port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor chat 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds chat 2000\nsentinel failover-timeout chat 5000\n"
    )
    sentinel.arguments = [str(folder / "sentinel.conf"), "--sentinel"]
    servers = (primary, replica, sentinel)
    try:
        sentinel.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


async def test_a_failover_that_loses_nothing_changes_nothing(redis, watched):
    primary, replica, sentinel = watched
    await settle(lambda: "slaves=1" in sentinel.ask("INFO", "sentinel"))
    await settle(lambda: "master_link_status:up" in replica.ask("INFO", "replication"))
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/chat"
    node, other = await redis(url, "chat"), await redis(url, "chat")
    for n in range(20):
        first = await node.publish("chat", b"%d" % n, DAY)
    await settle(lambda: written(primary) == written(replica))
    primary.kill()
    for n in range(20, 40):
        last = await insist((node, other)[n % 2], b"%d" % n)
    assert (last.epoch, last.offset) == (first.epoch, 40)
    for one in (node, other):
        await one.heard.until(lambda one=one: one.heard.publications[-1][2] == last)
        assert one.heard.of() == [b"%d" % n for n in range(40)]
        assert one.heard.missed == []


async def test_sentinels_that_do_not_know_the_name(redis, watched):
    *_, sentinel = watched
    with pytest.raises(UsageError, match="the sentinels know no primary named other"):
        await redis(f"redis+sentinel://127.0.0.1:{sentinel.port}/other")
