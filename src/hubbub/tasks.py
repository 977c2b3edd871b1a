"""Tasks that may fail when nobody waits for them any more."""

import asyncio
from typing import Any


def heed(task: "asyncio.Task[Any]") -> None:
    """A done callback: what it failed by is told to those who wait for it, and asyncio complains if there is nobody."""
    if not task.cancelled():
        task.exception()
