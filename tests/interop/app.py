"""What unmodified clients talk to in these tests: every verb, and every way to be refused."""

import time
from typing import Any

import msgspec

from hubbub import App, Channel, Forbidden, Keep, Kicked, Limits, Refused, on

app = App(limits=Limits(heartbeat=1.0, patience=4.0, rate=0))


class Sum(msgspec.Struct):
    left: int
    right: int


@app.channel("/")
class Lobby(Channel):
    async def join(self, name: str = "", secret: str = "") -> None:
        if secret == "wrong":
            raise Forbidden("that is not the secret")
        self.name = name
        await self.push("welcome", {"name": name})

    @on("echo")
    async def echo(self, *values: Any) -> tuple[Any, ...]:
        return values

    @on("bounce")
    async def bounce(self, *values: Any) -> None:
        await self.push("bounced", *values)

    @on("text")
    async def text(self, text: str) -> str:
        return text.upper()

    @on("sum")
    async def sum(self, sum: Sum) -> int:
        return sum.left + sum.right

    @on("slow")
    def slow(self, text: str) -> str:
        time.sleep(0.05)  # blocking, as a database driver would: this handler runs in a thread
        self.push("from a thread", text)
        return text

    @on("say")
    async def say(self, text: str) -> None:
        await self.publish("said", {"name": self.name, "text": text})

    @on("say to others")
    async def say_to_others(self, text: str) -> None:
        await self.publish("said", {"name": self.name, "text": text}, except_self=True)

    @on("enter")
    async def go_in(self, room: str) -> None:
        self.enter(room)

    @on("say in")
    async def say_in(self, room: str, text: str) -> None:
        await self.publish("said", {"name": self.name, "text": text}, to=room)

    @on("ask me")
    async def ask_me(self, question: str) -> None:
        answer = await self.call("question", question, timeout=20)
        await self.push("you answered", answer)

    @on("refuse")
    async def refuse(self) -> None:
        raise Refused("not today", code="closed")

    @on("break")
    async def break_down(self) -> None:
        raise RuntimeError("the application is at fault")

    @on("kick")
    async def kick(self) -> None:
        raise Kicked("out")


@app.channel("log:{name}")
class Log(Channel):
    history = Keep(count=1_000)

    async def join(self, name: str, after: str | None = None) -> None:
        page = await self.past(after=after, limit=1_000)
        for item in page.items:
            await self.push(item.event, *item.payload, str(item.position))

    @on("add")
    async def add(self, number: int) -> str:
        return str(await self.publish("added", number))


@app.channel("token")
class Token(Channel):
    async def join(self, auth_token: str = "") -> None:
        self.token = auth_token

    @on("token")
    async def tell_token(self) -> dict[str, str]:
        return {"token": self.token}

    @on("params")
    async def tell_params(self) -> dict[str, Any]:
        return self.params


@app.channel("here:{place}")
class Here(Channel):
    presence = True
    presence_grace = 0.1

    async def join(self, place: str, name: str) -> None:
        await self.track(name, colour="red")
