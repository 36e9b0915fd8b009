"""What a model answers and how likely it finds the correct answers, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from workflow_scripts.engines.protocol import Engine
from workflow_scripts.rendering import Renderer, Rendering, refuse_too_long
from workflow_scripts.settings import GenerationSettings
from workflow_scripts.tasks.examples import Example


def render_splits(
    renderer: Renderer,
    splits: Mapping[str, Sequence[Example]],
    context_length: int,
    new_tokens: int,
) -> dict[str, dict[str, Rendering]]:
    """Split → item → rendering. Raises InputError when an item does not fit the context."""
    rendered = {}
    for split, examples in splits.items():
        items = [example.item for example in examples]
        renderings = renderer.render([e.question for e in examples], [e.answer for e in examples])
        refuse_too_long(renderings, items, context_length, new_tokens)
        rendered[split] = dict(zip(items, renderings, strict=True))
    return rendered


def complete(
    engine: Engine,
    rendered: Mapping[str, Mapping[str, Rendering]],
    generation: GenerationSettings,
    adapter: str | None,
    step: int,
) -> pd.DataFrame:
    """One row for each item: split, item, step, completion (raw text), answer_loss (nats)."""
    keys = [(split, item) for split, items in rendered.items() for item in items]
    renderings = [rendering for items in rendered.values() for rendering in items.values()]
    return pd.DataFrame(keys, columns=["split", "item"]).assign(
        step=step,
        completion=engine.generate([r.prompt_ids for r in renderings], generation, adapter),
        answer_loss=engine.answer_loss(renderings, adapter),
    )
