"""`comparisons`: groups of results that are compared with each other."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import EachOnce, Line, Name, ResultName, Strict
from workflow_scripts.config.figures import GROUP_FIGURES, GroupFigure

Design = Literal["pairs", "first", "steps"]


class MarginSettings(Strict):
    """How large a difference must be to matter: chosen before the run."""

    margin: float = Field(
        gt=0, lt=100, description="In points of the primary metric, 2 for instance."
    )


class ComparisonSettings(Strict):
    """A comparison group: results compared to answer one question.

    Its p-values are corrected together. A group is a section of the report.
    """

    question: Line = Field(
        description="The question it answers, which is the heading of its section."
    )
    members: Annotated[tuple[ResultName, ...], EachOnce] | dict[ResultName, Line] = Field(
        min_length=2,
        description="Results in order: conditions, `<k>-shot`, `<condition>~tuned` (of a sweep "
        "with `choose`), `<condition>@<task>` and `<condition>@<task>@<k>-shot`; or result → its "
        "text in the report.",
    )
    design: Design = Field(
        "pairs",
        description="`pairs`: every member with every other. `first`: each with the first. "
        "`steps`: each with the one before it, and the last with the first.",
    )
    non_inferior: MarginSettings | None = Field(
        None,
        description="Also test of each comparison whether its first member is less than the margin "
        "worse: `not worse`. With a `design` that gives comparisons a direction: `first`, `steps`.",
    )
    equivalent: MarginSettings | None = Field(
        None,
        description="Also test of each comparison whether the difference is less than the margin, "
        "either way: `equivalent`.",
    )
    figures: Annotated[tuple[GroupFigure, ...], EachOnce] = Field(
        ("forest_plot",),
        description=". ".join(f"`{name}`: {row.shows}" for name, row in GROUP_FIGURES.items()),
    )

    @model_validator(mode="after")
    def ask_one_margin_with_a_direction(self) -> Self:
        if self.non_inferior and self.equivalent:
            raise ValueError("write `non_inferior` or `equivalent`, which says more, not both")
        if self.non_inferior and self.design == "pairs":
            raise ValueError(
                "`non_inferior` needs `design: first` or `steps`, which say what must not be worse "
                "than what; of all pairs ask `equivalent`"
            )
        return self


class MarginAsked(Strict):
    """margin: in units of the score. both_ways: whether each must not be worse than the other."""

    margin: float
    both_ways: bool


class ComparisonGroup(Strict):
    """Results of one model on one task that are compared with each other."""

    name: str
    members: tuple[ResultName, ...]
    design: Design
    margin: MarginAsked | None = None


class Domain(Strict):
    """Tasks that runs on a mixture are evaluated on: its components (`in`) or others (`out`)."""

    source: Name
    name: Literal["in", "out"]
    tasks: tuple[Name, ...]
