"""What the official Engine.IO and Socket.IO protocol suites talk to.

Run it where the suites look for it, and run them:

    cd tests/conformance && hubbub run socketio_app:app --port 3000

``/engine.io/`` echoes every message. ``/socket.io/`` has the namespaces ``/`` and ``/custom``: each tells a client
what it connected with, and gives back what it is sent.
"""

from typing import Any

from hubbub import App, Channel, Limits, on


class Echo(Channel):
    @on("message")
    async def echo(self, data: Any) -> None:
        await self.push("message", data)


class Suite(Channel):
    async def join(self) -> None:
        await self.push("auth", self.params)

    @on("message")
    async def message(self, *values: Any) -> None:
        await self.push("message-back", *values)

    @on("message-with-ack")
    async def message_with_ack(self, *values: Any) -> tuple[Any, ...]:
        return values


def make(**limits: Any) -> App:
    app = App(protocols=("engineio", "socketio"), limits=Limits(message=1_000_000, **limits), origins="*")
    app.channel("/engine.io/")(Echo)
    app.channel("/")(Suite)
    app.channel("/custom")(Suite)
    return app


app = make(heartbeat=0.3, patience=0.2, handshake=1.0)
"""As the suites have it."""

patient = make()
"""For tests of ours, which a machine that is busy may hold up for longer than that."""
