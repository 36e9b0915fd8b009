"""`results_from`: per-item results that other tools wrote, as results of the experiment."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import EachOnce, FilePath, Name, Strict


class ForeignResult(Strict):
    """Per-item results of a model on a task that another tool wrote.

    Their items are matched with the test split, by id or by question; docs/comparing.md says how.
    """

    name: Name = Field(
        description="Name in comparison groups, tables and figures; results on several tasks may "
        "share one."
    )
    model: Name = Field(description="Model whose other results it is compared with.")
    task: Name
    file: FilePath | None = Field(
        None,
        description="Samples of lm-evaluation-harness, a log of Inspect, or a `.csv`, `.jsonl` or "
        "`.parquet` table with the columns `item` and `score`. Of a table with a column `result`, "
        "the result of this `name` is read.",
    )
    files: Annotated[tuple[FilePath, ...], EachOnce] = Field(
        (), description="Instead of `file`: one for each of the study's `seeds`, in their order."
    )
    metric: str | None = Field(
        None,
        min_length=1,
        description="Metric to read (default: the only one that there is): "
        "`exact_match,strict-match` of the harness, a scorer of Inspect, a column of a table.",
    )

    @model_validator(mode="after")
    def has_a_file(self) -> Self:
        if (self.file is None) == (not self.files):
            raise ValueError("give `file`, or `files` with one for each seed")
        return self
