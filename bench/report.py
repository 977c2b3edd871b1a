"""Results as tables and files: what each peer did, and ours divided by theirs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.claims import Results
from bench.plot import draw
from bench.roster import PAIRS
from bench.scenario import COLUMNS, Figures, Scenario

RESULTS = Path(__file__).parent / "results"

BUSY = 0.95
"""From this share of its core on, somebody has no headroom. If that is the load generator and not the server, then the
rate is the generator's, and marked so. (A generator has little to do per wake-up and looks busy long before it is.)"""


@dataclass(frozen=True)
class Grid:
    """A table before anybody decides how it is drawn."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [self.headings, ["---", *("---:" for _ in self.headings[1:])], *self.rows]
        return f"## {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def show(self, console: Console) -> None:
        table = Table(title=self.title, title_justify="left")
        for heading in self.headings:
            table.add_column(heading, justify="left" if heading == self.headings[0] else "right")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)


def middle(runs: Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """The median of each figure of each case."""
    return {case: {key: median(run[case][key] for run in runs) for key in figures} for case, figures in runs[0].items()}


def grids(scenario: Scenario, results: Results) -> list[Grid]:
    """A table for each case, one of ratios where there is somebody to be compared with, one of what is claimed."""
    cases = list(dict.fromkeys(case for figures in results.values() for case in figures))
    tables = [_grid(scenario, results, case) for case in cases]
    ratios = [
        [f"{ours.name} / {theirs.name}", *(_ratio(scenario, results, ours.name, theirs.name, case) for case in cases)]
        for ours, theirs in PAIRS
        if ours.name in results and theirs.name in results
    ]
    heading = COLUMNS[scenario.figure][0].partition(",")[0]
    if ratios:
        tables.append(Grid(f"{scenario.title}: {heading} per {scenario.unit}, ours / theirs", ["", *cases], ratios))
    verdicts = [verdict for claim in scenario.claims if (verdict := claim.judge(results)) is not None]
    if verdicts:
        tables.append(Grid(f"{scenario.title}: claims", ["", "measured", "at most", "verdict"], verdicts))
    return tables


def _grid(scenario: Scenario, results: Results, case: str) -> Grid:
    peers = {peer: figures[case] for peer, figures in results.items() if case in figures}
    keys = [key for key in COLUMNS if any(key in figures for figures in peers.values())]
    headings = [COLUMNS[key][0] + (f" per {scenario.unit}" if key == scenario.figure else "") for key in keys]
    rows = [[peer, *(_cell(key, figures) for key in keys)] for peer, figures in peers.items()]
    return Grid(f"{scenario.title}: {case}", ["", *headings], rows)


def _cell(key: str, figures: Figures) -> str:
    if key not in figures:
        return "-"
    bound = key == "rate" and figures["load"] > BUSY > figures["server"]
    return format(figures[key], COLUMNS[key][1]) + (" (!)" if bound else "")


def _ratio(scenario: Scenario, results: Results, ours: str, theirs: str, case: str) -> str:
    mine, other = results[ours].get(case), results[theirs].get(case)
    if mine is None or other is None or not other[scenario.figure]:
        return "-"
    return f"{mine[scenario.figure] / other[scenario.figure]:.2g}"


def save(scenario: Scenario, results: Results, about: Mapping[str, str]) -> list[Path]:
    """Write the results as data, as a page and as a picture. Gives the files."""
    RESULTS.mkdir(exist_ok=True)
    data, page, picture = (RESULTS / f"{scenario.name}.{kind}" for kind in ("json", "md", "svg"))
    draw(scenario, results, picture)
    data.write_text(json.dumps({"scenario": scenario.name, "about": about, "results": results}, indent=1) + "\n")
    facts = "\n".join(f"- {name}: {fact}" for name, fact in about.items())
    tables = "\n".join(grid.markdown() for grid in grids(scenario, results))
    page.write_text(f"# {scenario.title}\n\n![]({picture.name})\n\n{facts}\n\n{tables}")
    return [data, page, picture]
