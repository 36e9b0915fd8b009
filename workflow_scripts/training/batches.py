"""Training examples with their teacher targets, as padded batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice, repeat
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, Sampler

from workflow_scripts.config.base import Position
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.teachers.store import TargetStore

T = TypeVar("T")


@dataclass(frozen=True)
class RenderedExample:
    """One conversation, and its labels where a term reads them.

    label_tokens: the first token of each label, for a language head.
    gold: index of the correct label.
    """

    item: str
    rendering: Rendering
    label_tokens: tuple[int, ...] = ()
    gold: int | None = None


@dataclass(frozen=True)
class Sample:
    """An example of a phase with its teacher targets: name of the target → field → tensor."""

    example: RenderedExample
    targets: Mapping[str, Mapping[str, Tensor]]
    phase: int = 0


@dataclass(frozen=True)
class RenderedPhase:
    """The examples of a phase and, by name, the targets that its terms read."""

    examples: Sequence[RenderedExample]
    targets: Mapping[str, TargetStore]


class DistillationDataset(Dataset[Sample]):
    """The examples of one phase after another; targets are read from disk on access."""

    def __init__(self, phases: Sequence[RenderedPhase]) -> None:
        self.phases = phases
        self._places = [
            (number, example) for number, phase in enumerate(phases) for example in phase.examples
        ]

    @property
    def examples(self) -> list[RenderedExample]:
        return [example for _, example in self._places]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        phase, example = self._places[index]
        stores = self.phases[phase].targets
        targets = {name: store.read(example.item) for name, store in stores.items()}
        return Sample(example, targets, phase)


class PhaseSampler(Sampler[int]):
    """The examples of whole phases: one permutation of a phase's examples after another.

    Batches run across permutations, so every optimizer step has a full batch, and its examples do
    not depend on the number of processes.

    lengths: of the examples of each phase, in tokens. A phase without examples was trained before,
    and Trainer skips its steps.
    steps: of each phase.
    batch_size: examples of a step. seed: determines the permutations.
    grouped: steps whose examples are drawn together, sorted by length, and divided into these
    steps in random order; None keeps the order in which they are drawn. Sorted examples meet others
    of their length in a forward pass, so that less is padded.
    """

    def __init__(
        self,
        lengths: Sequence[Sequence[int]],
        steps: Sequence[int],
        batch_size: int,
        seed: int,
        grouped: int | None = None,
    ) -> None:
        self._lengths = lengths
        self._steps = steps
        self._batch_size = batch_size
        self._seed = seed
        self._grouped = grouped

    def __len__(self) -> int:
        return sum(self._steps) * self._batch_size

    def __iter__(self) -> Iterator[int]:
        first, before = 0, 0
        for lengths, steps in zip(self._lengths, self._steps, strict=True):
            samples = steps * self._batch_size
            if lengths:
                # a phase has fewer permutations than steps, unless a step takes all examples
                orders = (self._permutation(len(lengths), before + number) for number in count())
                drawn = self._by_length(chain.from_iterable(orders), lengths, before)
                yield from (first + index for index in islice(drawn, samples))
            else:
                yield from repeat(0, samples)
            first += len(lengths)
            before += steps

    def _by_length(
        self, drawn: Iterator[int], lengths: Sequence[int], before: int
    ) -> Iterator[int]:
        """The drawn examples, those of a group of steps sorted.

        Which steps are a group does not depend on how many follow.

        before: steps of earlier phases.
        """
        if self._grouped is None:
            yield from drawn
            return
        for group in batched(drawn, self._grouped * self._batch_size):
            ordered = sorted(group, key=lengths.__getitem__)
            steps = list(batched(ordered, self._batch_size))
            for place in self._permutation(len(steps), before):
                yield from steps[place]
            before += self._grouped

    def _permutation(self, length: int, number: int) -> list[int]:
        # the generator uses 32 bits of its seed
        generator = torch.Generator().manual_seed((self._seed << 16) + number)
        order: list[int] = torch.randperm(length, generator=generator).tolist()
        return order


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Of itertools from Python 3.12 on."""
    remaining = iter(items)
    while batch := tuple(islice(remaining, size)):
        yield batch


