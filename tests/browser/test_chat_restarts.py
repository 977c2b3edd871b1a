"""The chat when its server is killed, in two tabs: both come back by themselves, and nothing is lost or doubled."""

import pytest
from playwright.async_api import expect

from .people import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_WEBSOCKETS = "window.WebSocket = class { constructor() { throw new Error('blocked'); } }"
SAY_ALL = """said => said.forEach(each => {
    text.value = each;
    text.dispatchEvent(new Event("input"));
    composer.requestSubmit();
})"""


@pytest.mark.parametrize("blocked", [False, True], ids=["websocket", "polling"])
async def test_both_tabs_are_back_with_the_history_complete_and_in_order(serve, visit, blocked):
    server = serve("chat", "sqlite:///chat.db")
    people = []
    for name in ("Ada", "Ben"):
        page = await visit("about:blank", breaks=True)
        if blocked:
            await page.context.add_init_script(NO_WEBSOCKETS)
        await page.goto(f"{server.url}/#lobby")
        people.append(await Person(page).enter(name))
    ada, ben = people
    carrier = "HTTP polling" if blocked else "WebSocket"
    for each in people:
        await expect(each.line).to_have_text(f"Live over {carrier}")
    await ada.say("before")
    await ben.reads("before")

    said = [f"message {number}" for number in range(40)]
    await ben.at.evaluate(SAY_ALL, said)
    await expect(ada.messages.nth(5)).to_be_attached()  # it is in the middle of it
    server.kill()
    for each in people:
        await expect(each.line).to_have_attribute("data-state", "lost")
    await ben.say("while it was gone")

    server.start()
    everything = ["before", *said, "while it was gone"]
    for each in people:
        await each.reads(*everything)
        await each.arrived()
    await ada.say("after")
    for each in people:
        await each.reads(*everything, "after")
        await each.at.reload()
        await each.reads(*everything, "after")
