"""The chat in a browser: what people write, who they see, what is unread."""

import itertools
import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from .people import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(serve):
    return serve("chat")


@pytest.fixture
def room(server):
    """The address of a room in which nobody was before."""
    return f"{server.url}/#room-{next(numbers)}"


@pytest_asyncio.fixture(loop_scope="session")
async def person(visit, room):
    """``person("Ada")`` is someone new in the room."""

    async def come(name, **options):
        return await Person(await visit(room, **options)).enter(name)

    return come


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def regulars(long_visit, server):
    return [await Person(await long_visit(server.url)).enter(name) for name in ("Ada", "Ben")]


@pytest_asyncio.fixture(loop_scope="session")
async def pair(regulars, room):
    """Ada and Ben, who have been here for a while, in the room."""
    for each in regulars:
        await each.at.goto(room)
        await expect(each.at.get_by_role("heading", level=1)).to_have_text(f"#{room.partition('#')[2]}")
    for each in regulars:
        await expect(each.people).to_have_count(2)
    return regulars


@pytest_asyncio.fixture(loop_scope="session")
async def ada(pair):
    return pair[0]


# -- over either line ------------------------------------------------------------------------------------------------


async def converse(ada, ben):
    said = []
    for number in range(3):
        for one, other in ((ada, ben), (ben, ada)):
            said.append(f"message {number} of {'Ada' if one is ada else 'Ben'}")
            await one.say(said[-1])
            await other.reads(*said)
            await one.reads(*said)


async def test_two_tabs_talk_over_a_websocket(pair):
    ada, ben = pair
    for each in (ada, ben):
        await expect(each.line).to_have_text("Live over WebSocket")
    await converse(ada, ben)


async def test_two_tabs_talk_over_polling_where_websockets_are_blocked(visit, room):
    pages = [await visit("about:blank"), await visit("about:blank")]
    for page in pages:
        await page.context.add_init_script("window.WebSocket = class { constructor() { throw new Error('blocked'); } }")
        await page.goto(room)
    ada, ben = await Person(pages[0]).enter("Ada"), await Person(pages[1]).enter("Ben")
    await converse(ada, ben)
    for each in (ada, ben):
        await expect(each.line).to_have_text("Live over HTTP polling")


# -- what people write -----------------------------------------------------------------------------------------------


async def test_what_people_write_stays_text_wherever_it_is_shown(person):
    ada = await person(HOSTILE[:40])
    ben = await person("Ben")
    await ada.say(HOSTILE)
    await ben.reads(HOSTILE)
    await ben.sees_people("Ben", HOSTILE[:40])
    await ada.box.fill("typing")
    await expect(ben.at.locator("#typing")).to_contain_text(HOSTILE[:40])
    for page in (ada.at, ben.at):
        assert await page.locator("main img, aside img, main script, aside script").count() == 0
        assert "Hubbub" in await page.title()


async def test_web_addresses_are_links_and_nothing_else_is(ada):
    await ada.say(
        "see https://example.com/a_(b)?c=d, (http://example.org/x). javascript:alert(1) data:text/html,x ftp://x.y"
    )
    links = ada.messages.locator("a")
    await expect(links).to_have_text(["https://example.com/a_(b)?c=d", "http://example.org/x"])
    for link in await links.all():
        assert await link.get_attribute("href") == await link.text_content()
        assert "noopener" in await link.get_attribute("rel")


async def test_enter_sends_and_shift_enter_starts_a_line(person):
    ada = await person("Ada")
    await ada.at.keyboard.type("one")  # the box has the focus as soon as there is a name
    await ada.at.keyboard.press("Shift+Enter")
    await ada.at.keyboard.type("two")
    await expect(ada.box).to_have_value("one\ntwo")
    await ada.at.keyboard.press("Enter")
    await ada.reads("one\ntwo")
    await expect(ada.box).to_have_value("")


async def test_blank_and_overlong_messages_stay_in_the_box(ada):
    await ada.say("   ")
    await expect(ada.at.get_by_role("button", name="Send")).to_be_disabled()
    await ada.say("x" * 4_003)
    await expect(ada.at.locator("#too-long")).to_have_text("3 characters too many")
    await ada.say("y" * 4_000)
    await ada.reads("y" * 4_000)


async def test_what_the_server_refuses_is_shown_with_its_reason_and_can_be_changed(ada):
    # Past the page's own check, as another client would: what waits in the outbox is sent when the page opens.
    waiting = "JSON.stringify([{ id: 'a'.repeat(24), text: 'x'.repeat(4001), at: Date.now() }])"
    await ada.at.evaluate(
        f"sessionStorage.setItem('chat.outbox.' + decodeURIComponent(location.hash.slice(1)), {waiting})"
    )
    await ada.at.reload()
    message = ada.at.locator(".message")
    await expect(message).to_have_attribute("data-state", "failed")
    await expect(message.locator(".reason")).to_have_text("A message has 1 to 4,000 characters.")
    await message.get_by_role("button", name="Edit").click()
    await expect(ada.box).to_have_value("x" * 4_001)
    await ada.say("shorter")
    await ada.reads("shorter")
    await ada.sees_state("shorter", "sent")


# -- who is here -----------------------------------------------------------------------------------------------------


async def test_a_name_is_asked_for_once_and_can_be_changed(person):
    ada, ben = await person("Ada"), await person("Ben")
    await ada.at.reload()
    await ada.arrived()
    await expect(ada.at.get_by_role("dialog")).to_be_hidden()
    await ada.at.get_by_role("button", name="Change your name: Ada").click()
    await ada.at.get_by_role("textbox", name="Your name").fill("Countess")
    await ada.at.keyboard.press("Enter")
    await ben.sees_people("Ben", "Countess")
    await ada.say("it is I")
    await expect(ben.at.locator("#messages .name")).to_have_text(["Countess"])


