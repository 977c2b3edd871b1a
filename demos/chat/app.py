"""The tutorial's chat, grown up: rooms, names, who is here, who is typing, and a history that outlives the server.

There is no sign-in. A browser makes up a secret and keeps it; others know it by a hash of that. So nobody can write
in another's place, though anyone may call themselves the same.
"""

import time
from hashlib import blake2s
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from hubbub import App, Channel, Keep, Past, Refused, on

PAGE = 50  # messages: what a reader sees of a room at first, and what scrolling up adds
CATCH_UP = 500  # missed messages that are sent to who comes back; who missed more starts afresh

RoomName = Annotated[str, Meta(pattern=r"^[^\s,/#?]{1,40}$")]
Name = Annotated[str, Meta(max_length=40, pattern=r"\S")]
Token = Annotated[str, Meta(min_length=16, max_length=64)]

app = App(pages=Path(__file__).parent)


@app.channel("room:{room}")
class Room(Channel):
    """One browser tab in one room."""

    history = Keep(count=1_000, seconds=7 * 86_400)
    here: ClassVar[dict[str, dict[str, "Room"]]] = {}  # topic -> connection -> its channel

    async def join(self, room: RoomName, name: Name, secret: Token | None = None, after: str | None = None) -> None:
        self.name = name.strip()
        self.who = blake2s((secret or self.connection.id).encode(), digest_size=8).hexdigest()
        missed = await self.past(after=after, limit=CATCH_UP) if after else None
        resumed = missed is not None and missed.complete
        page = missed if missed is not None and resumed else await self.past(limit=PAGE)
        await self.push("past", {**told(page), "you": self.who, "resumed": resumed})
        self.here.setdefault(self.topic, {})[self.connection.id] = self
        await self.tell_who_is_here()

    async def leave(self, reason: str) -> None:
        tabs = self.here[self.topic]
        del tabs[self.connection.id]
        if not tabs:
            del self.here[self.topic]
        await self.tell_who_is_here()

    @on("say")
    async def say(self, text: str, id: Token) -> dict[str, str]:
        text = text.strip()
        if not 1 <= len(text) <= 4_000:
            raise Refused("A message has 1 to 4,000 characters.", code="length")
        message = {"id": id, "who": self.who, "name": self.name, "text": text, "at": int(time.time() * 1000)}
        position = await self.publish("said", message, id=f"{self.who} {id}")  # a retry is the same message
        return {"position": str(position)}

    @on("older")
    async def older(self, before: str) -> dict[str, Any]:
        return told(await self.past(before=before, limit=PAGE))

    @on("typing")
    async def typing(self) -> None:
        await self.publish("typing", {"who": self.who, "name": self.name}, except_self=True, keep=False, volatile=True)

    @on("rename")
    async def rename(self, name: Name) -> None:
        self.name = name.strip()
        await self.tell_who_is_here()

    async def tell_who_is_here(self) -> None:
        people = {tab.who: {"who": tab.who, "name": tab.name} for tab in self.here.get(self.topic, {}).values()}
        await self.publish("here", {"count": len(people), "people": list(people.values())[:200]}, keep=False)


def told(past: Past) -> dict[str, Any]:
    """A page of history for the browser: each message as it was said, with its position."""
    said = [(item.payload, str(item.position)) for item in past.items if item.event == "said"]
    return {"said": said, "position": str(past.position), "complete": past.complete}
