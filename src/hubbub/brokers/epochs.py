"""Names for the lives of logs."""

import secrets

PROMISES = 100_000
"""Topics without a log whose epoch is remembered. They cost 200 bytes each, and any client may ask for new ones."""


def new_epoch() -> str:
    """64 random bits: nobody meets the same epoch twice."""
    return secrets.token_urlsafe(8)


class Promises:
    """The epochs of topics that were asked for before anybody published there.

    Who joins an empty topic holds the position ``epoch:0``, and the log that begins later must know it. When there
    are ``PROMISES`` of them the oldest is dropped: its holder will be told to start afresh.
    """

    __slots__ = ("_epochs",)

    def __init__(self) -> None:
        self._epochs: dict[str, str] = {}

    def make(self, topic: str) -> str:
        """The epoch of a topic that has no log."""
        epoch = self._epochs.get(topic)
        if epoch is None:
            if len(self._epochs) >= PROMISES:
                del self._epochs[next(iter(self._epochs))]
            epoch = self._epochs[topic] = new_epoch()
        return epoch

    def keep(self, topic: str) -> str:
        """The epoch for a log that begins now."""
        return self._epochs.pop(topic, None) or new_epoch()

    def kept(self, topic: str) -> None:
        """Its log has begun, with the epoch that ``make`` gave."""
        self._epochs.pop(topic, None)
