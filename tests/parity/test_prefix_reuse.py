"""The teacher pass against the library's own forward over the whole prompt."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.tiny_models import FAMILIES, VOCABULARY, tiny_model
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.teachers.teacher_pass import run_teacher_pass

POSITIONS = ("query", "prompt", "answer")


def random_ids(length: int, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(3, VOCABULARY, (length,), generator=generator).tolist())


@pytest.fixture(scope="module")
def demonstrations() -> tuple[int, ...]:
    return random_ids(60, seed=0)


@pytest.fixture(scope="module")
def renderings(demonstrations) -> list[Rendering]:
    """Questions and answers of many lengths after one set of demonstrations."""
    lengths = [(4, 3), (17, 1), (2, 9), (8, 8), (30, 2), (5, 5), (9, 1)]
    start = len(demonstrations)
    return [
        Rendering(
            ids=demonstrations + random_ids(question + 3 + answer, seed=100 + index),
            question=start,
            query=start + question - 1,
            prompt=start + question + 2,
        )
        for index, (question, answer) in enumerate(lengths)
    ]


def plain_forward(model: PreTrainedModel, rendering: Rendering) -> tuple[Tensor, Tensor]:
    """Block states (layers, length, width), all before the final norm, and all logits."""
    before_final_norm: dict[str, Tensor] = {}
    last = model.get_decoder()
    last = (last.h if hasattr(last, "h") else last.layers)[-1]
    handle = last.register_forward_hook(
        lambda module, arguments, output: before_final_norm.update(last=output[0])
    )
    with torch.no_grad():
        output = model(torch.tensor([rendering.ids]), output_hidden_states=True, use_cache=False)
    handle.remove()
    # the library's last hidden state is after the final norm; the others are block outputs
    inner = [states[0] for states in output.hidden_states[1:-1]]
    return torch.stack([*inner, before_final_norm["last"]]), output.logits[0]


def largest_relative_difference(found: Tensor, expected: Tensor) -> float:
    """The largest ‖found − expected‖ / ‖expected‖ of all rows."""
    return ((found - expected).norm(dim=-1) / expected.norm(dim=-1)).max().item()


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_after_a_shared_prefix_equal_the_plain_forward(family, position, renderings):
    model = tiny_model(family)
    target = TargetSettings(kind="hidden", site="block", position=position)
    (found,) = run_teacher_pass(model, renderings, [target], batch_size=3)
    for index, rendering in enumerate(renderings):
        states, _ = plain_forward(model, rendering)
        expected = states[:, list(rendering.positions(position))].transpose(0, 1)
        rows = found["states"][found["offsets"][index] : found["offsets"][index + 1]]
        assert rows.shape == expected.shape
        assert largest_relative_difference(rows, expected) <= 1e-3


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_after_a_shared_prefix_equal_the_plain_forward(family, position, renderings):
    model = tiny_model(family)
    target = TargetSettings(kind="logits", position=position, top_k=VOCABULARY, temperature=2.0)
    (found,) = run_teacher_pass(model, renderings, [target], batch_size=3)
    for index, rendering in enumerate(renderings):
        _, logits = plain_forward(model, rendering)
        expected = logits[list(rendering.positions(position))]
        rows = slice(found["offsets"][index], found["offsets"][index + 1])
        values = torch.empty_like(expected).scatter_(
            -1, found["indices"][rows].long(), found["values"][rows]
        )
        normalisers = torch.stack([expected.logsumexp(-1), (expected / 2).logsumexp(-1)], dim=-1)
        assert largest_relative_difference(values, expected) <= 1e-3
        assert largest_relative_difference(found["logsumexp"][rows], normalisers) <= 1e-3
