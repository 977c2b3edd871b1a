"""Judge a record: was anything lost, doubled, reordered, invented; did everybody see the same? Pure, and O(n).

Verdicts, each a list of findings that is to be empty:

    lost        acknowledged, and missing: in the middle, at the end, or in the log
    gap         offsets k, k + 2, or the middle of another epoch, and nobody said a word; a return of which nobody said
                how it went
    double      the same offset or message twice for one client; one message at two offsets
    order       offsets that fall; a publisher's messages out of its order
    agreement   one offset, two messages: for two clients, or a client and the log
    phantom     never sent, refused, spoilt, of another topic, or heard before it was sent
    offsets     acknowledged at one offset and delivered at another; a hole in the log; an epoch that returns, or
                changes where it must not
    real time   acknowledged before a read began, and not in its answer; or before a join, and neither there nor heard
                after it
    told        not recovered, and said so, where the broker promises that all can be had
    authority   heard after leaving
    presence    a member that is missing, a ghost, a key that joins or leaves twice, or leaves though it is there
    bounds      memory, files or tasks that did not come back
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from math import inf

from .record import ACKED, REFUSED, Broken, Heard, Joined, Left

VERDICTS = (
    "lost", "gap", "double", "order", "agreement", "phantom", "offsets", "real time", "told", "authority", "presence",
    "bounds",
)  # fmt: skip


@dataclass(frozen=True)
class Promise:
    """What the broker under judgement promises."""

    durable: bool = True
    """What was acknowledged outlives every fault of the run, and so do epochs."""
    late: float = 0.0
    """Seconds by which a node that was cut off from the others may tell of their members later."""
    reach: float = inf
    """So many of its latest publications a log surely has. Who missed more may be told that they are gone."""
    settle: float = 2.0
    """Seconds until every node's view of presence is the truth."""


def check(record, promise=None):
    """All findings, by verdict."""
    return Checker(record, promise or Promise()).run()


def tell(findings):
    """The verdicts in a few lines, with the first findings of each."""
    lines = []
    for verdict in VERDICTS:
        found = findings[verdict]
        lines.append(f"  {verdict:<10} {len(found)}")
        lines += [f"      {sentence}" for sentence in found[:3]]
    return "\n".join(lines)


