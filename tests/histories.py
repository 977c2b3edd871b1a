"""Random histories of presence in one topic on several nodes, made of a seed.

Rosters and gossip are as they are; what is around them is made here: a clock, people, and a network. Each node has a
member that is told its changes, and keeps the list as a client would.

In a *calm* history words may be late, overtake those of others, and come twice; people come, go, reload and move, and
nodes are restarted as a deploy does it. There no member may be told that somebody left who did not. In a *rough* one
words are lost and overtake each other, nodes are killed, stand still, and hear half of the others or nobody: all may be
told anything but nonsense, and when there is peace again, all must be told the truth.
"""

import heapq
import itertools
import random

from hubbub.gossip import ALL, BEAT, LEASE, Farewell, Gossip, about, own
from hubbub.presence import HANDOVER, Roster

NODES, KEYS, METAS, GRACE = 5, "abcd", (b'{"m":1}', b'{"m":2}'), 5.0
TOPIC = "room"
LATE, PULSE = 0.25, 0.25
"""How late a word may be where it is calm, and how often a node looks around."""
NEWS = 2 * LATE + 3 * PULSE
"""Until then all know, where it is calm."""
PEACE = LEASE + HANDOVER + GRACE + 6 * BEAT


class Client:
    """One of somebody's. It is on a node under a number, or comes back at a time, or is gone."""

    def __init__(self, key, meta):
        self.key = key
        self.meta = meta
        self.node = None
        self.number = None
        self.since = self.due = None
        self.left = self.entered = 0.0
        self.moving = False
        """It was told to come back to another node."""


class Node:
    """One life of a node."""

    def __init__(self, history, name):
        self.name = name
        self.channels = {ALL, own(name), about(TOPIC)}
        self.history = history
        self.numbers = itertools.count(1)
        self.beat = history.now + history.random.random() * BEAT
        self.asleep = 0.0
        self.gossip = Gossip(name, self.numbers, history.now, self.say, lambda topic, node: None)
        self.gossip.hello()
        self.begin()

    def begin(self):
        """It has the topic, and learns who is there."""
        self.roster = Roster(self.name, GRACE, self.numbers)
        self.member = {}
        self.greeted = False
        self.opened = self.history.now + (NEWS if self.history.calm else LATE)
        self.gossip.begin(TOPIC, self.roster)
        for said, word in self.history.log:
            if said > self.history.now - HANDOVER:
                self.gossip.hear(word, *self.history.times)

    def finish(self):
        """It has nobody there any more, and forgets the topic."""
        self.gossip.finish(TOPIC)
        self.roster, self.member = None, {}

    def say(self, channel, word):
        self.history.post(self, channel, word)

    def round(self):
        delta = self.roster.delta(self.history.now)
        if delta is not None:
            self.gossip.tell(TOPIC, delta, self.history.now)
        if self.history.now >= self.opened:
            self.tell(self.roster.changes())

    def tell(self, changes):
        """The member hears what changed, and minds that it makes sense."""
        for key, rows in changes.joins.items():
            for row in rows:
                assert row.ref not in self.member.get(key, {}), "joined twice"
                self.member.setdefault(key, {})[row.ref] = row.meta
        for key, rows in changes.leaves.items():
            for row in rows:
                del self.member[key][row.ref]
            if not self.member[key]:
                del self.member[key]
        first, self.greeted = not self.greeted, True
        for key in changes.joins.keys() | changes.leaves.keys() if self.history.calm and not first else ():
            assert self.history.may_change(key), f"news of {key}, and there are none"
        for key, _ in changes.online:
            assert key in self.member
        for key, seen, _ in changes.offline:
            assert key not in self.member
            assert seen > 0
            assert not self.history.calm or self.history.may_be_gone(key), f"{key} left, and did not"
        for key in self.member if self.history.calm else ():
            assert self.history.may_be_here(key), f"the ghost of {key}"
        assert self.member.keys() == self.roster.told.keys()

    def step(self):
        if self.history.now >= self.asleep:
            if self.history.now >= self.beat:
                self.beat = self.history.now + BEAT
                self.gossip.tick(*self.history.times)
            if self.roster is None:
                return
            self.roster.expire(self.history.now)
            if self.history.calm or self.history.peace or self.history.chance(0.5):
                self.round()

    def shown(self):
        return {key: {row.ref: row.meta for row in self.roster.shown(key)} for key in self.roster}


