"""`resources`: what the jobs of each stage request."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from workflow_scripts.config.base import Strict

Stage = Literal[
    "models",
    "tasks",
    "pretraining",
    "icl_gap",
    "teachers",
    "training",
    "evaluation",
    "analysis",
    "figures",
    "export",
]


class StageResources(Strict):
    """What one job of a stage requests; reruns nothing."""

    threads: int = Field(1, ge=1)
    gpu: int = Field(0, ge=0)
    mem_mb: int = Field(3000, ge=500)
    runtime: int = Field(60, ge=1, description="Minutes.")

    @field_validator("mem_mb", "runtime", mode="before")
    @classmethod
    def has_no_unit(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and not value.isdecimal():
            unit = "minutes" if info.field_name == "runtime" else "MB"
            raise ValueError(f"must be a whole number of {unit}, without a unit")
        return value
