"""A batch of prompts that the model reads once, whatever is asked of them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache

from workflow_scripts.modeling.loading import quiet_transformers
from workflow_scripts.modeling.prefix_cache import caches_per_token, left_padded
from workflow_scripts.modeling.teacher_forcing import head_positions


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
        self._cache: Cache | None = None
        if prefix is not None:
            self._cache = left_padded(prefix, padding)
        elif caches_per_token(model):
            # sliding-window layers keep all keys, or no token could be taken back
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

    def read(self) -> Tensor:
        """Reads the prompts and appends one token each.

        Returns the logits of that token, (rows, vocabulary), float32.
        """
        (logits,) = self.generate(max_new_tokens=1, output_logits=True).logits
        return logits

    def after(self, texts: Sequence[Sequence[int]]) -> tuple[Tensor, ...]:
        """Logits after each token of a text behind each row's prompt, (tokens, vocabulary) a row.

        The prompts have been read, nothing else; the rows stay as they are.
        """
        assert self._cache is not None
        counts = [len(text) for text in texts]
        # one column at least: models take no empty input
        width = max(1, *counts)
        ids = torch.tensor(
            [[*text, *[0] * (width - len(text))] for text in texts], device=self._model.device
        )
        mask = torch.cat([self._mask[:, : self.prompt], torch.ones_like(ids)], dim=1)
        inputs = {"input_ids": ids, "attention_mask": mask, "past_key_values": self._cache}
        # a model without this parameter counts positions from the mask itself
        if "position_ids" in inspect.signature(self._model.forward).parameters:
            inputs["position_ids"] = mask.cumsum(dim=1)[:, self.prompt :] - 1
        rows = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        columns = torch.cat([torch.arange(count) for count in counts])
        with head_positions(self._model, rows, columns):
            logits = self._model(**inputs, use_cache=True).logits
        self._cache.crop(-width)
        return tuple(logits.split(counts))

    def keep(self, places: Sequence[int]) -> None:
        """Removes all other rows. places: in `left`."""
        self.left = [self.left[place] for place in places]
        kept = torch.tensor(places, dtype=torch.long, device=self._model.device)
        self.ids, self._mask = self.ids[kept], self._mask[kept]
        if self._cache is not None:
            self._cache.batch_select_indices(kept)
