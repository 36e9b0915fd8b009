"""The trainable part of a student, and its checkpoints."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from functools import singledispatch
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.functional import linear
from transformers import PreTrainedModel

from workflow_scripts.config.training import Adapter, BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.modeling.loading import BIASES
from workflow_scripts.modeling.lora_targets import with_lora
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_directory, read_json, write_json
from workflow_scripts.training.processes import all_processes


@singledispatch
def student_of(adapter: Adapter, model: PreTrainedModel) -> Any:
    """The untrained student, whose outputs equal the model's.

    A classifier's head is trained with every adapter. Trained weights require gradients and are
    float32, whatever the model's dtype.
    """
    raise TypeError(f"no student for {type(adapter).__name__}")


@student_of.register(LoraSettings)
def _adapted(adapter: LoraSettings, model: PreTrainedModel) -> PeftModel:
    head = _classification_head(model)
    if head is not None:
        # PEFT trains this head too, but in the model's dtype
        head.float().register_forward_pre_hook(_in_float32)
    student = with_lora(model, adapter, "CAUSAL_LM" if head is None else "SEQ_CLS")
    if model.device.type == "cuda":
        multiply_in_models_dtype(student)
    return student


class _Factor(nn.Linear):
    """A factor of LoRA without bias: float32 weights, multiplied in the dtype of the input."""

    def forward(self, states: Tensor) -> Tensor:
        return linear(states, self.weight.to(states.dtype))


def multiply_in_models_dtype(student: PeftModel) -> None:
    """Multiplies the factors of LoRA in the model's dtype; the weights stay float32.

    PEFT makes a float32 copy of the input of each adapted layer instead, and multiplies it without
    tensor cores. Adapters of experts and convolutions are left as they are.
    """
    for layer in student.modules():
        if isinstance(layer, LoraLinear):
            layer.cast_input_dtype_enabled = False
            for factor in (*layer.lora_A.values(), *layer.lora_B.values()):
                factor.__class__ = _Factor


@student_of.register(FullSettings)
def _whole(adapter: FullSettings, model: PreTrainedModel) -> PreTrainedModel:
    return model.float().requires_grad_(True)


@student_of.register(BitFitSettings)
def _biased(adapter: BitFitSettings, model: PreTrainedModel) -> PreTrainedModel:
    """Raises InputError for a model without biases."""
    biases = [weight for name, weight in model.named_parameters() if name.endswith("bias")]
    if not biases:
        raise InputError(
            f"{Path(model.name_or_path).name}: has no bias terms to train (BitFit); use adapter "
            "kind lora or full"
        )
    head = _classification_head(model)
    model.float().requires_grad_(False)
    for weight in [*biases, *(() if head is None else head.parameters())]:
        weight.requires_grad_(True)
    return model


def trained_in_words(adapter: Adapter, student: PreTrainedModel | PeftModel) -> str:
    """The trained weights in words: `LoRA of rank 16 on attn.c_attn: 294,912 weights`."""
    trained = {name: weight for name, weight in student.named_parameters() if weight.requires_grad}
    number = sum(weight.numel() for weight in trained.values())
    return f"{_part_in_words(adapter, trained)}: {number:,} weights"


def _part_in_words(adapter: Adapter, trained: Iterable[str]) -> str:
    if isinstance(adapter, FullSettings):
        return "every weight"
    if isinstance(adapter, BitFitSettings):
        return "bias terms"
    adapted = {name.partition(".lora_")[0] for name in trained if ".lora_" in name}
    # the path up to the layer's number is the same for all; PEFT wraps weights of experts twice
    modules = {
        re.sub(r".*\.\d+\.", "", name.removeprefix("base_model.model.")).removesuffix(".base_layer")
        for name in adapted
    }
    return f"LoRA of rank {adapter.rank} on {', '.join(sorted(modules))}"


def _classification_head(model: PreTrainedModel) -> nn.Module | None:
    """A classifier's head; None for a language model."""
    head: nn.Module | None = getattr(model, "score", None)
    return head


def _in_float32(head: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
    (hidden,) = arguments
    return (hidden.float(),)


@singledispatch
def save_checkpoint(
    adapter: Adapter, student: PreTrainedModel, folder: Path, dtype: torch.dtype
) -> None:
    """Writes the trained weights of a student.

    The folder appears whole or not at all. Call it in every process, since weights may be
    sharded over them; the main one writes.

    dtype: of the fetched model.
    """
    raise TypeError(f"no checkpoint of {type(adapter).__name__}")


@save_checkpoint.register(LoraSettings)
def _save_adapter(
    adapter: LoraSettings, student: PeftModel, folder: Path, dtype: torch.dtype
) -> None:
    """An adapter as PEFT writes it."""
    if not all_processes().is_main_process:
        return
    with atomic_directory(folder) as partial:
        student.save_pretrained(partial)
        # PEFT writes a set in any order; sorting makes equal adapters equal files
        path = partial / "adapter_config.json"
        config = read_json(path)
        config["target_modules"].sort()
        write_json(path, config, checksum=False)


@save_checkpoint.register(BitFitSettings)
def _save_biases(
    adapter: BitFitSettings, student: PreTrainedModel, folder: Path, dtype: torch.dtype
) -> None:
    """The trained tensors by name, in float32: biases, and a classifier's head."""
    if not all_processes().is_main_process:
        return
    trained = {
        name: weight.detach().cpu()
        for name, weight in student.named_parameters()
        if weight.requires_grad
    }
    with atomic_directory(folder) as partial:
        save_file(trained, partial / BIASES)


@save_checkpoint.register(FullSettings)
def _save_whole(
    adapter: FullSettings, student: PreTrainedModel, folder: Path, dtype: torch.dtype
) -> None:
    """The whole model in the dtype of the fetched one."""
    weights = _whole_weights(student, dtype)
    if not all_processes().is_main_process:
        return
    with atomic_directory(folder) as partial:
        student.save_pretrained(partial, state_dict=weights)
        # save_pretrained writes the dtype of the training weights
        config = copy.copy(student.config)
        config.dtype = dtype
        config.save_pretrained(partial)


def _whole_weights(student: PreTrainedModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights by name, on the CPU of the main process; gathered one at a time."""
    named = student.state_dict(keep_vars=True)
    whole: dict[int, Tensor] = {}
    # tied weights stay tied
    for weight in {id(weight): weight for weight in named.values()}.values():
        gathered = weight.full_tensor() if isinstance(weight, DTensor) else weight
        if all_processes().is_main_process:
            whole[id(weight)] = gathered.detach().to("cpu", dtype)
    return {name: whole[id(weight)] for name, weight in named.items() if id(weight) in whole}
