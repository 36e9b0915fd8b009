"""Scores of free text against torchmetrics', an implementation of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchmetrics.functional.text import squad
from torchmetrics.functional.text.bert import bert_score
from transformers import AutoModel, AutoTokenizer

from tests.unit.scoring.test_bert_score import REFERENCES, TEXTS, encoder, settings_of
from workflow_scripts.scoring.answers import Completion
from workflow_scripts.scoring.bert_score import bert_scores
from workflow_scripts.scoring.text_metrics import score_span
from workflow_scripts.tasks.examples import Example

__all__ = ["encoder"]


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("The U.S. Army", ("US army", "the army")),
        ("in 1,066 at Hastings", ("1066", "Hastings")),
        ("a a an", ("the",)),
        ("", ("x",)),
        ("the-theme", ("theme",)),
    ],
)
def test_a_span_scores_as_squad_s_script_does(text: str, references: tuple[str, ...]) -> None:
    theirs = squad(
        {"prediction_text": text, "id": "1"},
        {"answers": {"text": list(references), "answer_start": [0] * len(references)}, "id": "1"},
    )
    ours = score_span(Completion(text), Example("1", "question", references[0], references))
    assert 100 * ours.strict == pytest.approx(float(theirs["exact_match"]))
    assert 100 * ours.flexible == pytest.approx(float(theirs["f1"]))


def test_bert_score_is_that_of_torchmetrics_one_pair_at_a_time(encoder: Path) -> None:
    """All pairs at once it compares texts with others' references (1.9.0)."""
    model, tokenizer = AutoModel.from_pretrained(encoder), AutoTokenizer.from_pretrained(encoder)

    def theirs(text: str, reference: str) -> tuple[float, float]:
        found = bert_score(
            [text],
            [reference],
            model=model,
            user_tokenizer=tokenizer,
            max_length=12,
            truncation=True,
        )
        return float(found["f1"]), float(found["recall"])

    ours = bert_scores(TEXTS, REFERENCES, settings_of(encoder))
    for text, references, own in zip(TEXTS, REFERENCES, ours, strict=True):
        if text:
            each = [theirs(text, reference) for reference in references]
            assert own == pytest.approx(tuple(map(max, zip(*each, strict=True))), abs=1e-5)
