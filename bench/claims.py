"""What the figures are expected to show, and whether they do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

Figures = Mapping[str, float]
Results = Mapping[str, Mapping[str, Figures]]
"""By peer, then by case."""


DISTURBED = 0.05
"""What others may take of the two cores before a figure is doubtful, as a share of one of them."""


@dataclass(frozen=True)
class Cell:
    """One figure: of this peer, in this case."""

    peer: str
    case: str
    figure: str

    def read(self, results: Results) -> float | None:
        return results.get(self.peer, {}).get(self.case, {}).get(self.figure)

    def others(self, results: Results) -> float:
        """What anybody else took of the cores meanwhile."""
        return results.get(self.peer, {}).get(self.case, {}).get("others", 0.0)


@dataclass(frozen=True)
class Mean:
    """What some figures are on average."""

    cells: Sequence[Cell]

    def read(self, results: Results) -> float | None:
        figures = [figure for cell in self.cells if (figure := cell.read(results)) is not None]
        return fmean(figures) if len(figures) == len(self.cells) else None

    def others(self, results: Results) -> float:
        return max(cell.others(results) for cell in self.cells)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim."""

    text: str
    measured: float
    most: float
    others: float

    @property
    def met(self) -> bool:
        return self.measured <= self.most

    def row(self) -> tuple[str, str, str, str]:
        """The claim, what was measured, the limit, the verdict, and whether it is doubtful."""
        doubt = f" ({self.others:.0%} others)" if self.others > DISTURBED else ""
        return self.text, _plain(self.measured), _plain(self.most), ("met" if self.met else "MISSED") + doubt


def _plain(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


@dataclass(frozen=True)
class Claim:
    """``ours`` is at most ``most``; or, where there is ``theirs``, at most so many times that."""

    text: str
    ours: Cell
    theirs: Cell | Mean | None
    most: float

    def judge(self, results: Results) -> Verdict | None:
        """None if a figure is missing."""
        measured, others = self.ours.read(results), self.ours.others(results)
        if self.theirs is not None and measured is not None:
            other = self.theirs.read(results)
            measured = measured / other if other else None
            others = max(others, self.theirs.others(results))
        return None if measured is None else Verdict(self.text, measured, self.most, others)


def versus(ours: str, theirs: str, case: str, most: float, *, figure: str = "cpu", text: str = "") -> Claim:
    """Ours against a peer's, in the same case."""
    what = text or f"{ours} / {theirs}: {case}"
    return Claim(what, Cell(ours, case, figure), Cell(theirs, case, figure), most)


def within(ours: str, case: str, most: float, *, than: str, figure: str = "cpu") -> Claim:
    """Ours in one case against ours in another."""
    return Claim(f"{ours}: {case} / {than}", Cell(ours, case, figure), Cell(ours, than, figure), most)


def judge(claims: Iterable[Claim], results: Results) -> list[Verdict]:
    """What became of those of which all was measured."""
    return [verdict for claim in claims if (verdict := claim.judge(results)) is not None]
