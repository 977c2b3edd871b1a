"""Every error of Hubbub, as one tree.

    HubbubError
    ├── UsageError          the developer's mistake, raised at the developer
    ├── ProtocolError       the client broke its protocol: its connection is closed
    │   └── WrongMethod     this is asked with another HTTP method
    ├── Conflict            this line to the client is not wanted: the line is closed, the connection lives
    ├── Refused             one request is answered with an error: the connection lives
    │   ├── Invalid         the payload does not fit the handler's signature
    │   ├── Unauthorized    who are you?
    │   ├── Forbidden       you may not
    │   ├── NotFound        there is no such topic or event
    │   ├── TooBig          more than a limit allows
    │   ├── TooMany         more often than a limit allows
    │   ├── Unavailable     not just now
    │   └── Failed          the application's own fault, which its operator has read of
    ├── Disconnect          the connection ends, by the server's will
    │   ├── Shutdown        come back: this server is going away
    │   ├── Expired         come back with a fresh token
    │   ├── TooSlow         come back: you did not read fast enough
    │   ├── Missed          come back: something was lost on the way to you, so ask where you are
    │   ├── TimedOut        come back: nothing was heard of you
    │   ├── Kicked          do not come back by yourself
    │   ├── Banned          do not come back
    │   └── Closed          the function of a raw socket closed it
    └── BrokerError         the log could not take it

An error knows its ``code`` (a word for programs), its ``reason`` (a sentence for people) and, where HTTP is
spoken, its ``status``. Each protocol has one small table from these to its own words and numbers.
"""

from typing import ClassVar


class HubbubError(Exception):
    """The root. ``reason`` is what people read; it never holds a secret, for clients may be shown it."""

    code: str = "error"
    status: ClassVar[int] = 500

    def __init__(self, reason: str = "") -> None:
        self.reason = reason or (type(self).__doc__ or "").partition("\n")[0]
        super().__init__(self.reason)


class UsageError(HubbubError):
    """The application is not written as Hubbub needs it."""

    code = "usage"


class ProtocolError(HubbubError):
    """The client broke its protocol.

    ``close_code`` is the WebSocket close code (RFC 6455, section 7.4.1) that says it best: 1002 protocol
    error, 1003 unsupported data, 1007 invalid payload, 1008 policy, 1009 too big.
    """

    code = "protocol_error"
    status = 400

    def __init__(self, reason: str = "", close_code: int = 1002) -> None:
        super().__init__(reason)
        self.close_code = close_code


class WrongMethod(ProtocolError):
    """This is asked with another method."""

    code = "wrong_method"
    status = 405

    def __init__(self, allowed: str) -> None:
        super().__init__()
        self.allowed = allowed
        """The methods that are, as the header ``Allow`` lists them."""


class Conflict(HubbubError):
    """This connection already has such a line."""

    code = "conflict"
    status = 400


class Refused(HubbubError):
    """The request was refused."""

    code = "refused"
    status = 400

    def __init__(self, reason: str = "", code: str | None = None) -> None:
        super().__init__(reason)
        if code is not None:
            self.code = code


class Invalid(Refused):
    """The payload does not fit."""

    code = "invalid"
    status = 422


class Unauthorized(Refused):
    """You are not signed in."""

    code = "unauthorized"
    status = 401


class Forbidden(Refused):
    """You may not do this."""

    code = "forbidden"
    status = 403


class NotFound(Refused):
    """There is nothing here."""

    code = "not_found"
    status = 404


class TooBig(Refused):
    """That is too big."""

    code = "too_big"
    status = 413


class TooMany(Refused):
    """That is too many, or too often."""

    code = "too_many"
    status = 429


class Unavailable(Refused):
    """That cannot be done just now."""

    code = "unavailable"
    status = 503


class Failed(Refused):
    """The application failed."""

    code = "internal"
    status = 500


class Disconnect(HubbubError):
    """The server ends the connection. ``come_back`` tells well-behaved clients whether to return by themselves."""

    code = "disconnected"
    come_back: ClassVar[bool] = True
    close_code: int = 1000


class Shutdown(Disconnect):
    """The server is restarting."""

    code = "shutdown"
    status = 503
    close_code = 1012


class Expired(Disconnect):
    """Your sign-in has expired."""

    code = "expired"
    status = 401
    close_code = 4401


class TooSlow(Disconnect):
    """You did not read fast enough."""

    code = "too_slow"
    status = 503
    close_code = 4408


class Missed(Disconnect):
    """Something was lost on the way to you."""

    code = "missed"
    status = 503
    close_code = 4409


class TimedOut(Disconnect):
    """Nothing was heard of you in time."""

    code = "timeout"
    status = 408
    close_code = 4408


class Kicked(Disconnect):
    """You were disconnected."""

    code = "kicked"
    status = 403
    come_back = False
    close_code = 4403


class Banned(Disconnect):
    """You are banned."""

    code = "banned"
    status = 403
    come_back = False
    close_code = 4403


class Closed(Disconnect):
    """The function of a raw socket closed it, with the code and reason of its choice."""

    code = "closed"
    come_back = False

    def __init__(self, close_code: int = 1000, reason: str = "") -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason


class BrokerError(HubbubError):
    """The log could not take it."""

    code = "unavailable"
    status = 503
