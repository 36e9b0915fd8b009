"""`sweeps` and `searches`: fields of conditions and tasks that are varied."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import EachOnce, Name, Seed, Strict

Scalar = bool | int | float | str


class SweepSettings(Strict):
    """Variants of a condition or task that differ in one field.

    They are named `<original>~<field>=<value>`, or `<original>~<name>` if the values have names.
    The value of the original makes no variant.
    """

    condition: Name | None = Field(None, description="The condition to vary, or")
    conditions: Annotated[tuple[Name, ...], EachOnce] | None = Field(
        None, min_length=1, description="several, each with the same values, or"
    )
    task: Name | None = Field(None, description="the task to vary.")
    field: str = Field(
        description="A field of the condition (`learning_rate`), of its distillation term "
        "(`weight`), of the term with an objective (`cross_entropy.weight`) or of the adapter "
        "(`adapter.rank`); for a task, a key path (`data.subset`)."
    )
    values: tuple[Scalar, ...] | dict[Name, Any] = Field(
        min_length=1, description="A list of values, or name → value."
    )
    choose: bool = Field(
        False,
        description="Choose a variant of each condition on validation items, for each model and "
        "task over all seeds: a result `<condition>~tuned`, which is compared on test.",
    )

    @model_validator(mode="after")
    def varies_one_thing(self) -> Self:
        if [self.condition, self.conditions, self.task].count(None) != 2:
            raise ValueError("give either `condition`, `conditions` or `task`")
        if self.choose and self.task is not None:
            raise ValueError("`choose` is for variants of a condition, not of a task")
        return self


class SearchedField(Strict):
    """Values to try for a field: a range, or a list of choices."""

    low: float | None = Field(None, description="Smallest value; needs `high`.")
    high: float | None = None
    log: bool = Field(False, description="Draw from the range on a log scale.")
    choices: Annotated[tuple[Scalar, ...], EachOnce] | None = Field(None, min_length=1)

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
    """A search for the values that maximize strict accuracy on the validation split.

    The test split is never read. The best values change nothing until you write them into the
    condition.
    """

    condition: Name = Field(description="The condition whose fields are searched.")
    model: Name | None = Field(
        None, description="The student; required if the condition trains several."
    )
    task: Name | None = Field(None, description="Required if the condition trains on several.")
    trials: int = Field(20, ge=1, description="Runs to train, one after another.")
    seed: Seed = Field(0, description="Seed of every run and of the draw of values.")
    fields: dict[str, SearchedField] = Field(
        min_length=1, description="Field of the condition, named as in a sweep → its values."
    )
