"""The teacher pass: a model with a context leaves targets for every item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from transformers import PreTrainedModel

from workflow_scripts.config.base import Position, Site
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.modeling.encoder_decoder_forcing import EncodedBatch, encoded_batches
from workflow_scripts.modeling.hidden_states import Capture
from workflow_scripts.modeling.teacher_forcing import Batch, batches, head_positions
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.teachers.targets import target_name

# rows of logits that are converted to float32 and sorted at once
CHUNK = 64

_Batch = Batch | EncodedBatch


def run_teacher_pass(
    model: PreTrainedModel,
    renderings: Sequence[Rendering],
    targets: Sequence[TargetSettings],
    batch_size: int,
    labels: Sequence[Sequence[int]] = (),
) -> list[dict[str, Tensor]]:
    """Each target of every rendering, in their order, on the CPU, from one forward pass.

    renderings: at least one, each with the teacher's context. All their
    rows are held in memory: for hidden states positions × layers × width numbers.
    labels: for each rendering the first tokens of its labels, for a target of labels.
    Returns for each target the tensors of a shard (see `store`): `offsets` (items + 1,) and the
    fields of its kind, (positions of all items, …). `sorted` targets are read at answers only.
    Raises InputError when a target asks for more logits than the vocabulary holds.
    """
    for target in targets:
        _refuse_large_k(target, _vocabulary(model))
    reading = Reading.of(targets)
    positions = [_places(rendering, reading.positions) for rendering in renderings]
    offsets = {
        position: torch.tensor([0, *accumulate(len(r.positions(position)) for r in renderings)])
        for position in reading.positions
    }
    tables: list[dict[str, Tensor]] = [{} for _ in targets]
    for batch in _batches(model, renderings, positions, batch_size, "teacher pass"):
        shown = [renderings[index] for index in batch.sequences]
        tokens = [labels[index] for index in batch.sequences] if labels else []
        with torch.inference_mode():
            outputs = _outputs(model, batch, shown, tokens, reading)
            for target, table in zip(targets, tables, strict=True):
                starts = offsets[target.position]
                places = torch.cat(
                    [torch.arange(starts[i], starts[i + 1]) for i in batch.sequences]
                )
                for name, values in READERS[target.kind](outputs, target).items():
                    if name not in table:
                        shape = (int(starts[-1]), *values.shape[1:])
                        table[name] = values.new_empty(shape, device="cpu")
                    table[name][places] = values.cpu()
    return [
        {"offsets": offsets[target.position], **table}
        for target, table in zip(targets, tables, strict=True)
    ]


@dataclass(frozen=True)
class Reading:
    """What targets read: positions of logits, and sites of states by position."""

    logits: tuple[Position, ...]
    states: Mapping[Position, tuple[Site, ...]]

    @classmethod
    def of(cls, targets: Sequence[TargetSettings]) -> Reading:
        logits: dict[Position, None] = {}
        states: dict[Position, tuple[Site, ...]] = {}
        for target in targets:
            if target.site is None:
                logits[target.position] = None
            else:
                sites = (*states.get(target.position, ()), target.site)
                states[target.position] = tuple(dict.fromkeys(sites))
        return cls(tuple(logits), states)

    @property
    def positions(self) -> tuple[Position, ...]:
        return tuple(dict.fromkeys([*self.logits, *self.states]))


@dataclass(frozen=True)
class Outputs:
    """What the model returned for a batch at the positions that are read.

    logits: position → (positions of the batch, vocabulary) in the model's dtype.
    states: (site, position) → (layers, positions of the batch, width) in the model's dtype.
    vocabulary: length of a row of logits.
    renderings: of the batch. labels: the first tokens of their labels, for a target of labels.
    """

    logits: Mapping[Position, Tensor]
    states: Mapping[tuple[Site, Position], Tensor]
    vocabulary: int
    renderings: Sequence[Rendering]
    labels: Sequence[Sequence[int]]


def _outputs(
    model: PreTrainedModel,
    batch: _Batch,
    renderings: Sequence[Rendering],
    labels: Sequence[Sequence[int]],
    reading: Reading,
) -> Outputs:
    """Runs the model once; the head runs on the positions of logits only."""
    read = {
        position: _of_position(renderings, position, reading.positions).to(batch.rows.device)
        for position in reading.positions
    }
    logits: dict[Position, Tensor] = {}
    with ExitStack() as stack:
        captures = {
            position: stack.enter_context(
                Capture(model, sites, batch.rows[read[position]], batch.columns[read[position]])
            )
            for position, sites in reading.states.items()
        }
        if reading.logits:
            order = torch.cat([read[position] for position in reading.logits])
            stack.enter_context(head_positions(model, batch.rows[order], batch.columns[order]))
            counts = [len(read[position]) for position in reading.logits]
            split = model(**batch.inputs).logits.split(counts)
            logits = dict(zip(reading.logits, split, strict=True))
        else:
            model.get_decoder()(**batch.inputs)
    states = {
        (site, position): captures[position].states(site)
        for position, sites in reading.states.items()
        for site in sites
    }
    return Outputs(logits, states, _vocabulary(model), renderings, labels)


def _places(rendering: Rendering, positions: Sequence[Position]) -> list[int]:
    """Indices at which a rendering is read, in order."""
    return sorted({place for position in positions for place in rendering.positions(position)})


def _of_position(
    renderings: Sequence[Rendering], position: Position, positions: Sequence[Position]
) -> Tensor:
    """Where the places of one position lie among those of all, batch-wide."""
    found: list[int] = []
    before = 0
    for rendering in renderings:
        places = _places(rendering, positions)
        own = rendering.positions(position)
        # those of a position are consecutive
        first = before + places.index(own[0])
        found.extend(range(first, first + len(own)))
        before += len(places)
    return torch.tensor(found)


def _batches(
    model: PreTrainedModel,
    renderings: Sequence[Rendering],
    positions: Sequence[Sequence[int]],
    batch_size: int,
    description: str,
) -> Iterator[_Batch]:
    if renderings[0].encoded:
        return encoded_batches(model, renderings, positions, batch_size, description)
    sequences = [rendering.ids for rendering in renderings]
    return batches(model, sequences, positions, batch_size, description)


def _read_states(outputs: Outputs, target: TargetSettings) -> dict[str, Tensor]:
    assert target.site is not None
    return {"states": outputs.states[target.site, target.position].transpose(0, 1)}


def _read_labels(outputs: Outputs, target: TargetSettings) -> dict[str, Tensor]:
    tokens = torch.tensor(outputs.labels)
    logits = outputs.logits[target.position]
    logprobs = [
        chunk.float().log_softmax(-1).gather(-1, of_labels.to(chunk.device))
        for chunk, of_labels in zip(logits.split(CHUNK), tokens.split(CHUNK), strict=True)
    ]
    return {"logprobs": torch.cat(logprobs)}


def _read_sorted(outputs: Outputs, target: TargetSettings) -> dict[str, Tensor]:
    largest = _read_largest(outputs, target)
    boundaries = [place for rendering in outputs.renderings for place in rendering.boundaries]
    kept = torch.tensor(boundaries, dtype=torch.int32)
    return {
        "values": largest["values"],
        "logsumexp": largest["logsumexp"],
        "boundaries": kept,
        "vocabulary": torch.full_like(kept, outputs.vocabulary),
    }


def _read_largest(outputs: Outputs, target: TargetSettings) -> dict[str, Tensor]:
    assert target.top_k is not None
    assert target.temperature is not None
    count = outputs.vocabulary if target.top_k == "all" else target.top_k
    logits = outputs.logits[target.position]
    chunks = [_largest(chunk.float(), count, target.temperature) for chunk in logits.split(CHUNK)]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _largest(logits: Tensor, top_k: int, temperature: float) -> dict[str, Tensor]:
    """logits: (positions, vocabulary), float32."""
    values, indices = logits.topk(top_k)
    normalisers = [logits.logsumexp(-1), (logits / temperature).logsumexp(-1)]
    return {
        "values": values,
        "indices": indices.int(),
        "logsumexp": torch.stack(normalisers, dim=-1),
    }


# kind of target → reader, which returns field → (positions of the batch, …)
READERS: dict[str, Callable[[Outputs, TargetSettings], dict[str, Tensor]]] = {
    "hidden": _read_states,
    "logits": _read_largest,
    "labels": _read_labels,
    "sorted": _read_sorted,
}


def _vocabulary(model: PreTrainedModel) -> int:
    """Length of a row of logits."""
    return int(model.config.get_text_config().vocab_size)


def _refuse_large_k(target: TargetSettings, vocabulary: int) -> None:
    if isinstance(target.top_k, int) and target.top_k > vocabulary:
        raise InputError(
            f"target {target_name(target)}: top_k is {target.top_k}, but the model's vocabulary "
            f"has {vocabulary} tokens; lower top_k"
        )
