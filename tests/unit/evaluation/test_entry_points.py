"""Runs evaluated on their own task and on another: from files to a table of all steps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.evaluation import complete, transfer
from workflow_scripts.files import read_json


def test_a_run_has_the_untouched_rows_as_step_0_and_its_own_after(call, run_files, untouched):
    table = call(complete, "run", steps=[2, 10], **run_files)
    assert table["step"].tolist() == [0, 0, 2, 2, 10, 10]
    pd.testing.assert_frame_equal(table[:2], pd.read_parquet(untouched))


def test_only_the_steps_that_are_asked_for_are_completed(call, run_files):
    table = call(complete, "run", steps=[10], **run_files)
    assert table["step"].tolist() == [0, 0, 10, 10]


def test_a_run_says_what_the_answers_of_its_checkpoints_cost(call, run_files, tmp_path: Path):
    call(complete, "run", steps=[2, 10], **run_files)
    inference = read_json(tmp_path / "run" / "inference.json")
    assert inference["answers"] == 4
    assert inference["wall_seconds"] > 0


def test_the_untouched_model_says_what_its_answers_cost(untouched: Path):
    assert read_json(untouched.with_name("inference.json"))["answers"] == 2


def test_a_transfer_completes_with_the_checkpoint_that_the_source_task_chose(
    call, run_files, tmp_path: Path
):
    own = call(complete, "run", steps=[2, 10], **run_files)
    # on the source task step 10 is right on validation and step 2 on test
    chosen_on = tmp_path / "predictions.parquet"
    right = [(0, "validation"), (10, "validation"), (2, "test")]
    pairs = list(zip(own["step"], own["split"], strict=True))
    own.assign(strict=[pair in right for pair in pairs]).to_parquet(chosen_on)
    table = call(transfer, "transfer", chosen_on=chosen_on, **run_files)
    assert table["step"].tolist() == [0, 0, 10, 10]
    expected = own[own["step"].isin([0, 10])].reset_index(drop=True)
    pd.testing.assert_frame_equal(table.reset_index(drop=True), expected)
