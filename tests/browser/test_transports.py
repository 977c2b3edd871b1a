"""The race: four transports on one page hear the same ticks, and what it says of them is so."""

import asyncio
import json
import re
from collections import Counter

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import expect

from .conftest import DEADLINE, holds

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = ["WebSocket", "Server-sent events", "Long polling", "Short polling"]
UNKNOWN = "\N{EN DASH}"
RECORD = """async () => {
  const { courses } = await import("./race.js");
  for (const course of courses) {
    const { hear } = course;
    course.read = [];
    course.hear = (self, position, tick, now) => {
      self.read.push([position, tick.at, tick.price]);
      hear(self, position, tick, now);
    };
  }
}"""
READ = "import('./race.js').then(({ courses }) => courses.map(({ read }) => read))"
SPENT = "import('./race.js').then(({ courses }) => courses.map(({ figures }) => figures.bytes))"


@pytest.fixture(scope="module")
def server(serve):
    return serve("transports")


@pytest_asyncio.fixture(loop_scope="session")
async def page(server, visit):
    return await race(server, visit, 10)


async def race(server, visit, rate):
    """The page, at this many ticks a second from the beginning."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.url}/topics/ticker/rate", json={"rate": rate}) as told,
    ):
        assert told.status == 204
    page = await visit(server.url)
    await settled(page)
    return page


def verdict(page):
    return page.locator("#verdict")


async def settled(page, **options):
    await expect(verdict(page)).to_have_text(
        re.compile(r"^Four transports, [1-9][\d,]* ticks each: the same ones, in the same order, none missing\.$"),
        **options,
    )


async def set_rate(page, rate):
    """As a hand on the control does."""
    control = page.get_by_role("slider", name="Ticks per second")
    if await control.input_value() != str(rate):
        async with page.expect_response("**/topics/ticker/rate") as told:
            await control.fill(str(rate))
        assert (await told.value).ok


async def figures(page):
    """The table, by transport and column; None for what is not known yet."""
    rows = await page.locator("#table tbody tr").evaluate_all(
        "rows => rows.map((row) => Object.fromEntries([['name', row.querySelector('.name').textContent],"
        " ...[...row.querySelectorAll('td')].map((cell) => [cell.dataset.of, cell.textContent])]))"
    )
    return {row.pop("name"): {of: number(text) for of, text in row.items()} for row in rows}


def number(text):
    return None if text == UNKNOWN else float(text.removesuffix(" ms").replace(",", ""))


async def until(page, wanted):
    """The table, as soon as it is as wanted."""
    async with asyncio.timeout(DEADLINE):
        while not wanted(told := await figures(page)):
            await page.wait_for_timeout(50)
    return told


async def test_all_hear_the_same_ticks_in_the_same_order(page):
    await page.evaluate(RECORD)
    await set_rate(page, 50)
    async with asyncio.timeout(DEADLINE):
        while min(map(len, read := await page.evaluate(READ))) < 100:
            await page.wait_for_timeout(50)
    positions = [[position for position, *_ in course] for course in read]
    first = max((course[0] for course in positions), key=offset)
    last = min((course[-1] for course in positions), key=offset)
    same = [
        json.dumps(course[at.index(first) : at.index(last) + 1]) for course, at in zip(read, positions, strict=True)
    ]
    assert len(set(same)) == 1
    offsets = [offset(position) for position, *_ in json.loads(same[0])]
    assert len(offsets) > 50
    assert offsets == list(range(offsets[0], offsets[-1] + 1))
    assert {name: row["gaps"] for name, row in (await figures(page)).items()} == dict.fromkeys(NAMES, 0)


def offset(position):
    return int(position.rpartition(":")[2])


async def test_the_numbers_are_those_of_their_transports(server, visit):
    page = await race(server, visit, 6)
    await page.get_by_label("A short poll every").select_option("¼ second")

    def as_it_should_be(told):
        """Of late: what a machine with much else to do held up for a while does not count for long."""
        socket, stream, long, short = (told[name] for name in NAMES)
        return (
            min(row["messages"] for row in told.values()) >= 20
            and None not in [row["p50"] for row in told.values()]
            and short["p50"] > max(socket["p50"], stream["p50"])
            and short["bytes"] > 2 * socket["bytes"]
            and long["bytes"] > 3 * socket["bytes"]
        )

    told = await until(page, as_it_should_be)
    socket, stream, long, _ = (told[name] for name in NAMES)
    for row in told.values():  # the clocks of page and server have hours between them
        assert -1_000 < row["p50"] <= row["p99"] < 30_000
    assert socket["requests"] == stream["requests"] == 1
    assert 1 < long["requests"] <= long["messages"] + 2
    assert 60 < socket["bytes"] < 300
    assert 60 < stream["bytes"] < 300
    assert re.search(r"known to ± \d+\.\d ms\.$", await page.locator("#clock").inner_text())


# -- bytes, as a wire has them --------------------------------------------------------------------------------------


class Relay:
    """Between the browser and the server, and counts what passes, by what was asked for last on that connection."""

    KINDS = (
        (b"upgrade: websocket", NAMES[0]),
        (b"text/event-stream", NAMES[1]),
        (b"&wait=25", NAMES[2]),
        (b"&wait=0", NAMES[3]),
    )

    def __init__(self, port):
        self.port = port
        self.counted = Counter()

    async def __aenter__(self):
        self.listener = await asyncio.start_server(self.connect, "127.0.0.1")
        self.url = f"http://127.0.0.1:{self.listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.listener.close()

    async def connect(self, reader, writer):
        back, forth = await asyncio.open_connection("127.0.0.1", self.port)
        kind = None

        async def carry(source, target, asks):
            nonlocal kind
            while data := await source.read(1 << 16):
                if asks and data.startswith((b"GET ", b"POST ")):
                    kind = next((name for mark, name in self.KINDS if mark in data.lower()), None)
                self.counted[kind] += len(data)
                target.write(data)
            target.close()

        try:
            await asyncio.gather(carry(reader, forth, True), carry(back, writer, False))
        except ConnectionError:
            writer.close()
            forth.close()


MUTE = """
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (data) { if (!data.includes('"clock"')) send.call(this, data); };
"""
"""Questions for the time are not counted by the page; and the longer it all takes, the more there would be of them."""


async def test_the_bytes_are_those_on_the_wire(server, visit):
    async with Relay(server.port) as relay:
        page = await visit("about:blank")
        await page.add_init_script(MUTE)
        await page.goto(relay.url)
        await settled(page)
        await set_rate(page, 50)
        await until(page, lambda told: min(row["messages"] for row in told.values()) >= 150)
        await set_rate(page, 1)  # so that little is under way when it is paused
        await expect(page.locator("#rate-told")).to_have_text("1")
        before = await figures(page)
        await until(page, lambda told: all(row["messages"] > before[name]["messages"] for name, row in told.items()))
        await page.get_by_role("button", name="Pause").click()
        await expect(verdict(page)).to_contain_text("Paused after")
        spent = dict(zip(NAMES, await page.evaluate(SPENT), strict=True))
        assert spent == {name: pytest.approx(relay.counted[name], rel=0.08) for name in NAMES}
        await page.close()


# -- the controls ---------------------------------------------------------------------------------------------------


async def test_pause_ends_all_lines_and_start_goes_on(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    before = await figures(page)
    await page.get_by_role("button", name="Pause").click()
    await expect(verdict(page)).to_have_text(re.compile(r"^Paused after [\d,]+ ticks\.$"))
    await expect(page.locator(".state")).to_have_text(["paused"] * 4)
    asked.clear()
    still = await figures(page)
    await page.wait_for_timeout(1_200)  # longer than from one short poll to the next
    assert asked == []
    assert await figures(page) == still
    await page.get_by_role("button", name="Start").press("Enter")
    await settled(page)
    told = await until(page, lambda told: all(row["messages"] > still[name]["messages"] for name, row in told.items()))
    for name, row in told.items():
        assert row["messages"] > before[name]["messages"]
        assert row["gaps"] == 0  # what was said meanwhile was not asked for
    assert told["WebSocket"]["requests"] == 2


async def test_a_tab_that_nobody_sees_pauses_and_goes_on_when_it_is_seen(page):
    for hidden in (True, False):
        await page.evaluate(
            "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
            " document.dispatchEvent(new Event('visibilitychange')); }",
            hidden,
        )
        if hidden:
            await expect(verdict(page)).to_contain_text("Paused after")
        else:
            await settled(page)
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("button", name="Start")).to_be_visible()


async def test_the_rate_is_everyones_and_at_hand_by_keyboard(page, server, visit):
    other = await visit(server.url)
    await settled(other)
    await page.get_by_role("slider", name="Ticks per second").focus()
    await page.keyboard.press("End")
    await expect(page.locator("#rate-told")).to_have_text("50")
    await expect(other.locator("#rate-told")).to_have_text("50")
    before = (await figures(other))["WebSocket"]["messages"]
    await until(other, lambda told: told["WebSocket"]["messages"] >= before + 60)


async def test_numbers_are_read_out_when_asked_for_and_not_as_they_come(page):
    announcer = page.locator("#announcer")
    await page.evaluate("""() => {
      window.announced = [];
      const note = () => window.announced.push(document.getElementById("announcer").textContent);
      new MutationObserver(note).observe(document.getElementById("announcer"), { childList: true });
    }""")
    start = await figures(page)
    await until(page, lambda told: told["WebSocket"]["messages"] >= start["WebSocket"]["messages"] + 15)
    assert await page.evaluate("window.announced") == []
    await page.get_by_role("button", name="Pause").click()
    await expect(announcer).to_have_text(re.compile("^Paused after"))
    assert len(await page.evaluate("window.announced")) == 1
    await page.get_by_role("button", name="Sum it up in words").click()
    for name in NAMES:
        await expect(page.locator("#summary")).to_contain_text(
            re.compile(rf"{name}: half within [\d.,]+ ms, 99 of 100 within")
        )
    row = page.get_by_role("row", name="WebSocket")
    await expect(row.get_by_role("cell")).to_have_count(6)


# -- what may happen ------------------------------------------------------------------------------------------------


async def test_without_a_websocket_the_others_run_and_the_clock_is_known(server, visit):
    page = await visit("about:blank", known="WebSocket connection to")
    await page.add_init_script(
        "const Real = WebSocket; window.WebSocket = function () { return new Real('ws://127.0.0.1:9/'); };"
    )
    await page.goto(server.url)
    await expect(verdict(page)).to_have_text("3 of 4 transports are live …")
    told = await until(page, lambda told: all(told[name]["p50"] is not None for name in NAMES[1:]))
    assert told["WebSocket"]["messages"] == 0
    assert -1_000 < told["Server-sent events"]["p50"] < 30_000


async def test_all_come_back_after_a_restart(serve, visit):
    server = serve("transports")
    page = await visit(server.url, breaks=True, known="WebSocket connection to")
    await settled(page)
    server.kill()
    await expect(verdict(page)).to_contain_text("of 4 transports are live")
    server.start()
    await expect(verdict(page)).to_have_text(re.compile("log began anew"), timeout=60_000)
    before = await figures(page)
    told = await until(page, lambda told: all(row["messages"] > before[name]["messages"] for name, row in told.items()))
    assert {name: row["gaps"] for name, row in told.items()} == dict.fromkeys(NAMES, 0)


# -- how it looks ---------------------------------------------------------------------------------------------------

HAS_COLOUR = """(id) => {
  const canvas = document.querySelector(`#${id} canvas`);
  const { width, height } = canvas;
  const copy = Object.assign(document.createElement("canvas"), { width, height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const wanted = getComputedStyle(document.querySelector(".stroke")).color.match(/\\d+/g).slice(0, 3).map(Number);
  for (let at = 0; at < data.length; at += 4)
    if (wanted.every((part, index) => Math.abs(data[at + index] - part) < 3) && data[at + 3] > 200) return true;
  return false;
}"""


async def test_the_curves_are_drawn_in_the_colours_of_day_and_night(page):
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        for curve in ("latency", "bytes"):
            await holds(page, HAS_COLOUR, curve)


async def test_it_fits_screens_of_all_sizes(page):
    wide = "document.querySelectorAll('td').forEach((cell) => (cell.textContent = '8,888 ms'));"
    overflowing = "[...document.querySelectorAll('td')].filter((cell) => cell.scrollWidth > cell.clientWidth).length"
    for width in (320, 360, 768, 1280):
        await page.set_viewport_size({"width": width, "height": 640})
        await holds(page, f"document.documentElement.scrollWidth === {width}")
        await holds(page, f"() => {{ {wide} return {overflowing} === 0; }}")


# -- its parts ------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def parts(server, long_visit):
    """A page that is there for all of them."""
    page = await long_visit(server.url)
    await settled(page)
    return page


async def test_gaps_and_repetitions_are_seen(parts):
    told = await parts.evaluate("""async () => {
      const { Figures } = await import("./figures.js");
      const figures = new Figures();
      for (const position of ["e:1", "e:2", "e:5", "e:5", "e:6", "f:9", "f:10"]) figures.hear(position, 0, 0);
      figures.restart();
      figures.hear("f:20", 0, 0);
      const { missing, disorder, messages } = figures;
      return { missing, disorder, messages };
    }""")
    assert told == {"missing": 2, "disorder": 1, "messages": 8}


async def test_latency_and_bytes_are_of_late(parts):
    told = await parts.evaluate("""async () => {
      const { Figures, SPAN } = await import("./figures.js");
      const figures = new Figures();
      figures.spend(5_000, 5_000, 0);
      figures.hear("e:1", 0, 1_000);
      const now = SPAN + 2_000;
      for (let late = 1; late <= 100; late += 1) figures.hear(`e:${late + 1}`, now + 500 - late, now);
      figures.spend(100, 900, now);
      return [figures.lately(now, 500), figures.lately(now)];
    }""")
    assert told[0] == {"p50": 50, "p99": 99, "up": 1, "down": 9, "bytes": 10}
    assert told[1] == {"p50": None, "p99": None, "up": 1, "down": 9, "bytes": 10}


async def test_of_many_looks_at_a_clock_the_quickest_counts_until_it_is_old(parts):
    told = await parts.evaluate("""async () => {
      const { Clock } = await import("./clock.js");
      const clock = new Clock();
      const none = clock.read(0);
      clock.add(7_030, 0, 20); // 7,020 ahead, if both ways were alike; ±10
      clock.add(7_102, 100, 102); // ±1
      clock.add(7_215, 200, 210); // ±5
      return [none, clock.read(210), clock.read(100_000_000)];
    }""")
    none, now, later = told
    assert none is None
    assert now == {"offset": 7001, "error": pytest.approx(1, abs=0.01)}
    assert later["error"] > 1_000


async def test_sizes_are_as_the_standards_have_them(parts):
    told = await parts.evaluate("""async () => {
      const { frame, chunk, block, responseHead } = await import("./bytes.js");
      return [
        frame("a".repeat(125)), frame("a".repeat(126)), frame("ä".repeat(32_768)), frame("hello", true),
        chunk("a".repeat(15)), chunk("ä".repeat(8)),
        block({ type: "tick", data: "1", lastEventId: "e:1" }),
        responseHead(new Response("", { status: 200, statusText: "OK", headers: { "x-one": "two" } })),
      ];
    }""")
    assert told[:6] == [127, 130, 65_546, 11, 20, 22]
    assert told[6] == "event: tick\ndata: 1\nid: e:1\n\n"
    assert told[7] >= len("HTTP/1.1 200 OK\r\nx-one: two\r\n\r\n")
