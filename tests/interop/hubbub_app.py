"""What our own client talks to in its tests, in Node and in browsers."""

import asyncio
from typing import Any

from hubbub import App, Channel, Forbidden, Keep, Kicked, Limits, Refused, on


def make(broker: str = "memory://", **settings: Any) -> App:
    app = App(broker=broker, limits=Limits(rate=0), **settings)

    @app.channel("room:{room}")
    class Room(Channel):
        history = Keep(count=1_000)

        async def join(self, room: str, *, name: str = "", secret: str = "", age: int = 0) -> dict[str, Any]:
            if secret == "wrong":
                raise Forbidden("that is not the secret")
            self.name = name
            return {"welcome": room, "age": age}

        @on("say")
        async def say(self, text: str) -> str:
            return str(await self.publish("said", {"name": self.name, "text": text}))

        @on("pause")
        async def pause(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

        @on("size")
        async def size(self, data: bytes) -> int:
            return len(data)

        @on("back")
        async def back(self, data: bytes) -> bytes:
            return data

        @on("nothing")
        async def nothing(self) -> None: ...

        @on("ask me")
        async def ask_me(self, question: str) -> None:
            asyncio.get_running_loop().create_task(self.ask(question))

        async def ask(self, question: str) -> None:
            await self.publish("answered", await self.call("question", question, timeout=20))

        @on("refuse")
        async def refuse(self) -> None:
            raise Refused("not today", code="not_today")

        @on("kick me")
        async def kick_me(self) -> None:
            raise Kicked("as you wish")

    @app.channel("live:{room}")
    class Live(Channel):
        """Keeps nothing."""

        @on("say")
        async def say(self, text: str) -> None:
            await self.publish("said", {"text": text})

    @app.channel("people:{place}")
    class People(Channel):
        presence = True
        presence_grace = 0.0

        async def join(self, place: str, name: str, *, at: str = "home") -> None:
            await self.track(name, at=at)

        @on("move")
        async def move(self, to: str) -> None:
            await self.update(at=to)

    return app
