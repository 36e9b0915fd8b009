"""What the top k of recorded logits hold, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.targets import COLUMNS, TargetEntry, target_table


def entry(path: Path, content: dict[str, Any]) -> TargetEntry:
    save(content, path)
    return TargetEntry(model="m", task="t", teacher="few-shot", target=path.stem, manifest=path)


def mass(positions: int, mean: float) -> dict[str, float]:
    return {"positions": positions, "mean": mean, "min": 0.5, "share_above_999": 0.75}


@pytest.fixture
def prompt(tmp_path: Path) -> TargetEntry:
    target = {"kind": "logits", "position": "prompt", "top_k": 64}
    return entry(tmp_path / "prompt.json", {"target": target, "mass": {"all": mass(9, 0.9)}})


@pytest.fixture
def answer(tmp_path: Path) -> TargetEntry:
    kinds = {"end": mass(2, 1.0), "all": mass(7, 0.99), "later": mass(3, 0.97), "first": mass(2, 1)}
    target = {"kind": "logits", "position": "answer", "top_k": 256}
    return entry(tmp_path / "answer.json", {"target": target, "mass": kinds})


def test_a_target_has_a_row_for_each_kind_of_position(prompt, answer):
    table = target_table([prompt, answer])
    assert list(zip(table["target"], table["kind"], table["positions"], strict=True)) == [
        ("prompt", "all", 9),
        ("answer", "all", 7),
        ("answer", "first", 2),
        ("answer", "later", 3),
        ("answer", "end", 2),
    ]


@pytest.mark.parametrize("top_k", [64, "all"])
def test_sorted_targets_have_rows_too(tmp_path: Path, top_k):
    target = {"kind": "sorted", "position": "answer", "top_k": top_k}
    path = tmp_path / "sorted.json"
    table = target_table([entry(path, {"target": target, "mass": {"all": mass(9, 1.0)}})])
    assert table[["kind", "top_k", "mass_mean"]].to_numpy().tolist() == [["all", top_k, 1.0]]


def test_a_row_says_whose_top_k_it_is_and_what_it_holds(prompt):
    row = target_table([prompt]).iloc[0]
    assert row[["model", "task", "teacher", "top_k"]].tolist() == ["m", "t", "few-shot", 64]
    assert row[["mass_mean", "mass_min", "share_above_999"]].tolist() == [0.9, 0.5, 0.75]


@pytest.mark.parametrize("kind", ["hidden", "labels"])
def test_what_is_not_a_top_k_has_no_row(kind, tmp_path):
    other = entry(tmp_path / "other.json", {"target": {"kind": kind, "top_k": None}})
    assert list(target_table([other]).columns) == COLUMNS
    assert target_table([other]).empty


def test_no_targets_leave_a_table_without_rows():
    assert list(target_table([]).columns) == COLUMNS


def test_another_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"other\.json: not the manifest of a target"):
        target_table([entry(tmp_path / "other.json", {"layers": 3})])


def test_each_draw_of_demonstrations_has_its_rows(prompt):
    table = target_table([prompt, prompt.model_copy(update={"draw": 1})])
    assert table["draw"].tolist() == [pd.NA, 1]
