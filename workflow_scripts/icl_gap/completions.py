"""What a model answers and how likely it finds the correct answers, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import fmean

import pandas as pd

from workflow_scripts.engines.loading import LocalModel, load_tokenizer
from workflow_scripts.engines.opening import open_engine
from workflow_scripts.engines.protocol import Engine, in_order
from workflow_scripts.errors import InputError
from workflow_scripts.rendering import Demonstration, Renderer, Rendering, refuse_too_long
from workflow_scripts.settings import CompletionSlice
from workflow_scripts.tasks.examples import Example


@dataclass(frozen=True)
class RenderedItem:
    """An item's prompt with what may follow it.

    renderings: with the correct answer; of a choice task with each label, in order.
    correct: which of them holds the correct answer.
    """

    split: str
    item: str
    renderings: tuple[Rendering, ...]
    correct: int


def complete_splits(
    model: LocalModel,
    settings: CompletionSlice,
    splits: Mapping[str, Sequence[Example]],
    scratch: Path,
    *,
    demonstrations: Sequence[Demonstration] = (),
    checkpoints: Mapping[int, Path] | None = None,
) -> pd.DataFrame:
    """The table of `complete`: of the given checkpoints, or of the untouched model as step 0.

    checkpoints: step → folder.
    scratch: of the job, from which it continues when it was killed.
    Raises InputError, before any weights are loaded, when an item does not fit the context or
    the labels of a choice task cannot be told apart.
    """
    renderer = Renderer(load_tokenizer(model), settings.prompt, demonstrations)
    items = render_items(renderer, splits, settings.choices)
    refuse_too_long(
        [max(item.renderings, key=lambda rendering: len(rendering.ids)) for item in items],
        [item.item for item in items],
        model.context_length,
        settings.generation.max_new_tokens,
    )
    steps: dict[int, str | None] = {0: None}
    folders = {}
    if checkpoints is not None:
        steps = {step: f"step-{step}" for step in checkpoints}
        folders = {f"step-{step}": folder for step, folder in checkpoints.items()}
    with open_engine(model, settings.engine, folders, scratch) as engine:
        return complete(engine, items, settings, steps)


def render_items(
    renderer: Renderer,
    splits: Mapping[str, Sequence[Example]],
    choices: tuple[str, ...] | None,
) -> list[RenderedItem]:
    """Every item of every split, in order.

    choices: labels of a choice task, one of which is each example's answer.
    Raises InputError, naming the item, when it cannot be rendered, and in a choice task when the
    tokens of one label begin those of another.
    """
    items = []
    for split, examples in splits.items():
        for example in examples:
            place = f"item {example.item} ({split})"
            answers = choices or (example.answer,)
            try:
                renderings = renderer.render([example.question] * len(answers), answers)
            except InputError as error:
                labels = f"; the labels are {', '.join(choices)}" if choices else ""
                raise InputError(f"{place}: {error}{labels}") from None
            _refuse_ambiguous(place, answers, renderings)
            items.append(
                RenderedItem(split, example.item, tuple(renderings), answers.index(example.answer))
            )
    return items


def complete(
    engine: Engine,
    items: Sequence[RenderedItem],
    settings: CompletionSlice,
    steps: Mapping[int, str | None],
) -> pd.DataFrame:
    """One row for each step and item, all of them asked of the engine at once.

    steps: step → name of its checkpoint; None is the untouched model.

    Columns: split, item, step, completion (raw text), answer_loss (mean nats per token of the
    correct answer, end token included) and, of a choice task, choice_losses (nats summed over
    each label's tokens, without the end token).
    """
    rows = [(step, name, item) for step, name in steps.items() for item in items]
    completions = in_order(
        engine.generate(
            [item.renderings[item.correct].prompt_ids for _, _, item in rows],
            settings.generation,
            [name for _, name, _ in rows],
        )
    )
    forced = iter(
        in_order(
            engine.token_losses(
                [rendering for _, _, item in rows for rendering in item.renderings],
                [name for _, name, item in rows for _ in item.renderings],
            )
        )
    )
    losses = [[next(forced) for _ in item.renderings] for _, _, item in rows]
    table = pd.DataFrame(
        [(item.split, item.item, step) for step, _, item in rows],
        columns=["split", "item", "step"],
    ).assign(
        completion=completions,
        answer_loss=[
            fmean(nats[item.correct]) for nats, (_, _, item) in zip(losses, rows, strict=True)
        ],
    )
    if settings.choices is not None:
        table["choice_losses"] = [[sum(label[:-1]) for label in nats] for nats in losses]
    return table


def _refuse_ambiguous(place: str, labels: Sequence[str], renderings: Sequence[Rendering]) -> None:
    """Labels are compared by their tokens, so none may be where another begins."""
    for (one, first), (other, second) in permutations(zip(labels, renderings, strict=True), 2):
        tokens = first.ids[:-1]  # of the prompt and the label, without the end token
        if second.ids[: len(tokens)] == tokens:
            raise InputError(
                f"{place}: the tokens of label '{other}' begin with all those of label '{one}'; "
                "choose labels under `data.choices` of which none is the beginning of another"
            )
