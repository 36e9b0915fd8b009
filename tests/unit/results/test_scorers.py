"""A scorer is a row and a function."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.unit.study.conftest import ROOT, config, refusal
from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.results.formatting import scores_of
from workflow_scripts.results.scorers import SCORERS, Scorer, Scores
from workflow_scripts.scoring.answers import ItemScorer, Score
from workflow_scripts.scoring.predictions import ITEM_SCORERS, score_completions
from workflow_scripts.study.load import load_study
from workflow_scripts.tasks.examples import Example

__all__ = ["config"]


@pytest.mark.parametrize("scorer", ["coverage", "rouge", "bleu", "squad"])
def test_a_scorer_is_named_in_two_files(scorer: str) -> None:
    naming = [
        path for path in (ROOT / "workflow_scripts").rglob("*.py") if scorer in path.read_text()
    ]
    assert len(naming) <= 2


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    """A scorer of the first letter, added by its row and its function."""
    monkeypatch.setitem(
        SCORERS,
        "initial",
        Scorer(
            "the first letter", names=Scores("initial", "initial in any case"), harness=("a", "b")
        ),
    )

    def score_initial(completion: Any, example: Example) -> Score:
        own, wanted = completion.text[:1], example.answer[:1]
        return Score(own, own == wanted, own.lower() == wanted.lower())

    monkeypatch.setitem(ITEM_SCORERS, "initial", ItemScorer(score_initial))
    return "initial"


def test_a_scorer_with_a_row_and_a_function_can_be_planned(
    toy: str, config: dict[str, Any]
) -> None:
    config["tasks"]["plural"]["scoring"]["scorer"] = toy
    assert load_study(config).slices.scoring("plural").scorer == toy
    config["tasks"]["plural"]["scoring"]["scorer"] = "initials"
    assert refusal(config) == (
        "tasks.plural.scoring.scorer: no scorer named 'initials'; did you mean 'initial'?"
    )


def test_a_scorer_with_a_row_and_a_function_scores_and_is_reported(toy: str) -> None:
    completions = pd.DataFrame({"item": ["a"], "completion": ["Cats"], "answer_loss": [0.5]})
    settings = ScoringSlice(scorer=toy, labels=None)
    scored = score_completions(completions, [Example("a", "?", "cats")], settings)
    assert scored[["strict", "flexible"]].to_numpy().tolist() == [[0, 1]]
    assert scores_of(toy).strict == "initial"


def test_scores_against_a_teachers_answers_are_agreement() -> None:
    assert scores_of("number", "instructed") == Scores(
        "agreement with instructed", "flexible agreement with instructed", "agreement"
    )
    assert scores_of("rouge", "instructed") == Scores(
        "ROUGE-L against instructed", "ROUGE-1 against instructed"
    )


def test_figures_and_exports_are_told_who_answers_unlabelled_test_items(
    config: dict[str, Any],
) -> None:
    task = config["tasks"]["plural"]
    task |= {"reference": "few-shot"}
    for unlabelled, judge in (([], None), (["test"], "few-shot")):
        task["data"]["unlabelled"] = unlabelled
        slices = load_study(config).slices
        place = ("smollm2-135m", "plural")
        assert slices.figure(*place, "icl_gap").judge == judge
        recipe = slices.export(*place, "sft", 0, kept=(), command="make")
        assert recipe.judge == judge
        assert recipe.scores == scores_of("word", judge)
