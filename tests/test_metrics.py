"""The numbers of a node, beside what its clients know that has happened. They are asked for as Prometheus asks, in both
lanes."""

import asyncio
import json
import re
import sys
import threading
import time
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

import hubbub
from hubbub import App, Channel, Keep, Kicked, Limits, on
from hubbub.errors import Disconnect, NotFound
from hubbub.metrics import COMPILED
from hubbub.reception import ENDS
from tests.conftest import LANES
from tests.exposition import number, read
from tests.servers.test_slow_readers import Reader

SECRET = "swordfish"
BEARER = {"authorization": f"Bearer {SECRET}"}
WEBSOCKET = "/hubbub/websocket"
FLOOD = 16_000_000
"""Bytes: more than the kernel keeps for any socket."""
HOSTILE = 'a"} 1\nevil{b="\\'


class Odd(Disconnect):
    code = HOSTILE


class Room(Channel):
    history = Keep(count=5)

    @on("say")
    async def say(self, text: str):
        await self.publish("said", text, except_self=text == "not to me")

    @on("fail")
    async def fail(self):
        raise RuntimeError("the application is at fault")

    @on("wait")
    async def wait(self):
        await asyncio.Event().wait()

    @on("out")
    async def out(self, how: str):
        raise Odd if how == "odd" else Kicked

    @on("flood")
    async def flood(self):
        for _ in range(FLOOD // 100_000):
            await self.publish("said", "x" * 100_000, keep=False, except_self=True)
            await asyncio.sleep(0)


def make_app(**options):
    app = App(secret=SECRET, **options)
    app.channel("room:{room}")(Room)

    @app.socket("/echo")
    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    return app


@pytest.fixture(params=LANES)
def lane(request):
    return request.param


@pytest.fixture
async def http():
    line = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=line, timeout=aiohttp.ClientTimeout(40)) as session:
        yield session


class Watcher:
    """Asks a server for its numbers."""

    def __init__(self, http, url):
        self.http = http
        self.url = url

    async def look(self):
        async with self.http.get(f"{self.url}/hubbub/metrics", headers=BEARER) as response:
            assert response.status == 200
            self.text = await response.text()
        list(text_string_to_metric_families(self.text))
        return read(self.text)

    async def until(self, value, name, **labels):
        """Come back when it is so."""
        async with asyncio.timeout(20):
            while (now := number(await self.look(), name, **labels)) != value:
                assert now < value or not name.endswith("_total"), (name, labels, now)
                await asyncio.sleep(0.01)


