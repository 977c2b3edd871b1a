"""One room for every client there is: what one says, all hear, bytes and unusual characters included."""

from hubbub import App, Channel, Keep, Limits, on

app = App(limits=Limits(rate=0), origins="*")


@app.channel("room:{room}")
class Room(Channel):
    history = Keep(count=10_000)

    async def join(self, room: str, name: str) -> None:
        self.name = name

    @on("say")
    async def say(self, number: int, text: str, data: bytes) -> int:
        await self.publish("said", {"who": self.name, "number": number, "text": text, "data": data})
        return number