@dataclass(frozen=True)
class Collator:
    """Pads samples to one length and lists the positions that are read.

    Answers are cut off where no term reads them. The batch is a dict of:
    input_ids, attention_mask: (batch, length), padded on the right; the mask counts tokens;
    rows, columns: position → (positions,), where each state or logit is read;
    answers: (answer positions,), the token that each `answer` position predicts;
    boundaries: (answer positions,), where in the answer that token begins, as in `Rendering`;
    label_tokens: (batch, labels), the first token of each label; no columns without labels;
    gold: (batch,), index of the correct label; empty without labels;
    targets: name of a target → field → (positions, …), and `examples`: (positions,), the index
        in the batch of each position's example.
    """

    positions: tuple[Position, ...]

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        renderings = [sample.example.rendering for sample in samples]
        is_whole = "answer" in self.positions
        return {
            # no position that is read sees padding, so any token will do
            **_padded([r.ids if is_whole else r.prompt_ids for r in renderings], padding=0),
            "rows": {kind: _rows(renderings, kind) for kind in self.positions},
            "columns": {kind: _columns(renderings, kind) for kind in self.positions},
            "answers": torch.tensor([token for r in renderings for token in r.answer_ids]),
            "boundaries": torch.tensor(
                [place for r in renderings for place in r.boundaries], dtype=torch.long
            ),
            "label_tokens": torch.tensor(
                [sample.example.label_tokens for sample in samples], dtype=torch.long
            ),
            "gold": _gold(samples),
            "targets": _targets(samples),
        }


@dataclass(frozen=True)
class PromptCollator:
    """Pads prompts for a classifier, which reads the last token before the padding.

    The batch is a dict of `input_ids`, `attention_mask`, `gold` and `targets`, as in `Collator`.
    padding: a token that no prompt ends in.
    """

    padding: int

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        prompts = [sample.example.rendering.prompt_ids for sample in samples]
        return {
            **_padded(prompts, self.padding),
            "gold": _gold(samples),
            "targets": _targets(samples),
        }


@dataclass(frozen=True)
class PhaseCollator:
    """Makes a batch as its phase needs it, and adds `phase`: all samples are of one."""

    collators: Sequence[Collator | PromptCollator]

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        phase = samples[0].phase
        return self.collators[phase](samples) | {"phase": phase}


def refuse_ending_in(padding: int, examples: Sequence[RenderedExample]) -> None:
    """Raises InputError for a prompt whose last token a classifier would take for padding."""
    for example in examples:
        if example.rendering.prompt_ids[-1] == padding:
            raise InputError(
                f"item {example.item}: its prompt ends in the model's padding token {padding}, "
                "which a classification head does not read; change the task's `prompt`"
            )


def _padded(sequences: Sequence[Sequence[int]], padding: int) -> dict[str, Tensor]:
    ids = [torch.tensor(sequence) for sequence in sequences]
    return {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=padding),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
    }


def _rows(renderings: Sequence[Rendering], kind: Position) -> Tensor:
    counts = torch.tensor([len(rendering.positions(kind)) for rendering in renderings])
    return torch.arange(len(renderings)).repeat_interleave(counts)


def _columns(renderings: Sequence[Rendering], kind: Position) -> Tensor:
    return torch.tensor([column for r in renderings for column in r.positions(kind)])


def _gold(samples: Sequence[Sample]) -> Tensor:
    gold = [sample.example.gold for sample in samples if sample.example.gold is not None]
    return torch.tensor(gold, dtype=torch.long)


def _targets(samples: Sequence[Sample]) -> dict[str, dict[str, Tensor]]:
    return {
        name: _concatenate([sample.targets[name] for sample in samples])
        for name in samples[0].targets
    }


def _concatenate(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    fields = {field: torch.cat([row[field] for row in rows]) for field in rows[0]}
    counts = torch.tensor([len(next(iter(row.values()))) for row in rows])
    return fields | {"examples": torch.arange(len(rows)).repeat_interleave(counts)}