class Checker:
    """One judgement."""

    def __init__(self, record, promise):
        self.record = record
        self.promise = promise
        self.findings = {verdict: [] for verdict in VERDICTS}
        self.places = defaultdict(dict)
        """By (topic, epoch): offset to message."""
        self.whereabouts = defaultdict(dict)
        """By (topic, epoch): message to offset."""
        self.heads = {}
        """By topic and epoch: times of acknowledgements, and the highest offset acknowledged by then."""

    def run(self):
        self._acknowledged()
        walks = [Walk(self, story) for story in self.record.stories]
        for walk in walks:
            walk.go()
        for past in self.record.pasts:
            self._past(past)
        self._epochs()
        for walk in walks:
            walk.reckon()
        self._presence()
        for bound in self.record.bounds:
            if bound.value > bound.most:
                self.find("bounds", f"{bound.what}: {bound.value:g}, and {bound.most:g} at the most")
        return self.findings

    def find(self, verdict, sentence):
        self.findings[verdict].append(sentence)

    def place(self, topic, epoch, offset, message, who):
        """Somebody saw this message at this place: it is the only one there, and is nowhere else."""
        known = self.places[topic, epoch].setdefault(offset, message)
        if known != message:
            self.find("agreement", f"{topic} {epoch}:{offset} is {known}, and for {who} {message}")
        elsewhere = self.whereabouts[topic, epoch].setdefault(message, offset)
        if elsewhere != offset:
            self.find("double", f"{message} is at {epoch}:{elsewhere} in {topic}, and for {who} at {offset}")

    def _acknowledged(self):
        times = defaultdict(list)
        for message, sent in self.record.sent.items():
            if sent.outcome == ACKED and sent.position is not None:
                times[sent.topic, sent.position[0]].append((sent.answered, sent.position[1]))
                self.place(sent.topic, *sent.position, message, "its publisher")
        for key, answers in times.items():
            answers.sort()
            highest, tops = 0, []
            for _, offset in answers:
                highest = max(highest, offset)
                tops.append(highest)
            self.heads[key] = ([at for at, _ in answers], tops)

    def acked_before(self, topic, epoch, at):
        """The highest offset that was acknowledged before this time."""
        times, tops = self.heads.get((topic, epoch), ((), ()))
        before = bisect_left(times, at)
        return tops[before - 1] if before else 0

    def _past(self, past):
        topic, epoch = past.topic, past.epoch
        found = set()
        before = past.entries[0][0] - 1 if past.entries else 0
        for offset, message in past.entries:
            if offset != before + 1:
                self.find("offsets", f"the log of {topic} goes on from {before} to {offset}")
            before = offset
            found.add(message)
            self.known(topic, message, "the log")
            self.place(topic, epoch, offset, message, "the log")
        first = past.entries[0][0] if past.entries else 1
        for message, sent in self.record.sent.items():
            if sent.topic != topic or sent.outcome != ACKED or message in found:
                continue
            if sent.position[0] == epoch:
                if sent.position[1] < first:
                    continue  # the log let go of it, as it may
                if sent.answered < past.started:
                    self.find("real time", f"{message} was acknowledged before the log of {topic} was read without it")
                self.find("lost", f"{message} was acknowledged at {sent.position}, and is not in the log of {topic}")
            elif self.promise.durable:
                self.find("lost", f"{message} was acknowledged in epoch {sent.position[0]}, which is gone")

    def known(self, topic, message, who, at=None):
        """Whether somebody may have seen this message."""
        sent = self.record.sent.get(message)
        if sent is None or sent.topic != topic:
            self.find("phantom", f"{who}: {message} was never sent to {topic}")
        elif sent.outcome == REFUSED:
            self.find("phantom", f"{who}: {message} was refused")
        elif at is not None and at < sent.invoked:
            self.find("phantom", f"{who}: {message} was heard before it was sent")
        return sent

    def _epochs(self):
        if self.promise.durable:
            lives = defaultdict(set)
            for topic, epoch in self.places:
                lives[topic].add(epoch)
            for topic, epochs in lives.items():
                if len(epochs) > 1:
                    self.find("offsets", f"{topic} had {len(epochs)} epochs, and its broker promises one")

    # -- presence ----------------------------------------------------------------------------------------------------

    def _presence(self):
        settle = self.promise.settle
        stays = defaultdict(list)
        for stay in self.record.here:
            stays[stay.topic, stay.key].append(stay)
        for view in self.record.views:
            known = {key for topic, key in stays if topic == view.topic}
            for key in known:
                mine = stays[view.topic, key]
                surely = any(stay.since + settle <= view.at <= stay.until for stay in mine)
                perhaps = any(stay.since <= view.at <= stay.until + settle for stay in mine)
                if surely and key not in view.keys:
                    self.find("presence", f"{view.node} misses {key} in {view.topic}")
                if key in view.keys and not perhaps:
                    self.find("presence", f"{view.node} sees the ghost of {key} in {view.topic}")
            for key in view.keys - known:
                self.find("presence", f"{view.node} sees {key} in {view.topic}, who never was there")
        for (member, topic), turns in self.record.turns.items():
            self._turns(member, topic, turns, stays)

    def _turns(self, member, topic, turns, stays):
        there, missing = set(), {}
        for turn in turns:
            self._missing(member, missing, turn.at)
            if turn.state:
                there = set(turn.joins)
                missing = {key: missing.get(key, turn.at) for key in self._surely(topic, turn.at, stays) - there}
                continue
            for key in turn.joins:
                missing.pop(key, None)
            for key in turn.joins & there - turn.leaves:
                self.find("presence", f"{member} was told twice that {key} joined")
            for key in turn.leaves - there:
                self.find("presence", f"{member} was told that {key} left, who was not there")
            for key in turn.leaves - turn.joins:
                mine = stays[topic, key]
                just_left = any(stay.until <= turn.at <= stay.until + self.promise.settle for stay in mine)
                if not just_left and any(stay.since <= turn.at < stay.until for stay in mine):
                    self.find("presence", f"{member} was told that {key} left, who is still there")
            there = (there - turn.leaves) | turn.joins

        self._missing(member, missing, turns[-1].at if turns and self.promise.late else inf)

    def _surely(self, topic, at, stays):
        """Who is in this topic at this time, and has been for long enough."""
        settle = self.promise.settle
        return {
            key
            for (where, key), mine in stays.items()
            if where == topic and any(stay.since + settle <= at <= stay.until for stay in mine)
        }

    def _missing(self, member, missing, now):
        """Those of whom it was not told when it came in, nor soon after."""
        for key in [key for key, at in missing.items() if at + self.promise.late < now]:
            del missing[key]
            self.find("presence", f"{member} was told who is there, and {key} was missing")


