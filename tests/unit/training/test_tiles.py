"""Losses of logits that exist a tile at a time are those of all logits at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.tiny_models import VOCABULARY, tiny_model
from workflow_scripts.config.terms import (
    CrossEntropyTerm,
    LabelCrossEntropyTerm,
    LogitJSDTerm,
    LogitKLTerm,
    LogitMSETerm,
    LogitReverseKLTerm,
    ULDTerm,
)
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.modeling.language_head import after_head
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.teachers.targets import SortedLogits, TopK
from workflow_scripts.training import logit_rows
from workflow_scripts.training.adapters import student_of
from workflow_scripts.training.batches import Collator, RenderedExample, Sample
from workflow_scripts.training.forward import ForwardPlan, student_outputs
from workflow_scripts.training.logit_rows import LogitRows
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.tiles import weighted_sum

KL = {"position": "answer", "weight": 0.5, "temperature": 2.0, "top_k": 8, "reduction": "mean"}
ALL = KL | {"top_k": VOCABULARY}
SFT = CrossEntropyTerm(objective="cross_entropy")
TERMS = {
    "cross entropy": (SFT,),
    "KL": (LogitKLTerm(objective="logit_kl", **KL),),
    "KL, summed": (LogitKLTerm(objective="logit_kl", **(KL | {"reduction": "sum"})),),
    "KL, whole vocabulary": (LogitKLTerm(objective="logit_kl", **ALL),),
    "reverse KL": (LogitReverseKLTerm(objective="logit_reverse_kl", **KL),),
    "JSD": (LogitJSDTerm(objective="logit_jsd", beta=0.3, **KL),),
    "MSE": (
        LogitMSETerm(objective="logit_mse", position="answer", weight=1, top_k=8, reduction="mean"),
    ),
    "ULD, top 8": (ULDTerm(objective="uld", weight=1, top_k=8),),
    "ULD, exact": (ULDTerm(objective="uld", weight=1),),
    "ULD at the same text": (ULDTerm(objective="uld", weight=1, alignment="text"),),
    "two at one position": (SFT, LogitKLTerm(objective="logit_kl", **KL)),
    "labels and answers": (
        SFT,
        LabelCrossEntropyTerm(objective="label_cross_entropy"),
        LogitKLTerm(objective="logit_kl", **(KL | {"position": "prompt"})),
    ),
}
ADAPTERS = {
    "lora": LoraSettings(rank=4),
    "lora of the head too": LoraSettings(rank=4, target_modules=("q_proj", "lm_head")),
    "bitfit": BitFitSettings(kind="bitfit"),
    "full": FullSettings(kind="full"),
}
# tokens of each answer: 17 positions in tiles of 5
ANSWERS = (9, 1, 7)
TILE = 5


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(logit_rows, "ELEMENTS", TILE * VOCABULARY + 3)
    monkeypatch.setattr(logit_rows, "TRAINED_POSITIONS", TILE)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_of(plan: ForwardPlan):
    samples = []
    for seed, answer in enumerate(ANSWERS):
        ids = torch.randint(VOCABULARY, (6 + answer,), generator=generator(seed)).tolist()
        rendering = Rendering(
            tuple(ids), question=0, query=3, prompt=5, boundaries=tuple(range(0, 2 * answer, 2))
        )
        labels = (3, 7) if plan.labels else ()
        example = RenderedExample("", rendering, labels, gold=1 if plan.labels else None)
        samples.append(Sample(example, {}))
    return Collator(plan.positions)(samples)


def target_of(term):
    """What the term reads of a random teacher, whose answers are longer for `uld`."""
    target = OBJECTIVES[term.objective].reads(term).target
    if target is None:
        return []
    uld = target.kind == "sorted"
    counts = [1] * 3 if target.position == "prompt" else [count + uld for count in ANSWERS]
    logits = 3 * torch.randn(sum(counts), VOCABULARY, generator=generator(9))
    k = VOCABULARY if target.top_k == "all" else target.top_k
    values, indices = logits.topk(k)
    normaliser = (logits / target.temperature).logsumexp(-1)
    if not uld:
        return [TopK(values, indices, normaliser, target.temperature)]
    places = torch.cat([torch.arange(count) for count in counts])
    examples = torch.arange(3).repeat_interleave(torch.tensor(counts))
    return [SortedLogits(values, normaliser, places, examples, VOCABULARY, target.temperature)]


def losses_of(terms, outputs):
    return [OBJECTIVES[term.objective].loss(term, outputs, *target_of(term)) for term in terms]


def step(student, terms, steps) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
    """The loss, each term's value and the gradients; without `steps` all logits exist at once."""
    plan = ForwardPlan.of(terms)
    outputs = student_outputs(student, batch_of(plan), plan, steps)
    loss, values = weighted_sum(outputs, losses_of(terms, outputs), [t.weight for t in terms])
    (loss / 4).backward()
    named = student.named_parameters()
    gradients = {name: weight.grad for name, weight in named if weight.grad is not None}
    student.zero_grad()
    return loss, values, gradients


