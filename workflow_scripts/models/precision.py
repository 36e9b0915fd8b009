"""Which precision a model is fetched in, where its settings leave that open."""

from __future__ import annotations

import torch

from workflow_scripts.config.models import ModelSource

# units that multiply bfloat16, as torch names them: x86 (AVX-512, AMX) and ARM
_BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")


def settled(settings: ModelSource) -> ModelSource:
    """The settings with `dtype: auto` decided by this machine's CPU; prints the decision.

    Models whose jobs ask for a GPU come with a dtype from the plan, so what is left runs on CPUs.
    """
    if settings.dtype != "auto":
        print(f"dtype: {settings.dtype}", flush=True)
        return settings
    native = cpu_multiplies_bfloat16()
    dtype, units = ("bfloat16", "") if native else ("float32", "no ")
    print(f"dtype: {dtype} (auto: this CPU multiplies {units}bfloat16)", flush=True)
    return settings.model_copy(update={"dtype": dtype})


def cpu_multiplies_bfloat16() -> bool:
    """Whether torch multiplies bfloat16 matrices here with units made for that.

    Elsewhere it is several times slower than float32. Two questions, because each alone says yes
    too often: what the CPU has is no help where oneDNN may not use it (`ONEDNN_MAX_CPU_ISA`), and
    oneDNN also supports bfloat16 on any AVX-512, where it has to emulate it.
    """
    return (
        torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and any(torch.cpu.get_capabilities().get(unit, False) for unit in _BFLOAT16_UNITS)
    )
