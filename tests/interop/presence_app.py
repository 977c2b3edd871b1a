"""A topic that shows who is in it, for clients of all kinds and for nodes that end in all ways."""

import os

from hubbub import App, Channel, Limits

app = App(limits=Limits(rate=0), origins="*")


@app.channel("room:{room}")
class Room(Channel):
    presence = True
    presence_grace = float(os.environ.get("GRACE", "2"))

    async def join(self, room: str, key: str = "") -> None:
        if key:
            await self.track(key)

    def online(self, key: str) -> None:
        os.write(1, f"online {key}\n".encode())  # the node's log; in one piece, for hooks run side by side

    def offline(self, key: str, last_seen: float) -> None:
        os.write(1, f"offline {key}\n".encode())