def at_once(student, terms, monkeypatch) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
    with monkeypatch.context() as patch:
        patch.setattr(logit_rows, "ELEMENTS", 10**9)
        return step(student, terms, None)


def assert_same(one, other, **tolerance) -> None:
    assert one[2].keys() == other[2].keys()
    assert any(gradient.abs().max() > 1e-3 for gradient in one[2].values())
    torch.testing.assert_close(one[0], other[0], **tolerance)
    torch.testing.assert_close(one[1], other[1], **tolerance)
    for name, gradient in one[2].items():
        error = (gradient - other[2][name]).norm() / other[2][name].norm().clamp(min=1e-6)
        assert error < tolerance["rtol"], name


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_loss_and_gradients_are_those_of_all_logits_at_once(terms, monkeypatch):
    model = tiny_model("qwen3")
    steps = after_head(model)
    student = student_of(ADAPTERS["lora"], model)
    expected = at_once(student, terms, monkeypatch)
    assert_same(step(student, terms, steps), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_they_are_those_of_autograd_over_whole_logits(terms):
    """Without the machinery: the model's own head and a plain sum."""
    student = student_of(ADAPTERS["lora"], tiny_model("qwen3"))
    plan = ForwardPlan.of(terms)
    outputs = student_outputs(student, batch_of(plan), plan)
    loss = sum(
        term.weight
        * (own if isinstance(own, Tensor) else own.part(outputs.logits[own.position].hidden, 0))
        for term, own in zip(terms, losses_of(terms, outputs), strict=True)
    )
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    expected = torch.autograd.grad(loss, trained)
    found, _, gradients = step(student, terms, after_head(student.get_base_model()))
    torch.testing.assert_close(found, loss, rtol=1e-5, atol=1e-5)
    for gradient, own in zip(gradients.values(), expected, strict=True):
        torch.testing.assert_close(4 * gradient, own, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["qwen3", "llama", "gemma2", "cohere2"])
@pytest.mark.parametrize("adapter", ["lora", "lora of the head too", "full"])
def test_whatever_is_trained_has_the_same_gradient(adapter, family, monkeypatch):
    """Heads of their own and tied to the embeddings, plain, capped and scaled."""
    model = tiny_model(family)
    steps = after_head(model)
    student = student_of(ADAPTERS[adapter], model)
    terms = TERMS["two at one position"]
    expected = at_once(student, terms, monkeypatch)
    assert_same(step(student, terms, steps), expected, rtol=1e-5, atol=1e-5)


def test_biases_have_the_same_gradient(monkeypatch):
    model = tiny_model("gpt2")
    steps = after_head(model)
    student = student_of(ADAPTERS["bitfit"], model)
    expected = at_once(student, (SFT,), monkeypatch)
    assert_same(step(student, (SFT,), steps), expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_the_same_within_its_rounding(monkeypatch):
    model = tiny_model("qwen3", torch.bfloat16)
    steps = after_head(model)
    student = student_of(ADAPTERS["lora"], model)
    terms = TERMS["two at one position"]
    expected = at_once(student, terms, monkeypatch)
    assert_same(step(student, terms, steps), expected, rtol=2e-2, atol=2e-2)


def test_a_head_runs_in_the_precision_of_its_model(monkeypatch):
    """Under autocast, which ends before the losses are computed."""
    model = tiny_model("qwen3")
    steps = after_head(model)
    student = student_of(ADAPTERS["full"], model)
    autocast = torch.autocast("cpu", torch.bfloat16)
    monkeypatch.setattr(student, "forward", autocast(student.forward))
    dtypes = set()
    student.get_output_embeddings().register_forward_hook(
        lambda module, arguments, output: dtypes.add(output.dtype)
    )
    expected = at_once(student, (SFT,), monkeypatch)
    assert_same(step(student, (SFT,), steps), expected, rtol=2e-2, atol=2e-2)
    assert dtypes == {torch.bfloat16}


class Largest(TorchDispatchMode):
    """The most numbers in a tensor that an operation makes, forward or backward."""

    numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        made = result if isinstance(result, (tuple, list)) else [result]
        sizes = [tensor.numel() for tensor in made if isinstance(tensor, Tensor)]
        self.numbers = max([self.numbers, *sizes])
        return result


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_no_more_logits_than_a_tiles_exist_at_once(terms):
    model = tiny_model("qwen3")
    steps = after_head(model)
    student = student_of(LoraSettings(rank=1), model)
    plan = ForwardPlan.of(terms)
    batch, given = batch_of(plan), [target_of(term) for term in terms]
    with Largest() as largest:
        outputs = student_outputs(student, batch, plan, steps)
        losses = [
            OBJECTIVES[term.objective].loss(term, outputs, *target)
            for term, target in zip(terms, given, strict=True)
        ]
        weighted_sum(outputs, losses, [term.weight for term in terms])[0].backward()
    # the transposed head, which is a view, counts too
    head = VOCABULARY * student.get_output_embeddings().weight.shape[1]
    assert largest.numbers <= max(head, TILE * VOCABULARY)


def test_the_recorder_sees_logits_that_exist_at_once():
    student = student_of(LoraSettings(rank=1), tiny_model("qwen3"))
    plan = ForwardPlan.of((SFT,))
    with Largest() as largest:
        student_outputs(student, batch_of(plan), plan)
    assert largest.numbers >= sum(ANSWERS) * VOCABULARY


def test_no_positions_cost_nothing_and_have_a_gradient_of_zero():
    head = nn.Linear(4, VOCABULARY)
    outputs = _outputs(torch.zeros(0, 4, requires_grad=True), head)
    loss, (value,) = weighted_sum(outputs, losses_of((SFT,), outputs), [1.0])
    loss.backward()
    assert (loss.item(), value.item()) == (0, 0)
    assert head.weight.grad.abs().max() == 0


def test_a_gradient_is_used_once():
    """It is scaled in place."""
    outputs = _outputs(torch.ones(sum(ANSWERS), 4, requires_grad=True), nn.Linear(4, VOCABULARY))
    loss, _ = weighted_sum(outputs, losses_of((SFT,), outputs), [1.0])
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def _outputs(hidden: Tensor, head: nn.Linear):
    plan = ForwardPlan.of((SFT,))
    outputs = student_outputs(tiny_model("qwen3"), batch_of(plan), plan)
    rows = LogitRows.of(torch.empty(0, VOCABULARY))
    rows = replace(rows, hidden=hidden, head=replace(rows.head, module=head))
    count = len(hidden)
    examples = outputs.examples | {"answer": outputs.examples["answer"][:count]}
    return replace(
        outputs, logits={"answer": rows}, examples=examples, answers=outputs.answers[:count]
    )
