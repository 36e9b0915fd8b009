"""Runs evaluated on their own task and on another: from files to a table of all steps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.outputs import save
from tests.unit.evaluation.conftest import SETTINGS
from workflow_scripts.evaluation import complete_base, complete_run, complete_transfers
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.tasks.examples import Example, read_examples, write_examples


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
def transfer_files(call, files, run_files, tmp_path: Path) -> dict[str, Any]:
    """What is read to evaluate the run on one other task: on its own it chose step 10."""
    own = call(complete_run, "run", steps=[2, 10], **run_files)
    # step 10 is right on validation and step 2 on test
    chosen_on = tmp_path / "predictions.parquet"
    right = [(0, "validation"), (10, "validation"), (2, "test")]
    pairs = list(zip(own["step"], own["split"], strict=True))
    chosen = own.assign(selection=[pair in right for pair in pairs], selection_loss=0.0)
    save(chosen, chosen_on)
    of_task = {name: [files[name]] for name in ("demonstrations", "validation", "test")}
    one = {name: run_files[name] for name in ("model", "checkpoints")}
    return one | of_task | {"chosen_on": chosen_on, "base": [run_files["base"]]}


AFTER_ONE = SETTINGS.model_copy(
    update={"context": SETTINGS.context.model_copy(update={"shots": 1})}
)


def test_a_transfer_completes_with_the_checkpoint_that_the_source_task_chose(
    call, run_files, transfer_files
):
    own = call(complete_run, "again", steps=[2, 10], **run_files)
    table = call(complete_transfers, "transfer", settings={"other": [SETTINGS]}, **transfer_files)
    assert table["step"].tolist() == [0, 0, 10, 10]
    assert set(table["task"]) == {"other"}
    expected = own[own["step"].isin([0, 10])].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[expected.columns], expected)


@pytest.fixture
def after_one(call, files, tmp_path: Path) -> Path:
    """Completions of the base model after one demonstration."""
    base = {name: path for name, path in files.items() if name != "checkpoints"}
    call(complete_base, "1-shot", settings=AFTER_ONE, **base)
    return tmp_path / "1-shot" / "completions.parquet"


def test_a_transfer_is_shown_demonstrations_beside_the_model_that_was_shown_as_many(
    call, transfer_files, after_one: Path
):
    transfer_files["base"].append(after_one)
    settings = {"other": [SETTINGS, AFTER_ONE]}
    table = call(complete_transfers, "transfer", settings=settings, **transfer_files)
    assert table["shots"].tolist() == [0] * 4 + [1] * 4
    base_result = pd.read_parquet(after_one)
    shown = table[table["shots"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(shown[:2][base_result.columns], base_result)
    losses = table[table["step"] == 10].groupby("shots")["answer_loss"].apply(tuple)
    assert losses[0] != losses[1]


@pytest.fixture
def two_tasks(transfer_files, after_one: Path, tmp_path: Path) -> dict[str, Any]:
    """The same for a second task, one of whose items the first has too."""
    for split, item in (("validation", Example("d", "box", "cats")), ("test", None)):
        own = transfer_files[split][0]
        examples = [item] if item else read_examples(own)
        write_examples(tmp_path / "second" / f"{split}.parquet", examples)
        transfer_files[split].append(tmp_path / "second" / f"{split}.parquet")
    transfer_files["demonstrations"] *= 2
    transfer_files["base"] *= 2
    return transfer_files


BOTH = {"other": [SETTINGS], "second": [SETTINGS]}


def test_every_task_is_answered_as_it_is_alone(call, two_tasks):
    together = call(complete_transfers, "together", settings=BOTH, **two_tasks)
    for place, task in enumerate(BOTH):
        files = {
            name: path[place : place + 1] if isinstance(path, list) else path
            for name, path in two_tasks.items()
        }
        alone = call(complete_transfers, f"only {task}", settings={task: [SETTINGS]}, **files)
        own = together[together["task"] == task].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, alone)


def test_another_task_asks_for_its_own_answers_alone(
    call, two_tasks, capsys: pytest.CaptureFixture[str]
):
    one = {k: path[:1] if isinstance(path, list) else path for k, path in two_tasks.items()}
    before = call(complete_transfers, "transfer", settings={"other": [SETTINGS]}, **one)
    capsys.readouterr()
    after = call(complete_transfers, "transfer", settings=BOTH, **two_tasks)
    pd.testing.assert_frame_equal(after[: len(before)], before)
    told = re.findall(r"completions: (\d+) of (\d+) answers", capsys.readouterr().out)
    # of the second task, the item that the first has too
    assert told == [("2", "2"), ("1", "2")]


def test_other_scores_that_choose_the_same_checkpoint_generate_nothing(
    call, transfer_files, capsys: pytest.CaptureFixture[str]
):
    settings = {"other": [SETTINGS]}
    before = call(complete_transfers, "transfer", settings=settings, **transfer_files)
    chosen_on = transfer_files["chosen_on"]
    save(pd.read_parquet(chosen_on).assign(selection_loss=0.5), chosen_on)
    capsys.readouterr()
    after = call(complete_transfers, "transfer", settings=settings, **transfer_files)
    pd.testing.assert_frame_equal(after, before)
    told = capsys.readouterr().out
    assert "completions: 2 of 2 answers are kept" in told


def test_other_checkpoints_are_asked_anew_and_answers_of_the_old_ones_removed(
    call, files, transfer_files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    settings = {"other": [SETTINGS]}
    call(complete_transfers, "transfer", settings=settings, **transfer_files)
    left = set((tmp_path / "transfer/.completing").iterdir())
    manifest = read_json(files["checkpoints"])
    write_json(files["checkpoints"], manifest | {"steps": [2, 10, 20]})
    capsys.readouterr()
    call(complete_transfers, "transfer", settings=settings, **transfer_files)
    assert "kept from before" not in capsys.readouterr().out
    assert len(left) == 1
    assert left.isdisjoint((tmp_path / "transfer/.completing").iterdir())


def test_an_item_that_cannot_be_answered_is_named_with_its_task(call, two_tasks):
    write_examples(two_tasks["test"][1], [Example("b", "mouse", None)])
    place = r"^second after 0 demonstrations: item b \(test\): has no answer"
    with pytest.raises(InputError, match=place):
        call(complete_transfers, "transfer", settings=BOTH, **two_tasks)


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
