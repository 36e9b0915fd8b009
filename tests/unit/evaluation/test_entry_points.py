"""Runs evaluated on their own task and on another: from files to a table of all steps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from tests.unit.evaluation.conftest import SETTINGS
from workflow_scripts.evaluation import complete_base, complete_run, complete_transfer
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.tasks.examples import Example, write_examples


def test_a_run_has_the_base_rows_as_step_0_and_its_own_after(call, run_files, base):
    table = call(complete_run, "run", steps=[2, 10], **run_files)
    assert table["step"].tolist() == [0, 0, 2, 2, 10, 10]
    pd.testing.assert_frame_equal(table[:2], pd.read_parquet(base))


def test_only_the_steps_that_are_asked_for_are_completed(call, run_files):
    table = call(complete_run, "run", steps=[10], **run_files)
    assert table["step"].tolist() == [0, 0, 10, 10]


def test_a_run_says_what_the_answers_of_its_checkpoints_cost(call, run_files, tmp_path: Path):
    call(complete_run, "run", steps=[2, 10], **run_files)
    inference = read_json(tmp_path / "run" / "inference.json")
    assert inference["answers"] == 4
    assert inference["wall_seconds"] > 0


def test_the_base_model_says_what_its_answers_cost(base: Path):
    assert read_json(base.with_name("inference.json"))["answers"] == 2


@pytest.fixture
def transfer_files(call, files, run_files, tmp_path: Path) -> dict[str, Path]:
    """What is read to evaluate the run on another task: its source chose step 10."""
    own = call(complete_run, "run", steps=[2, 10], **run_files)
    # step 10 is right on validation and step 2 on test
    chosen_on = tmp_path / "predictions.parquet"
    right = [(0, "validation"), (10, "validation"), (2, "test")]
    pairs = list(zip(own["step"], own["split"], strict=True))
    chosen = own.assign(selection=[pair in right for pair in pairs], selection_loss=0.0)
    save(chosen, chosen_on)
    return run_files | {"demonstrations": files["demonstrations"], "chosen_on": chosen_on}


def test_a_transfer_completes_with_the_checkpoint_that_the_source_task_chose(
    call, run_files, transfer_files
):
    own = call(complete_run, "again", steps=[2, 10], **run_files)
    table = call(complete_transfer, "transfer", **transfer_files)
    assert table["step"].tolist() == [0, 0, 10, 10]
    expected = own[own["step"].isin([0, 10])].reset_index(drop=True)
    pd.testing.assert_frame_equal(table.reset_index(drop=True), expected)


def test_a_transfer_is_shown_demonstrations_beside_the_model_that_was_shown_as_many(
    call, files, transfer_files, tmp_path: Path
):
    context = SETTINGS.context.model_copy(update={"shots": 1})
    after_one = SETTINGS.model_copy(update={"context": context})
    base = {name: path for name, path in files.items() if name != "checkpoints"}
    base_result = call(complete_base, "1-shot", settings=after_one, **base)
    plain = call(complete_transfer, "transfer", **transfer_files)
    transfer_files["base"] = tmp_path / "1-shot" / "completions.parquet"
    table = call(complete_transfer, "transferred-1-shot", settings=after_one, **transfer_files)
    pd.testing.assert_frame_equal(table[:2], base_result)
    losses = [found.loc[found["step"] == 10, "answer_loss"].tolist() for found in (plain, table)]
    assert losses[0] != losses[1]


def test_a_teacher_is_evaluated_with_its_system_text_and_the_column_of_each_item(
    call, files, tmp_path: Path
):
    base = {name: path for name, path in files.items() if name != "checkpoints"}
    for split, item in (("validation", "a"), ("test", "b"), ("demonstrations", "c")):
        example = Example(item, f"what is {item}", "cats", columns={"hint": f"{item} is cats"})
        write_examples(base[split], [example])
    losses = []
    for system, column in ((None, None), ("Answer.", None), ("Answer.", "hint")):
        context = SETTINGS.context.model_copy(update={"shots": 1, "item": column})
        prompt = SETTINGS.prompt.model_copy(update={"system": system})
        settings = SETTINGS.model_copy(update={"context": context, "prompt": prompt})
        table = call(complete_base, f"{system}-{column}", settings=settings, **base)
        losses.append(tuple(table["answer_loss"]))
    assert len(set(losses)) == 3
    write_examples(base["test"], [Example("b", "mouse", "mice")])
    with pytest.raises(InputError, match="item b has no column 'hint'"):
        call(complete_base, "missing", settings=settings, **base)
