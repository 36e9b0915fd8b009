"""The entry point: from a run's files to its two tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.evaluation.conftest import command_line
from workflow_scripts.config.slices import ContextSettings, RepresentationSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.evaluation import hidden_states
from workflow_scripts.results.index import read_table

SETTINGS = RepresentationSlice(
    prompt=PromptSettings(),
    context=ContextSettings(shots=1, answers="correct", seed=0),
    batch_size=4,
)


@pytest.fixture
def tables(files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs it for some steps."""

    def run(*steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        arguments = {
            "settings": SETTINGS.model_dump_json(),
            "model": files["model"],
            "checkpoints": files["checkpoints"],
            "steps": list(steps),
            "demonstrations": files["demonstrations"],
            "examples": files["test"],
            "similarity": tmp_path / "run" / "similarity.csv",
        }
        output = tmp_path / "run" / "representations.parquet"
        monkeypatch.setattr(sys, "argv", ["represent", *command_line(arguments, output)])
        hidden_states.main()
        assert {file.name for file in output.parent.iterdir()} == {output.name, "similarity.csv"}
        return pd.read_parquet(output), read_table(tmp_path / "run" / "similarity.csv")

    return run


def test_both_tables_hold_step_0_and_the_steps_that_are_asked_for(tables):
    for table in tables(10):
        assert table["step"].unique().tolist() == [0, 10]


def test_the_items_are_those_of_the_split(tables):
    by_item, _ = tables(2, 10)
    assert by_item[["split", "item"]].drop_duplicates().values.tolist() == [["test", "b"]]


def test_one_item_is_too_few_for_cka_and_the_table_says_so(tables):
    _, similarity = tables(2)
    at_query = similarity[similarity["position"] == "query"]
    assert at_query["cka"].isna().all()
    assert at_query["note"].str.contains("cka: 1 rows of 4").all()
