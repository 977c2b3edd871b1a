"""One room, and every client there is in it: each speaks its own protocol, and all of them read the same."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from hubbub import App, Channel, Keep, on

Name = Annotated[str, Meta(min_length=1, max_length=40)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
Id = Annotated[str, Meta(min_length=8, max_length=64)]

app = App(pages=Path(__file__).parent)


@app.channel("room:{room}")
class Room(Channel):
    history = Keep(count=500, seconds=3_600)

    async def join(self, room: str, name: Name) -> None:
        self.name = name

    @on("say")
    async def say(self, text: Text, id: Id) -> None:
        await self.publish("said", {"id": id, "who": self.name, "text": text})
