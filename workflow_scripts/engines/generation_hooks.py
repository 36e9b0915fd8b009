"""What transformers' `generate` is given besides the model: noise, and reasons to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from workflow_scripts.engines.protocol import Sampling

# finished rows leave a batch when they are one of this many
_LEAVING = 8


class GumbelNoise(LogitsProcessor):
    """Noise with which greedy decoding samples exactly from softmax(logits / temperature).

    argmax(logits / T + g) has that distribution for independent Gumbel noise g = −log(−log u),
    with u uniform in [0, 1) (Maddison et al. 2014, "A* Sampling"). Each row has a generator of its
    own, so its noise depends on its seed and on nothing else in the batch.
    """

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self._temperature = sampling.temperature
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in sampling.seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        # float64: float32 has no noise above 17, which a large vocabulary needs
        noised = scores.double() / self._temperature
        for row, generator in zip(noised, self._generators, strict=True):
            uniform = torch.rand(row.shape, generator=generator, dtype=row.dtype, device=row.device)
            row -= uniform.log_().neg_().log_()
        return noised

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows of the batch."""
        self._generators = [self._generators[row] for row in rows]


def noise_of(sampling: Sampling | None, device: torch.device) -> LogitsProcessorList:
    """The logits processors for the rows of one batch."""
    processors = [] if sampling is None else [GumbelNoise(sampling, device)]
    return LogitsProcessorList(processors)


class StopTexts(StoppingCriteria):
    """Ends a row once its completion contains a stop text.

    transformers' own `stop_strings` also matches a text that begins in the prompt.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], prompt_length: int
    ) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._prompt_length = prompt_length
        # a token is at least one byte; one more, since decoding may strip a leading space
        self._window = max(len(mark.encode()) for mark in stop) + 1

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        start = max(self._prompt_length, input_ids.shape[1] - self._window)
        ends = self._tokenizer.batch_decode(
            input_ids[:, start:], clean_up_tokenization_spaces=False
        )
        done = [any(mark in text for mark in self._stop) for text in ends]
        return torch.tensor(done, device=input_ids.device)


class EnoughFinished(StoppingCriteria):
    """Ends a call of `generate` once an eighth of its rows is finished, so that they can leave.

    ends: the end tokens. `generate` fills up a row that is finished with one of them.
    others: further criteria for a row to be finished.
    """

    def __init__(self, ends: Sequence[int], others: StoppingCriteriaList) -> None:
        self._ends = ends
        self._others = others

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        finished = self.finished(input_ids)
        return finished | (finished.sum() * _LEAVING >= len(finished))

    def finished(self, input_ids: Tensor) -> Tensor:
        """Which rows are finished, (rows,)."""
        ends = torch.tensor(self._ends, device=input_ids.device)
        return torch.isin(input_ids[:, -1], ends) | self._others(input_ids, None)
