"""The modules of a model that LoRA adapts, by the names that PEFT takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from workflow_scripts.config.training import LoraSettings
from workflow_scripts.modeling.architectures import attention_modules, decoder_layers
from workflow_scripts.modeling.module_names import why_not_adapted, without_numbers
from workflow_scripts.runtime.errors import InputError

# layers that PEFT adapts
_ADAPTABLE = (nn.Linear, Conv1D, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# endings of the names of modules beside experts that weigh them
_ROUTERS = ("gate", "router")
# a linear layer whose weight Mamba layers read without calling it, so an adapter does nothing
_NEVER_CALLED = "dt_proj"


@dataclass(frozen=True)
class LoraTargets:
    """What LoRA adapts, by endings of names, as PEFT takes them.

    modules: linear layers. parameters: weights of experts and of the layers beside them.
    exclude: regex of the modules with such an ending that are left alone.
    """

    modules: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    exclude: str | None = None


def with_lora(model: PreTrainedModel, adapter: LoraSettings, task_type: str) -> PeftModel:
    """The model with an untrained adapter, which changes no output.

    task_type: of PEFT, `CAUSAL_LM` or `SEQ_CLS`.
    Raises InputError if the adapter's modules are not in the model or PEFT cannot adapt them.
    """
    targets = lora_targets(adapter, model)
    if targets.parameters and adapter.dropout:
        raise InputError(
            f"{_name(model)}: PEFT has no dropout for adapters of experts; set the adapter's "
            "`dropout: 0` or `target_modules: attention`"
        )
    config = LoraConfig(
        task_type=task_type,
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=list(targets.modules),
        target_parameters=list(targets.parameters) or None,
        exclude_modules=targets.exclude,
        # GPT-2's projections are stored transposed
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:  # PEFT adapts no output of a Mamba layer, among others
        raise InputError(
            f"{_name(model)}: PEFT refuses the adapter ({str(error).splitlines()[0]}); name other "
            "`target_modules`"
        ) from None


def lora_targets(adapter: LoraSettings, model: PreTrainedModel) -> LoraTargets:
    """`all-linear` is every linear map of the decoder layers, also of experts; never a router.

    PEFT's own `all-linear` is something else in each mixture of experts: it adapts routers, doubles
    ranks, and leaves out shared experts or all of them (0.21.2).

    Raises InputError when `attention`, or a name, matches nothing in the model.
    """
    if not isinstance(adapter.target_modules, str):
        names, known = adapter.target_modules, lora_modules(model)
        for name in names:
            if reason := why_not_adapted(name, known):
                raise InputError(f"{_name(model)}: {reason}; name other `target_modules`")
        return LoraTargets(names, exclude=_outside(model, names, _language_model(model)))
    attention: set[str] = set()
    others: set[str] = set()
    experts: set[str] = set()
    for layer in decoder_layers(model):
        mixers, routers = attention_modules(layer), routers_of(layer)
        for name, module in layer.named_modules():
            left_alone = name in routers or name.endswith(_NEVER_CALLED)
            if isinstance(module, nn.Linear | Conv1D) and not left_alone:
                (attention if name.partition(".")[0] in mixers else others).add(name)
        experts |= {name for name, weight in layer.named_parameters() if _is_expert(name, weight)}
    if adapter.target_modules == "attention":
        if not attention:
            raise InputError(
                f"{_name(model)}: no attention of {model.config.model_type} models is known here; "
                "name modules in `target_modules`"
            )
        others, experts = set(), set()
    # PEFT takes a module called gate_proj for one of experts, where a family once had them apart
    beside = others if experts else set()
    modules = sorted(attention | others - beside)
    return LoraTargets(
        tuple(modules),
        tuple(sorted([*experts, *(f"{name}.weight" for name in beside)])),
        _outside(model, modules, decoder_layers(model)),
    )


def lora_modules(model: PreTrainedModel) -> dict[str, list[str]]:
    """What an entry of `target_modules` can name, without the numbers of layers.

    `linear`: modules of the language model that PEFT adapts. `routers`: those that weigh experts.
    """
    kept = _language_model(model)
    names = {module: name for name, module in model.named_modules()}
    found: dict[str, set[str]] = {"linear": set(), "routers": set()}
    for root in kept:
        routers = routers_of(root)
        for name, module in root.named_modules():
            kind = "routers" if name in routers else "linear"
            if kind == "routers" or isinstance(module, _ADAPTABLE):
                found[kind].add(without_numbers(names[module]))
    return {kind: sorted(members) for kind, members in found.items()}


def routers_of(root: nn.Module) -> set[str]:
    """Names of the modules that weigh experts, shared ones too; they are never adapted."""
    return {
        f"{parent}.{name}".removeprefix(".")
        for parent, module in root.named_modules()
        if hasattr(module, "experts")
        for name, _ in module.named_children()
        if name.endswith(_ROUTERS)
    }


def _language_model(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder and its head, without vision towers."""
    head = model.get_output_embeddings()
    return [model.get_decoder(), *([] if head is None else [head])]


def _is_expert(name: str, weight: Tensor) -> bool:
    """Whether these are the weights of one map in all experts: (experts, out, in)."""
    return ".experts." in name and weight.dim() == 3


def _outside(
    model: PreTrainedModel, modules: Sequence[str], roots: Sequence[nn.Module]
) -> str | None:
    """Regex of all modules outside the roots, where one there has such an ending."""
    inside = {module for root in roots for module in root.modules()}
    endings = tuple(f".{name}" for name in modules)
    names = {module: name for name, module in model.named_modules()}
    if not any(
        f".{name}".endswith(endings) and module not in inside for module, name in names.items()
    ):
        return None
    return rf"(?!({'|'.join(re.escape(names[root]) for root in roots)})(\.|$)).*"


def _name(model: PreTrainedModel) -> str:
    return Path(model.name_or_path).name
