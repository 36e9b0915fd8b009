"""What each type of model can be asked for, measured on a tiny random one of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

from tests.tiny_models import FAMILIES, HYBRIDS, MIXTURES, PLAIN, RECURRENT, WINDOWED, tiny_model
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.modeling.architectures import site_parts
from workflow_scripts.modeling.prefix_cache import (
    caches_per_token,
    continues_prefixes,
    for_rows,
    prefix_cache,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.training.adapters import student_of

# one of each type of transformers
TYPES = sorted({*FAMILIES, *PLAIN, *MIXTURES, *WINDOWED, *HYBRIDS, *RECURRENT} - {"opt-pre-norm"})
YES, NO = "yes", "–"
COLUMNS = (
    "hidden states",
    "attention, ffn",
    "LoRA all-linear",
    "LoRA attention",
    "prefix computed once for teachers",
    "for generation",
    "classification head",
)
PREFIX, SUFFIX = [5, 6, 7, 8], [9, 10, 11]


def support(family: str) -> dict[str, str]:
    """Column → `yes` or `–`."""
    head = type(tiny_model(family).config) in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    found = (
        _works(lambda: site_parts(tiny_model(family), "block")),
        _works(lambda: site_parts(tiny_model(family), "ffn")),
        _works(lambda: student_of(LoraSettings(), tiny_model(family))),
        _works(lambda: student_of(LoraSettings(target_modules="attention"), tiny_model(family))),
        continues_prefixes(tiny_model(family)) and _continues(family),
        caches_per_token(tiny_model(family)),
        head,
    )
    return {column: YES if works else NO for column, works in zip(COLUMNS, found, strict=True)}


def served_by_vllm() -> str:
    """For which types vLLM serves LoRA adapters, in a sentence."""
    from workflow_scripts.engines.vllm_engine import adapters_of

    found = {family: adapters_of(type(tiny_model(family)).__name__) for family in TYPES}
    served, refused, others = (
        ", ".join(f"`{family}`" for family, value in found.items() if value is wanted)
        for wanted in (True, False, None)
    )
    return (
        f"adapters of {served} by a class of its own; of {others} through transformers, or by a "
        f"class that needs packages beyond those of its CPU build; not of {refused}."
    )


def _works(ask: Callable[[], Any]) -> bool:
    try:
        ask()
    except InputError:
        return False
    return True


def _continues(family: str) -> bool:
    """Whether logits after a cached prefix are those of the whole sequence."""
    model = tiny_model(family)
    cache = for_rows(prefix_cache(model, PREFIX), 1)
    with torch.inference_mode():
        whole = model(torch.tensor([PREFIX + SUFFIX])).logits[:, len(PREFIX) :]
        after = model(torch.tensor([SUFFIX]), past_key_values=cache, use_cache=False).logits
    return bool(torch.allclose(after, whole, rtol=1e-4, atol=1e-4))