class History:
    """One, of a seed."""

    def __init__(self, seed, calm):
        self.random = random.Random(seed)
        self.calm = calm
        self.peace = False
        self.now = 0.0
        self.serial = itertools.count()
        self.names = map("n{}".format, self.serial)
        self.mail = []
        self.last = {}
        """By sender and receiver, when their last word is due: they hear each other in order."""
        self.log = []
        self.clients = []
        self.sides = {}
        """Nodes that are not on the side of all, until the split is over; on the side None one hears nobody."""
        self.healed = 0.0
        self.present = {}
        """By key, how long somebody may yet be shown who is gone."""
        self.held = {}
        """By key, how long a seat is held for somebody who moves."""
        self.news = {}
        """By key, how long there may be news of it."""
        self.nodes = []
        for _ in range(NODES):
            self.nodes.append(Node(self, next(self.names)))

    @property
    def times(self):
        return self.now, 1_000_000.0 + self.now

    def chance(self, likely):
        return self.random.random() < likely

    def run(self, steps):
        acts = [self.come] * 4 + [self.go] * 3 + [self.reload] * 4 + [self.update] * 2 + [self.restart, self.shut]
        if not self.calm:
            acts += [self.kill, self.split, self.sleep, self.shut]
        for _ in range(steps):
            self.random.choice(acts)()
            self.pass_time(self.random.choice([0.0, 0.0, 0.2, 0.5, 1.0, 3.0]))
        self.peace = True
        self.sides = {}
        for node in self.nodes:
            node.asleep = 0.0
        self.pass_time(PEACE)

    # -- the network -------------------------------------------------------------------------------------------------

    def post(self, sender, channel, word):
        if type(word) is Farewell and word.delta.rows:
            self.log.append((self.now, word))
        random = self.random.random
        for node in self.nodes:
            if channel in node.channels and self.joined(sender, node):
                rough = not (self.calm or self.peace or node is sender)
                for _ in range(1 + (random() < 0.1)):
                    if not rough or random() < 0.85:
                        due = self.now + random() * (4.0 if rough else LATE)
                        if self.calm:
                            due = self.last[sender, node] = max(due, self.last.get((sender, node), 0.0))
                        heapq.heappush(self.mail, (due, next(self.serial), node, word))

    def joined(self, one, other):
        if not self.sides:
            return True
        side = self.sides.get(one, 0)
        return side is not None and side == self.sides.get(other, 0)

    def pass_time(self, seconds):
        end = self.now + seconds
        while True:
            waiting = []
            while self.mail and self.mail[0][0] <= self.now:
                letter = heapq.heappop(self.mail)
                _, _, node, word = letter
                if node not in self.nodes:
                    continue
                if self.now < node.asleep:
                    waiting.append(letter)
                else:
                    node.gossip.hear(word, *self.times)
            for letter in waiting:
                heapq.heappush(self.mail, letter)
            self.turn()
            if self.now >= end:
                break
            self.now = min(end, self.now + (1.0 if self.peace and not self.calm else PULSE))

    def turn(self):
        if self.sides and self.now >= self.healed:
            self.sides = {}
        for client in self.clients:
            if client.node is None and client.due is not None and client.due <= self.now:
                self.enter(client)
        for node in self.nodes:
            node.step()

    # -- what happens ------------------------------------------------------------------------------------------------

    def awake(self):
        return [node for node in self.nodes if self.now >= node.asleep]

    def here(self):
        return [client for client in self.clients if client.node is not None and self.now >= client.node.asleep]

    def enter(self, client):
        """It joins, on a node that knows who is there, or will once it has asked."""
        for node in self.awake():
            if node.roster is None and self.chance(0.2):
                node.begin()
        if nodes := [node for node in self.awake() if node.roster is not None and self.now >= node.opened]:
            client.node, client.since = self.random.choice(nodes), min(client.since, self.now)
            if self.now < client.left + NEWS or self.may_change(client.key):
                self.change(client)  # it may be here before word of its leaving; or take one of too many seats
            client.moving, client.entered = False, self.now
            client.number = client.node.roster.track(client.key, client.meta, *self.times)

    def come(self):
        client = Client(self.random.choice(KEYS), self.random.choice(METAS))
        client.due = client.since = self.now
        self.clients.append(client)
        self.change(client)

    def change(self, client):
        """Something of this key is other than it was. Those who come back may find their seats taken, and seats that
        nobody takes are shown for as long as they are held."""
        until = max(self.now + GRACE, self.held.get(client.key, 0.0)) + NEWS
        self.news[client.key] = max(self.news.get(client.key, 0.0), until)

    def out(self, client, rest, due):
        """It may have had the seat of another one of the same key that is away, who will find none then."""
        for other in self.clients:
            away = other.node is None or self.now < other.entered + NEWS
            if other.key == client.key and away and (rest == 0.0 or other.moving):
                other.since = self.now + (HANDOVER if other.node is None else 0.0)
        client.node.roster.untrack(client.number, *self.times, rest)
        self.away(client, GRACE if rest is None else rest, due)

    def away(self, client, rest, due):
        client.left = self.now
        client.node, client.due, client.moving = None, due, rest == HANDOVER
        if client.moving:
            self.held[client.key] = self.now + rest
        self.present[client.key] = max(self.present.get(client.key, 0.0), self.now + rest)
        if due is None:
            self.change(client)
            self.clients.remove(client)

    def go(self):
        if here := self.here():
            self.out(self.random.choice(here), self.random.choice([None, None, 0.0]), None)

    def reload(self):
        if here := self.here():
            self.out(self.random.choice(here), None, self.now + self.random.random() * (GRACE - NEWS - PULSE))

    def update(self):
        if here := self.here():
            client = self.random.choice(here)
            client.meta = self.random.choice(METAS)
            self.change(client)
            client.node.roster.update(client.number, client.meta, *self.times)

    def restart(self):
        """As a deploy does it; the clients come back in their own time."""
        if nodes := self.awake():
            old = self.random.choice(nodes)
            old.gossip.goodbye(*self.times)
            self.replace(old, HANDOVER, 1.0)

    def kill(self):
        self.replace(self.random.choice(self.nodes), 0.0, 0.7)

    def replace(self, old, rest, back):
        for client in [client for client in self.clients if client.node is old]:
            self.away(client, rest, self.now + self.random.random() * 20.0 if self.chance(back) else None)
        self.nodes.remove(old)
        self.sides.pop(old, None)
        self.nodes.append(Node(self, next(self.names)))

    def shut(self):
        """Somebody was the only one there, leaves, and perhaps another one comes."""
        if nodes := [node for node in self.awake() if node.roster is not None]:
            node = self.random.choice(nodes)
            clients = [client for client in self.clients if client.node is node]
            if len(clients) == 1:
                self.out(clients[0], 0.0, None)
            node.round()
            if not node.roster.sheets[node.name].rows:
                node.finish()
                if self.chance(0.5):
                    node.begin()

    def split(self):
        apart = self.random.sample(self.nodes, self.random.choice([1, 2]))
        self.sides = dict.fromkeys(apart, self.random.choice([1, None]))
        self.healed = self.now + self.random.choice([1.0, 3.0, 5.0, 8.0, 20.0])

    def sleep(self):
        self.random.choice(self.nodes).asleep = self.now + self.random.choice([1.0, 4.0, 10.0])

    # -- what may be told --------------------------------------------------------------------------------------------

    def may_be_gone(self, key):
        """Nobody of this key has been here for long enough to be known everywhere, or is on the way back."""
        return all(client.since > self.now - NEWS for client in self.clients if client.key == key)

    def may_change(self, key):
        return self.now <= self.news.get(key, 0.0)

    def may_be_here(self, key):
        return any(client.key == key for client in self.clients) or self.now <= self.present.get(key, 0.0) + NEWS

    # -- the end -----------------------------------------------------------------------------------------------------

    def truth(self):
        """Whoever is there, each with the metas of all connections."""
        truth = {}
        for client in self.clients:
            assert client.node is not None
            truth.setdefault(client.key, []).append(client.meta)
        return {key: sorted(metas) for key, metas in truth.items()}


def check(seed, calm):
    """Run one, and see that everyone has been told the truth."""
    try:
        history = History(seed, calm)
        history.run(50)
        truth = history.truth()
        for node in history.nodes:
            if node.roster is None:
                continue
            assert node.shown() == node.member
            assert {key: sorted(metas.values()) for key, metas in node.member.items()} == truth
    except BaseException as error:
        error.add_note(f"in History({seed}, calm={calm})")
        raise
