"""The first tokens of the labels of a choice task, which identify them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflow_scripts.config.data import DataSettings
from workflow_scripts.prompts.rendering import Renderer, Rendering
from workflow_scripts.runtime.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def labels_of(data: DataSettings) -> tuple[str, ...] | None:
    """The labels of a choice task; None for other tasks."""
    return data.choices if data.verbalizers is None else tuple(data.verbalizers.values())


def label_tokens(
    renderer: Renderer,
    questions: Sequence[str],
    items: Sequence[str],
    labels: Sequence[str],
    before: Sequence[str | None] = (),
) -> list[tuple[int, ...]]:
    """The first token of every label, for each question.

    items: names of the questions. before: see `Renderer.render`.
    Raises InputError as `first_tokens` and `Renderer.render` do.
    """
    return [
        first_tokens(
            renderer.render([question] * len(labels), labels, [text] * len(labels)),
            labels,
            item,
            renderer.tokenizer,
        )
        for question, item, text in zip(
            questions, items, before or [None] * len(questions), strict=True
        )
    ]


def first_tokens(
    renderings: Sequence[Rendering],
    labels: Sequence[str],
    item: str,
    tokenizer: PreTrainedTokenizerBase,
) -> tuple[int, ...]:
    """The first token of every label, predicted at the prompt's last position.

    renderings: of one question with each label as its answer.
    Raises InputError naming the item if two labels begin with the same token.
    """
    seen: dict[int, str] = {}
    for rendering, label in zip(renderings, labels, strict=True):
        token = rendering.answer_ids[0]
        if token in seen:
            raise InputError(
                f"item {item}: labels '{seen[token]}' and '{label}' begin with the same token "
                f"'{tokenizer.decode([token])}'; choose labels that differ in their first token "
                "under `data.verbalizers`"
            )
        seen[token] = label
    return tuple(seen)
