"""What a long run prints: numbers, verdicts, and of each promise whether it was kept."""

from ..checker import VERDICTS
from ..record import Heard, Joined


class Report:
    """The table of one run. ``good`` is whether all was as promised."""

    def __init__(self, title):
        self.good = True
        print(f"\n{title}", flush=True)

    def number(self, name, value):
        print(f"  {name:<34} {value:>14,}" if isinstance(value, int) else f"  {name:<34} {value:>14}", flush=True)

    def numbers(self, numbers):
        for name, value in numbers.items():
            self.number(name, value)

    def demand(self, name, value, kept):
        """A number, and whether it is what was promised."""
        self.good &= bool(kept)
        print(f"  {name:<34} {value:>14} {'ok' if kept else 'NOT AS PROMISED'}", flush=True)

    def verdicts(self, findings):
        for verdict in VERDICTS:
            found = findings[verdict]
            self.demand(f"verdict: {verdict}", len(found), not found)
            for sentence in found[:5]:
                print(f"      {sentence}", flush=True)


def delivered(record):
    """The share of what each client should have heard that it heard, in per cent, and how many of it it heard twice."""
    heads = {}
    for past in record.pasts:
        if past.entries:
            heads[past.topic] = past.entries[-1][0]
    wanted = got = doubled = 0
    for story in record.stories:
        first = next((event.head for event in story.events if type(event) is Joined), None)
        heard = [event.offset for event in story.events if type(event) is Heard]
        if first is not None:
            wanted += heads.get(story.topic, first[1]) - first[1]
            got += len(set(heard))
            doubled += len(heard) - len(set(heard))
    return 100 * got / wanted if wanted else 0.0, doubled


def quantile(values, share):
    """In seconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
