from pathlib import Path

from hubbub import App, Channel, on

app = App(pages=Path(__file__).parent)


@app.channel("/")  # where Socket.IO's io() lands
class Chat(Channel):
    @on("chat message")
    async def say(self, text: str) -> None:
        await self.publish("chat message", text)
