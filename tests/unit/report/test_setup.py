"""Settings in plain words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from workflow_scripts.config.analysis import EvaluationSettings
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.models import ModelSettings
from workflow_scripts.config.teachers import TeacherSettings
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.report.sections.setup import setup_section
from workflow_scripts.report.setup import (
    ReportSettings,
    condition_in_words,
    model_in_words,
    teacher_in_words,
    training_in_words,
)
from workflow_scripts.study.load import load_study
from workflow_scripts.training.terms import all_terms

ROOT = Path(__file__).parents[3]
CROSS_ENTROPY = {"objective": "cross_entropy"}
SCRATCH = {"vocabulary": 500, "layers": 2, "width": 64, "heads": 4, "steps": 300} | {
    "batch_size": 8,
    "learning_rate": 1e-3,
}
HIDDEN = {
    "objective": "hidden",
    "weight": 0.5,
    "site": "attention",
    "layers": "late",
    "position": "query",
    "normalize": True,
    "reduction": "sum",
}


def told(*terms, **settings):
    teacher = None if terms == (CROSS_ENTROPY,) else "few-shot"
    return in_words({"teacher": teacher, "terms": terms} | settings)


def in_words(settings):
    condition = ConditionSettings.model_validate(settings)
    return condition_in_words(
        condition, {term.objective: term.wording for term in all_terms(condition)}
    )


def test_a_transferred_result_tells_its_training_and_its_demonstrations():
    """By the labels of the condition and of the task that it was trained on."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["conditions"]["sft"]["label"] = "Fine-tuning"
    content = load_study(config).experiment.model_dump(mode="json")
    settings = ReportSettings.model_validate(content | {"comparisons": {}, "wordings": {}})
    assert settings.result_label("sft@plural") == "Fine-tuning, trained on Plural nouns"
    assert settings.result_label("sft@plural@4-shot") == (
        "Fine-tuning, trained on Plural nouns, 4 shots"
    )


def test_fine_tuning_has_no_teacher():
    assert told(CROSS_ENTROPY) == "cross-entropy of the correct answer"


def test_a_hidden_term_tells_weight_form_site_layers_position_and_teacher():
    assert told(CROSS_ENTROPY, HIDDEN) == (
        "cross-entropy of the correct answer + 0.5 × squared distance to the teacher's "
        "unit-length hidden states of the attention outputs, the late third of the layers, "
        "at the last token of the question (sum); teacher: few-shot"
    )


@pytest.mark.parametrize(
    ("term", "words"),
    [
        (HIDDEN | {"layers": (1, 4), "weight": 1}, "attention outputs, layers 1 and 4, at"),
        (HIDDEN | {"objective": "delta_hidden", "reference": "zero"}, "in units of that shift"),
        (
            {"objective": "logit_kl", "weight": 2, "position": "prompt", "temperature": 2}
            | {"top_k": 8, "reduction": "mean"},
            "2 × KL divergence from the teacher's 8 likeliest tokens at the first token of the "
            "answer, temperature 2",
        ),
        (
            {"objective": "logit_reverse_kl", "weight": 1, "position": "answer", "temperature": 1}
            | {"top_k": 8, "reduction": "mean"},
            "reverse KL divergence to the teacher's 8 likeliest tokens at every token of the "
            "answer, temperature 1",
        ),
        (
            {"objective": "logit_jsd", "weight": 1, "position": "answer", "temperature": 1}
            | {"top_k": 8, "reduction": "mean", "beta": 0.1},
            "Jensen-Shannon divergence (β = 0.1) from the teacher's 8 likeliest tokens at every",
        ),
        (
            {"objective": "logit_mse", "weight": 1, "position": "answer", "top_k": 8}
            | {"reduction": "mean"},
            "squared distance to the logits of the teacher's 8 likeliest tokens at every token",
        ),
        (
            {"objective": "label_kl", "weight": 1, "temperature": 2},
            "KL divergence from the teacher's probabilities of the labels, temperature 2",
        ),
        (
            {"objective": "uld", "weight": 0.5, "temperature": 1.2},
            "0.5 × distance to the teacher's probabilities sorted by size (ULD) at tokens of the "
            "answer with the same number, temperature 1.2; teacher",
        ),
        (
            {"objective": "uld", "weight": 1, "top_k": 64, "alignment": "text"},
            "distance to the teacher's 64 largest probabilities sorted by size (ULD) at tokens of "
            "the answer before which both have read the same text; teacher",
        ),
    ],
)
def test_each_term_is_described(term, words):
    assert words in told(term)


