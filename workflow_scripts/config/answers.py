"""`answers` of a condition: who wrote the answers that it trains on, and which of them it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import Strict

Author = Literal["gold", "teacher", "student"]


class KeptAnswers(Strict):
    """Which generated answers are trained on.

    Empty ones never are, and cut ones only where a student wrote them.
    """

    min_agreement: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Keep answers that at least this share of their question's samples agree with.",
    )
    min_logprob: float | None = Field(
        None,
        le=0,
        description="Keep answers with at least this mean log-probability of a token (nats), as "
        "their author reads them.",
    )
    surest: float | None = Field(
        None, gt=0, le=1, description="Then keep this share of them, with the highest means."
    )
    max_unusable: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Highest share of answers that are empty or, of a teacher, cut by "
        "`max_new_tokens`; a higher share is refused.",
    )


class AnswerSettings(Strict):
    """Who answers the training questions, and how.

    `answers: teacher` is short for `answers: {by: teacher}`.
    """

    by: Author = Field(
        "gold",
        description="`gold`: the task's own answers. `teacher`: the teacher in its context. "
        "`student`: the student itself, in rounds (on-policy).",
    )
    samples: int = Field(1, ge=1, description="Answers to each question; several need sampling.")
    temperature: float | None = Field(
        None,
        ge=0,
        description="Of sampling; 0 is greedy (default: 0 for the teacher, 1 for the student).",
    )
    rounds: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Of a student, required: it answers anew before each of these equal shares of "
        "the steps, with the weights that it has by then.",
    )
    keep: KeptAnswers = KeptAnswers()

    @model_validator(mode="before")
    @classmethod
    def takes_the_author_alone(cls, data: Any) -> Any:
        return data if isinstance(data, Mapping | AnswerSettings) else {"by": data}

    @model_validator(mode="after")
    def fits_the_author(self) -> Self:
        fields = type(self).model_fields
        given = [name for name in sorted(fields) if getattr(self, name) != fields[name].default]
        if self.by == "gold" and given:
            raise ValueError(f"`{given[0]}` is about generated answers; set `by` or remove it")
        if self.by != "student" and self.rounds is not None:
            raise ValueError("`rounds` needs `by: student`")
        if self.by == "student" and self.rounds is None:
            raise ValueError("`by: student` needs `rounds`")
        if self.by == "student" and self.samples > 1:
            raise ValueError("a student answers each question of a round once; remove `samples`")
        if self.samples > 1 and not self.temperature:
            raise ValueError("several `samples` of greedy decoding are equal; set `temperature`")
        if self.keep.min_agreement is not None and self.samples == 1:
            raise ValueError("`keep.min_agreement` needs several `samples`")
        return self
