"""Results as pictures: SVG that can be read on white and on black."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.claims import Results
from bench.scenario import COLUMNS, Curve, Scenario, cases_of, heading

INK, OURS, THEIRS = "#808080", "#0f9d78", "#8a93a6"
WIDTH, CURVE = 7.5, 3.6
"""Inches: of a picture, and how high a curve is in it."""

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
    """The curves one below the other, and below them bars for each case that is in none."""
    curves = [curve for curve in scenario.curves if any(curve.points_of(figures) for figures in results.values())]
    drawn = {case for curve in curves for case in curve.points}
    cases = [case for case in cases_of(results) if case not in drawn]
    heights = [CURVE] * len(curves) + [0.26 * len(results) + 0.75] * len(cases)
    figure, places = plt.subplots(
        len(heights), figsize=(WIDTH, sum(heights)), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for curve, place in zip(curves, places.flat, strict=False):
        _curve(place, curve, results)
    for case, place in zip(cases, places.flat[len(curves) :], strict=True):
        _bars(place, scenario, results, case)
    title = scenario.title if curves else f"{scenario.title}: {heading(scenario)}"  # a curve says what its figure is
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold")
    figure.tight_layout()
    plt.savefig(file, transparent=True, bbox_inches="tight", metadata={"Date": None})
    plt.close()


def _bars(place: Axes, scenario: Scenario, results: Results, case: str) -> None:
    rows = [(peer, figures[case][scenario.figure]) for peer, figures in results.items() if case in figures][::-1]
    names, values = [peer for peer, _ in rows], [value for _, value in rows]
    bars = place.barh(names, values, color=[OURS if name.startswith("hubbub") else THEIRS for name in names])
    place.bar_label(bars, fmt="%.3g", padding=4, color=INK)
    place.set_title(case, loc="left", fontsize=9)
    place.spines["bottom"].set_visible(False)
    place.set_xticks([])
    place.margins(x=0.12)


def _curve(place: Axes, curve: Curve, results: Results) -> None:
    for peer, figures in results.items():
        if points := curve.points_of(figures):
            mark = "o-" if peer.startswith("hubbub") else "s--"
            place.plot(*zip(*points, strict=True), mark, markersize=4, label=peer)
    place.set_xscale("log")
    place.xaxis.set_major_formatter("{x:,.0f}")
    place.set_ylim(bottom=0)
    place.set_title(f"{curve.title}: {COLUMNS[curve.figure][0]}", loc="left", fontsize=9)
    place.set_xlabel(curve.axis)
    place.legend(frameon=False, labelcolor=INK, loc="center left", bbox_to_anchor=(1, 0.5))
