"""Generation and scoring with transformers and PEFT: on the CPU or one GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.cache_utils import Cache

from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.decoding import Decoder
from workflow_scripts.engines.protocol import Completion, Sampling
from workflow_scripts.modeling.checkpoint_switch import Switch
from workflow_scripts.modeling.encoder_decoder_forcing import EncodedBatch
from workflow_scripts.modeling.loading import (
    LocalModel,
    load_tokenizer,
    load_weights,
    quiet_transformers,
)
from workflow_scripts.modeling.prefix_cache import (
    PrefixGroup,
    caches_per_token,
    left_padded,
    prefix_cache,
    prefix_groups,
    whole_group,
)
from workflow_scripts.modeling.teacher_forcing import Batch, batches, head_positions
from workflow_scripts.prompts.rendering import Rendering


class TransformersEngine:
    """An `Engine` that loads the model once and switches between its checkpoints.

    checkpoints: name → folder, of any kind that `Switch` knows.

    Raises InputError when a folder holds no checkpoint, or one of another model.
    """

    def __init__(self, model: LocalModel, batch_size: int, checkpoints: Mapping[str, Path]) -> None:
        self._tokenizer = load_tokenizer(model)
        self._model = load_weights(model)
        self._decoder = Decoder(self._tokenizer, self._model.generation_config)
        # a fresh config: the model's own may ask for sampling or a repetition penalty
        self._model.generation_config = GenerationConfig(
            eos_token_id=self._decoder.ends, pad_token_id=self._decoder.ends[0], do_sample=False
        )
        # torch multiplies a slice by frozen weights row by row, each with its own copy of them
        self._model.get_output_embeddings().register_forward_pre_hook(_contiguous)
        self._batch_size = batch_size
        self._switch = Switch(model, self._model, AutoModelForCausalLM, checkpoints)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        for name, members in _grouped(prompts, checkpoints).items():
            with self._switch.to(name):
                of_group = [prompts[index] for index in members]
                seeds = None if sampling is None else sampling.of(members)
                for place, text in self._completions(of_group, generation, name, seeds):
                    yield members[place], text

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        for name, members in _grouped(renderings, checkpoints).items():
            with self._switch.to(name):
                of_group = [renderings[index] for index in members]
                for place, nats in self._losses(of_group, name):
                    yield members[place], nats

    def _completions(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        name: str | None,
        sampling: Sampling | None,
    ) -> Iterator[tuple[int, Completion]]:
        with tqdm(total=len(prompts), desc=_described("generation", name), mininterval=2) as bar:
            for group in self._groups(prompts, generation):
                ids = prompts[group.members[0]][: group.shared]
                prefix = prefix_cache(self._model, ids) if group.shared else None
                for start in range(0, len(group.members), self._batch_size):
                    members = group.members[start : start + self._batch_size]
                    of_batch = [prompts[index] for index in members]
                    seeds = None if sampling is None else sampling.of(members)
                    # not around the `yield`, or the caller would be in inference mode too
                    with torch.inference_mode():
                        found = self._continue(of_batch, prefix, generation, seeds)
                    yield from zip(members, found, strict=True)
                    bar.update(len(members))

    def _losses(
        self, renderings: Sequence[Rendering], name: str | None
    ) -> Iterator[tuple[int, list[float]]]:
        for batch in batches(
            self._model,
            [rendering.ids for rendering in renderings],
            [rendering.positions("answer") for rendering in renderings],
            self._batch_size,
            _described("answer loss", name),
        ):
            answers = [renderings[index].answer_ids for index in batch.sequences]
            with torch.inference_mode():
                losses = answer_losses(self._model, batch, answers)
            yield from zip(batch.sequences, losses, strict=True)

    def _groups(
        self, prompts: Sequence[Sequence[int]], generation: GenerationSettings
    ) -> list[PrefixGroup]:
        """The prompts in groups that share a prefix, where the model can use one.

        Keys can be shifted behind a row's padding, but a recurrent state cannot. So a model with
        such states reads every prompt from its first token. Batching suffixes by length would
        keep the prefix, but makes small batches, and decoding takes most of the time.
        """
        if not caches_per_token(self._model):
            return whole_group(prompts)
        # each prompt keeps a token to start from
        return prefix_groups(prompts, [len(ids) - 1 for ids in prompts], generation.max_new_tokens)

    def _continue(
        self,
        prompts: Sequence[Sequence[int]],
        prefix: Cache | None,
        generation: GenerationSettings,
        sampling: Sampling | None,
    ) -> list[Completion]:
        """Completions of prompts, padded on the left, prefix included."""
        device = self._model.device
        length = max(map(len, prompts))
        padding = [length - len(ids) for ids in prompts]
        columns = zip(padding, prompts, strict=True)
        rows = [[self._decoder.ends[0]] * absent + list(ids) for absent, ids in columns]
        seen = [[0] * absent + [1] * (length - absent) for absent in padding]
        criteria = StoppingCriteriaList()
        if generation.stop:
            criteria.append(StopTexts(self._tokenizer, generation.stop, length))
        with quiet_transformers():
            ids = self._model.generate(
                input_ids=torch.tensor(rows, device=device),
                attention_mask=torch.tensor(seen, device=device),
                past_key_values=None if prefix is None else left_padded(prefix, padding),
                max_new_tokens=generation.max_new_tokens,
                stopping_criteria=criteria,
                logits_processor=noise_of(sampling, device),
            )
        return [self._decoder.completion(row, generation.stop) for row in ids[:, length:].tolist()]


def answer_losses(
    model: PreTrainedModel, batch: Batch | EncodedBatch, answers: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Nats of each answer token, for each row of the batch.

    batch: holds the positions that predict these tokens.
    """
    with head_positions(model, batch.rows, batch.columns):
        logits = model(**batch.inputs).logits
    # row by row: a float32 copy of all logits may be larger than the model
    return [
        cross_entropy(
            row.float(), torch.tensor(answer, device=row.device), reduction="none"
        ).tolist()
        for row, answer in zip(logits.split(batch.counts), answers, strict=True)
    ]


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


def noise_of(sampling: Sampling | None, device: torch.device) -> LogitsProcessorList:
    """What `generate` is given for the rows of one batch."""
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


def _grouped(
    inputs: Sequence[Any], checkpoints: Sequence[str | None]
) -> dict[str | None, list[int]]:
    """Checkpoint → indices of the inputs that it reads."""
    groups: dict[str | None, list[int]] = {}
    for index, (_, name) in enumerate(zip(inputs, checkpoints, strict=True)):
        groups.setdefault(name, []).append(index)
    return groups


def _described(work: str, name: str | None) -> str:
    return work if name is None else f"{work}, {name}"


def _contiguous(head: Any, arguments: tuple[Tensor]) -> tuple[Tensor]:
    return (arguments[0].contiguous(),)
