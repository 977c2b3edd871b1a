"""A chat with rooms. `hubbub run app --reload` serves it at http://127.0.0.1:3000."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from hubbub import App, Channel, Keep, on

app = App(broker="sqlite:///chat.db", pages=Path(__file__).parent / "pages")

Name = Annotated[str, Meta(min_length=1, max_length=40)]
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]


@app.channel("room:{room}")
class Room(Channel):
    """One client in one room. The last 1,000 messages are kept for a week."""

    history = Keep(count=1_000, seconds=7 * 86_400)

    async def join(self, name: Name) -> None:
        self.name = name
        past = await self.past(limit=50)
        for item in past.items:
            await self.push(item.event, *item.payload)

    @on("say")
    async def say(self, text: Text) -> None:
        await self.publish("said", {"name": self.name, "text": text})
