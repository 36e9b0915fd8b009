"""The entry point: from a run's files to its two tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import visible
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
def tables(files, tmp_path: Path):
    """Runs it for some steps."""

    def run(*steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        folder = tmp_path / "run"
        outputs = folder / "representations.parquet", folder / "similarity.csv"
        hidden_states.main(
            settings=SETTINGS,
            model=files["model"],
            checkpoints=files["checkpoints"],
            steps=list(steps),
            demonstrations=files["demonstrations"],
            examples=files["test"],
            representations=outputs[0],
            similarity=outputs[1],
        )
        assert visible(folder) == {output.name for output in outputs}
        return pd.read_parquet(outputs[0]), read_table(outputs[1])

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