async def test_a_person_with_two_tabs_is_one_person(person, visit, room):
    ada, ben = await person("Ada"), await person("Ben")
    second = Person(await visit(room, context=ada.at.context))
    await second.arrived()
    await ben.say("how many are you?")
    await second.say("just me")
    await ben.sees_people("Ben", "Ada")
    await expect(ada.at.locator(".own .text")).to_have_text(["just me"])
    await second.at.close()
    await ben.sees_people("Ben", "Ada")
    await ada.at.close()
    await ben.sees_people("Ben")


async def test_it_is_seen_who_types_until_they_stop(pair):
    ada, ben = pair
    typing = ben.at.locator("#typing")
    await ada.box.press_sequentially("hel")
    await expect(typing).to_have_text("Ada is typing")
    await expect(ada.at.locator("#typing")).to_have_text("")
    await ada.say("hello")
    await ben.reads("hello")
    await expect(typing).to_have_text("")


# -- rooms, and what is unread ---------------------------------------------------------------------------------------


async def test_a_room_is_opened_by_any_name_and_its_address_can_be_shared(person, visit):
    ada = await person("Ada")
    name = ada.at.get_by_role("textbox", name="Open another room")
    await name.fill("Käse & Wein / 100%")
    await name.press("Enter")
    await expect(ada.at.get_by_role("heading", level=1)).to_have_text("#käse-&-wein-100%")
    await ada.say("a table for two")
    ben = await Person(await visit(ada.at.url)).enter("Ben")
    await ben.reads("a table for two")
    await ben.at.get_by_role("link", name="lobby").click()
    await ben.reads()
    await ben.at.go_back()
    await ben.reads("a table for two")


async def test_a_room_that_is_left_stays_left(person):
    ada = await person("Ada")
    rooms = ada.at.locator("#room-list bdi")
    await expect(rooms).to_have_text(["lobby", "random", "help", re.compile("^room-")])
    await ada.at.get_by_role("button", name="Leave random").click()
    await ada.at.reload()
    await ada.arrived()
    await expect(ada.at.get_by_role("link", name="random")).to_have_count(0)


async def test_what_is_said_in_another_room_is_counted_until_it_is_read(pair):
    ada, ben = pair
    place = (await ada.at.get_by_role("heading", level=1).text_content()).removeprefix("#")
    icon = ada.at.locator("link[rel=icon]")
    plain = await icon.get_attribute("href")
    await ada.at.get_by_role("link", name="help").click()
    await ben.say("one", "two")
    link = ada.at.get_by_role("link", name=f"{place}, 2 unread")
    await expect(ada.at).to_have_title("(2) #help · Hubbub")
    await expect(icon).to_have_attribute("href", re.compile("^data:image/png"))
    await link.click()
    await ada.reads("one", "two")
    await expect(ada.at.locator(".message").first.get_by_text("New")).to_be_visible()
    await expect(ada.at).to_have_title(f"#{place} · Hubbub")
    assert (await icon.get_attribute("href")).endswith(plain)


async def test_what_is_said_behind_a_hidden_tab_is_counted_and_what_is_seen_is_announced(pair):
    ada, ben = pair
    await ben.say("for the eyes")
    announcer = ada.at.locator("[aria-live=polite]")
    await expect(announcer).to_have_text("Ben: for the eyes")
    turn = "state => { Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });"
    turn += "document.dispatchEvent(new Event('visibilitychange')); }"
    await ada.at.evaluate(turn, "hidden")
    await ben.say("unseen")
    await expect(ada.at).to_have_title(re.compile(r"^\(1\) "))
    await ada.at.evaluate(turn, "visible")
    await expect(ada.at).to_have_title(re.compile("^#"))
    await ada.reads("for the eyes", "unseen")


# -- the past --------------------------------------------------------------------------------------------------------


async def test_a_reload_keeps_the_messages(pair):
    ada, ben = pair
    await ada.say("one")
    await ben.reads("one")
    await ben.say("two")
    await ada.reads("one", "two")
    await ada.at.reload()
    await ada.reads("one", "two")
    await expect(ada.at.locator(".own .text")).to_have_text(["one"])


async def test_scrolling_up_shows_what_is_older_and_keeps_the_readers_place(pair):
    ada, ben = pair
    said = [f"message {number}" for number in range(120)]
    await ben.at.evaluate(
        """said => said.forEach(each => {
        text.value = each;
        text.dispatchEvent(new Event("input"));
        composer.requestSubmit();
    })""",
        said,
    )
    await ada.reads(*said)
    await ada.at.reload()
    await ada.reads(*said[-50:])
    await expect(ada.messages.last).to_be_in_viewport()
    top = ada.at.locator(".message").filter(has_text="message 70")
    before = await top.evaluate("node => { node.scrollIntoView(); return node.getBoundingClientRect().top; }")
    await ada.reads(*said[-100:])
    assert abs(await top.evaluate("node => node.getBoundingClientRect().top") - before) < 2
    await ben.say("meanwhile")
    await expect(ada.at.get_by_role("button", name="1 new message")).to_be_visible()
    await ada.at.locator(".message").first.scroll_into_view_if_needed()
    await ada.reads(*said, "meanwhile")
    await expect(ada.at.locator("#top")).to_have_text(re.compile("begins"))
    await ada.at.get_by_role("button", name="1 new message").click()
    await expect(ada.messages.last).to_be_in_viewport()
