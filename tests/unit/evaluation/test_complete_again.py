"""A run's chosen checkpoint answers the test items once more, in other batches."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from tests.unit.evaluation.conftest import SETTINGS
from workflow_scripts.evaluation import complete_again, complete_run
from workflow_scripts.tasks.examples import Example, write_examples

TEST = [Example(f"t{n}", question, "mice") for n, question in enumerate(["cat", "dog", "box cat"])]


@pytest.fixture
def first(call, run_files, tmp_path: Path) -> pd.DataFrame:
    """The first evaluation, of which validation chose step 10."""
    write_examples(run_files["test"], TEST)
    table = call(complete_run, "run", steps=[2, 10], **run_files)
    right = (table["step"] == 10) & (table["split"] == "validation")
    chosen = table.assign(selection=right, selection_loss=0.0)
    save(chosen, tmp_path / "predictions.parquet")
    return table


@pytest.fixture
def again(call, first, run_files, tmp_path: Path) -> pd.DataFrame:
    inputs = {name: run_files[name] for name in ("model", "checkpoints", "test")}
    return call(complete_again, "run/repeat", chosen_on=tmp_path / "predictions.parquet", **inputs)


def test_the_test_items_are_completed_with_the_chosen_checkpoint(first, again):
    expected = first[(first["step"] == 10) & (first["split"] == "test")].set_index("item")
    repeated = again.set_index("item").loc[expected.index]
    assert (repeated["completion"] == expected["completion"]).all()
    assert repeated["answer_loss"].to_numpy() == pytest.approx(expected["answer_loss"].to_numpy())


def test_they_come_in_reverse_order(again):
    assert again["item"].tolist() == ["t2", "t1", "t0"]
    assert set(again["step"]) == {10}


@pytest.mark.parametrize(("size", "halved"), [(64, 32), (5, 2), (1, 1)])
def test_batches_are_half_as_large_and_never_empty(size, halved):
    engine = SETTINGS.engine.model_copy(update={"batch_size": size})
    settings = complete_again.in_half_batches(SETTINGS.model_copy(update={"engine": engine}))
    assert settings.engine.batch_size == halved
    assert settings.generation == SETTINGS.generation
