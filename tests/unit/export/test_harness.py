"""Results as lm-evaluation-harness writes them."""

from __future__ import annotations

from math import sqrt
from types import SimpleNamespace

import pytest

from tests.unit.export.conftest import EXAMPLES, make_recipe, predictions
from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.export.harness import Answered, answered, harness_results, harness_samples
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.runtime.errors import InputError

MODEL = SimpleNamespace(dtype="float16", parameters=7, chat_template_sha256="0" * 64)
LIKELIHOOD = make_recipe(scoring=ScoringSlice(scorer="likelihood", labels=("A", "B")))
# SampleResult in lm_eval/result_schema.py: what every row has besides its metrics
FIXED = {
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps"),
    *("filter", "metrics", "doc_hash", "prompt_hash", "target_hash"),
}


def items() -> list[Answered]:
    """The first two are strictly right, all three flexibly."""
    return [
        Answered(
            example=example,
            prompt=f"{example.question}?",
            completion=f" {example.answer}",
            losses={"A": 1.5, "B": 0.5},
            prediction=example.answer,
            strict=example.item != "c",
            flexible=True,
        )
        for example in EXAMPLES
    ]


def results(recipe):
    return harness_results(recipe, MODEL, items(), harness_samples(recipe, items()))


def test_an_accuracy_has_the_standard_error_of_its_mean():
    found = results(make_recipe())["results"]["plural"]
    assert found["exact_match,strict-match"] == pytest.approx(2 / 3)
    # of 1, 1, 0: the sample variance is 1/3
    assert found["exact_match_stderr,strict-match"] == pytest.approx(sqrt(1 / 3) / sqrt(3))
    assert found["exact_match,flexible-extract"] == 1


def test_likelihoods_have_the_metrics_of_multiple_choice():
    found = results(LIKELIHOOD)["results"]["plural"]
    assert (found["acc,none"], found["acc_norm,none"]) == (pytest.approx(2 / 3), 1)


def test_metrics_of_texts_have_one_filter():
    recipe = make_recipe(scoring=ScoringSlice(scorer="rouge", labels=None))
    found = results(recipe)["results"]["plural"]
    assert (found["rougeL,none"], found["rouge1,none"]) == (pytest.approx(2 / 3), 1)


def test_samples_come_filter_by_filter():
    rows = harness_samples(make_recipe(), items())
    assert [(row["filter"], row["doc_id"]) for row in rows] == [
        (name, number) for name in ("strict-match", "flexible-extract") for number in range(3)
    ]


@pytest.mark.parametrize(
    ("recipe", "metrics"),
    [(make_recipe(), {"exact_match"}), (LIKELIHOOD, {"acc", "acc_norm"})],
    ids=["generated", "likelihood"],
)
def test_a_sample_has_the_fields_of_the_harness(recipe, metrics):
    assert set(harness_samples(recipe, items())[0]) == FIXED | metrics


def test_a_likelihood_sample_asks_once_for_each_label():
    row = harness_samples(LIKELIHOOD, items())[0]
    assert [asked["arg_1"] for asked in row["arguments"].values()] == ["A", "B"]
    assert [response[0][0] for response in row["resps"]] == ["-1.5", "-0.5"]


def test_the_precision_is_the_one_that_the_model_was_fetched_in():
    recipe = make_recipe()
    assert recipe.base.dtype == "auto"
    results = harness_results(recipe, MODEL, items(), harness_samples(recipe, items()))
    assert results["config"]["model_args"]["dtype"] == "float16"


def test_the_prompt_of_a_sample_is_what_the_model_read(qwen3_tokenizer):
    test = predictions().query("split == 'test' and step == 4")
    renderer = Renderer(qwen3_tokenizer, PromptSettings(system="Answer."))
    first = answered(renderer, None, EXAMPLES, test)[0]
    assert first.prompt == (
        "<|im_start|>system\nAnswer.<|im_end|>\n<|im_start|>user\ncat<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def test_an_item_without_a_prediction_is_named(qwen3_tokenizer):
    test = predictions().query("split == 'test' and step == 4 and item != 'b'")
    with pytest.raises(InputError, match="item b"):
        answered(Renderer(qwen3_tokenizer, PromptSettings()), None, EXAMPLES, test)
