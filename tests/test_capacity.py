"""scripts/capacity.py: the arithmetic of docs/guides/capacity.md, its prices, and the tables of that page."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.guide import GUIDE, rewritten

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts/capacity.py"
RESULTS = ROOT / "bench/results"


@pytest.fixture(scope="module")
def capacity():
    spec = importlib.util.spec_from_file_location("capacity", SCRIPT)
    module = sys.modules["capacity"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["capacity"]


def processes(capacity, **figures):
    return [need.processes for need in capacity.needs(capacity.Plan(**figures))]


def test_it_runs_without_anything_installed():
    words = [sys.executable, "-I", "-S", SCRIPT, "--connections", "10_000_000"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("10,000,000 connections, ")
    assert re.search(r"\d+ machines of 16 cores", done.stdout)


def test_memory_is_what_connections_take(capacity):
    memory, *_ = processes(capacity, connections=1 << 20, kib_server=4, kib_kernel=4, memory=16, full=0.5, cores=4)
    assert memory == 4.0  # 8 GiB: all that may be used of one machine


def test_work_adds_up(capacity):
    none = {"publications": 0, "sends": 0, "us_beat": 0}
    assert processes(capacity, **none)[1] == 0
    deliveries = {"publications": 1_000, "audience": 100, "us_delivery": 5, "us_publish": 0, "us_heard": 0}
    assert processes(capacity, **{**none, **deliveries}, busy=0.5)[1] == pytest.approx(1)


def test_a_lost_machine_fits_into_what_the_others_have_to_spare(capacity):
    plan = capacity.Plan(connections=1_000_000, cores=16, us_resume=390, comeback=60, busy=0.5)
    count = capacity.needs(plan)[2].processes
    work = plan.connections / count * plan.cores * plan.us_resume / 1e6
    assert work == pytest.approx((count - plan.cores) * (1 - plan.busy) * plan.comeback)


def test_more_nodes_with_an_audience_ask_more_of_redis(capacity):
    few, many = (capacity.brokers(capacity.Plan(publications=200_000, spread=spread)) for spread in (1, 50))
    assert many > few


def test_prices_are_what_was_measured(capacity):
    plan, measured = capacity.Plan(), {name: source.read(RESULTS) for name, source in capacity.SOURCES.items()}
    found = {name: price for name, price in measured.items() if price is not None}  # None: not measured yet
    assert {name: getattr(plan, name) for name in found} == pytest.approx(found, rel=0.35, abs=0.5)


def test_results_can_be_taken_from_a_folder_and_figures_given_beside_them(capacity, tmp_path):
    (tmp_path / "echo.json").write_text('{"results": {"hubbub": {"8 clients, 1 in flight": {"cpu": 12.5}}}}')
    plan = capacity.read(["--results", str(tmp_path), "--us-delivery", "5", "--connections", "7"])
    assert plan == capacity.Plan(us_message=12.5, us_delivery=5, connections=7)


def test_a_price_can_be_a_difference(capacity, tmp_path):
    (tmp_path / "a.json").write_text('{"results": {"hubbub": {"much": {"memory": 13}, "little": {"memory": 4}}}}')
    assert capacity.Source("a", "hubbub", "much", "memory", than="little", by=9).read(tmp_path) == 1


def test_the_tables_of_the_guide_are_what_was_reckoned_and_measured():
    text = GUIDE.read_text()
    assert text.count("\n| chat rooms |") == 2
    assert text == rewritten(text), "say `make bench ARGS=--redraw`"
