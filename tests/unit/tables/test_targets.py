"""What the top k of recorded logits hold, as a table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from tests.target_manifests import save_target_manifest
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.targets import COLUMNS, TargetEntry, target_table
from workflow_scripts.teachers.targets import target_name

PROMPT = TargetSettings(kind="logits", position="prompt", top_k=64, temperature=1)
ANSWER = TargetSettings(kind="logits", position="answer", top_k=256, temperature=1)


@pytest.fixture
def entry(tmp_path: Path):
    """The entry of one shard of a target, with the probability that its top k hold."""

    def make(
        target: TargetSettings, masses: dict[str, dict[str, float]], shard: int = 0
    ) -> TargetEntry:
        manifest = tmp_path / target_name(target) / f"shard-000{shard}" / "manifest.json"
        name = save_target_manifest(manifest, target, masses)
        return TargetEntry(model="m", task="t", teacher="few-shot", target=name, manifest=manifest)

    return make


def mass(positions: int, mean: float, least: float = 0.5, share: float = 0.75) -> dict[str, float]:
    return {"positions": positions, "mean": mean, "min": least, "share_above_999": share}


@pytest.fixture
def prompt(entry) -> TargetEntry:
    return entry(PROMPT, {"all": mass(9, 0.9)})


@pytest.fixture
def answer(entry) -> TargetEntry:
    kinds = {"end": mass(2, 1.0), "all": mass(7, 0.99), "later": mass(3, 0.97), "first": mass(2, 1)}
    return entry(ANSWER, kinds)


def test_a_target_has_a_row_for_each_kind_of_position(prompt, answer):
    table = target_table([prompt, answer])
    assert list(zip(table["target"], table["kind"], table["positions"], strict=True)) == [
        (target_name(PROMPT), "all", 9),
        (target_name(ANSWER), "all", 7),
        (target_name(ANSWER), "first", 2),
        (target_name(ANSWER), "later", 3),
        (target_name(ANSWER), "end", 2),
    ]


@pytest.mark.parametrize("top_k", [64, "all"])
def test_sorted_targets_have_rows_too(entry, top_k):
    target = TargetSettings(kind="sorted", position="answer", top_k=top_k, temperature=1)
    table = target_table([entry(target, {"all": mass(9, 1.0)})])
    assert table[["kind", "top_k", "mass_mean"]].to_numpy().tolist() == [["all", top_k, 1.0]]


def test_a_row_says_whose_top_k_it_is_and_what_it_holds(prompt):
    row = target_table([prompt]).iloc[0]
    assert row[["model", "task", "teacher", "top_k"]].tolist() == ["m", "t", "few-shot", 64]
    assert row[["mass_mean", "mass_min", "share_above_999"]].tolist() == [0.9, 0.5, 0.75]


@pytest.mark.parametrize("kind", ["hidden", "labels"])
def test_what_is_not_a_top_k_has_no_row(kind, entry):
    other = entry(TargetSettings(kind=kind, site="block", position="prompt"), {})
    assert list(target_table([other]).columns) == COLUMNS
    assert target_table([other]).empty


def test_no_targets_leave_a_table_without_rows():
    assert list(target_table([]).columns) == COLUMNS


def test_the_shards_of_a_target_are_one_row(entry):
    shards = [
        entry(ANSWER, {"all": mass(6, 0.9, 0.6, 0.5), "end": mass(2, 1)}, 0),
        entry(ANSWER, {"all": mass(2, 0.5, 0.4, 0.0)}, 1),
    ]
    whole, end = target_table(shards).to_dict("records")
    assert (whole["positions"], whole["mass_min"]) == (8, 0.4)
    assert whole["mass_mean"] == pytest.approx((6 * 0.9 + 2 * 0.5) / 8)
    assert whole["share_above_999"] == pytest.approx(3 / 8)
    assert (end["kind"], end["positions"]) == ("end", 2)


def test_another_file_is_refused_by_name(prompt, tmp_path):
    save({"layers": 3}, tmp_path / "other.json")
    with pytest.raises(InputError, match=r"other\.json: not the manifest of a teacher's shard"):
        target_table([prompt.model_copy(update={"manifest": tmp_path / "other.json"})])


def test_a_shard_without_the_target_is_refused(prompt):
    with pytest.raises(InputError, match=r"manifest\.json: holds no target labels; delete"):
        target_table([prompt.model_copy(update={"target": "labels"})])


def test_each_draw_of_demonstrations_has_its_rows(prompt):
    table = target_table([prompt, prompt.model_copy(update={"draw": 1})])
    assert table["draw"].tolist() == [pd.NA, 1]
