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
    PreTrainedModel,
    StoppingCriteriaList,
)
from transformers.cache_utils import Cache

from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.decoding import Decoder
from workflow_scripts.engines.generation_hooks import EnoughFinished, StopTexts, noise_of
from workflow_scripts.engines.protocol import Completed, Completion, Sampling
from workflow_scripts.engines.rows import Rows
from workflow_scripts.modeling.checkpoint_switch import Switch
from workflow_scripts.modeling.encoder_decoder_forcing import EncodedBatch
from workflow_scripts.modeling.loading import (
    LocalModel,
    load_tokenizer,
    load_weights,
)
from workflow_scripts.modeling.prefix_cache import (
    PrefixGroup,
    caches_per_token,
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

    @property
    def reads_prompts_once(self) -> bool:
        return caches_per_token(self._model)

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
                for batch, prefix in self._batches(of_group, generation.max_new_tokens, name):
                    of_batch = [of_group[place] for place in batch]
                    of_seeds = None if seeds is None else seeds.of(batch)
                    # not around the `yield`, or the caller would be in inference mode too
                    with torch.inference_mode():
                        rows = Rows(self._model, of_batch, prefix)
                        found = self._continue(rows, generation, of_seeds)
                    yield from zip([members[place] for place in batch], found, strict=True)

    def complete(
        self,
        questions: Sequence[Sequence[Rendering]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
    ) -> Iterator[tuple[int, Completed]]:
        for name, members in _grouped(questions, checkpoints).items():
            with self._switch.to(name):
                of_group = [questions[index] for index in members]
                prompts = [_prompt_of(question) for question in of_group]
                for batch, prefix in self._batches(prompts, generation.max_new_tokens, name):
                    with torch.inference_mode():
                        rows = Rows(self._model, [prompts[place] for place in batch], prefix)
                        found = self._complete(rows, [of_group[i] for i in batch], generation)
                    yield from zip([members[place] for place in batch], found, strict=True)

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        for name, members in _grouped(renderings, checkpoints).items():
            with self._switch.to(name):
                of_group = [renderings[index] for index in members]
                for place, nats in self._losses(of_group, name):
                    yield members[place], nats

    def _batches(
        self, prompts: Sequence[Sequence[int]], new_tokens: int, name: str | None
    ) -> Iterator[tuple[Sequence[int], Cache | None]]:
        """Indices of the prompts of each batch, and the cache of their prefix; shows progress."""
        with tqdm(total=len(prompts), desc=_described("generation", name), mininterval=2) as bar:
            for group in self._groups(prompts, new_tokens):
                ids = prompts[group.members[0]][: group.shared]
                prefix = prefix_cache(self._model, ids) if group.shared else None
                for start in range(0, len(group.members), self._batch_size):
                    members = group.members[start : start + self._batch_size]
                    yield members, prefix
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

    def _groups(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> list[PrefixGroup]:
        """The prompts in groups that share a prefix, where the model can use one.

        Keys can be shifted behind a row's padding, but a recurrent state cannot. So a model with
        such states reads every prompt from its first token. Batching suffixes by length would
        keep the prefix, but makes small batches, and decoding takes most of the time.
        """
        if not caches_per_token(self._model):
            return whole_group(prompts)
        # each prompt keeps a token to start from
        return prefix_groups(prompts, [len(ids) - 1 for ids in prompts], new_tokens)

    def _continue(
        self, rows: Rows, generation: GenerationSettings, sampling: Sampling | None = None
    ) -> list[Completion]:
        """The completion of each row that is left, in order.

        Rows leave the batch when they are finished, if they can.
        """
        stop = StoppingCriteriaList()
        if generation.stop:
            stop.append(StopTexts(self._tokenizer, generation.stop, rows.prompt))
        enough = EnoughFinished(self._decoder.ends, stop)
        noise = noise_of(sampling, self._model.device)
        found: dict[int, Completion] = {}
        while rows.left:
            rows.generate(
                max_new_tokens=generation.max_new_tokens - rows.new.shape[1],
                stopping_criteria=StoppingCriteriaList([enough]) if rows.can_leave else stop,
                logits_processor=noise,
            )
            cut = not rows.can_leave or rows.new.shape[1] == generation.max_new_tokens
            over = enough.finished(rows.ids) | cut
            for row, ids, ended in zip(rows.left, rows.new.tolist(), over, strict=True):
                if ended:
                    found[row] = self._decoder.completion(ids, generation.stop)
            stay = (~over).nonzero().flatten().tolist()
            rows.keep(stay)
            for processor in noise:
                processor.keep(stay)
        return [found[row] for row in sorted(found)]

    def _complete(
        self, rows: Rows, questions: Sequence[Sequence[Rendering]], generation: GenerationSettings
    ) -> list[Completed]:
        """Scores the answers from the prompts' cache, then generates where no answer is said.

        The logits of an answer also show how far greedy decoding says it. Where that is to the
        end, or but for the last token, the completion is known.
        """
        asked = [
            (row, rendering.answer_ids)
            for row, question in enumerate(questions)
            for rendering in question
        ]
        losses: dict[int, list[float]] = {}
        known: dict[int, Completion] = {}
        for index, logits in rows.predict(asked):
            row, answer = asked[index]
            losses[index] = _nats(logits, answer)
            said = self._said(logits, answer, generation)
            if said is not None:
                known[row] = said
        rows.keep([row for row in rows.left if row not in known])
        known |= zip(list(rows.left), self._continue(rows, generation), strict=True)
        nats = iter([losses[index] for index in range(len(asked))])
        return [
            Completed(known[row], [next(nats) for _ in question])
            for row, question in enumerate(questions)
        ]

    def _said(
        self, logits: Tensor, answer: Sequence[int], generation: GenerationSettings
    ) -> Completion | None:
        """The completion by greedy decoding, if these logits of an answer show it to its end."""
        likeliest = logits.argmax(dim=-1).tolist()
        pairs = enumerate(zip(likeliest, answer, strict=True), start=1)
        # the first token that differs is still what greedy decoding says
        agreed = next((count for count, (one, other) in pairs if one != other), len(answer))
        tokens = likeliest[: min(agreed, generation.max_new_tokens)]
        completion = self._decoder.completion(tokens, generation.stop)
        over = completion.finished or len(tokens) == generation.max_new_tokens
        return completion if over else None


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
        _nats(row.float(), answer)
        for row, answer in zip(logits.split(batch.counts), answers, strict=True)
    ]


def _nats(logits: Tensor, answer: Sequence[int]) -> list[float]:
    """Nats of each token of an answer. logits: (tokens, vocabulary), float32."""
    tokens = torch.tensor(answer, device=logits.device)
    return cross_entropy(logits, tokens, reduction="none").tolist()  # type: ignore[no-any-return]


def _prompt_of(question: Sequence[Rendering]) -> tuple[int, ...]:
    (prompt,) = {rendering.prompt_ids for rendering in question}
    return prompt


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
