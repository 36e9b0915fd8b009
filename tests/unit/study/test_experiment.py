"""What a section of the config refuses by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.study.conftest import refusal

ROOT = Path(__file__).parents[3]


def test_a_distillation_term_needs_a_teacher(config):
    del config["conditions"]["layerwise"]["teacher"]
    assert refusal(config) == "conditions.layerwise: term `hidden` reads a teacher; set `teacher`"


def test_a_term_cannot_appear_twice(config):
    config["conditions"]["sft"]["terms"] *= 2
    assert "has the term `cross_entropy` twice" in refusal(config)


def test_a_checkpoint_after_the_last_step_is_refused(config):
    config["training"]["checkpoints"] = [10, 50]
    assert refusal(config) == (
        "training: checkpoint 50 is after the last step, 40; raise `steps` or remove it"
    )


def test_hub_sources_must_be_pinned(config):
    config["models"]["smollm2-135m"] = {"source": "hub:some/model"}
    assert "needs `revision`" in refusal(config)


def test_choices_and_verbalizers_exclude_each_other(nli):
    nli["tasks"]["plural"]["data"]["choices"] = ["A", "B"]
    assert refusal(nli) == "tasks.plural.data: give `choices` or `verbalizers`, not both"


@pytest.mark.parametrize("verbalizers", [{"0": "Yes"}, {"0": "Yes", "1": "Yes"}])
def test_labels_are_two_or_more_different_words(nli, verbalizers):
    nli["tasks"]["plural"]["data"]["verbalizers"] = verbalizers
    assert refusal(nli) == (
        "tasks.plural.data: `verbalizers` needs at least two labels, all different"
    )


def test_a_balanced_draw_needs_labels(config):
    config["tasks"]["plural"]["data"]["balanced"] = True
    assert refusal(config) == (
        "tasks.plural.data: `balanced` needs labels: `choices` or `verbalizers`"
    )


def test_a_pattern_names_columns_or_is_a_known_one(nli):
    nli["tasks"]["plural"]["data"]["pattern"] = "So {} what?"
    assert refusal(nli).startswith(
        "tasks.plural.data.pattern: must be minimal, gpt-3, eval-harness or a text with "
        "column names in braces"
    )


@pytest.mark.parametrize("kept", [0, 1])
def test_alpha_needs_distillation_and_the_correct_answer(nli, kept):
    distil = nli["conditions"]["distil"]
    distil |= {"alpha": 0.5, "terms": [distil["terms"][kept]]}
    if kept == 0:
        del distil["teacher"]
    assert "`alpha` needs terms of both kinds: distillation and gold answer" in refusal(nli)


def test_an_alpha_that_leaves_no_weight_is_refused(nli):
    nli["conditions"]["distil"]["alpha"] = 0
    nli["conditions"]["distil"]["terms"][0]["weight"] = 0
    assert refusal(nli) == (
        "conditions.distil: every term has weight 0, so nothing is trained; raise one"
    )


def test_a_classification_head_has_no_tokens(nli):
    head = {"head": "classification", "terms": [{"objective": "cross_entropy"}]}
    nli["conditions"]["vanilla"] = head
    assert refusal(nli) == (
        "conditions.vanilla: a classification head predicts no tokens for cross_entropy; use "
        "label_cross_entropy or label_kl"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"epochs": 2}, "training: give either `steps` or `epochs`"),
        ({"steps": None}, "training: give either `steps` or `epochs`"),
        (
            {"steps": None, "epochs": 2, "checkpoints": [1, 3]},
            "training: checkpoint 3 is after the last epoch, 2; raise `epochs` or remove it",
        ),
        ({"checkpoints": [4, 2]}, "training: `checkpoints` must increase, with each value once"),
        (
            {"warmup_steps": 1.5},
            "training: `warmup_steps` must be a whole number of steps or a share below 1",
        ),
    ],
)
def test_steps_epochs_and_warmup_that_do_not_fit_are_refused(config, changed, said):
    config["training"] |= changed
    assert refusal(config) == said
