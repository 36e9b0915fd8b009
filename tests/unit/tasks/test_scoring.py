from __future__ import annotations

import math

import pandas as pd
import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.settings import ScoringSlice
from workflow_scripts.tasks.scoring import score_completions

WORDS = ScoringSlice(scorer="word", labels=None)


@pytest.fixture
def completions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item": ["b", "a"],
            "step": [0, 0],
            "completion": ["dogs", "Cats."],
            "answer_loss": [0.5, 2.0],
        },
        index=[7, 9],
    )


def test_each_completion_is_scored_against_its_item_s_answer(completions: pd.DataFrame) -> None:
    scored = score_completions(completions, {"a": "cats", "b": "dogs"}, WORDS)
    assert scored["strict"].tolist() == [True, False]
    assert scored["flexible"].tolist() == [True, True]
    assert scored["prediction"].tolist() == ["dogs", "cats"]


@pytest.mark.parametrize(
    ("scorer", "predictions"), [("likelihood", ["No", "Yes"]), ("choice", ["Yes", "Yes"])]
)
def test_a_choice_is_read_from_its_own_row_s_losses_or_text(
    scorer: str, predictions: list[str]
) -> None:
    completions = pd.DataFrame(
        {
            "item": ["a", "b"],
            "completion": ["Yes.", "Yes"],
            "answer_loss": [0.5, 2.0],
            "choice_losses": [[3.0, 1.0], [1.0, 3.0]],
        }
    )
    settings = ScoringSlice(scorer=scorer, labels=("Yes", "No"))
    scored = score_completions(completions, {"a": "No", "b": "Yes"}, settings)
    assert scored["prediction"].tolist() == predictions


def test_what_the_rows_held_stays(completions: pd.DataFrame) -> None:
    scored = score_completions(completions, {"a": "cats", "b": "dogs"}, WORDS)
    pd.testing.assert_frame_equal(scored[list(completions)], completions)


def test_no_completions_score_to_no_rows_of_the_same_columns(completions: pd.DataFrame) -> None:
    answers = {"a": "cats", "b": "dogs"}
    some, none = (score_completions(c, answers, WORDS) for c in (completions, completions[:0]))
    assert none.dtypes.to_dict() == some.dtypes.to_dict()


def test_an_item_without_answer_is_refused(completions: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="item b: completed, but not among"):
        score_completions(completions, {"a": "cats"}, WORDS)


def test_the_loss_of_a_likelihood_is_among_the_labels() -> None:
    completions = pd.DataFrame(
        {
            "item": ["a"],
            "completion": ["Yes"],
            "answer_loss": [9.0],
            "choice_losses": [[-math.log(0.3), -math.log(0.1)]],
        }
    )
    settings = ScoringSlice(scorer="likelihood", labels=("Yes", "No"))
    scored = score_completions(completions, {"a": "No"}, settings)
    assert scored["answer_loss"].tolist() == [pytest.approx(-math.log(0.25))]
