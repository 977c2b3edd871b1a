"""The tick: one write a connection, and in it everything that is the client's, in the order of the calls."""

import asyncio
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.bodies import encode
from hubbub.brokers.memory import MemoryBroker
from hubbub.connection import Connection
from hubbub.deadlines import Deadlines
from hubbub.envelope import Envelope, seal, unseal
from hubbub.errors import BrokerError
from hubbub.history import NOWHERE, Keep, Position
from hubbub.hub import Hub
from hubbub.limits import Limits
from hubbub.protocols.base import Dialect, Protocol, Request, Session

ENCODED = []


def make_dialect(name):
    def write(publication):
        ENCODED.append((name, publication))
        return (f"{name} {publication.topic} {publication.body.decode()}",)

    return Dialect(name, write)


DIALECTS = [make_dialect("loud"), make_dialect("soft")]


class Spoken(Protocol):
    """A protocol of one line, for a hub that asks nothing else of it."""

    name = "spoken"
    routes = ()
    line = "socket"
    plain = True

    def __init__(self, session, dialect):
        self.dialect = dialect

    def send(self, message):
        return (message,)


class Recorder:
    """A line that writes down what is written to it: each write once."""

    line = "socket"
    once = False

    def __init__(self, wired, make):
        self.frame = make
        self.full = False
        self.writes = []
        self.wire = self.writes.append if wired else None

    def write(self, frames):
        self.writes.append(b"".join(map(frame, frames)))

    def close(self, frames, code, reason):
        self.write(frames)


def now():
    return asyncio.get_running_loop().time()


def frame(data):
    return data.encode() + b"\n"


class Office:
    """The desk of an application that has only a hub."""

    def __init__(self, loop, broker=None):
        self.faults = []
        self.limits = Limits()
        self.deadlines = Deadlines(loop)
        self.deflated = []
        self.hub = Hub(
            broker or MemoryBroker("memory://"),
            loop,
            lambda what, error: self.faults.append((what, error)),
        )
        self.queue, self.regroup, self.flush = self.hub.queue, self.hub.regroup, self.hub.flush

    def deflate(self, data):
        self.deflated.append(data)
        return frame(data)

    def command(self, connection, command):
        raise AssertionError("nobody sends")

    def ended(self, connection, reason):
        for topic in list(connection.topics):
            self.hub.leave(connection, topic.name)

    def gone(self, connection):
        pass

    def connect(self, number, wired=True, deflates=False):
        session = Session(str(number), str(number), self.limits, 0.0)
        connection = Connection(self, Spoken(session, DIALECTS[number % 2]), session.key, session.id)
        recorder = Recorder(wired, self.deflate if deflates else frame)
        connection.attach(recorder, 0.0, Request("GET", "/"))
        return connection, recorder


@pytest.fixture
async def office():
    office = Office(asyncio.get_running_loop())
    await office.hub.broker.start(office.hub.deliver)
    yield office
    await office.hub.broker.close()


async def join(office, connection, topic):
    await office.hub.hold(connection, topic, "disconnect")
    office.hub.release(connection, topic)


