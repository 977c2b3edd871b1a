"""Results as tables and files: what each peer did, ours divided by theirs, and what became of the claims."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.claims import Results, judge
from bench.plot import draw
from bench.record import RESULTS, Record, load
from bench.roster import PAIRS
from bench.scenario import COLUMNS, Figures, Scenario, cases_of, heading

BUSY = 0.95
"""From this share of its core on, somebody has no headroom. If that is the load generator and not the server, then the
rate is the generator's, and marked so. (A generator has little to do per wake-up and looks busy long before it is.)"""


@dataclass(frozen=True)
class Grid:
    """A table before anybody decides how it is drawn."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
    """Columns of words, before those of figures."""

    def markdown(self) -> str:
        lines = [self.headings, ["---" if self._is_word(column) else "---:" for column in self.headings], *self.rows]
        return f"## {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def show(self, console: Console) -> None:
        table = Table(title=self.title, title_justify="left")
        for column in self.headings:
            table.add_column(column, justify="left" if self._is_word(column) else "right")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)

    def linked(self) -> "Grid":
        """The same, with what stands first in each row as a link to its page."""
        return replace(self, rows=[(f"[{name}]({name}.md)", *rest) for name, *rest in self.rows])

    def _is_word(self, column: str) -> bool:
        return column in self.headings[: self.words]


def middle(runs: Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """The median of each figure of each case."""
    return {case: {key: median(run[case][key] for run in runs) for key in figures} for case, figures in runs[0].items()}


def grids(scenario: Scenario, results: Results) -> list[Grid]:
    """A table for each case, one of ratios where there is somebody to be compared with, one of what is claimed."""
    cases = cases_of(results)
    tables = [_grid(scenario, results, case) for case in cases]
    ratios = [
        [f"{ours.name} / {theirs.name}", *(_ratio(scenario, results, ours.name, theirs.name, case) for case in cases)]
        for ours, theirs in PAIRS
        if ours.name in results and theirs.name in results
    ]
    if ratios:
        tables.append(Grid(f"{scenario.title}: {heading(scenario)}, ours / theirs", ["", *cases], ratios))
    if verdicts := judge(scenario.claims, results):
        rows = [verdict.row() for verdict in verdicts]
        tables.append(Grid(f"{scenario.title}: claims", ["", "measured", "at most", "verdict"], rows))
    return tables


def _grid(scenario: Scenario, results: Results, case: str) -> Grid:
    peers = {peer: figures[case] for peer, figures in results.items() if case in figures}
    keys = [key for key in COLUMNS if any(key in figures for figures in peers.values())]
    headings = [heading(scenario) if key == scenario.figure else COLUMNS[key][0] for key in keys]
    rows = [[peer, *(_cell(key, figures) for key in keys)] for peer, figures in peers.items()]
    return Grid(f"{scenario.title}: {case}", ["", *headings], rows)


def _cell(key: str, figures: Mapping[str, float]) -> str:
    if key not in figures:
        return "-"
    bound = key == "rate" and figures["load"] > BUSY > figures["server"]
    return format(figures[key], COLUMNS[key][1]) + (" (!)" if bound else "")


def _ratio(scenario: Scenario, results: Results, ours: str, theirs: str, case: str) -> str:
    mine, other = (results[peer].get(case, {}).get(scenario.figure) for peer in (ours, theirs))
    return f"{mine / other:.2g}" if mine is not None and other else "-"


def save(scenario: Scenario, record: Record) -> list[Path]:
    """Write the results as data, as a page and as a picture. Gives the files."""
    RESULTS.mkdir(exist_ok=True)
    data, page, picture = (RESULTS / f"{scenario.name}.{kind}" for kind in ("json", "md", "svg"))
    draw(scenario, record.results, picture)
    data.write_text(json.dumps(asdict(record), indent=1) + "\n")
    facts = "\n".join(f"- {name}: {fact}" for name, fact in record.about.items())
    tables = "\n".join(grid.markdown() for grid in grids(scenario, record.results))
    page.write_text(f"# {scenario.title}\n\n![]({picture.name})\n\n{facts}\n\n{tables}")
    return [data, page, picture]


def summaries(scenarios: Iterable[Scenario]) -> list[Grid]:
    """All that is claimed, and when each scenario was measured, by what is saved."""
    records = [(scenario, record) for scenario in scenarios if (record := load(scenario)) is not None]
    claims = [
        (scenario.name, *verdict.row())
        for scenario, record in records
        for verdict in judge(scenario.claims, record.results)
    ]
    runs = [
        (
            scenario.name,
            scenario.title,
            record.about["runs"],
            "-" if record.seconds is None else f"{record.seconds / 60:.1f}",
            record.about["date"],
            record.about["commit"],
        )
        for scenario, record in records
    ]
    met = sum(row[-1].startswith("met") for row in claims)
    return [
        Grid(f"Claims: {met} of {len(claims)} met", ["", "claim", "measured", "at most", "verdict"], claims, 2),
        Grid("Runs", ["", "what", "runs", "minutes a round", "date", "commit"], runs, 2),
    ]


def save_summary(tables: Iterable[Grid]) -> Path:
    """Write them as the page of the folder."""
    page = RESULTS / "README.md"
    page.write_text("# What was measured\n\n" + "\n".join(table.linked().markdown() for table in tables))
    return page
