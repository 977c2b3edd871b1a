"""Every number a client can hit, in one place. Pure."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may make large, many or long. Sizes are bytes, times are seconds.

    The defaults suit people who type and devices that report. A game that sends inputs 60 times a second stays
    inside them; a bulk importer does not, and should be told so by ``TooMany``.
    """

    message: int = 1_000_000
    """One message as the client sends it, after decompression. Socket.IO calls it ``maxPayload``."""

    fragments: int = 1_024
    """WebSocket frames in one message: empty continuation frames cost no bytes, so they are counted."""

    packets: int = 1_000
    """Engine.IO packets in one POST, SockJS messages in one frame."""

    attachments: int = 10
    """Binary attachments announced by one Socket.IO packet."""

    topics: int = 100
    """Topics joined at once by one connection."""

    topic_length: int = 255
    """Characters in a topic's name."""

    rate: float = 200.0
    """Commands a second from one connection, sustained. Zero means no limit. Messages of raw sockets are not counted:
    what their function does not take is not read from the network; see ``inbox``."""

    burst: int = 1_000
    """Commands that may come at once before ``rate`` is held against them."""

    backlog: int = 1_000
    """Commands of one client in one topic that wait for an earlier one to finish."""

    inbox: int = 65_536
    """Bytes of messages that a raw socket's function has not taken yet. Beyond it no more is read from the client."""

    outbox: int = 1 << 20
    """Bytes waiting for a client that does not read. More is an overflow; see ``Channel.overflow``."""

    stalled: float = 15.0
    """How long a full outbox may stand without the client reading anything."""

    handshake: float = 10.0
    """Time from opening a connection to joining a first topic, where a protocol needs that."""

    heartbeat: float = 25.0
    """How often a silent client is asked for a sign of life."""

    patience: float = 20.0
    """How long it may take to give one."""

    poll: float = 25.0
    """The longest that a polling request is held when there is nothing to say."""

    recovery: int = 8 << 20
    """Bytes of missed publications that a client gets when it comes back. Who missed more begins afresh."""

    tracked: int = 100
    """Presence keys that one client may have in one topic."""

    metas: int = 100
    """Connections of one presence key in one topic: tabs and devices of one person."""

    meta: int = 4_096
    """One presence meta, as JSON: every member is told it."""

    watched: int = 1_000
    """Presence keys that a client may ask to hear of."""

    history: int = 1_000
    """Entries in one page of history, whatever was asked."""