async def end_of_tick():
    """Where publications come together a tick has two turns of the loop."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def heard(recorder):
    return b"".join(recorder.writes).decode().split("\n")[:-1]


CLIENTS, TOPICS, ROOMS = 5, ["a", "b"], ["red", "blue"]
client = st.integers(0, CLIENTS - 1)
steps = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(TOPICS), st.sampled_from(["", *ROOMS]), st.one_of(st.none(), client)),
    st.tuples(st.just("tell"), client),
    st.tuples(st.just("enter"), client, st.sampled_from(TOPICS), st.sampled_from(ROOMS)),
    st.tuples(st.just("exit"), client, st.sampled_from(TOPICS), st.sampled_from(ROOMS)),
    st.tuples(st.just("leave"), client, st.sampled_from(TOPICS)),
    st.tuples(st.just("block"), client),
    st.tuples(st.just("tick")),
)


class Naive:
    """Who gets what, as one would do it by hand: each call appends to each list."""

    def __init__(self, members):
        self.members = members
        self.lists = [[] for _ in range(CLIENTS)]
        self.heard = 0
        """Publications to somebody, though it were only the sender."""

    def publish(self, topic, room, sender, body):
        place = f"{topic}#{room}" if room else topic
        self.heard += bool(self.members[place])
        for number in range(CLIENTS):
            if number in self.members[place] and number != sender:
                name = DIALECTS[number % 2].name
                self.lists[number].append(f"{name} {topic} {body}")


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=40))
def test_everyone_hears_what_is_theirs_in_the_order_of_the_calls(script):
    asyncio.run(play(script))


async def play(script):
    loop = asyncio.get_running_loop()
    office = Office(loop)
    await office.hub.broker.start(office.hub.deliver)
    clients = [office.connect(number, wired=number != 4, deflates=number < 2) for number in range(CLIENTS)]
    members = {place: set() for topic in TOPICS for place in (topic, *(f"{topic}#{room}" for room in ROOMS))}
    for number, (connection, _) in enumerate(clients):
        for topic in TOPICS[: 1 + number % 2]:
            await join(office, connection, topic)
            members[topic].add(number)
    naive = Naive(members)
    for said, step in enumerate(script, start=1):
        match step:
            case ("publish", topic, room, sender):
                body = encode((f"e{said}",))
                envelope = Envelope(sender="" if sender is None else clients[sender][0].id, room=room)
                await office.hub.publish(topic, body, None, envelope)
                naive.publish(topic, room, sender, body.decode())
            case ("tell", number):
                clients[number][0].tell(f"direct {said}")
                naive.lists[number].append(f"direct {said}")
            case ("enter", number, topic, room):
                if number in members[topic]:
                    office.hub.enter(clients[number][0], f"{topic}#{room}", "disconnect")
                    members[f"{topic}#{room}"].add(number)
            case ("exit", number, topic, room):
                office.hub.leave(clients[number][0], f"{topic}#{room}")
                members[f"{topic}#{room}"].discard(number)
            case ("leave", number, topic):
                for place in (topic, *(f"{topic}#{room}" for room in ROOMS)):
                    office.hub.leave(clients[number][0], place)
                    members[place].discard(number)
            case ("block", number):
                connection, recorder = clients[number]
                recorder.full = not recorder.full
                connection.flowing(recorder, now())
            case ("tick",):
                await tick(clients)
    await tick(clients)
    for number, (connection, recorder) in enumerate(clients):
        if recorder.full:
            recorder.full = False
            connection.flowing(recorder, now())
        assert heard(recorder) == naive.lists[number]
    assert not office.faults
    given = [said for lines in naive.lists for said in lines if not said.startswith("direct ")]
    assert office.hub.deliveries == len(given)
    assert office.hub.publications == naive.heard
    for connection, _ in clients:
        connection.end(None, "closed")
    assert not office.hub.topics


async def tick(clients):
    before = [len(recorder.writes) for _, recorder in clients]
    await end_of_tick()
    for count, (_, recorder) in zip(before, clients, strict=True):
        assert len(recorder.writes) <= count + 1


async def test_a_publication_is_encoded_once_a_dialect(office):
    for number in range(20):
        connection, _ = office.connect(number)
        await join(office, connection, "a")
    ENCODED.clear()
    await office.hub.publish("a", encode(("e",)))
    await end_of_tick()
    assert sorted(name for name, _ in ENCODED) == ["loud", "soft"]


async def test_what_everyone_gets_is_one_object(office):
    recorders = []
    for number in range(0, 20, 2):
        connection, recorder = office.connect(number)
        await join(office, connection, "a")
        recorders.append(recorder)
    await office.hub.publish("a", encode(("e", 1)))
    await office.hub.publish("a", encode(("e", 2)))
    await end_of_tick()
    assert len({id(recorder.writes[0]) for recorder in recorders}) == 1


async def test_a_lone_publication_is_gone_after_one_turn_and_two_take_with_them_what_the_next_brings(office):
    connection, recorder = office.connect(0)
    await join(office, connection, "a")
    await office.hub.publish("a", encode(("lone",)))
    await asyncio.sleep(0)
    assert len(recorder.writes) == 1
    for number in range(2):
        await office.hub.publish("a", encode((str(number),)))
    await asyncio.sleep(0)
    assert len(recorder.writes) == 1
    await office.hub.publish("a", encode(("close behind",)))
    await asyncio.sleep(0)
    assert len(recorder.writes) == 2
    assert heard(recorder)[-1].endswith('a ["close behind"]')


async def test_a_broken_line_costs_the_others_nothing(office):
    recorders = []
    for number in range(0, 6, 2):
        connection, recorder = office.connect(number)
        await join(office, connection, "a")
        recorders.append(recorder)

    def broken(_):
        raise RuntimeError("closed")

    connection, recorder = office.connect(6)
    recorder.wire = broken
    connection.wire = broken
    await join(office, connection, "a")
    last, recorder = office.connect(8)
    await join(office, last, "a")
    recorders.append(recorder)
    await office.hub.publish("a", encode(("e",)))
    await end_of_tick()
    assert [len(recorder.writes) for recorder in recorders] == [1, 1, 1, 1]
    assert len(office.faults) == 1


async def test_what_is_published_while_one_joins_comes_after_its_release_and_not_twice(office):
    connection, recorder = office.connect(0)
    keep = Keep()
    await office.hub.hold(connection, "a", "disconnect")
    first = await office.hub.publish("a", encode(("first",)), keep)
    await end_of_tick()
    await office.hub.publish("a", encode(("second",)), keep)
    connection.tell("welcome")
    office.hub.release(connection, "a", first)
    await office.hub.publish("a", encode(("third",)), keep)
    await end_of_tick()
    assert heard(recorder) == ["welcome", 'loud a ["second"]', 'loud a ["third"]']


async def test_a_foreign_envelope_is_dropped_and_told(office):
    connection, recorder = office.connect(0)
    await join(office, connection, "a")
    await office.hub.broker.publish("a", b"\x01\xff\xff garbage", None)
    await end_of_tick()
    assert not recorder.writes
    assert "nobody here wrote" in office.faults[0][0]


@given(st.text(), st.text(), st.booleans(), st.text(), st.binary())
def test_an_envelope_comes_back_as_it_was(sender, room, volatile, key, body):
    envelope = Envelope(sender, room, volatile, key)
    assert unseal(seal(envelope, body)) == (envelope, body)


class TestSlowReaders:
    """The outbox is bounded, and the channel says what happens then."""

    async def fill(self, office, overflow, count=100, **options):
        connection, recorder = office.connect(0)
        await office.hub.hold(connection, "a", overflow)
        office.hub.release(connection, "a")
        recorder.full = True
        connection.flowing(recorder, now())
        for number in range(count):
            body = encode((f"e{number % 2}", "x" * 50_000, number))
            await office.hub.publish("a", body, None, Envelope(**options))
        await end_of_tick()
        return connection, recorder

    async def test_by_default_it_is_disconnected(self, office):
        connection, _ = await self.fill(office, "disconnect")
        assert connection.ended

    async def test_only_the_latest_of_each_event_waits(self, office):
        connection, recorder = await self.fill(office, "latest")
        assert not connection.ended
        recorder.full = False
        connection.flowing(recorder, now())
        assert [line.rsplit(",", 1)[1] for line in heard(recorder)] == ["98]", "99]"]

    async def test_the_oldest_are_dropped(self, office):
        connection, recorder = await self.fill(office, "drop_oldest")
        assert not connection.ended
        recorder.full = False
        connection.flowing(recorder, now())
        numbers = [int(line.rsplit(",", 1)[1][:-1]) for line in heard(recorder)]
        assert numbers == list(range(numbers[0], 100))
        assert 10 < len(numbers) <= 21

    async def test_a_volatile_one_is_not_kept_for_it(self, office):
        connection, recorder = await self.fill(office, "disconnect", volatile=True)
        recorder.full = False
        connection.flowing(recorder, now())
        assert not recorder.writes

    async def test_one_that_stalls_too_long_is_disconnected(self, office):
        connection, _ = await self.fill(office, "disconnect", count=1)
        connection.tick(now() + office.limits.stalled - 1)
        assert not connection.ended
        connection.tick(now() + office.limits.stalled + 1)
        assert connection.ended


# -- compression ----------------------------------------------------------------------------------------------------


async def test_who_agreed_on_compression_shares_what_was_compressed_once(office):
    clients = [office.connect(number, deflates=number in (0, 2, 4)) for number in (0, 2, 4, 6, 8)]
    for connection, _ in clients:
        await join(office, connection, "room")
    await office.hub.publish("room", encode(("one",)), None)
    office.hub.flush()
    assert office.deflated == ['loud room ["one"]']
    assert [heard(recorder) for _, recorder in clients] == [['loud room ["one"]']] * 5


async def test_who_is_told_something_beside_shares_it_too(office):
    clients = [office.connect(number, deflates=True) for number in (0, 2, 4)]
    for connection, _ in clients:
        await join(office, connection, "a")
    (first, heard_first), (second, heard_second), (_, heard_third) = clients
    first.tell("mine")
    await office.hub.publish("a", encode(("e", 1)))
    await office.hub.publish("a", encode(("e", 2)), None, Envelope(sender=second.id))
    first.tell("mine too")
    await end_of_tick()
    one, two = 'loud a ["e",1]', 'loud a ["e",2]'
    assert heard(heard_first) == ["mine", one, two, "mine too"]
    assert heard(heard_second) == [one]
    assert heard(heard_third) == [one, two]
    assert sorted(office.deflated) == sorted(["mine", one, two, "mine too"])


async def test_it_is_compressed_once_for_each_dialect_and_not_at_all_for_nobody(office):
    await office.hub.publish("nobody", encode(("one",)), None)
    plain, _ = office.connect(3)
    await join(office, plain, "plain")
    await office.hub.publish("plain", encode(("two",)), None)
    office.hub.flush()
    assert office.deflated == []
    for number in range(4):
        await join(office, office.connect(number, deflates=True)[0], "room")
    await office.hub.publish("room", encode(("three",)), None)
    office.hub.flush()
    assert sorted(office.deflated) == ['loud room ["three"]', 'soft room ["three"]']


async def test_a_slow_reader_among_them_gets_all_of_it_later(office):
    connection, recorder = office.connect(0, deflates=True)
    await join(office, connection, "room")
    recorder.full = True
    connection.flowing(recorder, now())
    await office.hub.publish("room", encode(("one",)), None)
    office.hub.flush()
    assert heard(recorder) == []
    recorder.full = False
    connection.flowing(recorder, now())
    await office.hub.publish("room", encode(("two",)), None)
    office.hub.flush()
    assert heard(recorder) == ['loud room ["one"]', 'loud room ["two"]']
    assert office.deflated == ['loud room ["two"]']


class Distant(MemoryBroker):
    """One that joins nodes, and takes its time to subscribe."""

    distributed = True

    def __init__(self):
        super().__init__()
        self.subscribed = asyncio.Event()
        self.failure = None

    async def subscribe(self, topic):
        await self.subscribed.wait()
        if self.failure is not None:
            raise self.failure


async def test_the_last_one_may_leave_while_a_topic_is_being_subscribed_to():
    broker = Distant()
    office = Office(asyncio.get_running_loop(), broker)
    await broker.start(office.hub.deliver)
    connection, _ = office.connect(0)
    holding = asyncio.ensure_future(office.hub.hold(connection, "room", "disconnect"))
    await end_of_tick()
    office.hub.leave(connection, "room")
    broker.subscribed.set()
    await asyncio.wait_for(holding, 20)
    assert (await office.hub.head("room")).offset == 0
    assert office.hub.topics == {}
    await broker.close()


async def test_that_a_topic_cannot_be_subscribed_to_is_nobodys_fault_when_nobody_waits_any_more():
    loop, complaints = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    broker = Distant()
    broker.failure = BrokerError("the broker is not running")
    office = Office(loop, broker)
    connection, _ = office.connect(0)
    holding = asyncio.ensure_future(office.hub.hold(connection, "room", "disconnect"))
    await end_of_tick()
    holding.cancel()
    office.hub.leave(connection, "room")
    broker.subscribed.set()
    await asyncio.wait((holding,))
    del holding
    await end_of_tick()
    assert not office.hub.topics
    gc.collect()
    assert complaints == []


async def test_who_resumes_in_a_new_epoch_hears_nothing_of_the_old_one(office):
    """What of it was still on the way here came before what a page has shown."""
    connection, recorder = office.connect(0)
    await office.hub.hold(connection, "room", "disconnect")
    told = [("old", 5), ("new", 1), None, ("new", 2), ("new", 3)]
    for place in told:
        position = NOWHERE if place is None else Position(*place)
        office.hub.deliver("room", seal(Envelope(), encode((str(position),))), position)
    office.hub.flush()
    office.hub.release(connection, "room", Position("new", 2))
    office.hub.flush()
    assert heard(recorder) == ['loud room [":0"]', 'loud room ["new:3"]']
