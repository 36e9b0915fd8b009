"""Answers, contexts and draws that do not fit the tasks and teachers of a config."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.study.conftest import refusal
from workflow_scripts.study.load import load_study

CROSS_ENTROPY = {"objective": "cross_entropy"}
KL = {
    "objective": "logit_kl",
    "weight": 1,
    "position": "answer",
    "temperature": 1,
    "top_k": 8,
    "reduction": "mean",
}


@pytest.fixture
def answered(config: dict[str, Any]) -> dict[str, Any]:
    """A condition that trains on its teacher's answers."""
    config["conditions"] = {
        "answers": {"teacher": "few-shot", "answers": "teacher", "terms": [CROSS_ENTROPY]}
    }
    return config


def data(config: dict[str, Any]) -> dict[str, Any]:
    return config["tasks"]["plural"]["data"]


def test_answers_of_a_teacher_need_one(answered):
    del answered["conditions"]["answers"]["teacher"]
    assert refusal(answered) == (
        "conditions.answers: `answers: teacher` needs a `teacher`, whose answers it trains on"
    )


def test_rounds_need_the_students_answers(answered):
    answered["conditions"]["answers"]["answers"] = {"by": "teacher", "rounds": 2}
    assert refusal(answered) == "conditions.answers.answers: `rounds` needs `by: student`"


def test_rounds_divide_the_steps(answered):
    answered["conditions"]["answers"] |= {"answers": {"by": "student", "rounds": 3}, "terms": [KL]}
    assert refusal(answered) == (
        "conditions.answers.answers.rounds: 3 rounds need `training.steps`, a multiple of 3"
    )


def test_samples_of_greedy_decoding_are_refused(answered):
    answered["conditions"]["answers"]["answers"] = {"by": "teacher", "samples": 4}
    assert "several `samples` of greedy decoding are equal" in refusal(answered)


def test_gold_terms_need_labelled_items(config):
    data(config)["unlabelled"] = ["train"]
    assert refusal(config) == (
        "conditions.sft.terms.0: cross_entropy needs the answers of tasks.plural, whose training "
        "items are `unlabelled`; set `answers: teacher` or `train_on: demonstrations`"
    )


def test_terms_on_the_prompt_need_no_labels(config):
    data(config)["unlabelled"] = ["train"]
    terms = config["conditions"]["layerwise"]["terms"][1:]
    config["conditions"] = {"layerwise": {"teacher": "few-shot", "terms": terms}}
    assert load_study(config).matrix.labels_used("plural", "layerwise") == 8


def test_unlabelled_test_items_need_a_reference(answered):
    data(answered)["unlabelled"] = ["train", "test"]
    assert refusal(answered) == (
        "tasks.plural.reference: is required: `data.unlabelled` lists test, whose items need a "
        "teacher's answers in place of gold"
    )


def test_agreement_needs_a_reference(answered):
    answered["evaluation"] = {"choose_by": "agreement"}
    assert refusal(answered).startswith("tasks.plural.reference: is required")


def test_a_reference_is_a_teacher(answered):
    answered["tasks"]["plural"]["reference"] = "few-shots"
    assert refusal(answered) == (
        "tasks.plural.reference: no teacher named 'few-shots'; did you mean 'few-shot'?"
    )


def test_the_task_keeps_the_column_of_a_teacher(answered):
    answered["teachers"]["few-shot"]["item"] = "document"
    assert refusal(answered) == (
        "teachers.few-shot.item: tasks.plural keeps no column 'document'; add it to its "
        "`data.columns`"
    )


def test_a_students_prompt_shows_no_column(answered):
    data(answered)["columns"] = ["document"]
    answered["tasks"]["plural"]["prompt"]["question"] = "{document}\n{question}"
    assert refusal(answered) == (
        "tasks.plural.prompt.question: '{document}' would be shown to students too; a teacher "
        "shows the column by `item: document`"
    )


def test_a_filter_leaves_a_batch(answered):
    keep = {"surest": 0.04}
    answered["conditions"]["answers"]["answers"] = {"by": "teacher", "keep": keep}
    assert refusal(answered) == (
        "conditions.answers.answers.keep.surest: keeps 6 of 160 answers to tasks.plural, fewer "
        "than a batch of 8; raise it"
    )


def test_the_pool_holds_all_draws(answered):
    answered["draws"] = 3
    assert refusal(answered) == (
        "draws: 3 draws of 8 demonstrations need 24, but tasks.plural has 16; raise its "
        "`data.items.demonstrations` or use fewer draws"
    )


def test_a_missing_system_file_is_named(answered):
    answered["teachers"]["few-shot"]["system"] = "file:nowhere.txt"
    assert refusal(answered) == "teachers.few-shot.system: nowhere.txt: no such file"


def test_a_teacher_with_a_result_and_a_condition_have_two_names(answered):
    answered["teachers"]["answers"] = {"system": "Be brief."}
    assert refusal(answered) == (
        "teachers.answers: has a result of its own, and so has the condition of this name; rename "
        "one"
    )


def test_demonstrations_are_trained_on_without_a_teacher_that_sees_them(answered):
    answered["conditions"]["answers"] = {
        "teacher": "few-shot",
        "train_on": "demonstrations",
        "terms": [KL],
    }
    assert "whose context shows the demonstrations themselves" in refusal(answered)


def test_phases_leave_steps_for_the_last(answered):
    phase = {"steps": 40, "train_on": "demonstrations", "terms": [CROSS_ENTROPY]}
    answered["conditions"]["answers"] = {
        "teacher": "few-shot",
        "phases": [phase, {"answers": "teacher", "terms": [CROSS_ENTROPY]}],
    }
    assert refusal(answered).startswith("conditions.answers.phases: have 40 steps before the last")


def test_what_belongs_into_phases_is_not_beside_them(answered):
    phase = {"steps": 10, "terms": [CROSS_ENTROPY]}
    answered["conditions"]["answers"] |= {"phases": [phase, phase]}
    assert "`answers` belongs into each of the `phases`" in refusal(answered)


def test_a_filter_of_all_answers_and_a_number_of_items_exclude_each_other(answered):
    keep = {"surest": 0.5}
    answered["conditions"]["answers"] |= {
        "train_items": 40,
        "answers": {"by": "teacher", "keep": keep},
    }
    assert refusal(answered) == (
        "conditions.answers.train_items: `answers.keep.surest` chooses among the answers to all "
        "items; remove one of the two"
    )


def test_no_gold_term_judges_a_students_own_answers(answered):
    own = {"by": "student", "rounds": 2}
    answered["conditions"]["answers"] |= {"answers": own, "terms": [CROSS_ENTROPY, KL]}
    assert "which no gold term can judge" in refusal(answered)
