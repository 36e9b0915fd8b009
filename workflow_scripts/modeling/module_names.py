"""Names of the modules that LoRA can adapt; also read when a study is planned, without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# number of names that a message lists
_SHOWN = 8


def without_numbers(name: str) -> str:
    """`model.layers.11.mlp.up_proj` → `model.layers.*.mlp.up_proj`."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name)


def why_not_adapted(name: str, modules: Mapping[str, Sequence[str]]) -> str | None:
    """Why LoRA cannot adapt what an entry of `target_modules` names; None if it can.

    modules: names without numbers in `linear` and `routers`, see `lora_modules`.
    """
    wanted = without_numbers(name)
    kinds = {
        kind
        for kind, names in modules.items()
        if any(known == wanted or known.endswith(f".{wanted}") for known in names)
    }
    if "linear" in kinds:
        return None
    if "routers" in kinds:
        return f"`{name}` is the router of a mixture of experts, which is never adapted"
    ends = sorted({known.rpartition(".")[2] for known in modules["linear"]})
    shown = ", ".join(ends[:_SHOWN]) + (", …" if len(ends) > _SHOWN else "")
    return f"no module is named `{name}`; it has {shown}"
