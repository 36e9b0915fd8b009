"""`tasks.<task>.data`: source, columns and splits of a task's examples."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from workflow_scripts.config.base import EachOnce, HubSource, Name, Seed, Strict, path_or

# source of a task that mixes others
MIXTURE = "mixture"
PatternName = Literal["minimal", "gpt-3", "eval-harness"]


class FieldNames(Strict):
    """Columns of the source that hold the question and the answer.

    A dot leads into a nested column or a list: `answers.text`, `questions.0`.
    """

    question: str = "question"
    answer: str = Field(
        "answer", description="In a list, the first text is the answer and all are references."
    )
    references: str | None = Field(
        None,
        description="Column with one or several reference texts, scored against instead of the "
        "answer.",
    )
    options: str | tuple[str, ...] | None = Field(
        None,
        description="Column that lists the options, or one column for each. They are written "
        "below the question as `A. …` with the labels of `choices`; the answer may be an index.",
    )
    premise: str = Field("premise", description="With a `pattern`: column of the first text.")
    hypothesis: str = Field("hypothesis", description="With a `pattern`: column of the second.")


class SplitSources(Strict):
    """Source split from which each of the task's splits is drawn.

    Splits drawn from the same source split are disjoint. A source without splits has one, `all`.
    """

    demonstrations: str = "demonstrations"
    train: str = "train"
    validation: str = "validation"
    test: str = "test"


class ItemCounts(Strict):
    """Items in each split. The plan needs them before anything runs."""

    demonstrations: int = Field(ge=0, description="Reserved pool; never trained or tested on.")
    train: int = Field(ge=0, description="0: the task is only evaluated on.")
    validation: int = Field(ge=1, description="For checkpoint selection.")
    test: int = Field(ge=1, description="For the reported results.")


class DataSettings(HubSource):
    """Source and splits of the examples."""

    source: Annotated[str, path_or("hub:", "reasoning_gym:")] = Field(
        description="A `.jsonl`, `.json` or `.parquet` file (its column `split` is used), a folder "
        "with such a file for each split, `hub:<dataset id>`, `reasoning_gym:<dataset name>` or "
        "`mixture` of other tasks."
    )
    mixture: dict[Name, Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="With `source: mixture`: task → weight, its share of the items in every split.",
    )
    subset: str | None = Field(None, description="Configuration of a hub data set.")
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    fields: FieldNames = FieldNames()
    splits: SplitSources = SplitSources()
    where: dict[str, str] = Field(
        {}, description="Column → value: use only these rows, like `{heuristic: subsequence}`."
    )
    choices: tuple[str, ...] | None = Field(
        None, description="Labels of a choice task, as in its answers: `[A, B, C, D]`."
    )
    pattern: str | None = Field(
        None,
        description="Template of a question with several texts: `minimal`, `gpt-3`, "
        "`eval-harness` (Mosbach et al. 2023), or a text with column names in braces, where "
        "{premise} and {hypothesis} are the columns set under `fields`.",
    )
    verbalizers: dict[str, str] | None = Field(
        None,
        description="Label in the source → its word in the answer, instead of `choices`. Rows with "
        "other labels are skipped and counted.",
    )
    columns: Annotated[tuple[Name, ...], EachOnce] = Field(
        (), description="Further columns, kept for teachers that show one (`item`)."
    )
    unlabelled: Annotated[tuple[Literal["train", "validation", "test"], ...], EachOnce] = Field(
        (),
        description="Splits whose answers are not read, and may be missing. Validation and test "
        "items then have the answers of the task's `reference`, and results are the agreement "
        "with it.",
    )
    items: ItemCounts
    balanced: bool = Field(
        False,
        description="Balance the labels in demonstrations and training items: the first n hold "
        "each label equally often, as nearly as n allows.",
    )
    overflow: Literal["refuse", "exclude"] = Field(
        "refuse",
        description="An item that exceeds some model's context window, with the most "
        "demonstrations: stop, or exclude it for all models and count it.",
    )
    seed: Seed = Field(0, description="Seed of the draw.")

    @model_validator(mode="after")
    def labels_are_complete(self) -> Self:
        if self.fields.options is not None and self.choices is None:
            raise ValueError("`fields.options` needs `choices`, the labels of the options")
        if self.choices is not None and self.verbalizers is not None:
            raise ValueError("give `choices` or `verbalizers`, not both")
        for key, labels in (
            ("choices", self.choices),
            ("verbalizers", self.verbalizers and tuple(self.verbalizers.values())),
        ):
            if labels is not None and len(set(labels)) < max(2, len(labels)):
                raise ValueError(f"`{key}` needs at least two labels, all different")
            for label in labels or ():
                if not label or label != label.strip():
                    raise ValueError(
                        f"label {label!r:.60} is empty or has white space around it; correct it"
                    )
        if self.balanced and self.choices is None and self.verbalizers is None:
            raise ValueError("`balanced` needs labels: `choices` or `verbalizers`")
        if self.balanced and "train" in self.unlabelled:
            raise ValueError(
                "`balanced` needs the labels of training items; remove it, or `train` from "
                "`unlabelled`"
            )
        return self

    @field_validator("pattern")
    @classmethod
    def names_a_column(cls, value: str | None) -> str | None:
        names = get_args(PatternName)
        if value is None or value in names or re.search(r"\{[^{}]+\}", value):
            return value
        raise ValueError(f"must be {', '.join(names)} or a text with column names in braces")

    @model_validator(mode="after")
    def mixture_is_alone(self) -> Self:
        if self.mixture is None:
            if self.source == MIXTURE:
                raise ValueError("`source: mixture` needs `mixture`: its tasks and their weights")
            return self
        if self.source != MIXTURE:
            raise ValueError("`mixture` needs `source: mixture`")
        if len(self.mixture) < 2:
            raise ValueError("`mixture` needs at least two tasks")
        said = self.model_fields_set - {"source", "mixture", "items", "seed"}
        changed = sorted(
            key
            for key in said
            if getattr(self, key)
            != type(self).model_fields[key].get_default(call_default_factory=True)
        )
        if changed:
            raise ValueError(f"`{changed[0]}` is set by the mixture's tasks; remove it here")
        return self
