from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import pytest

from workflow_scripts.config.slices import PredictionSlice
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.predictions import score_completions
from workflow_scripts.scoring.selection import with_selection
from workflow_scripts.tasks.examples import Example

GOLD = [Example("a", "cat", "cats"), Example("b", "dog", "dogs"), Example("c", "box", "boxes")]
# the reference is wrong about a
REFERENCE = [Example("a", "cat", "cat"), Example("b", "dog", "dogs")]


def selected(
    choose_by: str,
    reference: Sequence[Example] = (),
    scorer: str = "word",
    gold: Sequence[Example] = GOLD,
    **settings: object,
) -> pd.DataFrame:
    rows = [
        ("validation", item, step, text, loss)
        for step, loss, said in ((10, 0.5, ("cats", "dogs")), (20, 0.25, ("cat", "dogs")))
        for item, text in zip("ab", said, strict=True)
    ]
    rows.append(("test", "c", 10, "boxes", 1.0))
    table = pd.DataFrame(rows, columns=["split", "item", "step", "completion", "answer_loss"])
    chosen = PredictionSlice(scorer=scorer, labels=None, choose_by=choose_by, **settings)
    scored = score_completions(table, gold, chosen)
    found = with_selection(scored, chosen, reference)
    pd.testing.assert_frame_equal(found[list(scored)], scored)
    return found


def test_by_accuracy_the_strict_score_decides_then_the_loss():
    found = selected("accuracy")
    assert found["selection"].tolist() == [1, 1, 0, 1, 1] == found["strict"].tolist()
    assert found["selection_loss"].tolist() == [0.5, 0.5, 0.25, 0.25, 1.0]


def test_by_agreement_the_reference_decides_and_gold_does_not():
    found = selected("agreement", REFERENCE)
    assert found["selection"].tolist()[:4] == [0, 1, 1, 1]
    assert set(found["selection_loss"]) == {0.0}
    scrambled = [Example(e.item, e.question, e.question[::-1]) for e in GOLD]
    pd.testing.assert_series_equal(
        selected("agreement", REFERENCE, gold=scrambled)["selection"], found["selection"]
    )


def test_references_of_the_task_are_not_compared_with():
    marked = [Example(e.item, e.question, e.answer, ("cats", "dogs")) for e in REFERENCE]
    found = selected("agreement", marked, "span")
    assert found["selection"].tolist()[:4] == [0, 1, 1, 1]


def test_an_item_that_the_reference_did_not_answer_counts_for_no_checkpoint(
    capsys: pytest.CaptureFixture[str],
):
    found = selected("agreement", REFERENCE[:1])
    assert found["selection"].tolist()[:3:2] == [0, 1]
    assert [math.isnan(value) for value in found["selection"]] == [False, True, False, True, True]
    assert capsys.readouterr().out == (
        "1 of 2 validation items have no usable answer of the reference; checkpoints are chosen on "
        "the others\n"
    )


def test_a_reference_without_answers_is_refused():
    with pytest.raises(InputError, match="no answer to any validation item"):
        selected("agreement", [Example("z", "ox", "oxen")])


def test_a_scorer_that_compares_with_no_answer_is_refused():
    gold = [Example(e.item, e.question, e.answer, (e.answer,)) for e in GOLD]
    with pytest.raises(InputError, match="`coverage` compares with references and no answer"):
        selected("agreement", REFERENCE, "coverage", gold)


def test_the_last_checkpoint_has_the_highest_selection():
    found = selected("last")
    assert found["selection"].tolist() == [10, 10, 20, 20, 10]
    assert set(found["selection_loss"]) == {0.0}
