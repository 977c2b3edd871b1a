"""The front of the fast lane: what becomes of a connection's first bytes, before anybody has parsed them.

A request for a WebSocket of ours that came in one piece, as nearly all do, is read here and goes on as a ``Lane``. All
else is uvicorn's from its first byte on, as if there were no front: HTTP, WebSockets for other paths, requests in
pieces, and what is wrong with a request, for uvicorn's parser to say first. What it finds to be a WebSocket after all
comes back as a ``Lane`` that was not in front.
"""

import asyncio

from hubbub.errors import HubbubError
from hubbub.servers.handshake import wants_websocket
from hubbub.servers.lane import Lane


class Front(Lane):
    """A connection that has not said yet what it wants. ``others`` makes uvicorn's protocol for HTTP."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)

    def shutdown(self) -> None:
        if self._reader is None:
            self.transport.close()
        else:
            super().shutdown()

    def _open(self, data: bytes) -> None:
        if wants_websocket(data):
            super()._open(data)
        else:
            self._hand_over(data)

    def _misread(self, error: HubbubError, data: bytes) -> None:
        self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        self._connections.discard(self)
        delegate = self._take_delegate()
        delegate.connection_made(self.transport)
        self.transport.set_protocol(delegate)  # first: it may hand over, too
        delegate.data_received(data)
