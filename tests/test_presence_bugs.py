"""The histories are worth what they find: each of these bugs, planted into a copy of the code, fails one of them."""

import importlib.util
import inspect
import sys

import pytest

from hubbub import gossip, presence
from tests import histories

BUGS = {
    "a delta is merged though one before it is missing": (
        presence, "if delta.base and delta.base > sheet.version:", "if False:",
    ),
    "a whole sheet leaves rows that are not in it": (presence, "        if not delta.base:", "        if False:"),
    "a roster that begins again is older than before": (
        presence, "self.sheets[node].version = next(numbers)", "self.sheets[node].version = 0",
    ),
    "rows of a lost node stay": (presence, "if sheet is None or node == self.node:", "if sheet is not None:"),
    "who left is gone at once": (presence, "left=wall, rest=rest), now, wall)\n\n    def delta",
                                 "left=wall, rest=0.0), now, wall)\n\n    def delta"),
    "who left is shown for too long": (presence, "and until <= now:", "and until <= now - 8:"),
    "nobody takes the seat of one who left": (presence, "        free = self._free(key, meta)", "        free = None"),
    "two keep the same seat": (presence, "            if both and", "            if False and"),
    "who had a seat before is shown again": (presence, "turn = left.turn + (node != self.node)", "turn = left.turn"),
    "changes of a key go untold": (presence, "        self._dirty.add(key)", "        self._dirty = {key}"),
    "who moves is gone after the grace": (gossip, "max(HANDOVER, roster.grace))", "roster.grace)"),
    "a farewell that was read late begins anew": (gossip, "now - max(wall - farewell.wall, 0.0)", "now"),
    "silence is no reason": (gossip, "for node, heard in self.leases.lost():", "for node, heard in ():"),
    "nobody doubts": (gossip, "        self._doubt()\n", ""),
    "nobody says that it no longer has a topic": (gossip, "            elif version:", "            elif False:"),
}  # fmt: skip


def planted(module, right, wrong):
    """A copy of the module, with the bug."""
    source = inspect.getsource(module)
    assert source.count(right) == 1
    spec = importlib.util.spec_from_loader(f"{module.__name__}_with_a_bug", loader=None)
    copy = importlib.util.module_from_spec(spec)
    sys.modules[copy.__name__] = copy
    try:
        exec(compile(source.replace(right, wrong), module.__file__, "exec"), vars(copy))
    finally:
        del sys.modules[copy.__name__]
    return copy


def failure():
    """What the first history that fails says."""
    for seed in range(150):
        for calm in (True, False):
            try:
                histories.check(seed, calm)
            except Exception as error:
                return error
    return None


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug, monkeypatch):
    copy = planted(*BUGS[bug])
    for name in ("Roster", "Gossip", "Farewell"):
        if hasattr(copy, name):
            monkeypatch.setattr(histories, name, getattr(copy, name))
    assert failure() is not None
