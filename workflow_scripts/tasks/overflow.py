"""Items that exceed some model's context window, to be excluded for every model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workflow_scripts.config.slices import OverflowSlice
from workflow_scripts.modeling.loading import LocalModel, load_tokenizer
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.prompts.rendering import (
    PLACEHOLDER,
    RENDERERS,
    needed_tokens,
    refuse_misaligned,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example, draw_demonstrations
from workflow_scripts.tasks.origins import origins
from workflow_scripts.tasks.splits import draw_splits

# tokenized together: all offsets of a large data set would not fit in memory
_BATCH = 1000


def find_overflow(
    source: Mapping[str, Sequence[Example]], settings: OverflowSlice, models: Sequence[LocalModel]
) -> dict[str, Any]:
    """The content of `overflow.json`: items that exceed some model's context window.

    An item needs the tokens of its prompt with `settings.context`, plus those of its longest label
    (its answer, in other tasks, if it has one) or of generation, whichever is more. Checked are all
    items of the source splits that train, validation and test are drawn from, except the
    demonstrations.

    Returns the names of those `items`, the number of `shots`, and `models`: name → `context_length`
    and number of `items`, for the models that some item exceeds.
    Raises InputError if all items exceed a model's context window.
    """
    data = settings.data
    drawn = draw_splits(source, data)
    pool = drawn["demonstrations"]
    demonstrations = draw_demonstrations(pool, settings.context)
    reserved = {example.item for example in pool}
    origin = origins(source, data)
    asked = dict.fromkeys(origin[ours] for ours in origin if ours != "demonstrations")
    examples = [e for name in asked for e in source[name] if e.item not in reserved]
    over: dict[str, None] = {}
    too_short = {}
    for model in models:
        lengths = _lengths(examples, model, settings, demonstrations)
        of_model = [
            example.item
            for example, length in zip(examples, lengths, strict=True)
            if length > model.context_length
        ]
        if len(of_model) == len(examples):
            raise InputError(
                f"{data.source}: {len(of_model)} of {len(examples)} items exceed the context "
                f"window of {model.context_length} tokens of {model.name} after "
                f"{settings.context.shots} demonstrations; use fewer shots"
            )
        if of_model:
            over |= dict.fromkeys(of_model)
            too_short[model.name] = {
                "context_length": model.context_length,
                "items": len(of_model),
            }
    return {"items": list(over), "shots": settings.context.shots, "models": too_short}


def _lengths(
    examples: Sequence[Example],
    model: LocalModel,
    settings: OverflowSlice,
    demonstrations: Sequence[Demonstration],
) -> Iterator[int]:
    """Tokens that each example needs.

    Examples are rendered after one demonstration; what the others add is measured once.
    """
    tokenizer, renderer = load_tokenizer(model), RENDERERS[model.architecture]
    short = renderer(tokenizer, settings.prompt, demonstrations[:1])
    whole = renderer(tokenizer, settings.prompt, demonstrations)
    labels = labels_of(settings.data)
    probe = examples[0]
    column = settings.context.item
    answers = labels or (probe.answer or PLACEHOLDER,)
    renderings = short.render([probe.question] * len(answers), answers)
    longest = max(zip(renderings, answers, strict=True), key=lambda pair: len(pair[0].ids))[1]
    before = [probe.text_before(column)]
    (first,), (same,) = (r.render([probe.question], [longest], before) for r in (short, whole))
    refuse_misaligned(first, same, probe.item)
    added = same.question - first.question
    for start in range(0, len(examples), _BATCH):
        batch = examples[start : start + _BATCH]
        for rendering in short.render(
            [example.question for example in batch],
            [longest if labels else example.answer or PLACEHOLDER for example in batch],
            [example.text_before(column) for example in batch],
        ):
            yield needed_tokens(rendering, settings.max_new_tokens, added)
