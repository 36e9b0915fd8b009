from __future__ import annotations

import math
import subprocess
import sys

import pandas as pd
import pytest

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.predictions import score_answers, score_completions
from workflow_scripts.tasks.examples import Example

WORDS = ScoringSlice(scorer="word", labels=None)
CATS_AND_DOGS = [Example("a", "cat", "cats"), Example("b", "dog", "dogs")]


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
    scored = score_completions(completions, CATS_AND_DOGS, WORDS)
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
    examples = [Example("a", "one?", "No"), Example("b", "other?", "Yes")]
    scored = score_completions(completions, examples, settings)
    assert scored["prediction"].tolist() == predictions


def test_what_the_rows_held_stays(completions: pd.DataFrame) -> None:
    scored = score_completions(completions, CATS_AND_DOGS, WORDS)
    pd.testing.assert_frame_equal(scored[list(completions)], completions)


def test_no_completions_score_to_no_rows_of_the_same_columns(completions: pd.DataFrame) -> None:
    some, none = (
        score_completions(c, CATS_AND_DOGS, WORDS) for c in (completions, completions[:0])
    )
    assert none.dtypes.to_dict() == some.dtypes.to_dict()


def test_an_item_without_answer_is_refused(completions: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="item b: completed, but not among"):
        score_completions(completions, CATS_AND_DOGS[:1], WORDS)


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
    scored = score_completions(completions, [Example("a", "one?", "No")], settings)
    assert scored["answer_loss"].tolist() == [pytest.approx(-math.log(0.25))]


def test_items_of_a_mixture_are_scored_as_their_own_tasks_are() -> None:
    parts = {
        "yesno": ScoringSlice(scorer="likelihood", labels=("Yes", "No")),
        "qa": ScoringSlice(scorer="span", labels=None),
        "plural": WORDS,
    }
    settings = ScoringSlice(scorer="components", labels=None, components=parts)
    examples = [
        Example("yesno/1", "is it?", "No"),
        Example("qa/1", "who?", "Ada Lovelace", ("Ada Lovelace", "Lovelace")),
        Example("plural/1", "cat", "cats"),
        Example("yesno/2", "is it?", "Yes"),
    ]
    completions = pd.DataFrame(
        {
            "item": [example.item for example in examples],
            "completion": ["No.", "the Lovelace", "cats", "No"],
            "answer_loss": [0.1, 0.2, 0.3, 0.4],
        }
    )
    scored = score_completions(completions, examples, settings)
    assert scored["strict"].tolist() == [0, 1, 1, 0]
    assert scored["flexible"].tolist() == [1, 1, 1, 0]
    assert scored["answer_loss"].tolist() == [0.1, 0.2, 0.3, 0.4]


def test_an_item_of_no_part_of_the_mixture_is_refused() -> None:
    settings = ScoringSlice(scorer="components", labels=None, components={"plural": WORDS})
    completions = pd.DataFrame({"item": ["qa/1"], "completion": [""], "answer_loss": [0.1]})
    with pytest.raises(InputError, match="item qa/1: 'qa' is no component of the mixture"):
        score_completions(completions, [Example("qa/1", "who?", "Ada")], settings)


def test_scoring_words_imports_no_library_of_metrics() -> None:
    """Scoring runs hundreds of times in an experiment."""
    heavy = ("torch", "transformers", "nltk", "rouge_score", "sacrebleu", "torchmetrics")
    code = (
        "import sys; import workflow_scripts.scoring.score; "
        f"sys.exit(any(name in sys.modules for name in {heavy}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- generated answers --------------------------------------------------------------------


def test_generated_answers_are_scored_against_gold_where_there_is_any() -> None:
    answers = pd.DataFrame({"item": ["b", "a", "b"], "answer": ["dogs", "cats", "a dogs"]})
    gold = [Example("a", "cat", None), Example("b", "dog", "dogs")]
    scored = score_answers(answers, gold, WORDS)
    assert scored["strict"].isna().tolist() == [False, True, False]
    assert scored.loc[[0, 2], "strict"].tolist() == [1, 0]
    assert scored.loc[[0, 2], "flexible"].tolist() == [1, 1]
    unlabelled = [Example("a", "cat", None), Example("b", "dog", None)]
    assert score_answers(answers, unlabelled, WORDS)[["strict", "flexible"]].isna().all(axis=None)


def test_a_label_that_was_chosen_by_its_probability_is_scored_as_a_text() -> None:
    answers = pd.DataFrame({"item": ["a", "b"], "answer": ["Yes", "No"]})
    gold = [Example("a", "one?", "Yes"), Example("b", "other?", "Yes")]
    settings = ScoringSlice(scorer="likelihood", labels=("Yes", "No"))
    assert score_answers(answers, gold, settings)["strict"].tolist() == [1, 0]


def test_an_answer_to_no_item_of_the_task_is_refused() -> None:
    answers = pd.DataFrame({"item": ["z"], "answer": ["Yes"]})
    with pytest.raises(InputError, match="item z"):
        score_answers(answers, CATS_AND_DOGS, WORDS)
