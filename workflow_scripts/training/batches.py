"""Training examples with their teacher signals, as padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from workflow_scripts.rendering import Rendering
from workflow_scripts.settings import Position
from workflow_scripts.teachers.store import SignalStore


@dataclass(frozen=True)
class Sample:
    """One conversation, and the fields of each signal that it reads, by the reading's name."""

    rendering: Rendering
    signals: Mapping[str, Mapping[str, Tensor]]


class DistillationDataset(Dataset[Sample]):
    """Rendered examples; a teacher's signal is read from disk when its example is asked for."""

    def __init__(
        self,
        items: Sequence[str],
        renderings: Sequence[Rendering],
        signals: Mapping[str, SignalStore],
    ) -> None:
        self._items = items
        self._renderings = renderings
        self._signals = signals

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Sample:
        item = self._items[index]
        signals = {name: vars(store.read(item)) for name, store in self._signals.items()}
        return Sample(self._renderings[index], signals)


class WholeRunSampler(Sampler[int]):
    """The examples of a whole run: permutations of all of them, one after another.

    Every optimizer step gets a full batch, the last one of a permutation too, so the examples of a
    step do not depend on how many processes share them.

    samples: how many examples the run sees. seed: different ones draw other orders.
    """

    def __init__(self, examples: int, samples: int, seed: int) -> None:
        self._examples = examples
        self._samples = samples
        self._seed = seed

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[int]:
        return islice(chain.from_iterable(map(self._permutation, count())), self._samples)

    def _permutation(self, number: int) -> list[int]:
        # the generator looks at 32 bits of its seed
        generator = torch.Generator().manual_seed((self._seed << 16) + number)
        order: list[int] = torch.randperm(self._examples, generator=generator).tolist()
        return order


@dataclass(frozen=True)
class Collator:
    """Pads samples to one length and lists the positions that are read.

    The batch is a dict of:
    input_ids, attention_mask: (batch, length), padded on the right;
    rows, columns: position → (positions,), where each state or logit is read;
    answers: (answer positions,), the token that each `answer` position predicts;
    signals: reading → field → (positions, …), in the order of that signal's positions.
    """

    positions: tuple[Position, ...]

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        renderings = [sample.rendering for sample in samples]
        ids = [torch.tensor(rendering.ids) for rendering in renderings]
        pad = torch.nn.utils.rnn.pad_sequence
        return {
            # the mask hides padding, so any token will do, also where a model defines none
            "input_ids": pad(ids, batch_first=True),
            "attention_mask": pad([torch.ones_like(row) for row in ids], batch_first=True),
            "rows": {kind: _rows(renderings, kind) for kind in self.positions},
            "columns": {kind: _columns(renderings, kind) for kind in self.positions},
            "answers": torch.tensor([token for r in renderings for token in r.answer_ids]),
            "signals": {
                name: _concatenate([sample.signals[name] for sample in samples])
                for name in samples[0].signals
            },
        }


def _rows(renderings: Sequence[Rendering], kind: Position) -> Tensor:
    counts = torch.tensor([len(rendering.positions(kind)) for rendering in renderings])
    return torch.arange(len(renderings)).repeat_interleave(counts)


def _columns(renderings: Sequence[Rendering], kind: Position) -> Tensor:
    return torch.tensor([column for r in renderings for column in r.positions(kind)])


def _concatenate(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {field: torch.cat([row[field] for row in rows]) for field in rows[0]}