class Walk:
    """One client's story, event by event."""

    def __init__(self, checker, story):
        self.checker = checker
        self.story = story
        self.topic = story.topic
        self.inside = False
        self.epoch = None
        self.last = None
        """The offset up to which it has everything; None where it was not told where it begins."""
        self.since = 0.0
        """When it had the answer to the join from which on it is to hear everything."""
        self.seen = set()
        self.numbers = {}
        """The newest number of each publisher."""
        self.left_epochs = set()
        self.missing = []
        """Stretches that it should have heard: epoch, first, last."""
        self.owed = None
        """Where its join ended, and what was acknowledged before: that has to follow."""
        self.ends = []
        """Where it was in an epoch when the next one began."""
        self.starts = []
        """Intervals that began nobody said where: since when, epoch, first offset heard."""

    def find(self, verdict, sentence):
        self.checker.find(verdict, f"{self.story.name} in {self.topic}: {sentence}")

    def go(self):
        steps = {Heard: self._heard, Joined: self._joined, Left: self._left, Broken: self._broken}
        for event in self.story.events:
            steps[type(event)](event)

    def _joined(self, joined):
        self.inside = True
        if joined.recovered:
            return
        if joined.head is not None:
            acked = self.checker.acked_before(self.topic, joined.head[0], joined.started)
            self.owed = (joined.head[1], acked) if joined.head[1] < acked else None
        if not joined.fresh:
            if joined.recovered is None:
                self.find("gap", f"it came back from {self.epoch}:{self.last}, and was not told how that went")
            elif self.checker.promise.durable and self._reachable(joined):
                self.find("told", f"it came back from {self.epoch}:{self.last}, which is not to be had")
        self._begin(joined)

    def _reachable(self, joined):
        """Whether what it missed was surely in the log."""
        reach, asked, head = self.checker.promise.reach, joined.asked, joined.head
        return reach == inf or (asked and head and asked[0] == head[0] and head[1] - asked[1] <= reach)

    def _begin(self, joined):
        """From here on it is to hear everything."""
        if self.epoch is not None:
            self.left_epochs.add(self.epoch)
        before = self.epoch
        self.epoch, self.last = joined.head or (None, None)
        if self.epoch is not None and self.epoch != before and self.epoch in self.left_epochs:
            self.find("offsets", f"the epoch {self.epoch} came back")
        self.since = joined.at
        self.seen, self.numbers = set(), {}

    def _left(self, left):
        self.inside = False

    def _broken(self, broken):
        self.inside = False

    def _heard(self, heard):
        at, epoch, offset, by, n, intact = heard
        message = (by, n)
        if not self.inside:
            self.find("authority", f"{message} came, and it was not there")
        if not intact:
            self.find("phantom", f"{message} was spoilt, or is of another topic")
            return
        sent = self.checker.known(self.topic, message, self.story.name, at)
        if not epoch:
            self.find("offsets", f"{message} came without a position")
            return
        self._advance(epoch, offset)
        if message in self.seen:
            self.find("double", f"{message} came twice")
        self.seen.add(message)
        if sent is not None and not sent.again:
            if n < self.numbers.get(by, 0):
                self.find("order", f"{message} came after number {self.numbers[by]}")
            self.numbers[by] = n
        self.checker.place(self.topic, epoch, offset, message, self.story.name)

    def _advance(self, epoch, offset):
        if self.epoch is None:
            self.epoch = epoch
            if epoch in self.left_epochs and self.left_epochs != {epoch}:
                self.find("offsets", f"the epoch {epoch} came back")
        elif epoch != self.epoch:
            if offset > 1 or self.last is None:
                self.find("gap", f"from {self.epoch}:{self.last} to {epoch}:{offset} without a word")
            else:  # the first of a new log is a word, if nothing of the old one is missing
                self.ends.append((self.epoch, self.last))
            self.left_epochs.add(self.epoch)
            self.epoch, self.last = epoch, None if offset > 1 else 0
        if self.last is None:
            self.starts.append((self.since, epoch, offset))
        elif offset == self.last:
            self.find("double", f"{epoch}:{offset} came twice")
        elif offset < self.last:
            self.find("order", f"{epoch}:{offset} came after {self.last}")
        elif offset > self.last + 1:
            self.find("gap", f"from {epoch}:{self.last} to {offset} without a word")
            self.missing.append((epoch, self.last + 1, offset - 1))
        self.last = max(offset, self.last or 0)
        if self.owed is not None and self.last >= self.owed[1]:
            self.owed = None

    def reckon(self):
        """Now that it is known what was where: what of it did this client never hear?"""
        for epoch, first, last in self.missing:
            self._lost(epoch, range(first, last + 1), "in the middle")
        places = self.checker.places
        if self.owed is not None and self.story.expected:
            head, acked = self.owed
            self.find("real time", f"its join ended at {head}, and {acked}, acknowledged before, did not follow")
        for epoch, last in self.ends:
            self._lost(epoch, [o for o in places[self.topic, epoch] if o > last], "at the end of an epoch")
        for since, epoch, first in self.starts:
            early = [o for o, message in places[self.topic, epoch].items() if o < first and self._after(message, since)]
            self._lost(epoch, early, "at the beginning")
        if self.checker.record.ended and self.story.expected:
            epoch = self._latest()
            if epoch is not None:
                self._suffix(epoch)

    def _latest(self):
        """The epoch in which it is to have everything: its own, or of a client that heard nothing yet, the only one."""
        mine = [epoch for topic, epoch in self.checker.places if topic == self.topic]
        return self.epoch or (mine[-1] if len(mine) == 1 else None)

    def _suffix(self, epoch):
        heard = self.last
        places = self.checker.places[self.topic, epoch]
        late = [
            offset
            for offset, message in places.items()
            if (offset > heard if heard is not None else self._after(message, self.since))
        ]
        self._lost(epoch, late, "at the end")

    def _after(self, message, since):
        sent = self.checker.record.sent.get(message)
        return sent is not None and sent.outcome == ACKED and sent.invoked > since

    def _lost(self, epoch, offsets, where):
        places = self.checker.places[self.topic, epoch]
        sent = self.checker.record.sent
        lost = [offset for offset in offsets if (s := sent.get(places.get(offset))) is not None and s.outcome == ACKED]
        if lost:
            self.find("lost", f"{len(lost)} acknowledged publications {where}, {epoch}:{min(lost)} the first of them")