def test_what_a_condition_changes_of_the_recipe_is_reported():
    assert told(CROSS_ENTROPY, learning_rate=1e-5, adapter={"kind": "full"}).endswith(
        "; learning rate 1e-05; every weight trained"
    )


def test_alpha_is_reported_beside_the_weights_that_were_written():
    label_kl = {"objective": "label_kl", "weight": 2}
    assert told({"objective": "label_cross_entropy"}, label_kl, alpha=0.9) == (
        "cross-entropy of the correct label among the labels + 2 × KL divergence from the "
        "teacher's probabilities of the labels; teacher: few-shot; "
        "α = 0.9: what is distilled counts 0.9 times, the correct answer 0.1 times"
    )


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("teacher", "the teacher's answers: cross-entropy of the answer; teacher: few-shot"),
        (
            {"by": "teacher", "samples": 8, "temperature": 0.7, "keep": {"min_agreement": 0.5}},
            "the teacher's answers (sampled 8 times at T = 0.7, kept where half agree): "
            "cross-entropy of the answer; teacher: few-shot",
        ),
        (
            {"by": "teacher", "temperature": 1, "keep": {"min_logprob": -0.2, "surest": 0.25}},
            "the teacher's answers (sampled at T = 1, kept from -0.2 nats a token on, the surest "
            "25 % kept): cross-entropy of the answer; teacher: few-shot",
        ),
    ],
)
def test_a_condition_tells_whose_answers_it_trains_on(answers, words):
    assert in_words({"teacher": "few-shot", "terms": [CROSS_ENTROPY], "answers": answers}) == words


def test_labels_are_those_of_their_author():
    terms = [{"objective": "label_cross_entropy"}]
    assert in_words({"teacher": "few-shot", "terms": terms, "answers": "teacher"}).startswith(
        "the teacher's answers: cross-entropy of the label among the labels; "
    )


def test_rounds_on_its_own_answers_are_told():
    kl = {"objective": "logit_kl", "weight": 1, "position": "answer", "temperature": 1}
    settings = {"teacher": "few-shot", "terms": [kl | {"top_k": 8, "reduction": "mean"}]}
    own = {"by": "student", "rounds": 6}
    assert in_words(settings | {"answers": own}).startswith(
        "its own answers in 6 rounds (on-policy): KL divergence from the teacher's 8 likeliest"
    )
    assert in_words(settings | {"answers": own | {"temperature": 0.5}}).startswith(
        "its own answers in 6 rounds (on-policy, at T = 0.5): "
    )


@pytest.mark.parametrize(("items", "words"), [(4, "4 demonstrations"), (None, "8 demonstrations")])
def test_fine_tuning_on_demonstrations_tells_their_number(items, words):
    condition = ConditionSettings.model_validate(
        {"train_on": "demonstrations", "train_items": items, "terms": [CROSS_ENTROPY]}
    )
    wordings = {term.objective: term.wording for term in condition.terms}
    assert condition_in_words(condition, wordings, "8 demonstrations") == (
        f"{words}: cross-entropy of the correct answer"
    )


def test_phases_are_told_in_order_with_what_each_trains_on():
    phases = [
        {"terms": [CROSS_ENTROPY], "train_on": "demonstrations", "steps": 20},
        {"terms": [HIDDEN], "steps": 1, "train_items": 16},
        {"terms": [CROSS_ENTROPY], "answers": "teacher"},
    ]
    assert in_words({"teacher": "few-shot", "phases": phases}) == (
        "the demonstrations for 20 steps: cross-entropy of the correct answer; then the correct "
        "answers to the first 16 training items for 1 step: 0.5 × squared distance to the "
        "teacher's unit-length hidden states of the attention outputs, the late third of the "
        "layers, at the last token of the question (sum); then the teacher's answers: "
        "cross-entropy of the answer; teacher: few-shot"
    )


def test_alpha_names_the_answer_that_it_weights():
    settings = {"teacher": "few-shot", "terms": [CROSS_ENTROPY, HIDDEN], "answers": "teacher"}
    assert "counts 0.9 times, the answer 0.1 times" in in_words(settings | {"alpha": 0.9})


