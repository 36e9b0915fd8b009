"""Who wrote the answers that runs train on, told from hand-made tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from workflow_scripts.report.pair import Pair
from workflow_scripts.report.sections.answers import answers_section
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.results.metrics import columns_of
from workflow_scripts.study.load import load_study
from workflow_scripts.tables.answers import COLUMNS

ROOT = Path(__file__).parents[4]
FILE = ROOT / "config/experiments/demo-label-free-full.yaml"
STUDY = load_study(yaml.safe_load(FILE.read_text()))
CONTENT = json.loads(STUDY.slices.report()) | {"wordings": STUDY.slices.wordings()}
NAMES = {"model": "smollm2-135m", "task": "plural"}


def row(kept_right: float | None, **changes: Any) -> dict[str, Any]:
    """A row of answers.csv."""
    counts = {"items": 176, "answers": 176, "empty": 1, "cut": 3, "markup": 0, "kept": 172}
    means = {"tokens": 3.0, "logprob": -0.2, "agreement": 1.0}
    low, high = (None, None) if kept_right is None else (kept_right - 0.07, kept_right + 0.07)
    scores = {
        **dict(zip(columns_of("kept_accuracy_strict"), (kept_right, low, high), strict=True)),
        **dict(zip(columns_of("accuracy_strict"), (kept_right, low, high), strict=True)),
    }
    empty = dict.fromkeys(COLUMNS)
    return empty | NAMES | {"kind": "greedy"} | counts | means | scores | changes


def pair_of(
    *rows: dict[str, Any], examples: Sequence[dict[str, Any]] = (), **settings: Any
) -> Pair:
    trained = pd.DataFrame([NAMES | {"condition": name} for name in CONTENT["conditions"]])
    tables = {
        "answers": pd.DataFrame(rows, columns=COLUMNS),
        "summary": trained,
        **({"answer_examples": pd.DataFrame(examples)} if examples else {}),
    }
    report = ReportSettings.model_validate(CONTENT | settings)
    return Pair("smollm2-135m", "plural", report, tables, ())


def said(*rows: dict[str, Any], **settings: Any) -> list[str]:
    return list(answers_section(pair_of(*rows, **settings)).findings)


def test_a_teacher_is_told_with_its_share_right_and_what_is_left_out():
    assert said(row(0.74, teacher="few-shot")) == [
        "The teacher few-shot is right on 74.0 % [67.0, 81.0] of the 172 answers that it teaches "
        "(4 of 176 left out: 3 cut by max_new_tokens, 1 empty)."
    ]


def test_over_several_draws_the_mean_is_told_with_its_range():
    rows = [row(share, teacher="few-shot", draw=draw) for draw, share in enumerate((0.7, 0.8))]
    assert said(*rows) == [
        "The teacher few-shot is right on 75.0 % (70.0 to 80.0 % over 2 draws of demonstrations) "
        "of the 344 answers that it teaches (8 of 352 left out: 6 cut by max_new_tokens, 2 empty)."
    ]


def test_what_the_filter_leaves_out_is_counted_apart_from_the_unusable():
    counts = {"empty": 0, "cut": 0, "kept": 170}
    (told,) = said(row(0.74, teacher="few-shot", **counts))
    assert told.endswith("(6 of 176 left out: 6 by the filter).")
    (told,) = said(row(0.74, teacher="few-shot", empty=0, cut=0, kept=176))
    assert told.endswith("of the 176 answers that it teaches.")


def test_without_gold_no_share_is_told():
    (told,) = said(row(None, teacher="few-shot"))
    assert told.startswith("The teacher few-shot has no gold to compare with the 172 answers")
    (told,) = said(row(None, condition="on-policy-8", seed=0, round=0, empty=0, cut=0, kept=176))
    assert told == (
        "The students of on-policy, reverse KL have no gold to compare their own answers with."
    )


def test_a_students_rounds_are_one_line():
    rows = [
        row(0.5 + 0.1 * number + 0.02 * seed, condition="on-policy-8", seed=seed, round=number)
        for seed in (0, 1)
        for number in (0, 1)
    ]
    assert said(*rows) == [
        "The students of on-policy, reverse KL are right on 51.0 and 61.0 % of their own answers "
        "in rounds 1 to 2, means over 2 runs (16 of 704 left out: 12 cut by max_new_tokens, "
        "4 empty)."
    ]


def test_a_graded_score_is_named():
    tasks = json.loads(json.dumps(CONTENT["tasks"]))
    tasks["plural"]["scoring"]["scorer"] = "rouge"
    (told,) = said(row(0.4, teacher="few-shot"), tasks=tasks)
    assert told.startswith("The teacher few-shot has a mean ROUGE-L of 40.0 % [33.0, 47.0] on the")


def test_the_table_says_which_conditions_train_on_whose_answers():
    section = answers_section(
        pair_of(row(0.74, teacher="few-shot"), row(0.6, teacher="few-shot-2"))
    )
    trained = {cells[0]: cells[1] for cells in section.tables[0].rows}
    assert trained["few-shot-2"] == "answers-2"
    assert trained["few-shot"].startswith("the teacher's answers, the teacher's distributions, ")
    assert trained["gold"].startswith("fine-tuning on 8 labels, labels, then the teacher's answers")


def test_two_ways_in_which_one_teacher_answers_are_told_apart():
    conditions = json.loads(json.dumps(CONTENT["conditions"]))
    conditions["answers-kl-8"]["answers"] |= {"samples": 4, "temperature": 0.7}
    rows = [row(0.7, teacher="few-shot"), row(0.6, teacher="few-shot", kind="4-samples-t0.7")]
    first, second = said(*rows, conditions=conditions)
    assert first.startswith("The teacher few-shot is right")
    assert second.startswith("The teacher few-shot (sampled 4 times at T = 0.7) is right")


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        ({"strict": 1.0}, "right"),
        ({"strict": 0.0}, "wrong"),
        ({"strict": 0.25}, "25.0 %"),
        ({"strict": 0.0, "kept": False}, "wrong, left out"),
        ({"strict": 0.0, "kept": False, "unusable": "cut"}, "cut by max_new_tokens"),
    ],
)
def test_an_example_says_whether_it_is_right_and_trained_on(shown, verdict):
    example = NAMES | {"teacher": "few-shot", "draw": None, "item": "a", "question": "cat"}
    example |= {"answer": "cats", "gold": "cats", "unusable": None, "kept": True} | shown
    section = answers_section(pair_of(row(0.7, teacher="few-shot"), examples=[example]))
    assert section.tables[1].title == "The first answers of the teacher few-shot"
    assert [list(cells) for cells in section.tables[1].rows] == [["cat", "cats", "cats", verdict]]


def test_the_answers_of_another_model_are_told_where_its_students_are():
    teachers = CONTENT["teachers"] | {
        "few-shot": CONTENT["teachers"]["few-shot"] | {"model": "big"}
    }
    assert said(row(0.7, teacher="few-shot", model="big"), teachers=teachers)
    assert said(row(0.7, teacher="few-shot", model="big")) == []
