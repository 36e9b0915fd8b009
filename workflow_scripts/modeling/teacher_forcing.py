"""Forward passes over known sequences that keep only the positions that are read.

Sequences are cut after the last such position, sorted by length and padded on the right; a
prefix that many of them share is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import PreTrainedModel
from transformers.cache_utils import Cache
from transformers.modeling_utils import unwrap_model

from workflow_scripts.modeling.prefix_cache import (
    continues_prefixes,
    for_rows,
    prefix_cache,
    prefix_groups,
    whole_group,
)


@dataclass(frozen=True)
class Batch:
    """Some sequences without the shared prefix.

    sequences: index of each row's sequence in the pass.
    input_ids: (batch, length), padded on the right.
    rows, columns: (positions,), into the batch: where to read.
    counts: number of positions of each row.
    prefix: cache of the shared prefix; None without one.
    """

    sequences: tuple[int, ...]
    input_ids: Tensor
    rows: Tensor
    columns: Tensor
    counts: tuple[int, ...]
    prefix: Cache | None

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments of the model.

        There is no padding mask: earlier positions of a causal model never attend to padding on
        the right, and a mask that is the same for all rows keeps the fast attention kernels.
        """
        rows = len(self.input_ids)
        return {
            "input_ids": self.input_ids,
            "past_key_values": None if self.prefix is None else for_rows(self.prefix, rows),
            "use_cache": False,
        }


def batches(
    model: PreTrainedModel,
    sequences: Sequence[Sequence[int]],
    positions: Sequence[Sequence[int]],
    batch_size: int,
    description: str,
) -> Iterator[Batch]:
    """The sequences in batches; shows progress.

    Batches are of one group of `prefix_groups`, the longest sequences first.

    positions: for each sequence the indices that are read, in order, not empty.
    """
    cut = [tuple(ids[: read[-1] + 1]) for ids, read in zip(sequences, positions, strict=True)]
    if not cut:
        return
    # a prefix ends before the first position that is read
    groups = (
        prefix_groups(cut, [read[0] for read in positions])
        if continues_prefixes(model)
        else whole_group(cut)
    )
    with tqdm(total=len(cut), desc=description, mininterval=2) as progress:
        for group in groups:
            shared = group.shared
            prefix = prefix_cache(model, cut[group.members[0]][:shared]) if shared else None
            for start in range(0, len(group.members), batch_size):
                members = group.members[start : start + batch_size]
                yield _batch(model.device, cut, positions, members, shared, prefix)
                progress.update(len(members))


def _batch(
    device: torch.device,
    sequences: Sequence[Sequence[int]],
    positions: Sequence[Sequence[int]],
    members: Sequence[int],
    shared: int,
    prefix: Cache | None,
) -> Batch:
    suffixes = [torch.tensor(sequences[index][shared:]) for index in members]
    counts = [len(positions[index]) for index in members]
    columns = [column - shared for index in members for column in positions[index]]
    return Batch(
        sequences=tuple(members),
        input_ids=pad_sequence(suffixes, batch_first=True).to(device),
        rows=torch.arange(len(members)).repeat_interleave(torch.tensor(counts)).to(device),
        columns=torch.tensor(columns, device=device),
        counts=tuple(counts),
        prefix=prefix,
    )


@contextmanager
def head_positions(model: Any, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Inside the block, `model(...).logits` is (positions, vocabulary): those at rows, columns.

    The hidden states are gathered before the output head, so no (batch, length, vocabulary)
    tensor exists. Later steps, such as soft-capping of logits, still apply.

    rows, columns: (positions,), into the batch and its sequences.
    """

    def gather(head: Any, arguments: tuple[Tensor]) -> tuple[Tensor]:
        (hidden,) = arguments
        return (hidden[rows.to(hidden.device), columns.to(hidden.device)],)

    handle = unwrapped(model).get_output_embeddings().register_forward_pre_hook(gather)
    try:
        yield
    finally:
        handle.remove()


def unwrapped(model: Any) -> Any:
    """The transformers model inside wrappers of accelerate (several devices) and of PEFT."""
    model = unwrap_model(model)
    return model.get_base_model() if hasattr(model, "get_base_model") else model
