"""`tasks.<task>.data`: the source of a task's examples, its columns and its splits."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from workflow_scripts.config.base import Name, Strict, path_or

# source of a task that is made of others
MIXTURE = "mixture"
PatternName = Literal["minimal", "gpt-3", "eval-harness"]


class FieldNames(Strict):
    """Columns of the source that hold the question and the answer.

    A dot leads into a column that holds others or a list: `answers.text`, `questions.0`.
    """

    question: str = "question"
    answer: str = Field(
        "answer", description="Of a list, the first is the answer and all are references."
    )
    references: str | None = Field(
        None,
        description="Column of the texts that a metric compares with, instead of the answer: one "
        "or a list.",
    )
    options: str | tuple[str, ...] | None = Field(
        None,
        description="Column that lists the texts of the options, or a column for each. They are "
        "written below the question as `A. …`, labelled by `choices`, and the answer may be an "
        "index into them.",
    )
    premise: str = Field("premise", description="With a `pattern`: column of the first text.")
    hypothesis: str = Field("hypothesis", description="With a `pattern`: column of the second.")


class SplitSources(Strict):
    """Which split of the source each of ours is drawn from.

    Splits drawn from the same source split are disjoint. A source without splits is one split
    named `all`.
    """

    demonstrations: str = "demonstrations"
    train: str = "train"
    validation: str = "validation"
    test: str = "test"


class ItemCounts(Strict):
    """Items in each split; known before anything runs, so that shards can be planned."""

    demonstrations: int = Field(ge=0, description="Reserved pool; never trained or tested on.")
    train: int = Field(ge=0, description="0: the task is evaluated, but nothing is trained on it.")
    validation: int = Field(ge=1, description="Checkpoints are chosen on these.")
    test: int = Field(ge=1, description="Results are reported on these.")


class DataSettings(Strict):
    """Where the examples come from and how they are split."""

    source: Annotated[str, path_or("hub:", "reasoning_gym:")] = Field(
        description="A `.jsonl`, `.json` or `.parquet` file (a `split` column is honoured), a "
        "folder of such files, each a split, `hub:<dataset id>`, `reasoning_gym:<dataset name>`, "
        "or `mixture`: of other tasks of the experiment."
    )
    mixture: dict[Name, Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="With `source: mixture`: task → weight. Each split takes so large a part of "
        "its items from the same split of each task.",
    )
    subset: str | None = Field(None, description="Configuration name of a hub data set.")
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    fields: FieldNames = FieldNames()
    splits: SplitSources = SplitSources()
    where: dict[str, str] = Field(
        {}, description="Column → value: only such rows are taken, `{heuristic: subsequence}`."
    )
    choices: tuple[str, ...] | None = Field(
        None, description="Labels of a choice task, as its answers name them: `[A, B, C, D]`."
    )
    pattern: str | None = Field(
        None,
        description="Makes the question of several texts: `minimal`, `gpt-3`, `eval-harness` "
        "(Mosbach et al. 2023), or a text with names of columns in braces, of which {premise} and "
        "{hypothesis} stand for those under `fields`.",
    )
    verbalizers: dict[str, str] | None = Field(
        None,
        description="Label in the source → the word that answers with it, instead of `choices`. "
        "Rows of other labels are left out and counted.",
    )
    items: ItemCounts
    balanced: bool = Field(
        False,
        description="Of a choice task: draw demonstrations and training items so that the first n "
        "of them hold each label equally often, as nearly as n allows.",
    )
    overflow: Literal["refuse", "exclude"] = Field(
        "refuse",
        description="An item that does not fit some model's context, after the most "
        "demonstrations of the experiment: stop, or leave it out for all and count it.",
    )
    seed: int = Field(0, ge=0, description="Seed of the draw.")

    @model_validator(mode="after")
    def labels_are_complete(self) -> Self:
        if self.fields.options is not None and self.choices is None:
            raise ValueError("`fields.options` needs `choices`: the labels of the options")
        if self.choices is not None and self.verbalizers is not None:
            raise ValueError("give `choices` or `verbalizers`, not both")
        for key, labels in (
            ("choices", self.choices),
            ("verbalizers", self.verbalizers and tuple(self.verbalizers.values())),
        ):
            if labels is not None and len(set(labels)) < max(2, len(labels)):
                raise ValueError(f"`{key}` must be two or more different labels")
            for label in labels or ():
                if not label or label != label.strip():
                    raise ValueError(f"label '{label}' must be text without white space around it")
        if self.balanced and self.choices is None and self.verbalizers is None:
            raise ValueError("`balanced` needs `choices` or `verbalizers`")
        return self

    @field_validator("pattern")
    @classmethod
    def names_a_column(cls, value: str | None) -> str | None:
        names = get_args(PatternName)
        if value is None or value in names or re.search(r"\{[^{}]+\}", value):
            return value
        raise ValueError(
            f"must be one of {', '.join(names)}, or contain names of columns in braces"
        )

    @model_validator(mode="after")
    def mixture_is_alone(self) -> Self:
        if (self.mixture is not None) != (self.source == MIXTURE):
            raise ValueError("`mixture` and `source: mixture` go together")
        if self.mixture is None:
            return self
        if len(self.mixture) < 2:
            raise ValueError("`mixture` needs two tasks or more")
        said = self.model_fields_set - {"source", "mixture", "items", "seed"}
        changed = sorted(
            key
            for key in said
            if getattr(self, key)
            != type(self).model_fields[key].get_default(call_default_factory=True)
        )
        if changed:
            raise ValueError(f"`{changed[0]}` belongs to the tasks of the mixture, not to itself")
        return self

    @model_validator(mode="after")
    def hub_is_pinned(self) -> Self:
        if self.source.startswith("hub:") and not self.revision:
            raise ValueError("a hub source needs `revision`: pin the commit you study")
        return self
