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

    label: str | None = Field(None, description="Name in the report; reruns nothing.")
    teacher: Name | None = Field(
        None, description="Teacher whose targets the distillation terms read."
    )
    terms: tuple[Term, ...] = Field(min_length=1)
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="α: distillation terms are weighted by α, terms on the gold answer by 1 − α.",
    )
    head: Head = Field(
        "language",
        description="`classification`: a new linear head over the labels replaces the language "
        "model's head (vanilla fine-tuning); for label terms.",
    )
    train_items: int | None = Field(
        None, ge=1, description="Train on the first N items (default: all)."
    )
    adapter: Adapter | None = Field(None, description="Instead of `training.adapter`.")
    learning_rate: float | None = Field(
        None, gt=0, description="Instead of `training.learning_rate`."
    )
    models: tuple[Name, ...] | None = Field(None, description="Students to train (default: all).")
    tasks: tuple[Name, ...] | None = Field(
        None,
        description="Tasks to train on (default: all with training items, without the components "
        "of mixtures).",
    )

    @model_validator(mode="after")
    def terms_are_consistent(self) -> Self:
        distils = [term.objective for term in self.terms if not isinstance(term, GoldTerm)]
        if distils and self.teacher is None:
            raise ValueError(f"term `{distils[0]}` reads a teacher; set `teacher`")
        if self.teacher is not None and not distils:
            raise ValueError("has a `teacher` that no term reads; remove it or add a term")
        seen = set()
        for term in self.terms:
            read = (term.objective, getattr(term, "site", ""), getattr(term, "position", ""))
            if read in seen:
                named = " ".join(filter(None, read))
                raise ValueError(f"has the term `{named}` twice; remove one")
            seen.add(read)
        counted = {True: 1 - self.alpha, False: self.alpha} if self.alpha is not None else {}
        if not any(t.weight * counted.get(isinstance(t, GoldTerm), 1) for t in self.terms):
            raise ValueError("every term has weight 0, so nothing is trained; raise one")
        return self

    @model_validator(mode="after")
    def alpha_and_head_fit(self) -> Self:
        if self.alpha is not None and len({isinstance(term, GoldTerm) for term in self.terms}) < 2:
            raise ValueError("`alpha` needs terms of both kinds: distillation and gold answer")
        if self.head == "classification":
            for term in self.terms:
                if not isinstance(term, LabelTerm):
                    raise ValueError(
                        f"a classification head predicts no tokens for {term.objective}; use "
                        f"{' or '.join(objectives_of(LabelTerm))}"
                    )
        return self
