"""`sweeps` and `searches`: fields of a condition or task that are varied."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import Name, Strict

Scalar = bool | int | float | str


class SweepSettings(Strict):
    """Conditions (or tasks) that differ from a given one in one field.

    They are named `<base>~<field>=<value>`, or `<base>~<name>` where `values` are named. A value
    that the base has already is the base.
    """

    condition: Name | None = Field(None, description="The condition that is varied, or")
    task: Name | None = Field(None, description="the task that is varied.")
    field: str = Field(
        description="Of the condition (`learning_rate`), of its distillation term (`weight`), of "
        "the term of an objective (`cross_entropy.weight`) or of the adapter (`adapter.rank`); "
        "of a task, the path of a key (`data.subset`)."
    )
    values: tuple[Scalar, ...] | dict[Name, Any] = Field(
        min_length=1, description="A list of values, or names with their values."
    )

    @model_validator(mode="after")
    def varies_one_thing(self) -> Self:
        if (self.condition is None) == (self.task is None):
            raise ValueError("give either `condition` or `task`")
        return self


class SearchedField(Strict):
    """Which values of a field are tried: any between two numbers, or one of several."""

    low: float | None = Field(None, description="Least value; with `high`.")
    high: float | None = None
    log: bool = Field(False, description="Small and large values are as likely as each other.")
    choices: tuple[Scalar, ...] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def is_range_or_choices(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give either `choices` or `low` and `high`")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give `low` and `high`, or `choices`")
        if self.low >= self.high:
            raise ValueError(f"`low` must be below `high`, but is {self.low:g} ≥ {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError("`log` needs a `low` above 0")
        return self


class SearchSettings(Strict):
    """A search for the fields of a condition that answer most validation items correctly.

    The test split is never read. What is found changes nothing until it is written into the
    condition.
    """

    condition: Name = Field(description="The condition whose fields are searched.")
    model: Name | None = Field(
        None, description="The student; required where the condition trains several."
    )
    task: Name | None = Field(None, description="Required where it trains on several.")
    trials: int = Field(20, ge=1, description="Runs that are trained, one after another.")
    seed: int = Field(0, ge=0, description="Of every run and of the draw of the values.")
    fields: dict[str, SearchedField] = Field(
        min_length=1, description="Fields of the condition, named as in a sweep, with their values."
    )
