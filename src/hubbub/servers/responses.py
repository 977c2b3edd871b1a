"""uvicorn's HTTP, as it is, but that a response that goes on can be written to without it.

Parsing, the head of the response, its end, and whether the client is still there stay uvicorn's. In between an
application may lay an ``Outlet`` to the connection, through an extension of the ASGI scope: what it writes there are
chunks (RFC 9112, section 7.1), of which uvicorn need not know.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hubbub.servers.asgi_http import OUTLET, Send
from hubbub.servers.outlet import Outlet


class Responses(HttpToolsProtocol):
    """One connection, and the outlet of the response that is under way on it."""

    _outlet: Outlet | None = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {OUTLET: {"lay": self.lay}}

    def lay(self, outlet: Outlet, send: Send) -> bool:
        """Lay this outlet, if the response to ``send`` has begun, is in chunks, and nobody stands between who would
        have to see what is written: then ``send`` is not uvicorn's own."""
        cycle = getattr(send, "__self__", None)
        if not isinstance(cycle, RequestResponseCycle) or send != cycle.send or cycle.transport is not self.transport:
            return False
        over = cycle.disconnected or cycle.response_complete or self.transport.is_closing()
        # uvicorn sends chunks to clients of HTTP/1.0, too, who cannot read them: that is not ours to make worse
        if over or not cycle.chunked_encoding or cycle.scope["http_version"] != "1.1":
            return False
        outlet.transport = self.transport
        self._outlet = outlet
        if self.flow.write_paused:
            outlet.pause_writing()
        outlet.lay()
        return True

    def _cut(self) -> Outlet | None:
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.cut()
        return outlet

    # -- what uvicorn and the transport say --------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        if self._cut() is not None and not self.transport.is_closing():
            self.transport.set_write_buffer_limits()  # as they were
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._cut()  # it closes the transport
        super().send_400_response(msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._outlet is not None:
            self._outlet.pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._outlet is not None:
            self._outlet.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        outlet = self._cut()
        if outlet is not None:
            outlet.connection_lost(exc)
