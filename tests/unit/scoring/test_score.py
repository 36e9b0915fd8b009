"""The scoring program, from files to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.config.slices import PredictionSlice
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring import score
from workflow_scripts.study.wildcards import as_json
from workflow_scripts.tasks.examples import Example, write_examples


@pytest.mark.parametrize(
    ("choose_by", "selection"), [("accuracy", [1, 1]), ("agreement", [0, 1]), ("last", [5, 5])]
)
def test_predictions_say_what_chooses_the_checkpoint(choose_by, selection, tmp_path: Path):
    gold = [Example("a", "cat", "cats"), Example("b", "dog", "dogs")]
    write_examples(tmp_path / "validation.parquet", gold)
    write_examples(tmp_path / "reference.parquet", [Example("a", "cat", "kittens"), gold[1]])
    completions = {"split": "validation", "item": ["a", "b"], "step": 5}
    completions |= {"completion": ["cats", "dogs"], "answer_loss": 1.0}
    save(pd.DataFrame(completions), tmp_path / "completions.parquet")
    settings = PredictionSlice(scorer="word", labels=None, choose_by=choose_by)
    words = ["--settings", as_json({"plural": settings})]
    words += ["--predictions", str(tmp_path / "p.parquet")]
    words += ["--completions", str(tmp_path / "completions.parquet")]
    words += ["--validation", str(tmp_path / "validation.parquet")]
    words += ["--test", str(tmp_path / "validation.parquet")]
    if choose_by == "agreement":
        words += ["--reference", str(tmp_path / "reference.parquet")]
    call(score.main, words)
    assert pd.read_parquet(tmp_path / "p.parquet")["selection"].tolist() == selection


@pytest.fixture
def of_two_tasks(tmp_path: Path) -> dict[str, Any]:
    """Arguments of the program for two tasks that have an item of one name."""
    gold = {"plural": "cats", "capital": "Paris"}
    for task, answer in gold.items():
        for split in ("validation", "test"):
            example = Example(f"{split} item", "which", answer)
            write_examples(tmp_path / task / f"{split}.parquet", [example])
    rows = [(task, split, f"{split} item") for task in gold for split in ("validation", "test")]
    completions = pd.DataFrame(rows, columns=["task", "split", "item"]).assign(
        shots=0, step=3, completion="The answer is Paris", answer_loss=1.0
    )
    save(completions, tmp_path / "completions.parquet")
    shared = {"labels": None, "choose_by": "accuracy"}
    return {
        "settings": {task: PredictionSlice(scorer="word", **shared) for task in gold},
        "completions": tmp_path / "completions.parquet",
        "predictions": tmp_path / "predictions.parquet",
    } | {
        split: [tmp_path / task / f"{split}.parquet" for task in gold]
        for split in ("validation", "test")
    }


def test_each_task_is_scored_by_its_own_settings_and_answers(of_two_tasks):
    of_two_tasks["settings"]["capital"] = PredictionSlice(
        scorer="span", labels=None, choose_by="accuracy"
    )
    score.main(**of_two_tasks)
    scored = pd.read_parquet(of_two_tasks["predictions"])
    assert scored["task"].tolist() == ["plural"] * 2 + ["capital"] * 2
    # F1 of one word in three, the article aside
    assert scored["flexible"].round(3).tolist() == [0, 0, 0.5, 0.5]


def test_an_answer_that_nothing_can_match_is_named_with_its_task(of_two_tasks):
    write_examples(of_two_tasks["test"][1], [Example("test item", "which", "Paris")])
    of_two_tasks["settings"]["capital"] = PredictionSlice(
        scorer="number", labels=None, choose_by="accuracy"
    )
    with pytest.raises(InputError, match=r"^capital: item validation item: no completion can"):
        score.main(**of_two_tasks)


def test_a_reference_is_that_of_the_task_where_agreement_chooses(of_two_tasks, tmp_path: Path):
    capital = PredictionSlice(scorer="word", labels=None, choose_by="agreement")
    of_two_tasks["settings"]["capital"] = capital
    reference = tmp_path / "reference.parquet"
    write_examples(reference, [Example("validation item", "which", "Rome")])
    score.main(**of_two_tasks, reference=[reference])
    chosen = pd.read_parquet(of_two_tasks["predictions"])
    validation = chosen[(chosen["task"] == "capital") & (chosen["split"] == "validation")]
    # "Paris" is right and not what the reference says
    assert validation["flexible"].tolist() == [1]
    assert validation["selection"].tolist() == [0]
    assert chosen.loc[chosen["task"] == "plural", "selection_loss"].tolist() == [1, 1]
