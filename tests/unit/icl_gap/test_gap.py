from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.icl_gap.gap import icl_gap_table
from workflow_scripts.settings import AnalysisSettings

SETTINGS = AnalysisSettings(bootstrap_samples=500, qualifying_gap=0.05)


def base_results(correct: dict[int, int], items: int = 100) -> pd.DataFrame:
    """Base results with so many correct items at each shot count, on both splits."""
    return pd.concat(
        pd.DataFrame(
            {
                "model": "m",
                "task": "t",
                "condition": f"{shots}-shot",
                "shots": shots,
                "split": split,
                "item": [f"{split}-{i}" for i in range(items)],
                "step": 0,
                "prediction": "word",
                "strict": np.arange(items) < count,
                "flexible": True,
                "answer_loss": 1.0,
            }
        )
        for shots, count in correct.items()
        for split in ("validation", "test")
    )


def test_the_gap_is_the_accuracy_minus_that_at_zero_shots():
    table = icl_gap_table(base_results({0: 10, 4: 30, 8: 70}), SETTINGS)
    test = table[table["split"] == "test"]
    assert dict(zip(test["shots"], test["gap"], strict=True)) == pytest.approx(
        {0: 0.0, 4: 0.2, 8: 0.6}
    )


def test_the_gap_interval_is_paired_over_items():
    """Ten items gained and none lost: far narrower than two independent accuracies."""
    table = icl_gap_table(base_results({0: 50, 8: 60}), SETTINGS)
    row = table[(table["split"] == "test") & (table["shots"] == 8)].iloc[0]
    assert 0 < row["gap_low"] < 0.1 < row["gap_high"] < 0.17


@pytest.mark.parametrize(("most", "qualifies"), [(15, True), (14, False)])
def test_a_model_qualifies_from_the_configured_gap_on(most, qualifies):
    table = icl_gap_table(base_results({0: 10, 8: most}), SETTINGS)
    assert set(table["qualifies"]) == {qualifies}


def test_the_largest_shot_count_decides_who_qualifies():
    table = icl_gap_table(base_results({0: 10, 4: 90, 8: 10}), SETTINGS)
    assert not table["qualifies"].any()


def test_models_are_measured_apart():
    other = base_results({0: 0, 8: 0}).assign(model="other")
    table = icl_gap_table(pd.concat([base_results({0: 10, 8: 70}), other]), SETTINGS)
    qualified = table.groupby("model")["qualifies"].all()
    assert qualified.to_dict() == {"m": True, "other": False}


def test_results_without_zero_shots_are_refused():
    with pytest.raises(InputError, match="m t: no result at 0 shots"):
        icl_gap_table(base_results({4: 30, 8: 70}), SETTINGS)


def test_the_entry_point_writes_the_table(tmp_path: Path):
    entries = []
    for shots, rows in base_results({0: 10, 8: 70}).groupby("shots"):
        path = tmp_path / f"{shots}.parquet"
        rows.to_parquet(path)
        key = {"model": "m", "task": "t", "condition": f"{shots}-shot", "shots": shots}
        files = {"predictions": str(path), "training_log": None, "cost": None}
        entries.append(key | files | {"seed": None})
    output = tmp_path / "icl_gap.csv"
    arguments = ["--index", json.dumps(entries), "--settings", SETTINGS.model_dump_json()]
    subprocess.run(
        [sys.executable, "-m", "workflow_scripts.icl_gap.icl_gap", *arguments, "--output", output],
        check=True,
    )
    assert pd.read_csv(output)["accuracy_strict"].tolist() == [0.1, 0.7, 0.1, 0.7]
