"""A tuned result: the files of the run that tuning.csv chose."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.copy_chosen import main

FILES = {
    "predictions": "predictions.parquet",
    "training_log": "training_log.csv",
    "cost": "cost.json",
    "inference": "inference.json",
}
CANDIDATES = ("sft", "sft~learning_rate=0.01")


@pytest.fixture
def index(tmp_path: Path) -> ResultIndex:
    """Seed 1 of two variants; each file holds the name of its variant."""
    return ResultIndex.model_validate(
        [
            {"model": "m", "task": "t", "condition": name, "seed": 1, "shots": None}
            | {kind: save(name, tmp_path / name / file) for kind, file in FILES.items()}
            for name in CANDIDATES
        ]
    )


def copied(index: ResultIndex, folder: Path, chosen: str) -> dict[str, Path]:
    """The copies, where this variant of `sft` is chosen, and another arm itself."""
    rows = [("sft", name, name == chosen) for name in CANDIDATES] + [("kl", "kl", True)]
    tuning = save(pd.DataFrame(rows, columns=["arm", "condition", "chosen"]), folder / "tuning.csv")
    copies = {kind: folder / "tuned" / file for kind, file in FILES.items()}
    main("sft", tuning, index, **copies)
    return copies


@pytest.mark.parametrize("chosen", CANDIDATES)
def test_every_file_is_that_of_the_chosen_variant(index, tmp_path, chosen):
    copies = copied(index, tmp_path, chosen)
    assert {checked(copy).read_text() for copy in copies.values()} == {chosen}


def test_a_damaged_file_is_not_copied(index, tmp_path):
    cost = index.entries[0].cost
    assert cost is not None
    cost.write_text("other")
    with pytest.raises(InputError, match="not as it was written"):
        copied(index, tmp_path, "sft")
