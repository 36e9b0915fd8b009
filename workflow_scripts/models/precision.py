"""The precision of a model with `dtype: auto`."""

from __future__ import annotations

import torch

from workflow_scripts.config.models import ModelSource

# torch's names of CPU units that multiply bfloat16: x86 (AVX-512, AMX) and ARM
_BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")


def settled(settings: ModelSource) -> ModelSource:
    """The settings with `dtype: auto` decided by this machine's CPU; prints the decision.

    The plan decides for models whose jobs request a GPU, so `auto` is left to models on CPUs.
    """
    if settings.dtype != "auto":
        print(f"dtype: {settings.dtype}", flush=True)
        return settings
    native = cpu_multiplies_bfloat16()
    dtype, units = ("bfloat16", "") if native else ("float32", "no ")
    print(f"dtype: {dtype} (auto: this CPU multiplies {units}bfloat16)", flush=True)
    return settings.model_copy(update={"dtype": dtype})


def cpu_multiplies_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 natively; else it is several times slower than float32.

    Two checks are needed: `ONEDNN_MAX_CPU_ISA` may forbid oneDNN the CPU's units, and oneDNN alone
    also reports AVX-512 CPUs on which it emulates bfloat16.
    """
    return (
        torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and any(torch.cpu.get_capabilities().get(unit, False) for unit in _BFLOAT16_UNITS)
    )