def test_head_items_and_bias_terms_are_reported():
    settings = {"head": "classification", "train_items": 16, "adapter": {"kind": "bitfit"}}
    term = {"objective": "label_cross_entropy"}
    assert in_words({"terms": [term]} | settings).endswith(
        "; a new linear head over the labels; the first 16 training items; "
        "the bias terms alone trained (BitFit)"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"shots": 16, "model": "opt-1.3b"},
            "the model opt-1.3b with 16 demonstrations, correctly answered",
        ),
        ({"shots": 0}, "the model without demonstrations"),
        ({"shots": 1}, "the model with 1 demonstration, correctly answered"),
        ({"shots": "most", "answers": "none"}, "the model with 8 demonstrations, without answers"),
        ({"system": "Write the\nplural."}, "the model with the system text “Write the plural.”"),
        (
            {"shots": 2, "item": "hint"},
            "the model with 2 demonstrations, correctly answered and the column “hint” of the item "
            "before its question",
        ),
    ],
)
def test_a_teacher_is_described_by_its_context(settings, words):
    assert teacher_in_words(TeacherSettings(**settings), "8 demonstrations") == words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"source": "hub:a/b", "revision": "main", "dtype": "bfloat16"},
            "hub:a/b at main, bfloat16",
        ),
        (
            {"source": "t5", "architecture": "encoder-decoder", "quantization": "nf4"}
            | {"dtype": "bfloat16"},
            "t5, bfloat16, an encoder-decoder, linear layers in NF4",
        ),
        (
            {"source": "scratch:gpt2", "dtype": "float32"}
            | {"scratch": SCRATCH | {"tasks": ("plural", "past")}},
            "scratch:gpt2, float32, trained from scratch on plural and past in 300 steps",
        ),
    ],
)
def test_a_model_is_described_by_its_source_and_what_it_is(settings, words):
    assert model_in_words(ModelSettings.model_validate(settings)) == words


def test_a_long_system_text_is_shortened_and_several_draws_are_told():
    long = teacher_in_words(TeacherSettings(system="Do this. " * 100), "")
    assert len(long) < 250
    assert long.endswith(" …”")
    drawn = teacher_in_words(TeacherSettings(shots=8), "", draws=3)
    assert drawn == "the model with 8 demonstrations, correctly answered (3 draws)"


def label_free(**task):
    path = ROOT / "config/experiments/qwen3-instruction.yaml"
    config = yaml.safe_load(path.read_text())
    config["tasks"]["gsm8k"]["data"] |= task
    slices = load_study(config).slices
    content = json.loads(slices.report()) | {"wordings": slices.wordings()}
    return ReportSettings.model_validate(content)


def test_how_checkpoints_are_chosen_is_said_once():
    settings = label_free()
    assert setup_section(settings).text[-1] == (
        "Reported: each run's checkpoint that agrees most with the task's reference teacher on "
        "validation items; no label chose it."
    )
    last = settings.model_copy(update={"evaluation": EvaluationSettings(choose_by="last")})
    assert setup_section(last).text[-1] == (
        "Reported: the last checkpoint of each run; no label chose it."
    )


def test_results_on_unlabelled_test_items_are_agreement():
    assert label_free().scores_of("gsm8k").noun == "accuracy"
    settings = label_free(unlabelled=["train", "validation", "test"])
    assert settings.scores_of("gsm8k").strict == "agreement with instructed"
    (tasks,) = (table for table in setup_section(settings).tables if table.title == "Tasks")
    assert "train, validation and test" in tasks.rows[0]
    assert tasks.rows[0][-1].startswith("number, agreement with instructed")


def test_a_teachers_result_is_one_of_the_base_model():
    settings = label_free()
    named = ("0-shot", "instructed", "answers", "answers@gsm8k")
    assert [settings.is_base(name) for name in named] == [True, True, False, False]


def test_the_recipe_is_one_line():
    training = TrainingSettings(steps=40, checkpoints=(20, 40), warmup_steps=1)
    assert training_in_words(training) == (
        "40 optimizer steps of 8 examples, learning rate 0.0002 (cosine schedule, 1 warm-up "
        "step), gradients clipped at 1, LoRA adapters of rank 16, α = 32; checkpoints after "
        "steps 20 and 40"
    )


def test_a_recipe_in_epochs_tells_them_and_its_warm_up_as_a_share():
    training = TrainingSettings(epochs=40, checkpoints=(10, 40), warmup_steps=0.1)
    told = training_in_words(training)
    assert told.startswith("40 epochs in optimizer steps of 8 examples, learning rate 0.0002 ")
    assert "(cosine schedule, 10 % of the steps warm up)" in told
    assert told.endswith("; checkpoints after epochs 10 and 40")
