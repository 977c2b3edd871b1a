"""What the nodes of one application ask each other: to call their clients, or to send some away.

They talk on two hidden topics: one that all hear, and one for each node's answers. Nothing of it is kept. A node says
every few seconds that it is there, so whoever asks knows how many answers to wait for; one that has died is waited for
in vain, as long as the question's patience goes, and until it has been silent for ``SILENCE``.
"""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from hubbub.bodies import decode, encode, values
from hubbub.connection import Connection
from hubbub.errors import Banned, BrokerError, Disconnect, Expired, Kicked, Shutdown, UsageError
from hubbub.history import Position
from hubbub.hub import Hub

ALL = "#nodes"
"""The topic of all nodes. A client's topic has no '#' in its name."""

BEAT = 5.0
"""Seconds from one sign of life to the next."""

SILENCE = 3 * BEAT
"""Seconds after which nobody waits for a node any more."""

CENSUS = 0.5
"""Seconds from a node's start in which the others say that they are there."""

WAY = 1.0
"""Seconds, or a tenth of a question's, that are left for the answers' way back."""

ENDS = {kind.code: kind for kind in (Banned, Disconnect, Expired, Kicked, Shutdown)}
"""How a client may be sent away."""


class Words(msgspec.Struct, frozen=True, array_like=True):
    """What one node says to another. ``kind`` is hello, here, bye, call, end or answer; ``number`` is the question's;
    ``body`` an encoded array of what is asked or answered."""

    kind: str
    node: str
    number: int = 0
    body: bytes = b"[]"
    timeout: float = 0.0


_words = msgspec.msgpack.Decoder(Words)


class Question:
    """One that waits for answers: who has not answered yet, and what the others said."""

    __slots__ = ("answered", "answers", "missing")

    def __init__(self, missing: set[str]) -> None:
        self.missing = missing
        self.answers: list[Any] = []
        self.answered = asyncio.Event()


