from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.check_answers import check_answers
from workflow_scripts.tasks.examples import Example, write_examples


@pytest.fixture
def splits(tmp_path: Path) -> list[Path]:
    files = [tmp_path / "train.parquet", tmp_path / "test.parquet"]
    write_examples(files[0], [Example("row-1", "How many?", "18")])
    write_examples(
        files[1], [Example("row-2", "How many?", "3"), Example("row-3", "And?", "18 apples")]
    )
    return files


def test_answers_that_the_scorer_can_match_are_accepted(splits: list[Path]) -> None:
    check_answers(ScoringSlice(scorer="word", labels=None), splits)


def test_an_answer_that_nothing_can_match_is_refused_naming_its_split_and_item(
    splits: list[Path],
) -> None:
    with pytest.raises(InputError, match=r"^test: item row-3: .* '18 apples'"):
        check_answers(ScoringSlice(scorer="number", labels=None), splits)
