"""The student's forward pass keeps the right rows, equal to the model's whole outputs."""

from __future__ import annotations

import pytest
import torch

from tests.tiny_models import FAMILIES, HYBRIDS, MIXTURES, PLAIN, RECURRENT, WINDOWED, tiny_model
from tests.unit.training.conftest import LORA, PROMPT, TERMS
from workflow_scripts.config.terms import CrossEntropyTerm, LabelCrossEntropyTerm, ULDTerm
from workflow_scripts.modeling.architectures import decoder_layers
from workflow_scripts.modeling.loading import load_classifier, load_tokenizer, load_weights
from workflow_scripts.prompts.rendering import Renderer, Rendering
from workflow_scripts.training.adapters import student_of
from workflow_scripts.training.batches import (
    Collator,
    PromptCollator,
    RenderedExample,
    Sample,
)
from workflow_scripts.training.forward import ForwardPlan, classifier_outputs, student_outputs

PLAN = ForwardPlan.of(TERMS)


def samples(renderings: list[Rendering]) -> list[Sample]:
    return [Sample(RenderedExample("item", rendering), {}) for rendering in renderings]


@pytest.fixture
def student(model):
    return student_of(LORA, load_weights(model))


@pytest.fixture
def renderings(model, examples):
    return Renderer(load_tokenizer(model), PROMPT).render(
        [e.question for e in examples], [e.answer for e in examples]
    )


@pytest.fixture
def batch(renderings):
    return Collator(PLAN.positions)(samples([renderings[index] for index in (0, 3, 7)]))


def test_the_plan_reads_each_position_once():
    assert PLAN.logits == ("answer", "prompt")
    assert PLAN.states == {"query": {"block": ["all"]}, "prompt": {"attention": [(0, 2)]}}


def test_a_plan_without_logit_terms_reads_the_answer_only():
    plan = ForwardPlan.of([CrossEntropyTerm(objective="cross_entropy")])
    assert plan.positions == ("answer",)


def test_sorted_logits_are_compared_at_the_answer():
    term = ULDTerm(objective="uld", weight=1)
    assert ForwardPlan.of([TERMS[0], term]).logits == ("answer",)


def test_terms_may_share_a_state():
    hidden, shift = TERMS[1], TERMS[4].model_copy(update={"site": "block", "position": "query"})
    assert ForwardPlan.of([hidden, shift]).states == {"query": {"block": ["all", (0, 2)]}}


