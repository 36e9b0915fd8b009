"""Generation and scoring with an encoder-decoder: on the CPU or one GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import GenerationConfig, StoppingCriteriaList

from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.decoding import Decoder
from workflow_scripts.engines.generation_hooks import StopTexts, noise_of
from workflow_scripts.engines.protocol import Completion, Sampling
from workflow_scripts.engines.transformers_engine import answer_losses
from workflow_scripts.modeling.encoder_decoder_forcing import (
    decoder_prefix,
    encoded_batches,
    padded,
)
from workflow_scripts.modeling.loading import (
    LocalModel,
    load_tokenizer,
    load_weights,
    quiet_transformers,
)
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.errors import InputError


class EncoderDecoderEngine:
    """An `Engine` for base models only: encoder-decoders teach and are never trained.

    Raises InputError when there are checkpoints.
    """

    def __init__(self, model: LocalModel, batch_size: int, checkpoints: Mapping[str, Path]) -> None:
        if checkpoints:
            raise InputError(
                f"{model.name}: an encoder-decoder only teaches, so it has no checkpoints"
            )
        self._tokenizer = load_tokenizer(model)
        self._model = load_weights(model)
        own = self._model.generation_config
        self._prefix = decoder_prefix(own)
        self._decoder = Decoder(self._tokenizer, own)
        # a fresh config: the model's own may ask for beams, sampling or a repetition penalty
        self._model.generation_config = GenerationConfig(
            eos_token_id=self._decoder.ends,
            pad_token_id=self._decoder.ends[0],
            decoder_start_token_id=self._prefix[0],
            forced_bos_token_id=own.forced_bos_token_id,
            do_sample=False,
        )
        self._batch_size = batch_size

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
        with tqdm(total=len(prompts), desc="generation", mininterval=2) as bar:
            for start in range(0, len(order), self._batch_size):
                members = order[start : start + self._batch_size]
                of_batch = [prompts[index] for index in members]
                seeds = None if sampling is None else sampling.of(members)
                # not around the `yield`, or the caller would be in inference mode too
                with torch.inference_mode(), quiet_transformers():
                    found = self._answers(of_batch, generation, seeds)
                yield from zip(members, found, strict=True)
                bar.update(len(members))

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        positions = [rendering.positions("answer") for rendering in renderings]
        for batch in encoded_batches(
            self._model, renderings, positions, self._batch_size, "answer loss"
        ):
            answers = [renderings[index].answer_ids for index in batch.sequences]
            with torch.inference_mode():
                losses = answer_losses(self._model, batch, answers)
            yield from zip(batch.sequences, losses, strict=True)

    def _answers(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        sampling: Sampling | None,
    ) -> list[Completion]:
        ids, mask = padded(prompts, self._model.device)
        criteria = StoppingCriteriaList()
        if generation.stop:
            criteria.append(StopTexts(self._tokenizer, generation.stop, len(self._prefix)))
        rows = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            decoder_input_ids=torch.tensor([self._prefix] * len(prompts), device=ids.device),
            max_new_tokens=generation.max_new_tokens,
            stopping_criteria=criteria,
            logits_processor=noise_of(sampling, ids.device),
        )
        answers = rows[:, len(self._prefix) :].tolist()
        return [self._decoder.completion(row, generation.stop) for row in answers]
