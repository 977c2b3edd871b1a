"""What the figures are expected to show, and whether they do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

Figures = Mapping[str, float]
Results = Mapping[str, Mapping[str, Figures]]
"""By peer, then by case."""


@dataclass(frozen=True)
class Cell:
    """One figure: of this peer, in this case."""

    peer: str
    case: str
    figure: str

    def read(self, results: Results) -> float | None:
        return results.get(self.peer, {}).get(self.case, {}).get(self.figure)


@dataclass(frozen=True)
class Mean:
    """What some figures are on average."""

    cells: Sequence[Cell]

    def read(self, results: Results) -> float | None:
        figures = [figure for cell in self.cells if (figure := cell.read(results)) is not None]
        return fmean(figures) if len(figures) == len(self.cells) else None


@dataclass(frozen=True)
class Claim:
    """``ours`` is at most ``most``; or, where there is ``theirs``, at most so many times that."""

    text: str
    ours: Cell
    theirs: Cell | Mean | None
    most: float

    def judge(self, results: Results) -> tuple[str, str, str, str] | None:
        """The claim, what was measured, the limit, the verdict. None if a figure is missing."""
        measured = self.ours.read(results)
        if self.theirs is not None and measured is not None:
            other = self.theirs.read(results)
            measured = measured / other if other else None
        if measured is None:
            return None
        return self.text, f"{measured:.3g}", f"{self.most:.3g}", "met" if measured <= self.most else "MISSED"


def versus(ours: str, theirs: str, case: str, most: float, *, figure: str = "cpu", text: str = "") -> Claim:
    """Ours against a peer's, in the same case."""
    what = text or f"{ours} / {theirs}: {case}"
    return Claim(what, Cell(ours, case, figure), Cell(theirs, case, figure), most)
