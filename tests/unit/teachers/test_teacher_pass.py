from __future__ import annotations

import pytest
import torch

from tests.tiny_models import LAYERS, VOCABULARY, WIDTH, tiny_model
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.modeling.architectures import site_parts
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.label_tokens import label_tokens
from workflow_scripts.prompts.rendering import (
    Renderer,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.sizes import target_bytes
from workflow_scripts.teachers.targets import TeacherSize
from workflow_scripts.teachers.teacher_pass import run_teacher_pass

SHOWN = [Demonstration("apple", "apples"), Demonstration("mouse", "mice")]


@pytest.fixture
def renderings(smollm2_tokenizer, examples):
    return Renderer(smollm2_tokenizer, PromptSettings(system="Answer."), SHOWN).render(
        [example.question for example in examples], [example.answer for example in examples]
    )


def test_one_state_for_each_item_at_the_query(renderings, hidden_target):
    (found,) = run_teacher_pass(tiny_model("llama"), renderings, [hidden_target], batch_size=4)
    assert found["states"].shape == (len(renderings), LAYERS, WIDTH)
    assert found["offsets"].tolist() == list(range(len(renderings) + 1))


def test_one_row_of_logits_for_each_answer_token(renderings, logit_target):
    (found,) = run_teacher_pass(tiny_model("llama"), renderings, [logit_target], batch_size=4)
    counts = [len(rendering.answer_ids) for rendering in renderings]
    assert found["offsets"].diff().tolist() == counts
    assert found["values"].shape == found["indices"].shape == (sum(counts), 7)
    assert found["logsumexp"].shape == (sum(counts), 2)


@pytest.mark.parametrize("position", ["query", "answer"])
def test_the_target_does_not_depend_on_how_items_are_batched(renderings, position):
    target = TargetSettings(kind="hidden", site="ffn", position=position)
    model = tiny_model("qwen3")
    (whole,) = run_teacher_pass(model, renderings, [target], batch_size=6)
    for batch_size in (1, 4):
        (found,) = run_teacher_pass(model, renderings, [target], batch_size)
        torch.testing.assert_close(found, whole)


def test_rows_are_in_the_order_of_the_items(renderings, logit_target):
    model = tiny_model("llama")
    (forwards,) = run_teacher_pass(model, renderings, [logit_target], batch_size=2)
    (backwards,) = run_teacher_pass(model, renderings[::-1], [logit_target], batch_size=2)
    first = forwards["values"][: forwards["offsets"][1]]
    torch.testing.assert_close(backwards["values"][backwards["offsets"][-2] :], first)


def test_a_single_item_needs_no_neighbour(renderings, hidden_target):
    model = tiny_model("llama")
    (alone,) = run_teacher_pass(model, renderings[2:3], [hidden_target], batch_size=4)
    (among,) = run_teacher_pass(model, renderings, [hidden_target], batch_size=4)
    torch.testing.assert_close(alone["states"][0], among["states"][2])


def test_a_query_target_reads_neither_header_nor_answer(renderings, hidden_target, monkeypatch):
    model = tiny_model("llama")
    site_parts(model, "block")  # verified once for each model, by a pass of its own
    lengths = []
    forward = model.model.forward
    monkeypatch.setattr(
        model.model,
        "forward",
        lambda *a, **k: (lengths.append(k["input_ids"].shape[1]), forward(*a, **k))[1],
    )
    run_teacher_pass(model, renderings, [hidden_target], batch_size=len(renderings))
    prefix, longest = lengths
    assert prefix + longest == max(rendering.query for rendering in renderings) + 1


def test_the_demonstrations_are_read_once(renderings, hidden_target, monkeypatch):
    model = tiny_model("llama")
    site_parts(model, "block")  # verified once for each model, by a pass of its own
    tokens = []
    forward = model.model.forward
    monkeypatch.setattr(
        model.model,
        "forward",
        lambda *a, **k: (tokens.append(k["input_ids"].numel()), forward(*a, **k))[1],
    )
    run_teacher_pass(model, renderings, [hidden_target], batch_size=1)
    assert tokens[0] >= renderings[0].question
    assert sum(tokens[1:]) == sum(r.query + 1 - tokens[0] for r in renderings)


def test_hidden_states_keep_the_models_dtype(renderings, hidden_target):
    model = tiny_model("llama", torch.bfloat16)
    (found,) = run_teacher_pass(model, renderings, [hidden_target], batch_size=4)
    assert found["states"].dtype == torch.bfloat16


def test_logits_are_kept_in_float32(renderings, logit_target):
    model = tiny_model("llama", torch.bfloat16)
    (found,) = run_teacher_pass(model, renderings, [logit_target], batch_size=4)
    assert found["values"].dtype == found["logsumexp"].dtype == torch.float32
    assert found["indices"].dtype == torch.int32


def test_more_logits_than_the_vocabulary_holds_are_refused(renderings):
    target = TargetSettings(kind="logits", position="prompt", top_k=VOCABULARY + 1, temperature=1.0)
    with pytest.raises(InputError, match="top_k is 401, but the model's vocabulary has 400"):
        run_teacher_pass(tiny_model("llama"), renderings, [target], batch_size=4)


@pytest.fixture
def tokens_of_labels(smollm2_tokenizer, examples):
    """The first tokens of three labels, for each item its own three."""
    renderer = Renderer(smollm2_tokenizer, PromptSettings(system="Answer."), SHOWN)
    labels = ["24", "cats", "knives", "mice", "boxes"]
    return [
        label_tokens(renderer, [e.question], [e.item], labels[index % 3 :][:3])[0]
        for index, e in enumerate(examples)
    ]


@pytest.mark.parametrize("family", ["llama", "opt", "opt-pre-norm"])
def test_a_label_has_the_log_probability_of_its_first_token_after_the_prompt(
    renderings, label_target, tokens_of_labels, family
):
    model = tiny_model(family)
    (found,) = run_teacher_pass(model, renderings, [label_target], 4, tokens_of_labels)
    assert found["offsets"].tolist() == list(range(len(renderings) + 1))
    for row, rendering, tokens in zip(found["logprobs"], renderings, tokens_of_labels, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([rendering.prompt_ids])).logits[0, -1]
        torch.testing.assert_close(row, logits.log_softmax(-1)[list(tokens)])


def test_labels_are_normalised_over_the_whole_vocabulary_in_float32(renderings, label_target):
    model = tiny_model("llama", torch.bfloat16)
    whole = [range(VOCABULARY)] * len(renderings)
    (found,) = run_teacher_pass(model, renderings, [label_target], 4, whole)
    logprobs = found["logprobs"]
    assert logprobs.dtype == torch.float32
    torch.testing.assert_close(logprobs.exp().sum(-1), torch.ones(len(renderings)))


def test_a_target_of_labels_takes_the_disk_that_was_predicted(
    renderings, label_target, tokens_of_labels
):
    (found,) = run_teacher_pass(
        tiny_model("llama"), renderings, [label_target], 4, tokens_of_labels
    )
    items, answer = len(renderings), len(renderings[0].answer_ids)
    foretold = target_bytes(label_target, items, answer, TeacherSize(3, LAYERS, WIDTH, 4))
    assert foretold == found["logprobs"].nbytes


@pytest.mark.parametrize("position", ["query", "answer"])
@pytest.mark.parametrize("kind", [{"kind": "hidden", "site": "block"}, {"kind": "logits"}])
def test_a_target_takes_the_disk_that_was_predicted(renderings, kind, position):
    if kind["kind"] == "logits":
        kind = kind | {"top_k": 7, "temperature": 2.0}
    target = TargetSettings(position=position, **kind)
    same_length = renderings[:1] * 5
    (tensors,) = run_teacher_pass(tiny_model("llama"), same_length, [target], batch_size=5)
    found = sum(tensor.nbytes for name, tensor in tensors.items() if name != "offsets")
    answer = len(renderings[0].answer_ids)
    assert target_bytes(target, 5, answer, TeacherSize(0, LAYERS, WIDTH, 4)) == found


# --- several targets in one pass ----------------------------------------------------------


def hidden(site: str, position: str) -> TargetSettings:
    return TargetSettings(kind="hidden", site=site, position=position)


def logits(kind: str, position: str, top_k: int = 7, temperature: float = 2.0) -> TargetSettings:
    return TargetSettings(kind=kind, position=position, top_k=top_k, temperature=temperature)


LABELS_AT_PROMPT = TargetSettings(kind="labels", position="prompt")
SAME_SHAPE = {
    "sites": [hidden(site, "answer") for site in ("block", "attention", "ffn")],
    "logits": [logits("logits", "answer"), logits("logits", "answer", 50, 1.0)],
    "with labels": [logits("logits", "prompt"), LABELS_AT_PROMPT],
    "sorted": [logits("sorted", "answer"), logits("logits", "answer"), hidden("ffn", "answer")],
}


@pytest.mark.parametrize("targets", SAME_SHAPE.values(), ids=SAME_SHAPE)
def test_targets_at_one_position_are_bit_for_bit_those_of_a_pass_each(
    renderings, tokens_of_labels, targets
):
    model = tiny_model("qwen3")
    together = run_teacher_pass(model, renderings, targets, 4, tokens_of_labels)
    for target, found in zip(targets, together, strict=True):
        (alone,) = run_teacher_pass(model, renderings, [target], 4, tokens_of_labels)
        assert found.keys() == alone.keys()
        for name, values in found.items():
            assert torch.equal(values, alone[name]), name


@pytest.mark.parametrize("family", ["qwen3", "opt"])
def test_targets_at_several_positions_are_those_of_a_pass_each(
    renderings, tokens_of_labels, family
):
    """Up to rounding: sequences end elsewhere, so that matrices have other shapes."""
    model = tiny_model(family)
    targets = [
        hidden("block", "answer"),
        logits("sorted", "answer"),
        hidden("attention", "query"),
        logits("logits", "query"),
        LABELS_AT_PROMPT,
        hidden("block", "query"),
        logits("logits", "answer"),
    ]
    together = run_teacher_pass(model, renderings, targets, 4, tokens_of_labels)
    for target, found in zip(targets, together, strict=True):
        (alone,) = run_teacher_pass(model, renderings, [target], 4, tokens_of_labels)
        torch.testing.assert_close(found, alone)


def test_several_targets_take_one_forward_pass(
    renderings, hidden_target, logit_target, monkeypatch
):
    model = tiny_model("llama")
    site_parts(model, "block")  # verified once for each model, by a pass of its own
    passes = []
    forward = model.model.forward
    monkeypatch.setattr(
        model.model, "forward", lambda *a, **k: (passes.append(None), forward(*a, **k))[1]
    )
    run_teacher_pass(model, renderings, [logit_target], batch_size=2)
    alone = len(passes)
    run_teacher_pass(model, renderings, [hidden_target, logit_target], batch_size=2)
    assert len(passes) == 2 * alone


def test_the_head_runs_at_the_positions_of_logits_alone(
    renderings, label_target, tokens_of_labels, monkeypatch
):
    model = tiny_model("llama")
    rows = []
    model.lm_head.register_forward_hook(lambda head, given, logits: rows.append(len(logits)))
    try:
        targets = [hidden("block", "answer"), label_target]
        run_teacher_pass(model, renderings, targets, 6, tokens_of_labels)
    finally:
        model.lm_head._forward_hooks.clear()
    assert sum(rows) == len(renderings)
