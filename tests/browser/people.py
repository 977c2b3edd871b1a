"""A person at the chat, as tests speak of them."""

from playwright.async_api import expect


class Person:
    """``at`` is the page they look at."""

    def __init__(self, page):
        self.at = page
        self.messages = page.locator("#messages .text")
        self.box = page.get_by_role("textbox", name="Message", exact=True)
        self.line = page.locator("#line")
        self.people = page.locator("#people-list li")

    async def enter(self, name):
        """Give a name when asked for it, and wait until the room is there."""
        await self.at.get_by_role("textbox", name="Your name").fill(name)
        await self.at.get_by_role("button", name="Join the chat").click()
        await self.arrived()
        return self

    async def arrived(self):
        await expect(self.line).to_have_attribute("data-state", "online")
        await expect(self.people.first).to_be_attached()

    async def say(self, *texts):
        for text in texts:
            await self.box.fill(text)
            await self.box.press("Enter")

    async def reads(self, *texts):
        """These messages are on the page, all of them, in this order, and nothing else."""
        await expect(self.messages).to_have_text(list(texts))

    async def sees_people(self, *names):
        await expect(self.people.locator("bdi")).to_have_text(list(names))

    async def sees_state(self, text, state):
        """Their own message with this text is waiting, sending, sent or failed."""
        message = self.at.locator(".message").filter(has_text=text)
        await expect(message).to_have_attribute("data-state", state)
