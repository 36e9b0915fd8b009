"""`comparisons`: groups of results that are compared with each other."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from workflow_scripts.config.base import EachOnce, Line, Name, ResultName, Strict
from workflow_scripts.config.figures import GROUP_FIGURES, GroupFigure

Design = Literal["pairs", "first", "steps"]


class ComparisonSettings(Strict):
    """A comparison group: results compared to answer one question.

    Its p-values are corrected together. A group is a section of the report.
    """

    question: Line = Field(
        description="The question it answers, which is the heading of its section."
    )
    members: Annotated[tuple[ResultName, ...], EachOnce] | dict[ResultName, Line] = Field(
        min_length=2,
        description="Results in order: conditions, `<k>-shot`, `<condition>@<task>` and "
        "`<condition>@<task>@<k>-shot`; or result → its text in the report.",
    )
    design: Design = Field(
        "pairs",
        description="`pairs`: every member with every other. `first`: each with the first. "
        "`steps`: each with the one before it, and the last with the first.",
    )
    figures: Annotated[tuple[GroupFigure, ...], EachOnce] = Field(
        ("forest_plot",),
        description=". ".join(f"`{name}`: {row.shows}" for name, row in GROUP_FIGURES.items()),
    )


class ComparisonGroup(Strict):
    """Results of one model on one task that are compared with each other."""

    name: str
    members: tuple[ResultName, ...]
    design: Design


class Domain(Strict):
    """Tasks that runs on a mixture are evaluated on: its components (`in`) or others (`out`)."""

    source: Name
    name: Literal["in", "out"]
    tasks: tuple[Name, ...]
