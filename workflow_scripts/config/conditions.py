"""`conditions`: training recipes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from workflow_scripts.config.answers import AnswerSettings
from workflow_scripts.config.base import EachOnce, Line, Name, Strict
from workflow_scripts.config.terms import GoldTerm, LabelTerm, Term, objectives_of
from workflow_scripts.config.training import Adapter

Head = Literal["language", "classification"]
TrainOn = Literal["items", "demonstrations"]


class TrainedOn(Strict):
    """The examples of a condition or of one of its phases, and whose answers they have."""

    answers: AnswerSettings = Field(
        AnswerSettings(),
        description="Who wrote the answers that it trains on: `gold`, `teacher` or `student`.",
    )
    train_on: TrainOn = Field(
        "items",
        description="`items`: the training items. `demonstrations`: the few labelled examples that "
        "contexts show, at most `train_items` of them (default: the most shots).",
    )
    train_items: int | None = Field(
        None, ge=1, description="Train on the first N items (default: all)."
    )


class PhaseSettings(TrainedOn):
    """Consecutive steps of a run with the same terms and data."""

    terms: tuple[Term, ...] = Field(min_length=1)
    steps: int | None = Field(
        None, ge=1, description="Optimizer steps of the phase; the last has those that are left."
    )


class ConditionSettings(TrainedOn):
    """One training recipe: terms on one set of data, or phases one after another."""

    label: Line | None = Field(None, description="Name in the report; reruns nothing.")
    teacher: Name | None = Field(
        None, description="Teacher whose targets the distillation terms read."
    )
    terms: tuple[Term, ...] = Field((), description="Required without `phases`.")
    phases: tuple[PhaseSettings, ...] = Field(
        (),
        description="Instead of `terms`: phases that train one after another, under one optimizer "
        "and one schedule.",
    )
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="α: distillation terms are weighted by α, terms on the answer by 1 − α.",
    )
    head: Head = Field(
        "language",
        description="`classification`: a new linear head over the labels replaces the language "
        "model's head (vanilla fine-tuning); for label terms.",
    )
    adapter: Adapter | None = Field(None, description="Instead of `training.adapter`.")
    learning_rate: float | None = Field(
        None, gt=0, description="Instead of `training.learning_rate`."
    )
    models: Annotated[tuple[Name, ...], EachOnce] | None = Field(
        None, description="Students to train (default: all)."
    )
    tasks: Annotated[tuple[Name, ...], EachOnce] | None = Field(
        None,
        description="Tasks to train on (default: all with training items, without the components "
        "of mixtures).",
    )

    @model_validator(mode="after")
    def has_terms_or_phases(self) -> Self:
        if not self.phases and not self.terms:
            raise ValueError("needs `terms`, or `phases` with terms")
        if not self.phases:
            return self
        fields, moved = type(self).model_fields, ("answers", "terms", "train_items", "train_on")
        given = [name for name in moved if getattr(self, name) != fields[name].default]
        if given:
            raise ValueError(f"`{given[0]}` belongs into each of the `phases`; move it there")
        if len(self.phases) < 2:
            raise ValueError("`phases` needs at least two entries; else write `terms` alone")
        if any(phase.steps is None for phase in self.phases[:-1]):
            raise ValueError("every phase but the last needs `steps`")
        if any(phase.answers.by == "student" for phase in self.phases):
            raise ValueError("`answers: student` has rounds of its own; use it without `phases`")
        if self.head == "classification":
            raise ValueError("a classification head trains in one phase; use `terms`")
        return self

    @model_validator(mode="after")
    def teacher_is_read(self) -> Self:
        phases = self.phases or (self,)
        if any(phase.answers.by == "teacher" for phase in phases) and self.teacher is None:
            raise ValueError("`answers: teacher` needs a `teacher`, whose answers it trains on")
        terms = [term for phase in phases for term in phase.terms]
        distils = [term.objective for term in terms if not isinstance(term, GoldTerm)]
        if distils and self.teacher is None:
            raise ValueError(f"term `{distils[0]}` reads a teacher; set `teacher`")
        answered = any(phase.answers.by == "teacher" for phase in phases)
        if self.teacher is not None and not distils and not answered:
            raise ValueError(
                "has a `teacher` that no term reads and whose answers it does not train on; remove "
                "it, add a term or set `answers: teacher`"
            )
        return self

    @model_validator(mode="after")
    def phases_are_consistent(self) -> Self:
        for phase in self.phases or (self,):
            distils = [term.objective for term in phase.terms if not isinstance(term, GoldTerm)]
            if phase.train_on == "demonstrations":
                if phase.answers.by != "gold":
                    raise ValueError("demonstrations have gold answers; remove `answers`")
                if distils:
                    raise ValueError(
                        f"term `{distils[0]}` reads a teacher, whose context shows the "
                        "demonstrations themselves; train on `items`, or on cross-entropy alone"
                    )
            if phase.answers.by == "student" and len(distils) < len(phase.terms):
                raise ValueError(
                    "trains on its own answers, which no gold term can judge; use terms that read "
                    "a teacher"
                )
            _refuse_twice(phase.terms)
            _refuse_weightless(phase.terms, self.alpha)
        return self

    @model_validator(mode="after")
    def alpha_and_head_fit(self) -> Self:
        terms = [term for phase in self.phases or (self,) for term in phase.terms]
        if self.alpha is not None and len({isinstance(term, GoldTerm) for term in terms}) < 2:
            raise ValueError("`alpha` needs terms of both kinds: distillation and gold answer")
        if self.head == "classification":
            for term in self.terms:
                if not isinstance(term, LabelTerm):
                    raise ValueError(
                        f"a classification head predicts no tokens for {term.objective}; use "
                        f"{' or '.join(objectives_of(LabelTerm))}"
                    )
        return self


def _refuse_twice(terms: tuple[Term, ...]) -> None:
    seen = set()
    for term in terms:
        read = (term.objective, getattr(term, "site", ""), getattr(term, "position", ""))
        if read in seen:
            named = " ".join(filter(None, read))
            raise ValueError(f"has the term `{named}` twice; remove one")
        seen.add(read)


def _refuse_weightless(terms: tuple[Term, ...], alpha: float | None) -> None:
    counted = {True: 1 - alpha, False: alpha} if alpha is not None else {}
    if not any(term.weight * counted.get(isinstance(term, GoldTerm), 1) for term in terms):
        raise ValueError("every term has weight 0, so nothing is trained; raise one")
