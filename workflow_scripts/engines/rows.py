"""A batch of prompts that the model reads once, whatever is asked of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache

from workflow_scripts.modeling.loading import quiet_transformers
from workflow_scripts.modeling.prefix_cache import caches_per_token, left_padded, selected
from workflow_scripts.modeling.teacher_forcing import head_positions

# tokens of padding that cost about as much as another pass
_APART = 32


class Rows:
    """Sequences that end in the same column, padded on the left, and their keys and values.

    A model that caches other states too (`caches_per_token`) can only generate, once, and all its
    rows stay to the end.

    left: indices of the prompts whose rows are still in the batch.
    ids: (rows, columns).
    prompt: columns before the new tokens.
    """

    def __init__(
        self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], prefix: Cache | None
    ) -> None:
        """prefix: of all prompts, as in `prefix_cache`."""
        self._model = model
        self.left = list(range(len(prompts)))
        self.prompt = max(map(len, prompts))
        padding = [self.prompt - len(ids) for ids in prompts]
        (filler, *_) = model.generation_config.eos_token_id
        columns = list(zip(padding, prompts, strict=True))
        self.ids = torch.tensor(
            [[filler] * absent + list(ids) for absent, ids in columns], device=model.device
        )
        self._mask = torch.tensor(
            [[0] * absent + [1] * len(ids) for absent, ids in columns], device=model.device
        )
        self._cache: DynamicCache | None = None
        if prefix is not None:
            self._cache = left_padded(prefix, padding)
        elif caches_per_token(model):
            # without the model's config, so that sliding-window layers keep all keys too
            self._cache = DynamicCache()

    @property
    def can_leave(self) -> bool:
        """Whether rows can be removed."""
        return self._cache is not None

    @property
    def new(self) -> Tensor:
        """The new tokens, (rows, tokens)."""
        return self.ids[:, self.prompt :]

    def generate(self, **options: Any) -> Any:
        """Appends tokens to all rows; returns the output of transformers' `generate`."""
        with quiet_transformers():
            output = self._model.generate(
                input_ids=self.ids,
                attention_mask=self._mask,
                past_key_values=self._cache,
                return_dict_in_generate=True,
                **options,
            )
        added = output.sequences[:, self.ids.shape[1] :]
        self.ids = output.sequences
        self._mask = torch.cat([self._mask, torch.ones_like(added)], dim=1)
        return output

    def predict(self, answers: Sequence[tuple[int, Sequence[int]]]) -> Iterator[tuple[int, Tensor]]:
        """The logits that predict each answer's tokens after its prompt, (tokens, vocabulary).

        It reads the prompts, appends a token to each, and reads the answers apart from the rows.

        answers: each is the place of its prompt, and at least one token.
        Yields the index of an answer and its logits, float32, in any order.
        """
        (first,) = self.generate(max_new_tokens=1, output_logits=True).logits
        lengths = [len(answer) for _, answer in answers]
        for members in _alike(lengths, len(self.left)):
            rest = self._after([answers[index] for index in members])
            for index, logits in zip(members, rest, strict=True):
                place, _ = answers[index]
                yield index, torch.cat([first[place : place + 1], logits.float()])

    def _after(self, answers: Sequence[tuple[int, Sequence[int]]]) -> tuple[Tensor, ...]:
        """Logits after each token of an answer but its last; the rows stay as they are."""
        assert self._cache is not None
        device = self._model.device
        places = torch.tensor([place for place, _ in answers], device=device)
        counts = [len(answer) - 1 for _, answer in answers]
        width = max(1, *counts)  # models take no empty input
        texts = [[*answer[:-1], *[0] * (width - len(answer) + 1)] for _, answer in answers]
        ids = torch.tensor(texts, device=device)
        mask = torch.cat([self._mask[places, : self.prompt], torch.ones_like(ids)], dim=1)
        # a model without this parameter counts positions from the mask itself
        counted = "position_ids" in inspect.signature(self._model.forward).parameters
        positions = {"position_ids": mask.cumsum(dim=1)[:, self.prompt :] - 1} if counted else {}
        rows = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        columns = torch.cat([torch.arange(count) for count in counts])
        with head_positions(self._model, rows, columns):
            logits = self._model(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=selected(self._cache, places),
                **positions,
            ).logits
        return tuple(logits.split(counts))

    def keep(self, places: Sequence[int]) -> None:
        """Removes all other rows. places: in `left`."""
        self.left = [self.left[place] for place in places]
        kept = torch.tensor(places, dtype=torch.long, device=self._model.device)
        self.ids, self._mask = self.ids[kept], self._mask[kept]
        if self._cache is not None:
            self._cache.batch_select_indices(kept)


def _alike(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices in batches of about the same length, the longest first. size: of a batch at most."""
    batch: list[int] = []
    padding = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        absent = lengths[batch[0]] - lengths[index] if batch else 0
        if len(batch) == size or padding + absent > _APART:
            yield batch
            batch, padding, absent = [], 0, 0
        batch.append(index)
        padding += absent
    if batch:
        yield batch
