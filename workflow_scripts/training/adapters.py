"""The trainable part of a student."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft import LoraConfig, PeftModel, get_peft_model

from workflow_scripts.settings import LoraSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def attach_adapter(model: PreTrainedModel, settings: LoraSettings) -> PeftModel:
    """The model with an untrained adapter, which changes nothing yet; only it has gradients.

    Its weights are float32 whatever the model's dtype.
    """
    targets = settings.target_modules
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
    )
    return get_peft_model(model, config)
