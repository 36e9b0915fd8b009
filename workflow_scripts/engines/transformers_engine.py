"""Generation and scoring with transformers and PEFT: on the CPU or one GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.cache_utils import Cache

from workflow_scripts.engines.loading import (
    LocalModel,
    load_tokenizer,
    load_weights,
    quiet_transformers,
)
from workflow_scripts.engines.shared_prefix import growing_cache, prefix_cache, shared_length
from workflow_scripts.engines.teacher_forcing import Batch, batches, head_positions
from workflow_scripts.errors import InputError
from workflow_scripts.rendering import Rendering
from workflow_scripts.settings import GenerationSettings


class TransformersEngine:
    """An `Engine`: loads the model once and switches its adapters."""

    def __init__(self, model: LocalModel, batch_size: int) -> None:
        self._tokenizer = load_tokenizer(model)
        self._model = load_weights(model)
        self._ends = _end_tokens(self._model.generation_config, self._tokenizer)
        # a fresh config: the model's own may ask for sampling or a repetition penalty
        self._model.generation_config = GenerationConfig(
            eos_token_id=self._ends, pad_token_id=self._ends[0], do_sample=False
        )
        # torch multiplies a slice by frozen weights row by row, each with its own copy of them
        self._model.get_output_embeddings().register_forward_pre_hook(_contiguous)
        self._batch_size = batch_size
        # PEFT puts its layers into the model itself, so calls to the model see the active adapter
        self._adapters: PeftModel | None = None

    def add_adapter(self, name: str, folder: Path) -> None:
        # PEFT takes a folder that it does not find for the name of one on the hub
        if not (folder / "adapter_config.json").is_file():
            raise InputError(f"{folder}: not an adapter of this model (no adapter_config.json)")
        try:
            if self._adapters is None:
                self._adapters = PeftModel.from_pretrained(self._model, folder, adapter_name=name)
            else:
                self._adapters.load_adapter(folder, adapter_name=name)
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{folder}: not an adapter of this model ({reason})") from None
        self._model.eval()

    def generate(
        self, prompts: Sequence[Sequence[int]], generation: GenerationSettings, adapter: str | None
    ) -> list[str]:
        if not prompts:
            return []
        completions = [""] * len(prompts)
        # each prompt keeps a token to start from
        shared = shared_length(prompts, limit=min(map(len, prompts)) - 1)
        order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
        with (
            self._active(adapter),
            torch.inference_mode(),
            tqdm(total=len(prompts), desc="generation", mininterval=2) as progress,
        ):
            prefix = prefix_cache(self._model, prompts[0][:shared]) if shared else None
            for start in range(0, len(order), self._batch_size):
                members = order[start : start + self._batch_size]
                suffixes = [prompts[index][shared:] for index in members]
                texts = self._continue(suffixes, prefix, generation)
                for index, text in zip(members, texts, strict=True):
                    completions[index] = text
                progress.update(len(members))
        return completions

    def answer_loss(self, renderings: Sequence[Rendering], adapter: str | None) -> list[float]:
        losses = [0.0] * len(renderings)
        with self._active(adapter), torch.inference_mode():
            for batch in batches(
                self._model,
                [rendering.ids for rendering in renderings],
                [rendering.positions("answer") for rendering in renderings],
                self._batch_size,
                "answer loss",
            ):
                answers = [renderings[index].answer_ids for index in batch.sequences]
                for index, loss in zip(batch.sequences, self._losses(batch, answers), strict=True):
                    losses[index] = loss
        return losses

    @contextmanager
    def _active(self, adapter: str | None) -> Iterator[None]:
        if adapter is not None:
            if self._adapters is None:
                raise KeyError(f"no adapter named {adapter}")
            self._adapters.set_adapter(adapter)
            yield
        elif self._adapters is not None:
            with self._adapters.disable_adapter():
                yield
        else:
            yield

    def _continue(
        self,
        suffixes: Sequence[Sequence[int]],
        prefix: Cache | None,
        generation: GenerationSettings,
    ) -> list[str]:
        """Completions of prompts that begin with the prefix and end in these suffixes.

        Padding stands between prefix and suffix, where the mask hides it; `generate` counts
        positions by the mask.
        """
        device = self._model.device
        length = max(map(len, suffixes))
        padded = [[self._ends[0]] * (length - len(ids)) + list(ids) for ids in suffixes]
        seen = [[0] * (length - len(ids)) + [1] * len(ids) for ids in suffixes]
        mask = torch.tensor(seen, device=device)
        cache = None
        if prefix is not None:
            cache = growing_cache(prefix, len(suffixes))
            mask = torch.cat([mask.new_ones(len(suffixes), cache.get_seq_length()), mask], dim=1)
        criteria = StoppingCriteriaList()
        if generation.stop:
            criteria.append(StopTexts(self._tokenizer, generation.stop, length))
        with quiet_transformers():
            ids = self._model.generate(
                input_ids=torch.tensor(padded, device=device),
                attention_mask=mask,
                past_key_values=cache,
                max_new_tokens=generation.max_new_tokens,
                stopping_criteria=criteria,
            )
        return [self._text(row, generation.stop) for row in ids[:, length:].tolist()]

    def _text(self, ids: Sequence[int], stop: Sequence[str]) -> str:
        end = next((place for place, token in enumerate(ids) if token in self._ends), len(ids))
        text: str = self._tokenizer.decode(
            ids[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        cuts = [text.find(mark) for mark in stop if mark in text]
        return text[: min(cuts, default=len(text))]

    def _losses(self, batch: Batch, answers: Sequence[Sequence[int]]) -> list[float]:
        with head_positions(self._model, batch.rows, batch.columns):
            logits = self._model(**batch.inputs).logits
        # row by row: a float32 copy of all logits may be larger than the model
        return [
            cross_entropy(row.float(), torch.tensor(answer, device=row.device)).item()
            for row, answer in zip(logits.split(batch.counts), answers, strict=True)
        ]


class StopTexts(StoppingCriteria):
    """Ends a row once its completion contains a stop text.

    Only the completion counts: transformers' own `stop_strings` also matches a text that begins
    in the prompt.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], prompt_length: int
    ) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._prompt_length = prompt_length
        # a token stands for a byte at least; one more, since decoding may strip a leading space
        self._window = max(len(mark.encode()) for mark in stop) + 1

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        start = max(self._prompt_length, input_ids.shape[1] - self._window)
        ends = self._tokenizer.batch_decode(
            input_ids[:, start:], clean_up_tokenization_spaces=False
        )
        done = [any(mark in text for mark in self._stop) for text in ends]
        return torch.tensor(done, device=input_ids.device)


def _contiguous(head: Any, arguments: tuple[Tensor]) -> tuple[Tensor]:
    return (arguments[0].contiguous(),)


def _end_tokens(config: GenerationConfig, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokenizer's end token, then those that the model adds."""
    added = config.eos_token_id
    added = added if isinstance(added, list) else [added]
    ends = [tokenizer.eos_token_id, *added]
    return list(dict.fromkeys(token for token in ends if token is not None))
