r"""Numbers as Prometheus reads them: its text format, version 0.0.4. Pure.

Specification: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

Rules:

1. "Lines are separated by a line feed character (\n). The last line must end with a line feed character."
2. "Only one HELP line may exist for any given metric name", and "the TYPE line for a metric name must appear before the
   first sample is reported for that metric name".
3. "All lines for a given metric must be provided as one single group": so a ``Metric`` has its samples with it.
4. "Each line must have a unique combination of a metric name and labels."
5. In the value of a label "the backslash (\), double-quote ("), and line feed (\n) characters have to be escaped"; in
   a HELP line "the backslash and the line feed characters".
6. What only grows, until the process ends, is a counter, whose name ends in ``_total``; units are base units, and stand
   in the name (https://prometheus.io/docs/practices/naming/).
7. Labels are from closed sets. Each value of one is a series, which whoever watches us keeps for weeks: what clients
   choose, such as topics, names and addresses, is in none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge", "summary"]

_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_IN_LABEL = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Sample(NamedTuple):
    """A number. ``suffix`` goes behind the metric's name, as a summary's parts have it."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


class Metric(NamedTuple):
    """All there is to say under one name. ``help`` is a sentence for people."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


def single(name: str, kind: Kind, help: str, value: float) -> Metric:
    """One number."""
    return Metric(name, kind, help, (Sample(value),))


def split(name: str, kind: Kind, help: str, label: str, values: Mapping[str, float]) -> Metric:
    """Several numbers, by a label."""
    return Metric(name, kind, help, [Sample(value, {label: which}) for which, value in values.items()])


def written(metrics: Iterable[Metric]) -> str:
    """All of it, as it is sent."""
    return "".join(line for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.help.translate(_IN_HELP)}\n"
    yield f"# TYPE {metric.name} {metric.kind}\n"
    for value, labels, suffix in metric.samples:
        pairs = ",".join([f'{name}="{said.translate(_IN_LABEL)}"' for name, said in labels.items()])
        yield f"{metric.name}{suffix}{{{pairs}}} {value}\n" if pairs else f"{metric.name}{suffix} {value}\n"
