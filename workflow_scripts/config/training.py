"""`training`: adapter, optimizer and schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from workflow_scripts.config.base import EachOnce, Strict

Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
NamedModules = Annotated[tuple[str, ...], EachOnce]


class LoraSettings(Strict):
    """Low-rank adapters on linear layers (Hu et al. 2021)."""

    kind: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: Literal["all-linear", "attention"] | NamedModules = Field(
        "all-linear",
        description="`all-linear`: every linear layer but the head; `attention`: the projections "
        "of the attention, in any model family; or names of modules.",
    )


class FullSettings(Strict):
    """Full fine-tuning; a checkpoint is a whole model."""

    kind: Literal["full"]
    shard: bool = Field(
        False,
        description="Shard weights, gradients and optimizer state over the job's GPUs (FSDP).",
    )


class BitFitSettings(Strict):
    """Train only the bias terms (Ben Zaken et al. 2021), in models that have some."""

    kind: Literal["bitfit"]


def _adapter_kind(given: Any) -> str:
    """LoRA by default."""
    kind = given.get("kind", "lora") if isinstance(given, Mapping) else getattr(given, "kind", "")
    return str(kind)


Adapter = Annotated[
    Annotated[LoraSettings, Tag("lora")]
    | Annotated[BitFitSettings, Tag("bitfit")]
    | Annotated[FullSettings, Tag("full")],
    Discriminator(_adapter_kind),
]


class Optimization(Strict):
    """Optimizer and adapter, without the number of steps."""

    batch_size: int = Field(8, ge=1, description="Examples in one optimizer step.")
    micro_batch_size: int | None = Field(
        None, ge=1, description="Examples in one forward pass; must divide `batch_size`."
    )
    group_by_length: int = Field(
        1,
        ge=1,
        le=1000,
        description="Steps whose examples are drawn together and divided by length, so that less "
        "is padded; 1 changes no step, and sorts its examples among its forward passes.",
    )
    learning_rate: float = Field(2e-4, gt=0)
    scheduler: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    layer_decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Factor from each layer's learning rate to that of the layer below.",
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Largest gradient norm; clipped above.")
    gradient_checkpointing: bool = False
    resume_every: int = Field(
        20, ge=1, description="Steps between saved states, from which a killed run resumes."
    )
    keep_state: bool = Field(
        False,
        description="Keep the last states of a finished run, so that more `steps` and later "
        "checkpoints resume from them (constant schedules).",
    )
    adapter: Adapter = LoraSettings()

    @model_validator(mode="after")
    def micro_batches_fit(self) -> Self:
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError("`micro_batch_size` must divide `batch_size`")
        return self


Checkpoints = tuple[Annotated[int, Field(ge=1)], ...]


class TrainingSettings(Optimization):
    """The recipe shared by all conditions."""

    steps: int | None = Field(None, ge=1, description="Optimizer steps, or")
    epochs: int | None = Field(None, ge=1, description="passes over the training items.")
    checkpoints: Checkpoints = Field(
        min_length=1,
        description="Steps (or epochs, if `epochs` is given) whose weights are kept and evaluated.",
    )
    warmup_steps: float = Field(
        0, ge=0, lt=2**31, description="Steps, or below 1 a share of all steps."
    )

    @model_validator(mode="after")
    def steps_fit(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either `steps` or `epochs`")
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ValueError("`checkpoints` must increase, with each value once")
        unit, last = ("step", self.steps) if self.epochs is None else ("epoch", self.epochs)
        if last is not None and self.checkpoints[-1] > last:
            raise ValueError(
                f"checkpoint {self.checkpoints[-1]} is after the last {unit}, {last}; raise "
                f"`{unit}s` or remove it"
            )
        if self.warmup_steps and self.scheduler == "constant":
            raise ValueError(
                "`scheduler: constant` has no warm-up; write `constant_with_warmup` or remove "
                "`warmup_steps`"
            )
        if self.warmup_steps >= 1 and self.warmup_steps != int(self.warmup_steps):
            raise ValueError("`warmup_steps` must be a whole number of steps or a share below 1")
        return self
