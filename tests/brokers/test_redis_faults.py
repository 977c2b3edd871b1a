"""What Redis does to us: lines that break, servers that stop, start, wait, and forget."""

import asyncio
import logging
import time

import pytest

from hubbub.brokers import redis as module
from hubbub.errors import BrokerError, UsageError
from hubbub.history import Keep, Position

from ..redis_server import RedisServer

DAY = Keep(count=1_000, seconds=86_400)


def numbers(*ranges):
    return [b"%d" % n for numbers in ranges for n in numbers]


async def log_of(broker, topic="chat"):
    return [entry.data for entry in (await broker.read(topic, limit=100_000)).entries]


async def insist(broker, data, topic="chat", keep=DAY):
    """Publish as a careful caller does: the same id until it is answered."""
    while True:
        try:
            return await broker.publish(topic, data, keep, id=data.decode())
        except BrokerError:
            await asyncio.sleep(0.02)


# -- lines that break -----------------------------------------------------------------------------------------------


async def test_what_was_said_while_the_line_was_broken_is_filled_in(redis, redis_server):
    speaker, hearer = await redis(redis_server.url), await redis(redis_server.url, "chat")
    for n in range(200):
        await insist(speaker, b"%d" % n)
        if n % 20 == 10:
            redis_server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await hearer.heard.until(lambda: len(hearer.heard.of()) >= 200)
    assert hearer.heard.of() == numbers(range(200))
    assert hearer.heard.missed == []


