"""`teachers` and `teacher_pass`: models with a context, and the targets kept of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from workflow_scripts.config.base import Name, Position, Site, Strict

Answers = Literal["correct", "shuffled", "none"]


class TeacherSettings(Strict):
    """A model with a context."""

    shots: Annotated[int, Field(ge=0)] | Literal["most"] = Field(
        0, description="Demonstrations in the teacher's context; `most`: the task's largest number."
    )
    answers: Answers = Field("correct", description="Answers shown in the demonstrations.")
    system: str | None = Field(
        None,
        description="System text instead of the task's `prompt.system`; `file:<path>` reads it "
        "from a file.",
    )
    item: Name | None = Field(
        None,
        description="A column of the item that this teacher alone sees, before the question: a "
        "document, a hint, a worked solution. List it in the task's `data.columns`.",
    )
    model: Name | None = Field(
        None,
        description="The teaching model (default: the student itself). Terms that match tokens "
        "need the student's vocabulary.",
    )
    max_unknown: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Highest share of answers with characters that its tokenizer does not know; "
        "a higher share is refused.",
    )


class TargetSettings(Strict):
    """What is kept of a teacher on disk. kind: one of `teachers.targets.KINDS`."""

    kind: str
    position: Position
    site: Site | None = None
    top_k: int | Literal["all"] | None = None
    temperature: float | None = None


class TeacherPassSettings(Strict):
    shard_size: int = Field(512, ge=1, description="Training items in one shard (one job).")
    batch_size: int = Field(32, ge=1, description="Sequences in one forward pass.")
