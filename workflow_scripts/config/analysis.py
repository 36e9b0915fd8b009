"""`evaluation`, `representations` and `analysis`: what is measured and how it is tested."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from workflow_scripts.config.base import Name, Position, Shots, Site, Strict


class EvaluationSettings(Strict):
    batch_size: int = Field(64, ge=1, description="Sequences generated together.")
    transfer_shots: Shots = Field(
        (0,),
        description="Demonstrations that transferred runs are shown, of those under `shots` of the "
        "task: after distillation, do they still learn from context?",
    )

    @field_validator("transfer_shots")
    @classmethod
    def begin_without(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if values[:1] != (0,) or list(values) != sorted(set(values)):
            raise ValueError("must begin with 0 and increase")
        return values


class RepresentationSettings(Strict):
    """Hidden states of every checkpoint on held-out items.

    They are held against the base model's: without context, which is how far training moved
    them, and with the most demonstrations, which is where distillation wants them.
    """

    split: Literal["validation", "test"] = "test"
    positions: tuple[Position, ...] = Field(("query", "answer"), min_length=1)
    site: Site = "block"
    max_rows: int = Field(
        2048,
        ge=10,
        description="Items are taken in order while they have no more tokens than this at each "
        "position.",
    )
    svcca_variance: float = Field(
        0.99, gt=0, lt=1, description="Share of the variance that SVCCA keeps."
    )


class AnalysisSettings(Strict):
    confidence: float = Field(0.95, gt=0, lt=1, description="Of every interval.")
    power: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="With which the smallest detectable difference would be shown.",
    )
    baseline: Name = Field(
        "sft", description="Condition that the others are held against, where there is one."
    )
    bootstrap_samples: int = Field(10_000, ge=100)
    seed: int = Field(0, ge=0, description="Of the bootstrap.")
    qualifying_gap: float = Field(
        0.05, ge=0, description="A model qualifies for a task with at least this in-context gap."
    )
    quick_look: int | None = Field(
        16,
        ge=1,
        description="The gap is also told on the first so many test items, to show what so few "
        "can decide.",
    )
