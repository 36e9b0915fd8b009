"""The scoring program, from files to a file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.config.slices import PredictionSlice
from workflow_scripts.runtime.cli import call
from workflow_scripts.scoring import score
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
    words = ["--settings", settings.model_dump_json(), "--predictions", str(tmp_path / "p.parquet")]
    words += ["--completions", str(tmp_path / "completions.parquet")]
    words += ["--examples", str(tmp_path / "validation.parquet")]
    if choose_by == "agreement":
        words += ["--reference", str(tmp_path / "reference.parquet")]
    call(score.main, words)
    assert pd.read_parquet(tmp_path / "p.parquet")["selection"].tolist() == selection
