"""The trainable part of a student, and its checkpoints."""

from __future__ import annotations

import copy
from functools import singledispatch
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from workflow_scripts.files import atomic_directory, read_json, write_json
from workflow_scripts.settings import Adapter, FullSettings, LoraSettings
from workflow_scripts.training.processes import all_processes


@singledispatch
def student_of(adapter: Adapter, model: PreTrainedModel) -> Any:
    """The untrained student; it answers as the model does.

    What is trained has gradients and is float32 whatever the model's dtype.
    """
    raise TypeError(f"no student for {type(adapter).__name__}")


@student_of.register(LoraSettings)
def _adapted(adapter: LoraSettings, model: PreTrainedModel) -> PeftModel:
    targets = adapter.target_modules
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
    )
    return get_peft_model(model, config)


@student_of.register(FullSettings)
def _whole(adapter: FullSettings, model: PreTrainedModel) -> PreTrainedModel:
    return model.float().requires_grad_(True)


@singledispatch
def save_checkpoint(student: PreTrainedModel, folder: Path, dtype: torch.dtype) -> None:
    """Writes an adapter as PEFT does, or a whole model in the dtype that it was fetched in.

    The folder appears whole or not at all. To be called in every process: weights may be sharded
    over them; the main one writes.
    """
    weights = _whole_weights(student, dtype)
    if not all_processes().is_main_process:
        return
    with atomic_directory(folder) as partial:
        student.save_pretrained(partial, state_dict=weights)
        # save_pretrained writes the dtype of the training weights
        config = copy.copy(student.config)
        config.dtype = dtype
        config.save_pretrained(partial)


@save_checkpoint.register(PeftModel)
def _save_adapter(student: PeftModel, folder: Path, dtype: torch.dtype) -> None:
    if not all_processes().is_main_process:
        return
    with atomic_directory(folder) as partial:
        student.save_pretrained(partial)
        # PEFT writes a set in any order; sorted, the same adapter is the same file
        path = partial / "adapter_config.json"
        config = read_json(path)
        write_json(path, config | {"target_modules": sorted(config["target_modules"])})


def _whole_weights(student: PreTrainedModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights by name, in the main process and on its CPU; gathered one at a time."""
    named = student.state_dict(keep_vars=True)
    whole: dict[int, Tensor] = {}
    # tied weights are one and stay one
    for weight in {id(weight): weight for weight in named.values()}.values():
        gathered = weight.full_tensor() if isinstance(weight, DTensor) else weight
        if all_processes().is_main_process:
            whole[id(weight)] = gathered.detach().to("cpu", dtype)
    return {name: whole[id(weight)] for name, weight in named.items() if id(weight) in whole}
