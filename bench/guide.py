"""The curves as tables, where docs/guides/capacity.md explains them."""

import runpy
from collections.abc import Iterator, Mapping, Sequence

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
BEGIN, END = "<!-- {}: make bench ARGS=--redraw -->\n", "<!-- end of what was {} -->"

PEERS = (HUBBUB, HUBBUB_NATIVE, HUBBUB_PHOENIX, SOCKETIO_NODE)


def rewritten(text: str) -> str:
    """The guide with its tables as they should be: of the examples by the script, of the curves by what is saved."""
    examples = runpy.run_path(str(ROOT / "scripts/capacity.py"))["table"]()
    for word, tables in (("reckoned", examples), ("measured", "\n".join(filter(None, _tables())))):
        before, _, rest = text.partition(begin := BEGIN.format(word))
        _, _, after = rest.partition(end := END.format(word))
        text = f"{before}{begin}\n{tables}\n{end}{after}"
    return text


def _tables() -> Iterator[str]:
    for scenario in (SCALE, ROOMS, TOPICS, IDLE):
        if record := load(scenario):
            yield from (_curve(scenario, curve, record.results) for curve in scenario.curves)
            if prices := _PRICES.get(scenario.name):
                yield _table("What that says of one publication: server CPU, us", scenario.name, prices(record.results))


def _curve(scenario: Scenario, curve: Curve, results: Results) -> str:
    rows = {f"{much:,}": _at(curve, much, results) for much in curve.points.values()}
    title = f"{scenario.title}, {curve.title}: {COLUMNS[curve.figure][0]}"
    return _table(title, f"{scenario.name}: {curve.axis}", rows)


def _of_one_that_comes_alone(results: Results) -> Mapping[str, Sequence[float | None]]:
    """What ten deliveries of a small audience take more than ten of a large one."""
    few, many = (_at(SCALE.curves[0], clients, results) for clients in (10, 1_000))
    return {"a publication that comes alone": [_less(a, b, 10) for a, b in zip(few, many, strict=True)]}


def _of_one_among_many(results: Results) -> Mapping[str, Sequence[float | None]]:
    """What a delivery to an audience of one takes more than one to all."""
    one, all = (_at(ROOMS.curves[0], rooms, results) for rooms in (10_000, 1))
    prices = [_less(a, b, 1) for a, b in zip(one, all, strict=True)]
    knees = [_less(price, 0, 1 / send) if price and send else None for price, send in zip(prices, all, strict=True)]
    return {"a publication among many": prices, "clients at whom it is as dear as its sends": knees}


_PRICES = {SCALE.name: _of_one_that_comes_alone, ROOMS.name: _of_one_among_many}


def _at(curve: Curve, much: int, results: Results) -> Sequence[float | None]:
    return [dict(curve.points_of(results.get(peer.name, {}))).get(much) for peer in PEERS]


def _less(figure: float | None, other: float | None, times: float) -> float | None:
    """So much more; None where what disturbed the two was more than that."""
    return None if figure is None or other is None or figure < other else (figure - other) * times


def _table(title: str, corner: str, rows: Mapping[str, Sequence[float | None]]) -> str:
    """Without what nobody was measured at."""
    lines = [[corner, *(peer.name for peer in PEERS)], ["---:"] * (len(PEERS) + 1)]
    for name, figures in rows.items():
        if any(figure is not None for figure in figures):
            lines.append([name, *("-" if figure is None else f"{figure:.1f}" for figure in figures)])
    return f"**{title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n" if len(lines) > 2 else ""
