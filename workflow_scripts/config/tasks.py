"""`tasks`: examples, prompt format, generation and scoring."""

from __future__ import annotations

import datetime
from typing import Annotated

from pydantic import Field, field_validator

from workflow_scripts.config.base import (
    HubSource,
    Line,
    Name,
    Shots,
    Strict,
    literal_escape,
    path_or,
)
from workflow_scripts.config.data import DataSettings


class PromptSettings(Strict):
    """How an example becomes a conversation."""

    system: str | None = Field(None, description="System turn (default: none).")
    question: str = Field(
        "{question}", description="The user turn; `{question}` is replaced by the item's question."
    )
    plain_question: str = Field(
        "Question: {question}\n",
        description="The question turn for models without a chat template.",
    )
    plain_answer: str = Field(
        "Answer:",
        description="Text before the answer for models without a chat template; empty with a "
        "`pattern`.",
    )
    date: datetime.date = Field(
        datetime.date(2025, 1, 1),
        description="Date that chat templates take for today (Llama 3.2, gpt-oss), so that prompts "
        "do not change from day to day.",
    )

    @field_validator("question", "plain_question")
    @classmethod
    def names_the_question(cls, value: str) -> str:
        if "{question}" not in value:
            raise ValueError("must contain {question}")
        return value


class GenerationSettings(Strict):
    """Greedy decoding: when to stop."""

    max_new_tokens: int = Field(ge=1)
    stop: tuple[str, ...] = Field(
        (), description="Texts that end an answer, besides the end token."
    )

    @field_validator("stop")
    @classmethod
    def ends_some_answers(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if "" in values:
            raise ValueError("an empty text would end every answer at once; remove it")
        for value in values:
            if escape := literal_escape(value):
                raise ValueError(
                    f"'{value}' is a backslash and a letter; write \"{escape}\" in double quotes "
                    "for the character"
                )
        return values


class EncoderSettings(HubSource):
    """A BERT-like model, whose hidden states are compared."""

    source: Annotated[str, path_or("hub:")] = Field(
        description="`hub:<id>` or the path of a local model folder."
    )
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    layer: int | None = Field(
        None, ge=1, description="Layer whose states are compared (default: the last)."
    )


class ScoringSettings(Strict):
    """How completions are compared with the answer."""

    scorer: str = Field(description="A scorer of `workflow_scripts/results/scorers.py`.")
    encoder: EncoderSettings | None = Field(
        None, description="For a scorer that compares hidden states of a BERT-like model."
    )


class TaskSettings(Strict):
    """Examples, prompt format and scorer."""

    label: Line | None = Field(None, description="Name in the report; reruns nothing.")
    data: DataSettings
    prompt: PromptSettings = PromptSettings()
    generation: GenerationSettings
    scoring: ScoringSettings
    shots: Shots | None = Field(None, description="Instead of `shots` of the experiment.")
    reference: Name | None = Field(
        None,
        description="Teacher whose greedy answers stand for gold on `data.unlabelled` validation "
        "and test items, and with which `evaluation.choose_by: agreement` compares.",
    )
