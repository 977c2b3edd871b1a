"""Whether a server of Redis still has all that it ever had: what nodes remember of it, and how they ask.

Redis may come back with less than it had acknowledged: it saves now and then, its replicas lag behind, a backup is
older. Its logs would then give offsets away a second time, for other publications. So each shard of it has a *life*: a
count of all publications, kept with them, and the name of the server process that gave them out. Every node remembers
the highest count it has seen. When a server has another name than its data says, the nodes greet it with what they
remember: if it has less, or if nobody is left who remembers anything, the generation changes, and every log goes on
under a new epoch. ``greet`` in redis.lua decides.
"""

from collections.abc import Callable, Iterable
from importlib.resources import files

from redis.asyncio.connection import Connection

from hubbub.brokers.epochs import new_epoch
from hubbub.brokers.redis_url import Address, ask, facts

SCRIPT = files("hubbub.brokers").joinpath("redis.lua").read_bytes()


class Life:
    """What this node remembers of a shard: the server, the generation, and how many publications there had been."""

    __slots__ = ("generation", "run_id", "total")

    def __init__(self) -> None:
        self.run_id = b""
        self.generation = ""
        self.total = 0


class Lives:
    """The lives of all shards. ``key`` names a shard's life in Redis, ``owned`` are the shards that a server has.
    ``renewed`` is called when a shard's past is no longer what it was."""

    def __init__(
        self,
        key: Callable[[int], bytes],
        owned: Callable[[Address | None], Iterable[int]],
        renewed: Callable[[int], None],
    ) -> None:
        self.script = ""
        self._key = key
        self._owned = owned
        self._renewed = renewed
        self._lives: dict[int, Life] = {}

    async def greet(self, connection: Connection, address: Address | None = None) -> str:
        """Make the acquaintance of a server before anything else is asked of it, and give its name.
        Raises RedisError, OSError."""
        self.script = (await ask(connection, "SCRIPT", "LOAD", SCRIPT)).decode()
        run_id = (await facts(connection, "server"))["run_id"]
        for shard in self._owned(address):
            reply = await ask(
                connection, "EVALSHA", self.script, 1, self._key(shard), "greet", run_id, *self.memory(shard)
            )
            self.learn(shard, reply)
        return run_id

    def memory(self, shard: int) -> tuple[bytes, str, int, str]:
        """What to greet with."""
        life = self._lives.get(shard) or Life()
        return life.run_id, life.generation, life.total, new_epoch()

    def learn(self, shard: int, reply: tuple[bytes, int, bytes]) -> None:
        """What the server answered."""
        life = self._lives.setdefault(shard, Life())
        generation, before = reply[0].decode(), life.generation
        same = life.run_id == reply[2] and before == generation
        life.total = max(life.total, reply[1]) if same else reply[1]  # something newer may have come meanwhile
        life.generation, life.run_id = generation, reply[2]
        if before and before != generation:
            self._renewed(shard)

    def saw(self, shard: int, total: int, run_id: bytes) -> None:
        """There have been so many publications. Of a server that was not greeted this proves nothing: its count goes
        on from where we have yet to say that it is too low."""
        life = self._lives.get(shard)
        if life is not None and life.total < total and life.run_id == run_id:
            life.total = total