async def test_every_line_may_break_at_any_time(redis, redis_server):
    nodes = [await redis(redis_server.url, "chat") for _ in range(2)]
    running, pause = True, 0.1

    async def cut():
        nonlocal pause
        while running:
            await asyncio.to_thread(redis_server.ask, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.to_thread(redis_server.ask, "CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.sleep(pause)
            pause *= 1.2  # a machine that is slow gets something done between two cuts, some time

    cutting = asyncio.create_task(cut())
    said = await asyncio.gather(*[insist(nodes[n % 2], b"%d" % n) for n in range(500)])
    running = False
    await cutting
    assert sorted(position.offset for position in said) == list(range(1, 501))
    for node in nodes:
        await node.heard.until(lambda node=node: len(node.heard.publications) >= 500)
        assert [position.offset for *_, position in node.heard.publications] == list(range(1, 501))
        assert node.heard.of() == await log_of(node)
        assert node.heard.missed == []


async def test_a_gap_that_was_trimmed_is_told_and_not_hidden(redis, redis_server):
    speaker, hearer = await redis(redis_server.url), await redis(redis_server.url, "chat")
    few = Keep(count=5)
    for n in range(10):
        await speaker.publish("chat", b"%d" % n, few)
    await hearer.heard.until(lambda: len(hearer.heard.of()) == 10)
    redis_server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    for n in range(10, 1_000):
        speaker.publish("chat", b"%d" % n, few)
    await speaker.publish("chat", b"1000", few)
    await hearer.heard.until(lambda: hearer.heard.missed)
    await speaker.publish("chat", b"after", few)
    await hearer.heard.until(lambda: hearer.heard.of()[-1] == b"after")
    topic, place = hearer.heard.missed[0]
    assert topic == "chat"
    assert hearer.heard.publications[place - 1][2].offset < 996  # nothing newer than the gap came before it was told


async def test_a_subscriber_that_redis_cut_off_is_filled_up(redis, redis_server):
    redis_server.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 64kb 32kb 1")
    speaker, hearer = await redis(redis_server.url), await redis(redis_server.url, "chat")
    data = [b"%04d" % n + bytes(20_000) for n in range(300)]
    results = [speaker.publish("chat", piece, DAY) for piece in data]
    for result in results:
        await result
    await hearer.heard.until(lambda: len(hearer.heard.of()) >= 300)
    assert hearer.heard.of() == data
    assert hearer.heard.missed == []


@pytest.mark.parametrize("late", [0.02, 0.5])
async def test_a_page_waits_for_a_line_that_is_late(redis, redis_url, late):
    """What is in a page was delivered before, and does not come again."""
    speaker, hearer = await redis(redis_url), await redis(redis_url, "chat")
    heard, loop = hearer._listener._heard, asyncio.get_running_loop()
    hearer._listener._heard = lambda *message: loop.call_later(late, heard, *message)
    for n in range(5):
        head = await speaker.publish("chat", b"%d" % n, DAY)
        page = await hearer.read("chat", limit=0)
        assert page.position == head
        assert hearer.heard.publications[-1] == ("chat", b"%d" % n, head)
    await asyncio.sleep(late)
    await hearer._listener.catch_up()
    assert hearer.heard.of() == numbers(range(5))


async def test_a_page_that_waits_in_vain_is_refused(redis, redis_server):
    node = await redis(redis_server.url, "chat")
    node._listener._heard = lambda *message: None
    await node.publish("chat", b"1", DAY)
    reading = asyncio.create_task(node.read("chat"))
    async with asyncio.timeout(20):
        while not node._ears.topics["chat"].readers:  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(0)
    redis_server.stop()  # nothing else happens meanwhile
    with pytest.raises(BrokerError):
        await reading


async def test_many_may_wait_at_once_for_the_line_to_tell_all(redis, redis_url):
    node = await redis(redis_url, "chat")

    async def wait():
        for n in range(10):
            node.publish("chat", b"%d" % n, DAY)
            await node._listener.catch_up()

    await asyncio.gather(*[wait() for _ in range(20)])


async def test_who_subscribes_twice_at_once_hears_once(redis, redis_url):
    speaker, hearer = await redis(redis_url), await redis(redis_url)
    for n in range(10):
        await speaker.publish("chat", b"old %d" % n, DAY)
    for n in range(20):
        subscribed = [asyncio.create_task(hearer.subscribe("chat")) for _ in range(3)]
        await asyncio.sleep(0)
        await hearer.unsubscribe("chat")
        subscribed += [asyncio.create_task(hearer.subscribe("chat")) for _ in range(2)]
        await asyncio.gather(*subscribed, return_exceptions=True)
        await speaker.publish("chat", b"%d" % n, DAY)
        await hearer.heard.until(lambda n=n: b"%d" % n in hearer.heard.of())
    assert hearer.heard.of() == numbers(range(20))
    assert hearer.heard.missed == []


# -- servers that stop ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_restart_that_loses_nothing_changes_nothing(redis, tmp_path, how):
    server = RedisServer(tmp_path / "sure", appendonly="yes").start()
    try:
        nodes = [await redis(server.url, "chat") for _ in range(2)]
        first = await nodes[0].publish("chat", b"0", DAY, id="0")
        said = [asyncio.create_task(insist(nodes[n % 2], b"%d" % n)) for n in range(1, 100)]
        await asyncio.sleep(0)
        getattr(server, how)()
        server.start()
        await asyncio.gather(*said)
        assert await nodes[1].publish("chat", b"0", DAY, id="0") == first
        for node in nodes:
            await node.heard.until(lambda node=node: len(node.heard.of()) >= 100)
            assert {position.epoch for *_, position in node.heard.publications} == {first.epoch}
            assert node.heard.of() == await log_of(node)
            assert node.heard.missed == []
    finally:
        server.kill()


async def test_a_server_that_forgot_everything_begins_a_new_life(redis, redis_server):
    nodes = [await redis(redis_server.url, "chat") for _ in range(2)]
    before = await nodes[0].publish("chat", b"1", DAY)
    for node in nodes:
        await node.heard.until(lambda node=node: node.heard.of())
    redis_server.kill()
    redis_server.start()
    after = await insist(nodes[0], b"2")
    assert after.epoch != before.epoch
    for node in nodes:
        await node.heard.until(lambda node=node: node.heard.missed)
        page = await node.read("chat", after=before)
        assert (page.entries, page.complete) == ((), False)
    assert await log_of(nodes[1]) == [b"2"]


async def test_a_server_with_an_older_past_gives_no_offset_a_second_time(redis, redis_server):
    """A failover to a replica that was behind, a restored backup: what was acknowledged is gone."""
    nodes = [await redis(redis_server.url, "chat", "quiet") for _ in range(2)]
    for n in range(10):
        await nodes[0].publish("chat", b"%d" % n, DAY)
    quiet = await nodes[0].publish("quiet", b"1", DAY)
    assert "OK" in redis_server.ask("SAVE")
    for n in range(10, 20):
        before = await nodes[0].publish("chat", b"%d" % n, DAY)
    for node in nodes:
        await node.heard.until(lambda node=node: len(node.heard.publications) == 21)
    redis_server.kill()
    redis_server.start()
    after = await insist(nodes[1], b"new")
    assert after.epoch != before.epoch
    assert after.offset == 11
    for node in nodes:
        await node.heard.until(lambda node=node: {topic for topic, _ in node.heard.missed} == {"chat", "quiet"})
        for position in (before, quiet, Position(before.epoch, 10)):
            assert not (await node.read("chat", after=position)).complete
    assert await log_of(nodes[0]) == [*numbers(range(10)), b"new"]


async def test_nobody_is_left_who_could_vouch(redis, tmp_path):
    server = RedisServer(tmp_path / "sure", appendonly="yes").start()
    try:
        node = await redis(server.url)
        before = await node.publish("chat", b"1", DAY)
        await node.close()
        server.stop()
        server.start()
        node = await redis(server.url)
        assert (await node.publish("chat", b"2", DAY)).epoch != before.epoch
        assert await log_of(node) == [b"1", b"2"]
    finally:
        server.kill()


async def test_a_node_that_saw_more_than_the_first_to_come_back_says_so(redis, redis_server):
    behind = await redis(redis_server.url)
    await behind.publish("chat", b"1", DAY)
    redis_server.ask("SAVE")
    ahead = await redis(redis_server.url, "chat")
    for n in range(5):
        before = await ahead.publish("chat", b"lost %d" % n, DAY)
    redis_server.kill()
    ahead._writer._queue.clear()
    for line in (ahead._writer, ahead._reader, ahead._listener):  # it comes later than the other
        line._place = line._place._replace(addresses=(("127.0.0.1", 1),))
    redis_server.start()
    behind._lives._lives[0].total = 1
    for n in range(10):
        during = await insist(behind, b"new %d" % n)
    for line in (ahead._writer, ahead._reader, ahead._listener):
        line._place = ahead._place
    await ahead.heard.until(lambda: ahead.heard.missed)
    later = await insist(behind, b"later")
    assert len({later.epoch, before.epoch}) == 2
    assert later.offset == during.offset + 1
    assert not (await behind.read("chat", after=before)).complete


async def test_flushing_all_under_way_begins_a_new_life(redis, redis_server):
    node = await redis(redis_server.url, "chat")
    before = await node.publish("chat", b"1", DAY, id="x")
    redis_server.ask("FLUSHALL")
    after = await insist(node, b"2")
    assert after.epoch != before.epoch
    assert after.offset == 1
    assert not (await node.read("chat", after=before)).complete
    assert (await node.publish("chat", b"1", DAY, id="x")).offset == 2  # nobody knows that id any more


async def test_a_primary_that_became_a_replica_refuses_until_there_is_one_again(redis, redis_server):
    node = await redis(redis_server.url, "chat")
    before = await node.publish("chat", b"0", DAY)
    redis_server.ask("REPLICAOF", "127.0.0.1", "1")
    results = [node.publish("chat", b"%d" % n, DAY) for n in range(1, 50)]
    await asyncio.sleep(0.3)
    redis_server.ask("REPLICAOF", "NO", "ONE")
    assert [await result for result in results] == [Position(before.epoch, n) for n in range(2, 51)]
    await node.heard.until(lambda: node.heard.of() == numbers(range(50)))


# -- servers that wait ----------------------------------------------------------------------------------------------


async def test_two_slow_seconds_are_waited_for(redis, redis_server):
    node = await redis(redis_server.url, "chat")
    await node.publish("chat", b"0", DAY)
    redis_server.pause()
    results = [node.publish("chat", b"%d" % n, DAY) for n in range(1, 50)]
    await asyncio.sleep(2)
    redis_server.resume()
    assert [(await result).offset for result in results] == list(range(2, 51))
    await node.heard.until(lambda: len(node.heard.of()) == 50)
    assert node.heard.of() == numbers(range(50))
    assert node.heard.missed == []


async def test_who_publishes_while_redis_is_away_is_refused_in_time(redis, redis_server, monkeypatch, caplog):
    node = await redis(redis_server.url, "chat")
    await node.publish("chat", b"before", DAY)
    redis_server.stop()
    for name in ("redis_line", "redis_listener", "redis_url"):
        monkeypatch.setattr(f"hubbub.brokers.{name}.PATIENCE", 0.5)
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(BrokerError, match="unavailable"):
            await node.publish("chat", b"lost", DAY)
    with pytest.raises(BrokerError, match="unavailable"):
        await node.read("chat")
    with pytest.raises(BrokerError, match="unavailable"):
        await node.subscribe("other")
    assert time.monotonic() - began < 30
    monkeypatch.undo()
    redis_server.start()
    await insist(node, b"after")
    assert await log_of(node) == [b"after"]
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "Redis is unavailable" in told
    assert "Redis is there again" in told
    assert len(told) < 10  # once a line, not once an attempt


async def test_it_says_whether_it_answers_though_nobody_asks_anything_of_it(redis, redis_server):
    node = await redis(redis_server.url)
    assert node.answers
    for how, answers in ((redis_server.stop, False), (redis_server.start, True)):
        await asyncio.to_thread(how)
        async with asyncio.timeout(20):
            while node.answers != answers:  # noqa: ASYNC110 (it is a state, and tells of no event)
                await asyncio.sleep(0.05)


async def test_what_may_have_been_done_is_not_done_again(redis, redis_server, monkeypatch):
    """A server that takes longer than anybody waits does it all the same."""
    node = await redis(redis_server.url)
    first = await node.publish("chat", b"first", DAY)
    monkeypatch.setattr("hubbub.brokers.redis_line.PATIENCE", 0.3)
    redis_server.pause()
    unsure = [node.publish("chat", b"unsure %d" % n, DAY) for n in range(10)]
    for result in unsure:
        with pytest.raises(BrokerError, match="not known"):
            await result
    monkeypatch.undo()
    redis_server.resume()
    sure = await insist(node, b"sure")
    assert await node.publish("chat", b"sure", DAY, id="sure") == sure
    log = await log_of(node)
    assert len(log) == len(set(log))
    assert log[0] == b"first"
    assert log[-1] == b"sure"
    assert sure.epoch == first.epoch


async def test_what_may_wait_has_an_end(redis, redis_server, monkeypatch):
    node = await redis(redis_server.url)
    await node.publish("chat", b"0", DAY)
    monkeypatch.setattr("hubbub.brokers.redis_line.WAITING", 100)
    monkeypatch.setattr("hubbub.brokers.redis_line.HELD", 1_000_000)
    monkeypatch.setattr("hubbub.brokers.redis_line.PATIENCE", 0.2)
    redis_server.pause()
    results = []
    with pytest.raises(BrokerError, match="too slow"):
        for _ in range(10_000):  # those that wait too long meanwhile are refused, and make room
            results.append(node.publish("chat", b"", DAY))
            await asyncio.sleep(0)
    with pytest.raises(BrokerError, match="too slow"):
        for _ in range(10_000):
            results.append(node.publish("chat", bytes(100_000), DAY))  # noqa: PERF401
    for result in results:
        with pytest.raises(BrokerError):
            await result
    redis_server.resume()


async def test_a_full_redis_refuses_and_says_why(redis, redis_server):
    node = await redis(redis_server.url, "chat")
    await node.publish("chat", b"1", DAY)
    redis_server.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BrokerError, match="Redis refused it"):
        await node.publish("chat", b"2", DAY)
    redis_server.ask("CONFIG", "SET", "maxmemory", "0")
    assert (await node.publish("chat", b"3", DAY)).offset == 2


async def test_scripts_that_somebody_flushed_are_loaded_again(redis, redis_server):
    node = await redis(redis_server.url, "chat")
    await node.publish("chat", b"0", DAY)
    redis_server.ask("SCRIPT", "FLUSH")
    results = [node.publish("chat", b"%d" % n, DAY) for n in range(1, 20)]
    assert [(await result).offset for result in results] == list(range(2, 21))


# -- mistakes -------------------------------------------------------------------------------------------------------


async def test_a_redis_that_is_not_there_is_said_at_once(redis, redis_server):
    redis_server.stop()
    with pytest.raises(UsageError, match=r"^Redis at 127\.0\.0\.1:\d+ cannot be reached: .*\.$"):
        await redis(redis_server.url)


async def test_a_wrong_password_is_said_at_once(redis, redis_server):
    redis_server.ask("CONFIG", "SET", "requirepass", "right")
    right = redis_server.url.replace("//", "//:right@")
    with pytest.raises(UsageError, match="cannot be reached") as caught:
        await redis(right.replace("right", "wr0ng"))
    assert "wr0ng" not in caught.value.reason
    assert (await (await redis(right)).publish("chat", b"", DAY)).offset == 1


async def test_a_redis_that_evicts_is_warned_of(redis, redis_server, caplog):
    redis_server.ask("CONFIG", "SET", "maxmemory", "100mb")
    redis_server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await redis(redis_server.url)
    assert "Redis may evict logs" in caplog.text


async def test_a_message_of_a_stranger_harms_nobody(redis, redis_server, caplog):
    node = await redis(redis_server.url, "chat")
    for stranger in (b"", b"hello", b"2 x\n", b"1 epoch x 1 run\nhi", b"1 a b\n", b"\xff\xfe\n", b"1 \xff 1 1 run\n"):
        redis_server.ask("PUBLISH", "hubbub@0:chat", stranger)
    await node.publish("chat", b"1", DAY)
    await node.heard.until(lambda: node.heard.publications)
    assert node.heard.of() == [b"1"]
    assert caplog.text.count("nobody here wrote") == 7


async def test_a_fault_in_the_watch_does_not_end_it(redis, redis_server, monkeypatch, caplog):
    monkeypatch.setattr(module, "BEAT", 0.01)
    node = await redis(redis_server.url, "chat")
    beaten = asyncio.Event()
    look = node._ears.check

    async def check(topic):
        if not beaten.is_set():
            beaten.set()
            raise RuntimeError("a bug")
        await look(topic)

    monkeypatch.setattr(node._ears, "check", check)
    await asyncio.wait_for(beaten.wait(), 20)
    redis_server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await insist(node, b"1")
    await node.heard.until(lambda: node.heard.of() == [b"1"])
    assert "a look at all topics failed" in caplog.text
