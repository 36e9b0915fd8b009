"""What results cost, in a table of one row for each phase."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.outputs import save
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.cost import COLUMNS, cost_table

COST = {"processor": "AMD EPYC", "threads": "2", "processes": 1, "dtype": "float32"}
COST |= {"wall_seconds": 9.0, "cpu_seconds": 8.0}
COST |= {"peak_rss_mb": 900.0, "mean_rss_mb": 800.0, "peak_gpu_mb": 0.0}


@pytest.fixture
def index(tmp_path: Path) -> list[dict[str, Any]]:
    """A base result at 4 shots and a run that was trained on 16 items."""
    for name, counts in (("inference", {"answers": 40}), ("cost", {"tokens": 12_345_678})):
        save(COST | counts, (tmp_path / f"{name}.json"))
    names = {"model": "m", "task": "t", "inference": str(tmp_path / "inference.json")}
    base = {"condition": "4-shot", "seed": None, "shots": 4, "support": 4}
    run = {"condition": "sft", "seed": 1, "shots": None, "support": 16}
    return [names | base, names | run | {"cost": str(tmp_path / "cost.json")}]


def table_of(index: list[dict[str, Any]]):
    return cost_table(ResultIndex.model_validate_json(json.dumps(index)))


def test_a_base_result_has_a_cost_of_inference_and_a_run_of_training_as_well(index):
    table = table_of(index)
    assert table[["condition", "phase", "support"]].values.tolist() == [
        ["4-shot", "inference", 4],
        ["sft", "training", 16],
        ["sft", "inference", 16],
    ]


def test_cpu_seconds_are_of_each_answer_too(index):
    row = table_of(index).iloc[0]
    assert row["cpu_seconds"] == 8
    assert row["cpu_seconds_per_answer"] == pytest.approx(8 / 40)


def test_counts_stay_whole(index):
    table = table_of(index)
    assert table["tokens"].dropna().tolist() == [12_345_678]
    assert table["answers"].dropna().tolist() == [40, 40]


def test_without_results_the_table_has_its_columns():
    assert table_of([]).columns.tolist() == COLUMNS


def test_a_missing_cost_of_inference_is_named(index, tmp_path):
    (tmp_path / "inference.json").unlink()
    with pytest.raises(InputError, match="2 of 2 results have no cost of inference: m t 4-shot"):
        table_of(index)


def test_each_draw_has_its_cost(index):
    table = table_of([index[1] | {"draw": draw} for draw in (0, 1)])
    assert table["draw"].tolist() == [0, 0, 1, 1]
