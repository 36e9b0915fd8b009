"""`evaluation`, `representations` and `analysis`: measurements and statistical tests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from workflow_scripts.config.base import EachOnce, Name, Position, Seed, Shots, Site, Strict

ChooseBy = Literal["accuracy", "agreement", "last"]


class EvaluationSettings(Strict):
    batch_size: int = Field(64, ge=1, description="Sequences generated together.")
    choose_by: ChooseBy = Field(
        "accuracy",
        description="What chooses the reported checkpoint of a run. `accuracy`: strict accuracy on "
        "validation. Without labels: `agreement` with the task's `reference` on validation, or "
        "the `last` checkpoint.",
    )
    transfer_shots: Shots = Field(
        (0,),
        description="Shot counts at which transferred runs are evaluated, each among the task's "
        "`shots`: after distillation, do they still learn from context?",
    )

    @field_validator("transfer_shots")
    @classmethod
    def begin_without(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if values[:1] != (0,) or list(values) != sorted(set(values)):
            raise ValueError("must begin with 0 and increase, like [0, 8]")
        return values


class RepresentationSettings(Strict):
    """Hidden states of every checkpoint on held-out items, compared with the base model's.

    Without context, the distance is how far training moved them; with the most demonstrations, how
    far they are from the target of distillation.
    """

    split: Literal["validation", "test"] = "test"
    positions: Annotated[tuple[Position, ...], EachOnce] = Field(("query", "answer"), min_length=1)
    site: Site = "block"
    max_rows: int = Field(
        2048,
        ge=10,
        description="Use items in order, up to this many tokens at each position.",
    )
    svcca_variance: float = Field(
        0.99, gt=0, lt=1, description="Share of the variance kept by SVCCA."
    )


class AnalysisSettings(Strict):
    confidence: float = Field(0.95, gt=0, lt=1, description="Level of all confidence intervals.")
    power: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="Power that defines the smallest detectable difference.",
    )
    baseline: Name = Field(
        "sft", description="Condition that the others are compared with, if it exists."
    )
    bootstrap_samples: int = Field(10_000, ge=100)
    seed: Seed = Field(0, description="Seed of the bootstrap.")
    qualifying_gap: float = Field(
        0.05, ge=0, description="Smallest in-context gap with which a model qualifies for a task."
    )
    quick_look: int | None = Field(
        16,
        ge=1,
        description="Also report the gap on the first N test items: what does a small sample show?",
    )