class Person:
    """A client of the native protocol."""

    def __init__(self, socket):
        self.socket = socket

    async def ask(self, **message):
        await self.socket.send_json({**message, "ref": 1})
        return await self.hear("reply")

    async def hear(self, key):
        async with asyncio.timeout(20):
            while key not in (told := await self.socket.receive_json()):
                pass
        return told

    async def over(self):
        async with asyncio.timeout(20):
            while (await self.socket.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                pass


async def enter(http, url, topic="room:a", **asked):
    person = Person(await http.ws_connect(url + WEBSOCKET))
    assert (await person.ask(join=topic, **asked))["ok"]
    return person


async def test_clients_of_each_protocol_are_counted_as_they_come_and_go(serve, http, lane):
    url = serve(make_app(), lane=lane)
    watch = Watcher(http, url)
    native = [await enter(http, url) for _ in range(3)]
    socketio = await http.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket")
    phoenix = await http.ws_connect(f"{url}/socket/websocket?vsn=2.0.0")
    sockjs = await http.ws_connect(f"{url}/sockjs/000/aaaaaaaa/websocket")
    raw = await http.ws_connect(f"{url}/echo")
    stream = await http.get(f"{url}/topics/room:a", headers={"accept": "text/event-stream"})
    lines = {"native": 3, "socketio": 1, "phoenix": 1, "sockjs": 1, "raw": 1, "sse": 1}
    for protocol, count in lines.items():
        await watch.until(count, "hubbub_connections", protocol=protocol)
    async with http.get(f"{url}/topics/room:a") as page:
        assert page.status == 200
    await watch.until(1, "hubbub_connections_opened_total", protocol="polling")
    await watch.until(0, "hubbub_connections", protocol="polling")
    await watch.until(1, "hubbub_topics")
    for socket in (*[person.socket for person in native], socketio, phoenix, sockjs, raw):
        await socket.close()
    stream.close()
    for protocol, count in lines.items():
        await watch.until(0, "hubbub_connections", protocol=protocol)
        await watch.until(count, "hubbub_connections_opened_total", protocol=protocol)
    await watch.until(sum(lines.values()) + 1, "hubbub_connections_ended_total", reason="closed")
    await watch.until(0, "hubbub_topics")


async def test_what_is_said_and_who_was_given_it(serve, http, lane):
    url = serve(make_app(), lane=lane)
    watch = Watcher(http, url)
    people = [await enter(http, url) for _ in range(5)]
    for text in ("hello", "hello", "not to me"):
        assert (await people[0].ask(send="room:a", event="say", payload=text))["ok"]
    for _ in range(3):
        await people[1].hear("event")
    await http.post(
        f"{url}/hubbub/publish", headers=BEARER, json={"topic": "room:b", "event": "said", "payload": ["to nobody"]}
    )
    assert number(await watch.look(), "hubbub_publications_total") == 3
    assert number(await watch.look(), "hubbub_deliveries_total") == 5 + 5 + 4
    assert number(await watch.look(), "hubbub_commands_total") == 5 + 3
    assert number(await watch.look(), "hubbub_faults_total") == 0
    assert not (await people[0].ask(send="room:a", event="fail"))["ok"]
    assert not (await people[0].ask(send="room:a", event="nonsense"))["ok"]  # which is no fault
    assert number(await watch.look(), "hubbub_faults_total") == 1
    await people[4].socket.close()
    await watch.until(1, "hubbub_connections_ended_total", reason="closed")
    assert number(await watch.look(), "hubbub_commands_total") == 5 + 5  # to go is none


async def test_what_is_refused_by_its_limit(serve, http, lane):
    url = serve(make_app(limits=Limits(rate=0.001, burst=6, backlog=1, topics=1)), lane=lane)
    watch = Watcher(http, url)
    person = await enter(http, url)
    assert (await person.ask(join="room:b"))["error"]["code"] == "too_many"
    for _ in range(2):
        await person.socket.send_json({"send": "room:a", "event": "wait"})
    assert (await person.ask(send="room:a", event="wait"))["error"]["code"] == "too_many"  # one runs, one waits
    await person.socket.send_json({"send": "room:a", "event": "wait"})
    assert (await person.ask(send="room:a", event="wait"))["error"]["code"] == "too_many"
    families = await watch.look()
    refused = {limit: number(families, "hubbub_refused_total", limit=limit) for limit in ("topics", "backlog", "rate")}
    assert refused == {"topics": 1, "backlog": 2, "rate": 1}
    for _ in range(7):
        await person.socket.send_json({"send": "room:a", "event": "wait"})
    await watch.until(1, "hubbub_connections_ended_total", reason="too many")


async def test_how_clients_end(serve, http, lane):
    url = serve(make_app(), lane=lane)
    watch = Watcher(http, url)
    for how in ("out", "odd"):
        person = await enter(http, url)
        await person.socket.send_json({"send": "room:a", "event": "out", "payload": how})
        await person.over()
    wrong = await enter(http, url)
    await wrong.socket.send_str("{")
    await wrong.over()
    for reason in ("kicked", "other", "protocol error"):
        await watch.until(1, "hubbub_connections_ended_total", reason=reason)


async def test_who_reads_too_slowly_shows_in_the_bytes_and_then_in_the_ends(serve, http, lane):
    url = serve(make_app(limits=Limits(outbox=FLOOD, stalled=60)), lane=lane)
    watch = Watcher(http, url)
    speaker = await enter(http, url, "room:b")
    slow = await asyncio.to_thread(Reader, url)
    slow.say({"join": "room:b"})
    await watch.until(2, "hubbub_commands_total")
    assert number(await watch.look(), "hubbub_outbox_bytes") < 100_000
    assert (await speaker.ask(send="room:b", event="flood"))["ok"]
    assert 1_000_000 < number(await watch.look(), "hubbub_outbox_bytes") < 1.1 * FLOOD
    await speaker.socket.send_json({"send": "room:b", "event": "flood"})
    await watch.until(1, "hubbub_connections_ended_total", reason="too slow")
    slow.reset()
    await watch.until(0, "hubbub_outbox_bytes")


async def test_what_waits_for_a_client_that_polls(serve, http, lane):
    app = make_app()
    url = serve(app, lane=lane)
    watch = Watcher(http, url)
    place = f"{url}/socket.io/?EIO=4&transport=polling"
    async with http.get(place) as response:
        session = json.loads((await response.text())[1:])["sid"]
    async with http.post(f"{place}&sid={session}", data="40/room:a,") as response:
        assert await response.text() == "ok"
    async with http.get(f"{place}&sid={session}") as response:
        assert (await response.text()).startswith("40/room:a,")
    speaker = await enter(http, url)
    await speaker.ask(send="room:a", event="say", payload="x" * 10_000)
    assert 10_000 < number(await watch.look(), "hubbub_outbox_bytes") < 11_000
    async with http.get(f"{place}&sid={session}") as response:
        assert "x" * 10_000 in await response.text()
    assert number(await watch.look(), "hubbub_outbox_bytes") < 10_000


async def test_who_came_back_and_got_all_and_who_did_not(serve, http, lane):
    url = serve(make_app(), lane=lane)
    watch = Watcher(http, url)
    speaker = await enter(http, url)
    position = (await speaker.ask(join="room:a"))["position"]
    await speaker.ask(send="room:a", event="say", payload="missed")
    await enter(http, url, after=position)
    await enter(http, url, after="nonsense:0")
    for _ in range(6):
        await speaker.ask(send="room:a", event="say", payload="more than is kept")
    await enter(http, url, after=position)
    families = await watch.look()
    assert number(families, "hubbub_recoveries_total", got="all") == 1
    assert number(families, "hubbub_recoveries_total", got="nothing") == 2


async def test_a_loop_that_was_held_up_says_so(serve, http, lane):
    app = make_app()
    held = threading.Event()

    @app.channel("clumsy")
    class Clumsy(Channel):
        @on("block")
        async def block(self):
            time.sleep(0.5)  # noqa: ASYNC251 (which is what is to be seen)
            held.set()

    url = serve(app, lane=lane)
    watch = Watcher(http, url)
    person = await enter(http, url, "clumsy")
    await person.ask(send="clumsy", event="block")
    assert held.is_set()
    families = await watch.look()
    async with asyncio.timeout(20):
        while number(families, "hubbub_loop_lateness_max_seconds") < 0.35:
            families = await watch.look()
    assert number(families, "hubbub_loop_lateness_seconds_sum") >= 0.35
    assert number(families, "hubbub_loop_lateness_seconds_count") >= 1


async def test_what_clients_choose_is_in_no_label(serve, http, lane):
    url = serve(make_app(), lane=lane)
    watch = Watcher(http, url)
    before = [len(family.samples) for family in (await watch.look()).values()]
    agent = "evil-agent"
    for number_of in range(20):
        socket = await http.ws_connect(url + WEBSOCKET, headers={"user-agent": f"{agent}{number_of}"})
        person = Person(socket)
        topic = f"room:evil{number_of}{HOSTILE}"
        assert (await person.ask(join=topic))["ok"]
        await person.ask(send=topic, event=f"evil{number_of}{HOSTILE}")
        await person.ask(send=topic, event="say", payload="evil")
        await socket.send_json({"send": topic, "event": "out", "payload": "odd"})
        await person.over()
    async with http.get(f"{url}/evil", headers=BEARER) as response:
        assert response.status == 404
    await watch.until(20, "hubbub_connections_ended_total", reason="other")
    families = await watch.look()
    assert "evil" not in watch.text
    assert SECRET not in watch.text
    assert [len(family.samples) for family in families.values()] == before


async def test_the_sum_of_a_thousand_clients_is_there_at_once(serve, http):
    """A thousand clients wait in a topic; that one asks for the numbers holds none of them up."""
    app = make_app()
    url = serve(app)
    watch = Watcher(http, url)
    people = [await enter(http, url) for _ in range(1_000)]
    scraping = asyncio.create_task(_ask_on(watch))
    for said in range(3):
        await people[0].ask(send="room:a", event="say", payload=str(said))
    for person in people[1:]:
        for said in range(3):
            assert (await person.hear("event"))["payload"] == str(said)
    families = await watch.look()
    assert number(families, "hubbub_connections", protocol="native") == 1_000
    assert number(families, "hubbub_deliveries_total") == 3_000
    assert len(watch.text) < 10_000  # as long as with nobody
    scraping.cancel()
    await asyncio.wait((scraping,))


async def _ask_on(watch):
    while True:
        await watch.look()


# -- without a server -----------------------------------------------------------------------------------------------


async def test_an_application_can_ask_for_them_itself_from_any_thread():
    app = make_app()
    assert set(read(app.metrics())) >= {"hubbub_info"}
    assert "hubbub_connections" not in read(app.metrics())
    await app.start()
    families = read(await asyncio.to_thread(app.metrics))
    assert set(families) == set(read(app.metrics()))
    assert number(families, "hubbub_broker_up", scheme="memory") == 1
    assert number(families, "hubbub_info", version=hubbub.__version__, compiled="true" if COMPILED else "false")
    await app.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_the_process_is_told_of_by_its_standard_names():
    import resource

    app = make_app()
    spent = time.process_time()
    opened = len(list(Path("/proc/self/fd").iterdir())) - 1  # the folder itself was open, too
    families = read(app.metrics())
    assert number(families, "process_open_fds") == opened
    assert number(families, "process_cpu_seconds_total") == pytest.approx(spent, abs=0.5)
    assert abs(time.time() - number(families, "process_start_time_seconds")) < 86_400
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
    assert 1 << 20 < number(families, "process_resident_memory_bytes") <= most * 1.1
    assert number(families, "process_max_fds") == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def test_what_is_counted_stays_when_it_is_started_again():
    """Counters may begin again at nought, but for those who come and go they do not."""
    app = make_app()
    await app.start()
    app.reception.opened["native"] = 5
    await app.close()
    await app.start()
    assert number(read(app.metrics()), "hubbub_connections_opened_total", protocol="native") == 5
    await app.close()


def test_the_reasons_are_those_that_channels_hear():
    assert {"closed", "timeout", "too slow", "too many", "protocol error", "kicked", "missed", "shutdown"} <= set(ENDS)


async def test_a_topic_that_is_not_there_counts_for_nothing():
    app = make_app()
    await app.start()
    with pytest.raises(NotFound):
        await app.publish("nowhere", "said")
    assert number(read(app.metrics()), "hubbub_publications_total") == 0
    await app.close()


async def test_the_guide_tells_of_all_of_them_and_of_no_others():
    app = make_app()
    await app.start()
    families = read(app.metrics())
    samples = {name for family in families.values() for name, _ in family.samples}
    guide = (Path(__file__).parents[1] / "docs" / "guides" / "production.md").read_text()
    told = set(re.findall(r"\b(?:hubbub|process)_[a-z_]+[a-z]", guide))
    assert told - {"hubbub_loop_lateness_seconds"} <= samples
    assert set(families) <= told
    await app.close()
