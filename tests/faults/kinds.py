"""The kinds of faults: each does something to a world and its clients for a few seconds, and takes it back.

Which comes next, for how long, and whom it hits, is the seed's.
"""

import asyncio
import resource
import shutil
import time

NETWORK = {}
NODES = {}
DURABLE = {}
DISK = {}
REDIS = {}
LOSS = {}
"""By name: coroutine functions of a run. ``NETWORK`` and ``NODES`` can be had of any broker; ``DURABLE`` of those whose
logs outlive a node; ``DISK`` of SQLite; ``REDIS`` where there is one; ``LOSS`` where it may forget."""


def kind(table):
    def add(function):
        table[function.__name__.replace("_", " ")] = function
        return function

    return add


# -- between clients and nodes ---------------------------------------------------------------------------------------


@kind(NETWORK)
async def delay(run):
    for door in run.world.doors:
        door.delay(up=run.chance.uniform(0, 0.2), down=run.chance.uniform(0, 0.2), jitter=0.05)
    await run.during()


@kind(NETWORK)
async def crumble(run):
    run.door.crumble(run.chance.choice((3, 17, 100)))
    await run.during(0.5)


@kind(NETWORK)
async def drop_and_send_again(run):
    run.door.hold()
    await run.during()


@kind(NETWORK)
async def black_hole(run):
    run.door.swallow()
    await run.during()


@kind(NETWORK)
async def one_way_up(run):
    run.door.swallow("down")
    await run.during()


@kind(NETWORK)
async def one_way_down(run):
    run.door.swallow("up")
    await run.during()


@kind(NETWORK)
async def reset(run):
    run.door.reset(run.chance.uniform(0.2, 1.0))
    await run.during(0.3)


@kind(NETWORK)
async def half_open_to_clients(run):
    run.door.half_open(run.chance.uniform(0.2, 0.6), far=True)
    await run.during()


@kind(NETWORK)
async def half_open_to_the_server(run):
    run.door.half_open(run.chance.uniform(0.2, 0.6), far=False)
    await run.during(0.5)


@kind(NETWORK)
async def refuse(run):
    run.door.reset()
    run.door.refuse()
    await run.during(0.7)


@kind(NETWORK)
async def cut_at_a_byte(run):
    run.door.cut(run.chance.choice((200, 1_500, 20_000)))
    run.door.reset()
    await run.during()


@kind(NETWORK)
async def clients_read_nothing(run):
    asleep = run.chance.sample(run.clients, len(run.clients) // 3 or 1)
    for client in asleep:
        client.pause(True)
    try:
        await run.during()
    finally:
        for client in asleep:
            client.pause(False)


# -- nodes -----------------------------------------------------------------------------------------------------------


@kind(NODES)
async def node_paused(run):
    node = run.chance.choice(run.world.nodes)
    node.pause()
    try:
        await run.during()
    finally:
        node.resume()


@kind(DURABLE)
async def node_killed(run):
    node = run.chance.choice(run.world.nodes)
    await node.kill()
    run.killed.append(time.monotonic())
    await run.during(0.3)
    await node.start()


@kind(DURABLE)
async def node_restarted(run):
    node = run.chance.choice(run.world.nodes)
    await node.stop()
    await node.start()


@kind(DURABLE)
async def node_paused_then_killed(run):
    node = run.chance.choice(run.world.nodes)
    node.pause()
    await run.during(0.7)
    await node.kill()
    await node.start()


@kind(DURABLE)
async def node_killed_while_all_come_back(run):
    node = run.chance.choice(run.world.nodes)
    for door in run.world.doors:
        door.reset()
    await run.during(0.1)
    await node.kill()
    await node.start()


@kind(DISK)
async def disk_full(run):
    """No file of the node may become any longer than it is."""
    node = run.world.nodes[0].process.pid
    soft, hard = resource.prlimit(node, resource.RLIMIT_FSIZE)
    resource.prlimit(node, resource.RLIMIT_FSIZE, (1, hard))
    try:
        await run.during()
    finally:
        resource.prlimit(node, resource.RLIMIT_FSIZE, (soft, hard))


# -- between nodes and Redis, and Redis itself ------------------------------------------------------------------------


@kind(REDIS)
async def redis_lines_reset(run):
    for _ in range(3):
        run.back.reset(0.7)
        await run.during(0.1)


@kind(REDIS)
async def redis_slow(run):
    run.back.delay(up=0.2, down=0.2, jitter=0.1)
    await run.during()


@kind(REDIS)
async def redis_unreachable(run):
    run.back.reset()
    run.back.refuse()
    await run.during()


@kind(REDIS)
async def redis_black_hole(run):
    run.back.swallow()
    await run.during()


@kind(REDIS)
async def redis_hears_and_cannot_answer(run):
    run.back.swallow("down")
    await run.during()


@kind(REDIS)
async def redis_crumbles(run):
    run.back.crumble(run.chance.choice((7, 100)))
    await run.during(0.5)


@kind(REDIS)
async def redis_paused(run):
    run.world.redis.pause()
    try:
        await run.during()
    finally:
        run.world.redis.resume()


@kind(REDIS)
async def redis_killed(run):
    await asyncio.to_thread(run.world.redis.kill)
    await run.during(0.3)
    await asyncio.to_thread(run.world.redis.start)


@kind(REDIS)
async def redis_restarted(run):
    await asyncio.to_thread(run.world.redis.stop)
    await asyncio.to_thread(run.world.redis.start)


@kind(REDIS)
async def node_stopped_without_redis(run):
    """Nothing can be flushed, and it ends all the same."""
    number = run.chance.randrange(len(run.world.nodes))
    run.world.backs[number].swallow()
    await run.world.nodes[number].stop()
    run.world.heal()
    await run.world.nodes[number].start()


@kind(REDIS)
async def redis_cuts_its_clients(run):
    for what in (("TYPE", "pubsub"), ("TYPE", "normal", "SKIPME", "yes")):
        await asyncio.to_thread(run.world.redis.ask, "CLIENT", "KILL", *what)
        await run.during(0.1)


@kind(LOSS)
async def redis_emptied(run):
    await asyncio.to_thread(run.world.redis.ask, "FLUSHALL")
    await run.during(0.5)


@kind(LOSS)
async def redis_killed_and_empty(run):
    await asyncio.to_thread(run.world.redis.kill)
    run.world.redis.forget()
    await run.during(0.3)
    await asyncio.to_thread(run.world.redis.start)


@kind(LOSS)
async def redis_restored(run):
    """From a copy that is a little older."""
    redis = run.world.redis
    copy = redis.folder.with_name("copy")
    await asyncio.to_thread(redis.stop)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(redis.folder, copy)
    await asyncio.to_thread(redis.start)
    await run.during()
    await asyncio.to_thread(redis.kill)
    redis.forget()
    shutil.copytree(copy, redis.folder, dirs_exist_ok=True)
    await asyncio.to_thread(redis.start)


@kind(LOSS)
async def all_nodes_killed(run):
    """Nobody is left who knows who was there."""
    await asyncio.gather(*(node.kill() for node in run.world.nodes))
    await asyncio.gather(*(node.start() for node in run.world.nodes))


def kinds_for(broker, durable=True):
    """What can happen over this broker."""
    tables = {"memory": (NETWORK, NODES), "sqlite": (NETWORK, NODES, DURABLE, DISK)}
    every = tables.get(broker, (NETWORK, NODES, DURABLE, REDIS) if durable else (NETWORK, NODES, DURABLE, REDIS, LOSS))
    return {name: act for table in every for name, act in table.items()}
