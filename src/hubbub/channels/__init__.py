"""User code for topics."""

from hubbub.channels.base import Channel, Past, Published, on

__all__ = ["Channel", "Past", "Published", "on"]
