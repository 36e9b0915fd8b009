"""Teacher-forced passes of an encoder-decoder that keep only the positions that are read.

Each prompt is encoded once, whatever the number of its answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from workflow_scripts.prompts.formats import put_around
from workflow_scripts.prompts.rendering import Rendering


@dataclass(frozen=True)
class EncodedBatch:
    """Some renderings with encoded prompts.

    sequences: index of each row's rendering in the pass.
    rows, columns: (positions,), into the batch and the decoder's inputs: where to read.
    counts: number of positions of each row.
    inputs: keyword arguments of the model.
    """

    sequences: tuple[int, ...]
    rows: Tensor
    columns: Tensor
    counts: tuple[int, ...]
    inputs: dict[str, Any]


def encoded_batches(
    model: PreTrainedModel,
    renderings: Sequence[Rendering],
    positions: Sequence[Sequence[int]],
    batch_size: int,
    description: str,
) -> Iterator[EncodedBatch]:
    """The renderings in batches, longest prompts first; shows progress.

    positions: for each rendering the indices that are read, in order, not empty.
    batch_size: renderings in a batch; more where one prompt has more answers.
    """
    with tqdm(total=len(renderings), desc=description, mininterval=2) as progress:
        for groups in _batched(renderings, batch_size):
            yield _batch(model, renderings, positions, groups)
            progress.update(sum(map(len, groups)))


def decoder_prefix(config: GenerationConfig) -> tuple[int, ...]:
    """What a decoder is given before an answer: its start token, and the first token if forced.

    As in transformers' `generate`, `bos_token_id` is the start where `decoder_start_token_id` is
    not set (T5Gemma), and `forced_bos_token_id` comes next (BART). Empty without a start token.
    """
    start = config.decoder_start_token_id
    start = config.bos_token_id if start is None else start
    given = (start, config.forced_bos_token_id)
    return () if start is None else tuple(token for token in given if token is not None)


def force_first_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Forces the token before every text in the generation config if answers begin with it.

    Many a BART or LED was trained to say `<s>` before each answer, though its generation config
    does not force it. That token is no part of the answer's text.
    """
    before, _ = put_around(tokenizer)
    prefix = decoder_prefix(model.generation_config)
    if len(before) != 1 or before[0] in prefix:
        return
    prompt, start = (
        torch.tensor([ids], device=model.device) for ids in (tokenizer("a")["input_ids"], prefix)
    )
    with torch.inference_mode():
        logits = model(input_ids=prompt, decoder_input_ids=start, use_cache=False).logits
    if int(logits[0, -1].argmax()) == before[0]:
        model.generation_config.forced_bos_token_id = before[0]


def padded(ids: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, each (batch, length), padded on the right."""
    rows = [torch.tensor(row, dtype=torch.long, device=device) for row in ids]
    mask = [torch.ones_like(row) for row in rows]
    return pad_sequence(rows, batch_first=True), pad_sequence(mask, batch_first=True)


def _batched(renderings: Sequence[Rendering], size: int) -> Iterator[list[list[int]]]:
    """Batches of groups; the renderings of a group share a prompt."""
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for index, rendering in enumerate(renderings):
        by_prompt.setdefault(rendering.prompt_ids, []).append(index)
    batch: list[list[int]] = []
    for prompt in sorted(by_prompt, key=len, reverse=True):
        batch.append(by_prompt[prompt])
        if sum(map(len, batch)) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def _batch(
    model: PreTrainedModel,
    renderings: Sequence[Rendering],
    positions: Sequence[Sequence[int]],
    groups: Sequence[Sequence[int]],
) -> EncodedBatch:
    device = model.device
    members = [index for group in groups for index in group]
    counts = torch.tensor([len(positions[index]) for index in members])
    prefix = decoder_prefix(model.generation_config)
    columns = [
        position - renderings[index].prompt + len(prefix) - 1
        for index in members
        for position in positions[index]
    ]
    prompts, mask = padded([renderings[group[0]].prompt_ids for group in groups], device)
    # no earlier position of a decoder attends to padding on the right, so it needs no mask
    answers, _ = padded(
        [(*prefix, *_answer_up_to(renderings[i], positions[i][-1])) for i in members], device
    )
    answered = torch.tensor([len(group) for group in groups], device=device)
    with torch.inference_mode():
        encoded = model.get_encoder()(input_ids=prompts, attention_mask=mask).last_hidden_state
    return EncodedBatch(
        sequences=tuple(members),
        rows=torch.arange(len(members)).repeat_interleave(counts).to(device),
        columns=torch.tensor(columns, device=device),
        counts=tuple(counts.tolist()),
        inputs={
            "encoder_outputs": BaseModelOutput(encoded.repeat_interleave(answered, dim=0)),
            "attention_mask": mask.repeat_interleave(answered, dim=0),
            "decoder_input_ids": answers,
            "use_cache": False,
        },
    )


def _answer_up_to(rendering: Rendering, position: int) -> tuple[int, ...]:
    return rendering.answer_ids[: position - rendering.prompt]
