"""`comparisons`: results that are compared with each other."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workflow_scripts.config.base import Name, ResultName, Strict
from workflow_scripts.config.figures import GROUP_FIGURES, GroupFigure

Design = Literal["pairs", "first", "steps"]


class ComparisonSettings(Strict):
    """Results whose differences answer one question, and are corrected for their number together.

    A group is a section of the report.
    """

    question: str = Field(description="What it answers: the heading of its section.")
    members: tuple[ResultName, ...] | dict[ResultName, str] = Field(
        min_length=2,
        description="Conditions, `<k>-shot` results, `<condition>@<task>` and "
        "`<condition>@<task>@<k>-shot` results, in order; or these with what the report says of "
        "each.",
    )
    design: Design = Field(
        "pairs",
        description="`pairs`: each member against each other. `first`: each against the first. "
        "`steps`: each against the one before it, and the last against the first.",
    )
    figures: tuple[GroupFigure, ...] = Field(
        ("forest_plot",),
        description=". ".join(f"`{name}`: {row.shows}" for name, row in GROUP_FIGURES.items()),
    )


class ComparisonGroup(Strict):
    """Results of one model on one task that are compared with each other."""

    name: Name
    members: tuple[ResultName, ...]
    design: Design


class Domain(Strict):
    """Tasks that runs on a mixture are judged by: its components (`in`), or others (`out`)."""

    source: Name
    name: Literal["in", "out"]
    tasks: tuple[Name, ...]
