"""Results as pictures: SVG that can be read on white and on black."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.claims import Results
from bench.scenario import COLUMNS, Scenario

INK, OURS, THEIRS = "#808080", "#0f9d78", "#8a93a6"

mpl.use("svg")
mpl.rcParams |= {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "hubbub",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(scenario: Scenario, results: Results, file: Path) -> None:
    """A curve for each peer where the cases are sizes, and otherwise bars for each case."""
    if scenario.sizes:
        _curves(scenario, results)
    else:
        _bars(scenario, results)
    plt.savefig(file, transparent=True, bbox_inches="tight", metadata={"Date": None})
    plt.close()


def _label(scenario: Scenario) -> str:
    return f"{COLUMNS[scenario.figure][0]} per {scenario.unit}"


def _bars(scenario: Scenario, results: Results) -> None:
    cases = list(dict.fromkeys(case for figures in results.values() for case in figures))
    height = 0.26 * len(results) + 0.75
    figure, places = plt.subplots(len(cases), figsize=(7.5, height * len(cases)), squeeze=False)
    for place, case in zip(places.flat, cases, strict=True):
        _bar(place, scenario, results, case)
    figure.suptitle(f"{scenario.title}: {_label(scenario)}", x=0.02, ha="left", fontweight="bold")
    figure.tight_layout()


def _bar(place: Axes, scenario: Scenario, results: Results, case: str) -> None:
    rows = [(peer, figures[case][scenario.figure]) for peer, figures in results.items() if case in figures][::-1]
    names, values = [peer for peer, _ in rows], [value for _, value in rows]
    bars = place.barh(names, values, color=[OURS if name.startswith("hubbub") else THEIRS for name in names])
    place.bar_label(bars, fmt="%.3g", padding=4, color=INK)
    place.set_title(case, loc="left", fontsize=9)
    place.spines["bottom"].set_visible(False)
    place.set_xticks([])
    place.margins(x=0.12)


def _curves(scenario: Scenario, results: Results) -> None:
    _, place = plt.subplots(figsize=(7.5, 4))
    for peer, figures in results.items():
        points = [(size, figures[case][scenario.figure]) for case, size in scenario.sizes.items() if case in figures]
        ours = peer.startswith("hubbub")
        (line,) = place.plot(*zip(*points, strict=True), "o-" if ours else "s--", markersize=4)
        place.annotate(f" {peer}", points[-1], color=line.get_color(), va="center")
    place.set_xscale("log")
    place.set_ylim(bottom=0)
    place.margins(x=0.02)
    place.set_title(f"{scenario.title}: {_label(scenario)}", loc="left", fontweight="bold", fontsize=9)
    place.set_xlabel("clients")