def test_kept_logits_are_those_of_the_whole_output(student, batch, renderings):
    whole = student(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    kept = student_outputs(student, batch, PLAN)
    chosen = [renderings[index] for index in (0, 3, 7)]
    for position in ("answer", "prompt"):
        expected = torch.cat(
            [whole[row, list(r.positions(position))] for row, r in enumerate(chosen)]
        )
        torch.testing.assert_close(kept.logits[position].hidden, expected)


def test_kept_states_are_those_of_the_whole_output(student, batch, renderings):
    whole = student(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        output_hidden_states=True,
    ).hidden_states
    kept = student_outputs(student, batch, PLAN).states["block", "query"]
    columns = [renderings[index].query for index in (0, 3, 7)]
    # the last entry of hidden_states lies after the final norm, so it is left out
    expected = torch.stack([states[range(3), columns] for states in whole[1:-1]])
    torch.testing.assert_close(torch.stack([kept[0], kept[1]]), expected)
    assert list(kept) == [0, 1, 2]


def test_states_are_kept_at_the_layers_that_some_term_reads(student, batch):
    terms = [TERMS[1].model_copy(update={"layers": layers}) for layers in ("early", (2,))]
    every = student_outputs(student, batch, ForwardPlan.of(TERMS[1:2])).states["block", "query"]
    kept = student_outputs(student, batch, ForwardPlan.of(terms)).states["block", "query"]
    assert list(kept) == [0, 2]
    assert all(torch.equal(states, every[layer]) for layer, states in kept.items())


def test_a_layer_that_no_term_reads_has_no_hook(student, batch):
    plan = ForwardPlan.of([TERMS[1].model_copy(update={"layers": (1,)})])
    hooks = []
    layers = decoder_layers(student)
    layers[0].register_forward_pre_hook(
        lambda *_: hooks.extend(len(layer._forward_hooks) for layer in layers)
    )
    student_outputs(student, batch, plan)
    # those before are of the pass that verifies the model
    assert hooks[-len(layers) :] == [0, 1, 0]


def test_answers_are_the_tokens_that_answer_positions_predict(batch, renderings):
    expected = [token for index in (0, 3, 7) for token in renderings[index].answer_ids]
    assert batch["answers"].tolist() == expected
    assert len(batch["rows"]["answer"]) == len(expected)


def test_boundaries_go_with_the_answers_logits(student, batch, renderings):
    outputs = student_outputs(student, batch, PLAN)
    expected = [place for index in (0, 3, 7) for place in renderings[index].boundaries]
    assert outputs.boundaries.tolist() == expected
    assert len(expected) == len(outputs.logits["answer"].hidden)


def test_gradients_of_states_and_logits_reach_the_adapter_only(student, batch):
    outputs = student_outputs(student, batch, PLAN)
    (outputs.states["block", "query"][1].sum() + outputs.logits["answer"].hidden.sum()).backward()
    with_gradient = {name for name, p in student.named_parameters() if p.grad is not None}
    assert with_gradient
    assert all("lora_" in name for name in with_gradient)


def test_hidden_terms_alone_need_no_logits(student, renderings):
    plan = ForwardPlan.of(TERMS[1:2])
    outputs = student_outputs(student, Collator(plan.positions)(samples(renderings[:2])), plan)
    assert outputs.logits == {}
    assert outputs.states["block", "query"][0].shape[0] == 2


def test_label_logits_are_those_of_the_whole_output_at_the_labels_tokens(student, renderings):
    plan = ForwardPlan.of([LabelCrossEntropyTerm(objective="label_cross_entropy")])
    tokens = [(5, 7, 11), (11, 2, 5)]
    labelled = [
        Sample(RenderedExample("item", rendering, own, gold=1), {})
        for rendering, own in zip(renderings[:2], tokens, strict=True)
    ]
    outputs = student_outputs(student, Collator(plan.positions)(labelled), plan)
    for row, (rendering, own) in enumerate(zip(renderings[:2], tokens, strict=True)):
        whole = student(torch.tensor([rendering.ids])).logits[0, rendering.prompt]
        torch.testing.assert_close(outputs.label_logits[row], whole[list(own)])
    assert outputs.gold.tolist() == [1, 1]


def test_a_plan_of_labels_reads_the_prompt_once():
    term = LabelCrossEntropyTerm(objective="label_cross_entropy")
    assert ForwardPlan.of([term, TERMS[3]]).logits == ("prompt",)


def test_a_classifiers_label_logits_are_those_of_each_prompt_alone(model, renderings):
    classifier = load_classifier(model, 3)
    collator = PromptCollator(classifier.config.pad_token_id)
    outputs = classifier_outputs(classifier, collator(samples(renderings)))
    alone = [classifier(torch.tensor([r.prompt_ids])).logits[0] for r in renderings]
    assert len({len(r.prompt_ids) for r in renderings}) > 1
    torch.testing.assert_close(outputs.label_logits, torch.stack(alone))


@pytest.mark.parametrize("family", [*FAMILIES, *PLAIN, *MIXTURES, *WINDOWED, *HYBRIDS, *RECURRENT])
def test_padding_changes_neither_outputs_nor_gradients(family):
    """Batches have no padding mask, which would keep attention off its fast kernels."""
    model = tiny_model(family)
    plan = ForwardPlan.of(TERMS[:2])
    conversations = [
        Rendering(ids=tuple(range(3, 3 + length)), question=0, query=2, prompt=4, boundaries=())
        for length in (21, 9, 14)
    ]

    def outputs(*renderings: Rendering) -> tuple[torch.Tensor, torch.Tensor]:
        kept = student_outputs(model, Collator(plan.positions)(samples(list(renderings))), plan)
        states = torch.stack(list(kept.states["block", "query"].values()))
        return kept.logits["answer"].hidden, states

    together = outputs(*conversations)
    alone = [torch.cat(kept, -2) for kept in zip(*map(outputs, conversations), strict=True)]
    gradients = []
    for logits, states in (together, alone):
        model.zero_grad()
        (logits.logsumexp(-1).sum() + states.square().sum()).backward()
        gradients.append([w.grad.clone() for w in model.parameters() if w.grad is not None])
    torch.testing.assert_close(list(together), alone, rtol=1e-4, atol=1e-4)
    own, expected = (torch.cat([gradient.flatten() for gradient in every]) for every in gradients)
    assert (own - expected).norm() < 1e-4 * expected.norm()
