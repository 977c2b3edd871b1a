"""What a run found of a scenario, as it is kept in results/."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.claims import Results
from bench.scenario import Scenario

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Record:
    """All that is known of it; its pages and pictures are made from this."""

    scenario: str
    about: Mapping[str, str]
    seconds: float | None
    """What one round of all peers took, where that is known."""
    results: Results


def load(scenario: Scenario) -> Record | None:
    """What was saved of it last; None if there is nothing."""
    file = RESULTS / f"{scenario.name}.json"
    return Record(**json.loads(file.read_text())) if file.exists() else None
