"""What an adapter adds, and that it changes nothing before it is trained."""

from __future__ import annotations

import torch

from tests.tiny_models import tiny_model
from workflow_scripts.settings import LoraSettings
from workflow_scripts.training.adapters import attach_adapter

PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_an_untrained_adapter_changes_nothing():
    ids = torch.arange(12)[None]
    before = tiny_model("qwen3")(ids).logits
    after = attach_adapter(tiny_model("qwen3"), LoraSettings())(ids).logits
    torch.testing.assert_close(after, before)


def test_all_linear_is_the_seven_projections_and_not_the_head():
    student = attach_adapter(tiny_model("qwen3"), LoraSettings())
    adapted = {name.split(".lora_")[0] for name, _ in student.named_parameters() if "lora_" in name}
    assert {name.rsplit(".", 1)[-1] for name in adapted} == PROJECTIONS


def test_named_modules_alone_are_adapted():
    settings = LoraSettings(target_modules=("q_proj",))
    student = attach_adapter(tiny_model("qwen3"), settings)
    trained = [name for name, p in student.named_parameters() if p.requires_grad]
    assert trained
    assert all("q_proj.lora_" in name for name in trained)


def test_adapter_weights_are_float32_in_a_bfloat16_model():
    student = attach_adapter(tiny_model("qwen3", torch.bfloat16), LoraSettings())
    dtypes = {p.dtype for p in student.parameters() if p.requires_grad}
    assert dtypes == {torch.float32}
