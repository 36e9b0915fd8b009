"""A head that runs apart from its model gives the model's logits."""

from __future__ import annotations

import pytest
import torch

from tests import tiny_models
from tests.tiny_models import VISION, tiny_composite, tiny_model
from workflow_scripts.modeling.language_head import HeadInputs, after_head
from workflow_scripts.modeling.teacher_forcing import head_positions

IDS = torch.tensor([[5, 9, 2, 7], [3, 1, 4, 1]])
ROWS, COLUMNS, NONE = torch.tensor([0, 0, 1]), torch.tensor([0, 3, 2]), torch.tensor([]).long()
FAMILIES = [
    *tiny_models.FAMILIES,
    *tiny_models.PLAIN,
    *tiny_models.MIXTURES,
    *tiny_models.WINDOWED,
    *tiny_models.HYBRIDS,
    *tiny_models.RECURRENT,
]


def assert_apart(model) -> None:
    steps = after_head(model)
    assert steps is not None
    with torch.no_grad():
        whole = model(input_ids=IDS).logits[ROWS, COLUMNS]
        with HeadInputs(model, ROWS, COLUMNS) as read, head_positions(model, NONE, NONE):
            assert len(model(input_ids=IDS).logits) == 0
        torch.testing.assert_close(read.head(steps)(read.hidden), whole)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_and_what_follows_it_give_the_models_logits(family):
    assert_apart(tiny_model(family))


@pytest.mark.parametrize("family", VISION)
def test_those_of_an_image_text_model_too(family):
    model = tiny_composite(family)
    model.config.get_text_config().pad_token_id = 0  # as `load_weights` sets it
    assert_apart(model)


@pytest.mark.parametrize(
    ("family", "setting", "value"),
    [
        ("gemma2", "final_logit_softcapping", 0.5),
        ("granite", "logits_scaling", 8.0),
        ("cohere2", "logit_scale", 0.25),
        ("falcon_h1", "lm_head_multiplier", 0.5),
    ],
)
def test_caps_and_scales_are_steps_after_the_head(family, setting, value):
    plain = tiny_model(family)
    setattr(plain.config, setting, value)
    if hasattr(plain, setting):
        setattr(plain, setting, value)
    assert len(after_head(plain)) > 0
    assert_apart(plain)


def test_a_head_whose_logits_depend_on_something_else_runs_within_its_model():
    model = tiny_model("llama")
    model.register_forward_hook(
        lambda module, arguments, output: (
            output | {"logits": torch.ones(1) * output.logits * 2}
            if isinstance(output, dict)
            else output
        )
    )
    assert after_head(model) is None
