"""The text format: what we write, a strict reader and Prometheus's own read as it was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hubbub.exposition import Metric, Sample, single, split, written
from tests.exposition import number, read


def test_it_looks_as_the_specification_shows_it():
    late = Metric("late_seconds", "summary", "How late.", (Sample(0.5, suffix="_sum"), Sample(2, suffix="_count")))
    assert written([
        single("tea_total", "counter", "Cups of it.", 3),
        split("guests", "gauge", "Who is here.", "from", {"near": 2, "far": 0}),
        late,
    ]) == (
        "# HELP tea_total Cups of it.\n"
        "# TYPE tea_total counter\n"
        "tea_total 3\n"
        "# HELP guests Who is here.\n"
        "# TYPE guests gauge\n"
        'guests{from="near"} 2\n'
        'guests{from="far"} 0\n'
        "# HELP late_seconds How late.\n"
        "# TYPE late_seconds summary\n"
        "late_seconds_sum 0.5\n"
        "late_seconds_count 2\n"
    )  # fmt: skip


def test_what_ends_a_line_or_a_value_is_escaped():
    text = written([split("a", "gauge", 'one\nline, "two" \\n', "b", {'"\\\n': 1})])
    assert text.splitlines() == [r'# HELP a one\nline, "two" \\n', "# TYPE a gauge", r'a{b="\"\\\n"} 1']


texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**50)


@given(texts.filter(str.strip), st.dictionaries(texts, numbers, min_size=1))
def test_whatever_is_said_comes_back(help, values):
    family = read(written([split("a", "gauge", help, "b", values)]))["a"]
    assert family.help == help
    assert family.samples == {("a", frozenset({("b", value)})): number for value, number in values.items()}


@given(st.dictionaries(texts, st.integers(0, 2**50), min_size=1))
def test_prometheus_reads_it_as_we_do(values):
    (family,) = text_string_to_metric_families(written([split("a_total", "counter", "A.", "b", values)]))
    assert family.type == "counter"
    assert {sample.labels["b"]: sample.value for sample in family.samples} == values


@pytest.mark.parametrize(
    "text",
    [
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# TYPE a gauge\na 1\n",
        "a 1\n",
        "# HELP a A.\n# TYPE a gauge\n\na 1\n",
        "# HELP a A.\n# TYPE b gauge\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 1\n",
        '# HELP a A.\n# TYPE a gauge\na{b="\\t"} 1\n',
        '# HELP a A.\n# TYPE a gauge\na{b="1",b="1"} 1\n',
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b gauge\nb 1\na 1\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a A.\n# TYPE a gauge\n",
    ],
)
def test_the_reader_is_strict(text):
    with pytest.raises((AssertionError, StopIteration)):
        read(text)


def test_the_reader_finds_a_number():
    families = read(written([split("guests", "gauge", "Who is here.", "from", {"near": 2, "far": 0})]))
    assert number(families, "guests", **{"from": "near"}) == 2
