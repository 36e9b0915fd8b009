"""Completions of a model and its losses on the correct answers, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from statistics import fmean

import pandas as pd

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.engines.classifier import Classifier, are_classifiers
from workflow_scripts.engines.journaled_engine import JournaledEngine
from workflow_scripts.engines.select import open_engine
from workflow_scripts.modeling.loading import LocalModel, load_tokenizer
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    RENDERERS,
    Renderer,
    Rendering,
    refuse_too_long,
)
from workflow_scripts.runtime.cost import Cost, CostMeter
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example


@dataclass(frozen=True)
class Completed:
    """Completions and their cost.

    table: of `complete` or `classify`.
    cost: of this process, from before the model is loaded. vLLM's memory is what it reserves; a
    server's is not included.
    answers: rows of the table that the cost covers. For a resumed job, the rows times the fraction
    of its requests that were not answered before.
    """

    table: pd.DataFrame
    cost: Cost
    answers: int

    @property
    def inference(self) -> dict[str, float | str]:
        return inference_of(self.cost, self.answers)


def inference_of(cost: Cost, answers: int) -> dict[str, float | str]:
    """The content of `inference.json`."""
    return asdict(cost) | {"answers": answers}


@dataclass(frozen=True)
class RenderedItem:
    """An item's prompt with its possible answers.

    renderings: with the correct answer, or, in a choice task, with each label in order.
    correct: index of the rendering with the correct answer.
    """

    split: str
    item: str
    renderings: tuple[Rendering, ...]
    correct: int


@dataclass(frozen=True)
class Part:
    """Items that a model completes in one context. task: its name, where there are several."""

    settings: CompletionSlice
    splits: Mapping[str, Sequence[Example]]
    demonstrations: Sequence[Demonstration] = ()
    task: str = ""

    @property
    def name(self) -> str:
        return f"{self.task} after {self.settings.context.shots} demonstrations"


def complete_splits(
    model: LocalModel,
    settings: CompletionSlice,
    splits: Mapping[str, Sequence[Example]],
    scratch: Path,
    *,
    demonstrations: Sequence[Demonstration] = (),
    checkpoints: Mapping[int, Path] | None = None,
) -> Completed:
    """Every item completed by the given checkpoints, or by the base model as step 0.

    checkpoints: step → folder, of one run.
    scratch: a folder from which a killed job resumes.
    Raises InputError as `complete_parts`.
    """
    with CostMeter(model.dtype) as meter:
        part = Part(settings, splits, demonstrations)
        (table,), asked_anew = complete_parts(model, [part], scratch, checkpoints or {})
        return Completed(table, meter.cost(), answers=round(len(table) * asked_anew))


def complete_parts(
    model: LocalModel, parts: Sequence[Part], scratch: Path, checkpoints: Mapping[int, Path]
) -> tuple[list[pd.DataFrame], float]:
    """The table of each part, and the fraction of requests that no earlier start had answered.

    The model is loaded once. All parts have the same engine.
    Raises InputError, before any weights are loaded, when an item does not fit the context, the
    labels of a choice task cannot be told apart, or a head has another number of labels.
    """
    items = [_rendered(model, part) for part in parts]
    steps = {step: f"step-{step}" for step in checkpoints}
    folders = {f"step-{step}": folder for step, folder in checkpoints.items()}
    settings = parts[0].settings
    if are_classifiers(folders.values()):
        # the plan lets heads answer tasks with their own labels only
        labels = settings.labels or ()
        classifier = Classifier(model, labels, settings.engine.batch_size, folders)
        return [classify(classifier, own, labels, steps) for own in items], 1.0
    with open_engine(model, settings.engine, folders, scratch) as engine:
        tables = []
        for part, own in zip(parts, items, strict=True):
            if part.task:
                print(part.name, flush=True)
            tables.append(complete(engine, own, part.settings, steps or {0: None}))
        return tables, engine.asked_anew


def _rendered(model: LocalModel, part: Part) -> list[RenderedItem]:
    settings = part.settings
    renderer = RENDERERS[model.architecture](
        load_tokenizer(model), settings.prompt, part.demonstrations
    )
    try:
        items = render_items(renderer, part.splits, settings.labels, settings.context.item)
        refuse_too_long(
            [max(item.renderings, key=lambda rendering: len(rendering.ids)) for item in items],
            [item.item for item in items],
            model.context_length,
            settings.generation.max_new_tokens,
        )
    except InputError as error:
        raise InputError(f"{part.name}: {error}" if part.task else str(error)) from None
    return items


def render_items(
    renderer: Renderer,
    splits: Mapping[str, Sequence[Example]],
    choices: tuple[str, ...] | None,
    column: str | None = None,
) -> list[RenderedItem]:
    """Every item of every split, in order.

    choices: labels of a choice task, one of which is each example's answer.
    column: of the item, whose text the context shows before its question.
    Raises InputError, naming the item, when it has no answer, or as `render_choices`.
    """
    items = []
    for split, examples in splits.items():
        for example in examples:
            place = f"item {example.item} ({split})"
            if example.answer is None:
                raise InputError(
                    f"{place}: has no answer to compare with; evaluate on the answers of the "
                    "task's `reference`"
                )
            answers = choices or (example.answer,)
            renderings = render_choices(renderer, place, example, answers, column)
            items.append(
                RenderedItem(split, example.item, renderings, answers.index(example.answer))
            )
    return items


def render_choices(
    renderer: Renderer,
    place: str,
    example: Example,
    answers: tuple[str, ...],
    column: str | None,
) -> tuple[Rendering, ...]:
    """An item with each of the answers that it may have.

    place: names the item. column: of the item, whose text the context shows before its question.
    Raises InputError, naming the item, when it cannot be rendered, or when one answer's tokens are
    a prefix of another's.
    """
    before = [example.text_before(column)] * len(answers)
    try:
        renderings = renderer.render([example.question] * len(answers), answers, before)
    except InputError as error:
        labels = f"; the labels are {', '.join(answers)}" if len(answers) > 1 else ""
        raise InputError(f"{place}: {error}{labels}") from None
    _refuse_ambiguous(place, answers, renderings)
    return tuple(renderings)


def complete(
    engine: JournaledEngine,
    items: Sequence[RenderedItem],
    settings: CompletionSlice,
    steps: Mapping[int, str | None],
) -> pd.DataFrame:
    """One row for each step and item, all sent to the engine at once.

    steps: step → name of its checkpoint; None is the base model.

    Columns: split, item, step, completion (raw text), answer_loss (mean nats per token of the
    correct answer, end token included) and, in a choice task, choice_losses (nats summed over
    each label's tokens, without the end token).
    """
    rows = [(step, name, item) for step, name in steps.items() for item in items]
    completed = engine.complete(
        [item.renderings for _, _, item in rows],
        settings.generation,
        [name for _, name, _ in rows],
    )
    losses = [one.losses for one in completed]
    table = pd.DataFrame(
        [(item.split, item.item, step) for step, _, item in rows],
        columns=["split", "item", "step"],
    ).assign(
        completion=[one.completion.text for one in completed],
        answer_loss=[
            fmean(nats[item.correct]) for nats, (_, _, item) in zip(losses, rows, strict=True)
        ],
    )
    if settings.labels is not None:
        table["choice_losses"] = [[sum(label[:-1]) for label in nats] for nats in losses]
    return table


def classify(
    classifier: Classifier,
    items: Sequence[RenderedItem],
    labels: Sequence[str],
    steps: Mapping[int, str],
) -> pd.DataFrame:
    """The table of `complete`, for checkpoints with a classification head.

    completion: the likeliest label. answer_loss: nats of the correct label. choice_losses: nats
    of each label; their probabilities add up to 1.
    """
    prompts = [item.renderings[item.correct].prompt_ids for item in items]
    return pd.DataFrame(
        [
            (item.split, item.item, step, labels[nats.index(min(nats))], nats[item.correct], nats)
            for step, name in steps.items()
            for item, nats in zip(
                items, classifier.label_losses(prompts, name).tolist(), strict=True
            )
        ],
        columns=["split", "item", "step", "completion", "answer_loss", "choice_losses"],
    )


def _refuse_ambiguous(place: str, labels: Sequence[str], renderings: Sequence[Rendering]) -> None:
    """Labels are compared by their tokens, so none may be a prefix of another."""
    for (one, first), (other, second) in permutations(zip(labels, renderings, strict=True), 2):
        tokens = first.ids[:-1]  # of the prompt and the label, without the end token
        if second.ids[: len(tokens)] == tokens:
            raise InputError(
                f"{place}: the tokens of label '{other}' begin with all those of label '{one}'; "
                "under `data.choices` or `data.verbalizers`, let no label begin with another"
            )
