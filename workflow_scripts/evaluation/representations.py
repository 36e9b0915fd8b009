"""Hidden states of a run's checkpoints on held-out items, compared with the base model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from workflow_scripts.config.base import Position, Site
from workflow_scripts.config.slices import RepresentationSlice
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.evaluation.similarity import (
    FEWEST_ROWS,
    ROWS_PER_DIMENSION,
    SVCCA,
    cosine_distance,
    principal_axes,
    relative_distance,
    svcca,
    unbiased_cka,
)
from workflow_scripts.modeling.hidden_states import Capture
from workflow_scripts.modeling.loading import LocalModel, load_tokenizer
from workflow_scripts.modeling.teacher_forcing import batches
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    Renderer,
    Rendering,
    refuse_misaligned,
    refuse_too_long,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example

COLUMNS = ["split", "item", "step", "position", "layer", "drift", "teacher_distance"]


@dataclass(frozen=True)
class Representations:
    """Metrics of a run's hidden states.

    by_item: split, item, step, position, layer, drift (1 - cosine to the base model's state) and
    teacher_distance (distance to the teacher's state divided by the base model's), both means
    over the item's positions.
    similarity: step, position, layer, rows, cka, svcca, svcca_dimensions, note, between all rows
    and the base model's.
    """

    by_item: pd.DataFrame
    similarity: pd.DataFrame


def measure(
    model: LocalModel,
    settings: RepresentationSlice,
    examples: Sequence[Example],
    demonstrations: Sequence[Demonstration],
    checkpoints: Mapping[int, Path],
) -> Representations:
    """Compares the states of every checkpoint, without context, with the base model's.

    The teacher is the base model with the demonstrations before the same question and answer.
    Step 0 is the base model itself. Three sets of states are held in memory: the base model's,
    the teacher's and one checkpoint's.

    examples: of the split `settings.split`; the first ones are read, up to `max_rows`.
    checkpoints: step → folder.
    Raises InputError, before any weights are loaded, when an item does not fit the context or
    `max_rows` is too small for the first item.
    """
    student, teacher = _render(model, settings, examples, demonstrations)
    layout = _lay_out(student, settings.positions, settings.max_rows)
    items = [example.item for example in examples[: len(layout.spans)]]
    refuse_too_long(teacher[: len(items)], items, model.context_length)
    folders = {f"step-{step}": folder for step, folder in checkpoints.items()}
    reader = StateReader(model, settings.batch_size, folders)
    base = reader.states(student, layout, settings.site, None)
    taught = reader.states(teacher, layout, settings.site, None)
    reference = _Reference(settings, layout, items, base, taught, reader.device)
    tables = [reference.measure(0, base)]
    for step in checkpoints:
        states = reader.states(student, layout, settings.site, f"step-{step}")
        tables.append(reference.measure(step, states))
    return Representations(
        by_item=pd.concat([table.by_item for table in tables], ignore_index=True),
        similarity=pd.concat([table.similarity for table in tables], ignore_index=True),
    )


def _render(
    model: LocalModel,
    settings: RepresentationSlice,
    examples: Sequence[Example],
    demonstrations: Sequence[Demonstration],
) -> tuple[list[Rendering], list[Rendering]]:
    """Every example without and with the demonstrations, ending in the same tokens."""
    tokenizer = load_tokenizer(model)
    questions = [example.question for example in examples]
    answers = [example.required_answer for example in examples]
    student = Renderer(tokenizer, settings.prompt).render(questions, answers)
    teacher = Renderer(tokenizer, settings.prompt, demonstrations).render(questions, answers)
    for example, asked, shown in zip(examples, student, teacher, strict=True):
        refuse_misaligned(asked, shown, example.item)
    return student, teacher


# --- rows of a pass ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """Rows of hidden states that a pass reads, the same with and without context.

    spans: for each item the indices from its first to its last row, counted from the start of
    the question.
    rows: position → (rows,), into the concatenated rows of all spans.
    items: position → (rows,), the item of each row.
    """

    spans: tuple[range, ...]
    rows: dict[Position, Tensor]
    items: dict[Position, Tensor]


def _lay_out(
    renderings: Sequence[Rendering], positions: Sequence[Position], max_rows: int
) -> Layout:
    """The rows of the first items, at most `max_rows` at each position.

    Raises InputError when the first item alone has more.
    """
    reads = {position: _first_items(renderings, position, max_rows) for position in positions}
    count = max(map(len, reads.values()))
    spans = []
    for index in range(count):
        own = [read[index] for read in reads.values() if index < len(read)]
        spans.append(range(min(read[0] for read in own), max(read[-1] for read in own) + 1))
    starts = np.cumsum([0, *map(len, spans)])
    rows, items = {}, {}
    for position, read in reads.items():
        rows[position] = torch.tensor(
            [
                starts[index] + place - spans[index][0]
                for index, places in enumerate(read)
                for place in places
            ]
        )
        items[position] = torch.tensor([index for index, places in enumerate(read) for _ in places])
    return Layout(tuple(spans), rows, items)


def _first_items(renderings: Sequence[Rendering], position: Position, max_rows: int) -> list[range]:
    """Indices of the position for each item read, counted from the start of the question."""
    reads: list[range] = []
    total = 0
    for rendering in renderings:
        places = rendering.positions(position)
        total += len(places)
        if total > max_rows:
            break
        start = rendering.question
        reads.append(range(places[0] - start, places[-1] + 1 - start))
    if not reads:
        raise InputError(
            f"representations.max_rows: the first item has {total} rows at `{position}`, more than "
            f"{max_rows}; raise it"
        )
    return reads


class StateReader(TransformersEngine):
    """Reads hidden states of a model and of its checkpoints."""

    @property
    def device(self) -> torch.device:
        return torch.device(self._model.device)

    def states(
        self, renderings: Sequence[Rendering], layout: Layout, site: Site, checkpoint: str | None
    ) -> Tensor:
        """The rows of all spans of `layout`, on the CPU in the model's dtype.

        checkpoint: its name; None is the base model.
        Returns (layers, rows, width).
        """
        read = renderings[: len(layout.spans)]
        reads = [
            range(rendering.question + span[0], rendering.question + span[-1] + 1)
            for rendering, span in zip(read, layout.spans, strict=True)
        ]
        starts = np.cumsum([0, *map(len, reads)])
        sequences = [rendering.ids for rendering in read]
        description = f"states, {checkpoint or 'base'}"
        table = None
        with self._switch.to(checkpoint), torch.inference_mode():
            for batch in batches(self._model, sequences, reads, self._batch_size, description):
                with Capture(self._model, [site], batch.rows, batch.columns) as capture:
                    self._model.get_decoder()(**batch.inputs)
                states = capture.states(site)
                if table is None:
                    table = states.new_empty(
                        len(states), starts[-1], states.shape[-1], device="cpu"
                    )
                places = [torch.arange(starts[i], starts[i + 1]) for i in batch.sequences]
                table[:, torch.cat(places)] = states.cpu()
        assert table is not None
        return table


# --- metrics ----------------------------------------------------------------------------------


class _Reference:
    """The base model's states and the teacher's, with which others are compared."""

    def __init__(
        self,
        settings: RepresentationSlice,
        layout: Layout,
        items: Sequence[str],
        base: Tensor,
        taught: Tensor,
        device: torch.device,
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._items = items
        self._base = base
        self._taught = taught
        self._device = device
        # the base model's side of SVCCA
        self._axes: dict[tuple[Position, int], Tensor] = {}

    def measure(self, step: int, states: Tensor) -> Representations:
        """States of one checkpoint: (layers, rows, width), as `StateReader.states` returns them.

        Raises InputError when one is not finite.
        """
        distances, similarities = [], []
        for position, rows in self._layout.rows.items():
            for layer in range(len(states)):
                own, base, taught = (
                    side[layer, rows].to(self._device, torch.float64)
                    for side in (states, self._base, self._taught)
                )
                _refuse_infinite(own, step, position, layer)
                place = {"step": step, "position": position, "layer": layer}
                distances.append(
                    pd.DataFrame(
                        {
                            "item": self._items_at(position),
                            "drift": self._item_means(position, cosine_distance(own, base)),
                            "teacher_distance": self._item_means(
                                position, relative_distance(own, base, taught)
                            ),
                        }
                    ).assign(split=self._settings.split, **place)
                )
                similarities.append(place | self._similarity(position, layer, own, base))
        return Representations(pd.concat(distances)[COLUMNS], pd.DataFrame(similarities))

    def _items_at(self, position: Position) -> list[str]:
        return list(self._items[: int(self._layout.items[position][-1]) + 1])

    def _item_means(self, position: Position, values: Tensor) -> NDArray[np.float64]:
        """values: (rows,). Returns (items,)."""
        of = self._layout.items[position].numpy()
        means: NDArray[np.float64] = np.bincount(of, values.cpu().numpy()) / np.bincount(of)
        return means

    def _similarity(
        self, position: Position, layer: int, own: Tensor, base: Tensor
    ) -> dict[str, object]:
        variance = self._settings.svcca_variance
        if (position, layer) not in self._axes:
            self._axes[position, layer] = principal_axes(base, variance)
        cka = unbiased_cka(own, base)
        axes = svcca(principal_axes(own, variance), self._axes[position, layer])
        return {
            "rows": len(own),
            "cka": cka,
            "svcca": axes.similarity,
            "svcca_dimensions": axes.dimensions,
            "note": _note(len(own), cka, axes),
        }


def _refuse_infinite(states: Tensor, step: int, position: Position, layer: int) -> None:
    if not states.isfinite().all():
        raise InputError(
            f"step {step}: states of layer {layer} at `{position}` are not finite; "
            "look at the training log of the run"
        )


def _note(rows: int, cka: float, axes: SVCCA) -> str:
    """Why a similarity is missing; empty when none is."""
    notes = []
    if rows < FEWEST_ROWS:
        notes.append(f"cka: {rows} rows of {FEWEST_ROWS}")
    needed = ROWS_PER_DIMENSION * axes.dimensions
    if rows < needed:
        notes.append(f"svcca: {rows} rows of {needed} for {axes.dimensions} dimensions")
    if not notes and (isnan(cka) or isnan(axes.similarity)):
        notes.append("the states do not vary")
    return "; ".join(notes)
