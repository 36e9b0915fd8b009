"""`conditions`: training recipes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import Name, Strict
from workflow_scripts.config.terms import GoldTerm, LabelTerm, Term, objectives_of
from workflow_scripts.config.training import Adapter

Head = Literal["language", "classification"]


class ConditionSettings(Strict):
    """One training recipe."""

    label: str | None = Field(None, description="Name shown in the report; reruns nothing.")
    teacher: Name | None = Field(None, description="Whose targets the distillation terms read.")
    terms: tuple[Term, ...] = Field(min_length=1)
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="α: the distillation terms count α times their weight, those on the correct "
        "answer 1 − α times.",
    )
    head: Head = Field(
        "language",
        description="`classification`: a new linear head over the labels instead of the language "
        "model's (vanilla fine-tuning); for label terms.",
    )
    train_items: int | None = Field(
        None, ge=1, description="It trains on the first so many items; on all when absent."
    )
    adapter: Adapter | None = Field(None, description="Instead of `training.adapter`.")
    learning_rate: float | None = Field(
        None, gt=0, description="Instead of `training.learning_rate`."
    )
    models: tuple[Name, ...] | None = Field(
        None, description="Students that it trains; all of them when absent."
    )
    tasks: tuple[Name, ...] | None = Field(
        None,
        description="Tasks that it trains on; when absent, all that have training items and are "
        "no component of a mixture.",
    )

    @model_validator(mode="after")
    def terms_are_consistent(self) -> Self:
        distils = [term.objective for term in self.terms if not isinstance(term, GoldTerm)]
        if distils and self.teacher is None:
            raise ValueError(f"term {distils[0]} needs a `teacher`")
        if self.teacher is not None and not distils:
            raise ValueError("has a teacher but no term that reads it")
        seen = set()
        for term in self.terms:
            read = (term.objective, getattr(term, "site", ""), getattr(term, "position", ""))
            if read in seen:
                raise ValueError("has the same term twice: " + " ".join(filter(None, read)))
            seen.add(read)
        counted = {True: 1 - self.alpha, False: self.alpha} if self.alpha is not None else {}
        if not any(t.weight * counted.get(isinstance(t, GoldTerm), 1) for t in self.terms):
            raise ValueError("every term has weight 0: nothing would be trained")
        return self

    @model_validator(mode="after")
    def alpha_and_head_fit(self) -> Self:
        if self.alpha is not None and len({isinstance(term, GoldTerm) for term in self.terms}) < 2:
            raise ValueError("`alpha` weighs distillation against the correct answer: give both")
        if self.head == "classification":
            for term in self.terms:
                if not isinstance(term, LabelTerm):
                    raise ValueError(
                        f"a classification head has no tokens for {term.objective}; "
                        f"use {' or '.join(objectives_of(LabelTerm))}"
                    )
        return self
