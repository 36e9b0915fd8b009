"""The entry point on a tiny model: training, answering validation items, being continued."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import save_tiny_model
from tests.unit.search.conftest import search_slice
from tests.unit.training.conftest import write_target
from workflow_scripts.config.slices import SearchSlice
from workflow_scripts.search import run, search
from workflow_scripts.tasks.examples import Example, write_examples

TRAINED = [Example(noun, noun, f"{noun}s") for noun in ("cat", "dog", "box", "clip")]
VALIDATED = [Example(noun, noun, f"{noun}s") for noun in ("apple", "friend", "city")]


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, smollm2_tokenizer: PreTrainedTokenizerBase
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("search")
    model = save_tiny_model("qwen3", smollm2_tokenizer, folder / "tiny")
    write_examples(folder / "train.parquet", TRAINED)
    write_examples(folder / "validation.parquet", VALIDATED)
    (read,) = search_slice().phases[0].reads
    return {
        "model": model,
        "examples": [folder / "train.parquet"],
        "validation": folder / "validation.parquet",
        "targets": [write_target(folder / "target", model, TRAINED, read)],
        "teacher_models": [model],
    }


@pytest.fixture
def call(files: dict[str, Path], tmp_path: Path):
    """Runs the entry point in `tmp_path`; returns the table and the snippet that it wrote."""

    def searched(settings: SearchSlice, **other: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
        outputs = {"trials": tmp_path / "trials.csv", "best": tmp_path / "best.yaml"} | other
        search.main(settings, **(files | outputs))
        return pd.read_csv(outputs["trials"]), yaml.safe_load(outputs["best"].read_text())

    return searched


def test_a_search_killed_after_two_trials_goes_on_with_the_third(call, capsys, monkeypatch):
    trained = []
    train_run = run.train_run

    def killed_in_the_third(*arguments: Any) -> None:
        trained.append(arguments[0])
        if len(trained) == 3:
            raise KeyboardInterrupt
        train_run(*arguments)

    monkeypatch.setattr(run, "train_run", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        call(search_slice())
    table, best = call(search_slice())
    assert len(trained) == 4
    assert trained[2] == trained[3]
    assert "resuming after 2 finished trials" in capsys.readouterr().out
    assert list(table) == [
        *("number", "state", "value", "step"),
        *("learning_rate", "adapter.rank", "alpha"),
        "seconds",
    ]
    assert list(table["number"]) == [0, 1, 2]
    assert set(table["step"]) <= {1, 3}
    assert set(best) == {"learning_rate", "adapter", "alpha"}


def test_a_killed_trial_is_not_trained_again_once_it_is_trained(call, monkeypatch):
    complete_splits = run.complete_splits

    def killed(*arguments: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "complete_splits", killed)
    with pytest.raises(KeyboardInterrupt):
        call(search_slice(trials=1))
    monkeypatch.setattr(run, "complete_splits", complete_splits)
    monkeypatch.setattr(run, "train_run", killed)
    assert len(call(search_slice(trials=1))[0]) == 1


def test_a_loss_that_is_not_finite_fails_the_trial(call):
    fields = {"learning_rate": {"choices": [1e-3, 1e30]}}
    table, best = call(search_slice(fields, trials=3))
    assert set(table["state"]) == {"complete", "failed"}
    assert (table["state"] == "failed").equals(table["learning_rate"] == 1e30)
    assert best == {"learning_rate": 1e-3}


def test_only_validation_items_are_answered(call, monkeypatch):
    asked = []
    complete_splits = run.complete_splits

    def noted(model: Any, settings: Any, splits: Any, *rest: Any, **named: Any) -> Any:
        asked.append(splits)
        return complete_splits(model, settings, splits, *rest, **named)

    monkeypatch.setattr(run, "complete_splits", noted)
    call(search_slice(trials=1))
    assert asked == [{"validation": VALIDATED}]


def test_where_agreement_chooses_no_answer_of_the_task_counts(call, files, tmp_path):
    """The value is the agreement with the reference's answers, here with what no model says."""
    settings = search_slice(trials=1, choose_by="agreement")
    path = tmp_path / "reference.parquet"
    write_examples(path, [replace(item, answer="zebra") for item in VALIDATED])
    unanswered = [replace(item, answer="scrambled") for item in VALIDATED]
    write_examples(tmp_path / "scrambled.parquet", unanswered)
    table, _ = call(settings, reference=[path])
    scrambled, _ = call(
        settings,
        reference=[path],
        validation=tmp_path / "scrambled.parquet",
        trials=tmp_path / "other/trials.csv",
    )
    columns = ["value", "step", *settings.search.fields]
    assert table[columns].equals(scrambled[columns])
    assert list(table["value"]) == [0.0]
