"""LoRA adapters that vLLM accepts, and its options for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json

# the only values that vLLM accepts for `max_lora_rank`
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
# vLLM cannot score prompts with an adapted output head; these are its names in known models
HEADS = ("lm_head", "embed_out", "output")


def is_plain_lora(folder: Path) -> bool:
    """Whether a checkpoint is a LoRA adapter that vLLM can serve and score with.

    False for whole models, other kinds of adapter, and LoRA with trained biases, embeddings,
    magnitudes (DoRA) or whole modules, or on experts or the output head.
    """
    weights = folder / "adapter_model.safetensors"
    config = folder / "adapter_config.json"
    if not weights.is_file() or not config.is_file():
        return False
    content = read_json(config)
    # weights of experts and of what lies beside them (`target_parameters`) are not served either
    plain = content["peft_type"] == "LORA" and not content.get("target_parameters")
    return plain and all(
        (".lora_A." in name or ".lora_B." in name) and _module(name) not in HEADS
        for name in _shapes(weights)
    )


def lora_options(checkpoints: Mapping[str, Path]) -> dict[str, Any]:
    """Options of `vllm.LLM` that let it hold these adapters at once.

    Empty without adapters. Raises InputError when an adapter's rank is larger than vLLM can hold.
    """
    if not checkpoints:
        return {}
    shapes = [_shapes(folder / "adapter_model.safetensors") for folder in checkpoints.values()]
    modules = {_module(name) for adapter in shapes for name in adapter}
    # A is (rank, inputs)
    rank = max(
        shape[0] for adapter in shapes for name, shape in adapter.items() if ".lora_A." in name
    )
    if rank > RANKS[-1]:
        raise InputError(
            f"an adapter has rank {rank}, but vLLM accepts at most {RANKS[-1]}: "
            "set `engine: transformers`"
        )
    # one more slot than adapters: without it, vLLM 0.32's CPU fallback applies the last adapter
    # to rows of the base model that share a batch with adapters
    slots = len(checkpoints) + 1
    return {
        "enable_lora": True,
        "max_loras": slots,
        "max_cpu_loras": slots,
        "max_lora_rank": next(allowed for allowed in RANKS if allowed >= rank),
        # by default vLLM also adapts the output head, and then cannot score prompts
        "lora_target_modules": sorted(modules),
    }


def _shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(weights, framework="numpy") as tensors:
        return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118


def _module(name: str) -> str:
    """`…self_attn.q_proj.lora_A.weight` → `q_proj`."""
    return name.partition(".lora_")[0].rpartition(".")[2]