class Nodes:
    """This node among all. Where the broker joins none, there is only this one."""

    def __init__(
        self, hub: Hub, connections: Mapping[str, Connection], complain: Callable[[str, BaseException], None]
    ) -> None:
        self.id = secrets.token_urlsafe(9)
        self._hub = hub
        self._connections = connections
        self._complain = complain
        self._loop = asyncio.get_running_loop()
        self._others: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._questions: dict[int, Question] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._hidden: dict[str, Callable[[bytes], None]] = {}

    async def start(self) -> None:
        """Start the broker, and make oneself known. Raises UsageError for what a person must mend, BrokerError."""
        broker = self._hub.broker
        await broker.start(self._deliver if broker.distributed else self._hub.deliver)
        if broker.distributed:
            try:
                for topic in (ALL, _own(self.id)):
                    await self.listen(topic, self._hear)
            except BaseException:
                await broker.close()
                raise
            self._started = self._loop.time()
            self._say(ALL, Words("hello", self.id))
            self._timer = self._loop.call_later(BEAT, self._beat)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._say(ALL, Words("bye", self.id))
        for task in self._tasks:
            task.cancel()

    async def listen(self, topic: str, hear: Callable[[bytes], None]) -> None:
        """Hear what nodes say on a hidden topic, whose name begins with '#'."""
        self._hidden[topic] = hear
        await self._hub.broker.subscribe(topic)

    def unlisten(self, topic: str) -> None:
        """No longer hear that."""
        self._hidden.pop(topic, None)
        task = self._loop.create_task(self._unsubscribe(topic))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unsubscribe(self, topic: str) -> None:
        if topic not in self._hidden:
            await self._hub.broker.unsubscribe(topic)

    def _deliver(self, topic: str, data: bytes, position: Position) -> None:
        hear = self._hidden.get(topic)
        if hear is None:
            self._hub.deliver(topic, data, position)
        else:
            hear(data)

    # -- what the application asks -----------------------------------------------------------------------------------

    async def call(self, topic: str, body: bytes, timeout: float) -> list[Any]:
        """The answers of everyone in this topic, on all nodes, that come in time."""
        here, elsewhere = await asyncio.gather(
            self._call(topic, body, timeout), self._ask("call", [topic, body], timeout)
        )
        return [*here, *elsewhere]

    async def end(self, who: str, error: Disconnect, timeout: float) -> int:
        """End these connections on all nodes, and say how many there were."""
        if error.code not in ENDS:
            raise UsageError(f"a client is not sent away with {type(error).__name__}")
        here = self._end(who, error)
        return sum([here, *await self._ask("end", [who, error.code, error.reason], timeout)])

    async def _ask(self, kind: str, asked: list[Any], timeout: float) -> list[Any]:
        """What all other nodes answer, one after the other."""
        if self._timer is None:
            return []
        deadline = self._loop.time() + timeout
        await asyncio.sleep(min(max(0.0, self._started + CENSUS - self._loop.time()), timeout))
        alive = self._loop.time() - SILENCE
        question = Question({node for node, heard in self._others.items() if heard > alive})
        if not question.missing:
            return []
        number = next(self._numbers)
        self._questions[number] = question
        left = max(0.0, deadline - self._loop.time())
        self._say(ALL, Words(kind, self.id, number, encode(asked), left - min(left / 10, WAY)))
        try:
            async with asyncio.timeout_at(deadline):
                await question.answered.wait()
        except TimeoutError:
            pass
        finally:
            del self._questions[number]
        return question.answers

    # -- what is asked here ------------------------------------------------------------------------------------------

    async def _call(self, topic: str, body: bytes, timeout: float) -> list[Any]:
        there = self._hub.topics.get(topic)
        asked: list[Awaitable[Any]] = [
            member.memberships[topic].ask(body, timeout) for member in (there.members() if there is not None else ())
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _end(self, who: str, error: Disconnect) -> int:
        found = [
            connection
            for connection in self._connections.values()
            if who in (connection.id, connection.identity, getattr(connection.identity, "id", None))
        ]
        for connection in found:
            connection.end(error, error.code)
        return len(found)

    def _hear(self, data: bytes) -> None:
        try:
            words = _words.decode(data)
            asked = [decode(value) for value in values(words.body)]
        except (msgspec.MsgspecError, ValueError) as error:
            self._complain("dropped what no node says", error)
            return
        if words.node == self.id:
            return
        if words.kind == "bye":
            self._others.pop(words.node, None)
        else:
            self._others[words.node] = self._loop.time()
        if words.kind == "hello":
            self._say(ALL, Words("here", self.id))
        elif words.kind in ("call", "end"):
            task = self._loop.create_task(self._answer(words, asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif words.kind in ("answer", "bye"):
            self._note(words, asked)

    async def _answer(self, words: Words, asked: list[Any]) -> None:
        try:
            if words.kind == "call":
                topic, body = asked
                answers = await self._call(topic, body, words.timeout)
            else:
                who, code, reason = asked
                answers = [self._end(who, ENDS[code](reason))]
            self._say(_own(words.node), Words("answer", self.id, words.number, encode(answers)))
        except Exception as error:
            self._complain("could not answer another node", error)

    def _note(self, words: Words, answers: list[Any]) -> None:
        for number, question in self._questions.items():
            if words.node in question.missing and words.number in (0, number):
                question.missing.discard(words.node)
                question.answers.extend(answers)
                if not question.missing:
                    question.answered.set()

    def _say(self, topic: str, words: Words) -> None:
        try:
            self._hub.broker.publish(topic, msgspec.msgpack.encode(words), None)
        except BrokerError:
            pass  # who waits for this, waits in vain

    def _beat(self) -> None:
        self._say(ALL, Words("here", self.id))
        silent = self._loop.time() - SILENCE
        self._others = {node: heard for node, heard in self._others.items() if heard > silent}
        self._timer = self._loop.call_later(BEAT, self._beat)


def _own(node: str) -> str:
    return f"#node:{node}"
