"""The curves as tables, where docs/guides/capacity.md explains them."""

from collections.abc import Iterator

from bench.claims import Results
from bench.idle import IDLE
from bench.processes import ROOT
from bench.record import load
from bench.rooms import ROOMS
from bench.roster import HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX, SOCKETIO_NODE
from bench.scale import SCALE
from bench.scenario import COLUMNS, Curve, Scenario
from bench.topics import TOPICS

GUIDE = ROOT / "docs/guides/capacity.md"
BEGIN, END = "<!-- measured: make bench ARGS=--redraw -->\n", "<!-- end of what was measured -->"

PEERS = (HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX, SOCKETIO_NODE)


def rewritten(text: str) -> str:
    """The guide with its tables as they should be by what is saved."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(_tables())
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _tables() -> Iterator[str]:
    for scenario in (SCALE, ROOMS, TOPICS, IDLE):
        if record := load(scenario):
            yield from (_table(scenario, curve, record.results) for curve in scenario.curves)


def _table(scenario: Scenario, curve: Curve, results: Results) -> str:
    points = {peer.name: dict(curve.points_of(results.get(peer.name, {}))) for peer in PEERS}
    rows = [
        [f"{much:,}", *(f"{found[much]:.1f}" if much in found else "-" for found in points.values())]
        for much in curve.points.values()
    ]
    lines = [[f"`{scenario.name}`: {curve.axis}", *points], ["---:"] * (len(points) + 1), *rows]
    what = f"**{scenario.title}, {curve.title}: {COLUMNS[curve.figure][0]}**"
    return what + "\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
