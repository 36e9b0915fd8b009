"""The teacher pass: a model with a context leaves a target for every item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from transformers import PreTrainedModel

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
    target: TargetSettings,
    batch_size: int,
    labels: Sequence[Sequence[int]] = (),
) -> dict[str, Tensor]:
    """The target of every rendering, in their order, on the CPU.

    renderings: at least one, each with the teacher's context. All their
    rows are held in memory: for hidden states positions × layers × width numbers.
    labels: for each rendering the first tokens of its labels, for a target of labels.
    Returns the tensors of a shard (see `store`): `offsets` (items + 1,) and the fields of the
    target's kind, (positions of all items, …). `sorted` targets are read at answers only.
    Raises InputError when the target asks for more logits than the vocabulary holds.
    """
    _refuse_large_k(target, _vocabulary(model))
    positions = [rendering.positions(target.position) for rendering in renderings]
    offsets = torch.tensor([0, *accumulate(map(len, positions))])
    table: dict[str, Tensor] = {}
    for batch in _batches(
        model, renderings, positions, batch_size, f"teacher pass, {target_name(target)}"
    ):
        places = torch.cat([torch.arange(offsets[i], offsets[i + 1]) for i in batch.sequences])
        shown = Shown(
            [renderings[index] for index in batch.sequences],
            [labels[index] for index in batch.sequences] if labels else [],
        )
        with torch.inference_mode():
            rows = READERS[target.kind](model, batch, target, shown)
        for name, values in rows.items():
            if name not in table:
                table[name] = values.new_empty(offsets[-1], *values.shape[1:], device="cpu")
            table[name][places] = values.cpu()
    return {"offsets": offsets, **table}


def _batches(
    model: PreTrainedModel,
    renderings: Sequence[Rendering],
    positions: Sequence[range],
    batch_size: int,
    description: str,
) -> Iterator[_Batch]:
    if renderings[0].encoded:
        return encoded_batches(model, renderings, positions, batch_size, description)
    sequences = [rendering.ids for rendering in renderings]
    return batches(model, sequences, positions, batch_size, description)


@dataclass(frozen=True)
class Shown:
    """The renderings of a batch and, for a target of labels, the first tokens of their labels."""

    renderings: Sequence[Rendering]
    labels: Sequence[Sequence[int]]


def _read_states(
    model: PreTrainedModel, batch: _Batch, target: TargetSettings, shown: Shown
) -> dict[str, Tensor]:
    assert target.site is not None
    with Capture(model, [target.site], batch.rows, batch.columns) as capture:
        model.get_decoder()(**batch.inputs)
    return {"states": capture.states(target.site).transpose(0, 1)}


def _read_labels(
    model: PreTrainedModel, batch: _Batch, target: TargetSettings, shown: Shown
) -> dict[str, Tensor]:
    tokens = torch.tensor(shown.labels)
    chunks = zip(_logits(model, batch).split(CHUNK), tokens.split(CHUNK), strict=True)
    logprobs = [
        logits.float().log_softmax(-1).gather(-1, of_labels.to(logits.device))
        for logits, of_labels in chunks
    ]
    return {"logprobs": torch.cat(logprobs)}


def _read_sorted(
    model: PreTrainedModel, batch: _Batch, target: TargetSettings, shown: Shown
) -> dict[str, Tensor]:
    largest = _read_largest(model, batch, target, shown)
    boundaries = [place for rendering in shown.renderings for place in rendering.boundaries]
    kept = torch.tensor(boundaries, dtype=torch.int32)
    return {
        "values": largest["values"],
        "logsumexp": largest["logsumexp"],
        "boundaries": kept,
        "vocabulary": torch.full_like(kept, _vocabulary(model)),
    }


def _read_largest(
    model: PreTrainedModel, batch: _Batch, target: TargetSettings, shown: Shown
) -> dict[str, Tensor]:
    assert target.top_k is not None
    assert target.temperature is not None
    logits = _logits(model, batch)
    count = logits.shape[-1] if target.top_k == "all" else target.top_k
    chunks = [_largest(chunk.float(), count, target.temperature) for chunk in logits.split(CHUNK)]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _logits(model: PreTrainedModel, batch: _Batch) -> Tensor:
    """(positions of the batch, vocabulary) in the model's dtype."""
    with head_positions(model, batch.rows, batch.columns):
        logits: Tensor = model(**batch.inputs).logits
    return logits


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
READERS: dict[
    str, Callable[[PreTrainedModel, _Batch, TargetSettings, Shown], dict[str, Tensor]]
] = {
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
