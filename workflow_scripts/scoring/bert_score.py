"""BERTScore (Zhang et al. 2020): match the tokens of two texts by the cosine of their states.

torchmetrics 1.9 pads every text to the longest possible length, and in batches of different lengths
it compares texts with the references of others. A test compares this module with it, pair by pair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.tasks import EncoderSettings
from workflow_scripts.models.model_files import model_files
from workflow_scripts.models.sources import snapshot
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import expanded

BATCH = 64


def bert_scores(
    texts: Sequence[str], references: Sequence[tuple[str, ...]], settings: EncoderSettings
) -> list[tuple[float, float]]:
    """F1 and recall of each text, each by its best reference; without idf weights or a baseline.

    Cosines below 0 count as 0. A text without tokens scores 0.
    references: one or more for each text.
    Raises InputError if the encoder cannot be loaded or has fewer layers.
    """
    wanted = dict.fromkeys(zip(texts, references, strict=True), (0.0, 0.0))
    encoder = _Encoder(settings)
    known = dict(encoder.states({text for own in references for text in own}))
    against: dict[str, list[tuple[str, ...]]] = {}
    for text, own in wanted:
        against.setdefault(text, []).append(own)
    for text, states in encoder.states(against):
        for own in against[text]:
            matches = [_match(states, known[reference]) for reference in own if reference in known]
            if matches:
                wanted[text, own] = tuple(map(max, zip(*matches, strict=True)))
    return [wanted[pair] for pair in zip(texts, references, strict=True)]


def _match(text: Tensor, reference: Tensor) -> tuple[float, float]:
    """F1 and recall from states of unit length, (tokens, width)."""
    cosines = (text @ reference.T).clamp(min=0, max=1)
    precision = float(cosines.amax(dim=1).mean())
    recall = float(cosines.amax(dim=0).mean())
    together = precision + recall
    return (2 * precision * recall / together if together else 0.0), recall


class _Encoder:
    def __init__(self, settings: EncoderSettings) -> None:
        self.model, self.tokenizer = _open(settings)
        self.layer = -1 if settings.layer is None else settings.layer
        layers = self.model.config.num_hidden_layers
        if self.layer > layers:
            raise InputError(
                f"scoring.encoder.layer: {self.layer}, but {settings.source} has {layers} layers"
            )
        self.longest = min(
            self.tokenizer.model_max_length, self.model.config.max_position_embeddings
        )

    def states(self, texts: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """(text, states) for texts with tokens: unit length, (tokens, width), float32.

        Special tokens are left out, and texts are truncated to the encoder's context window.
        """
        by_length = sorted(texts, key=lambda text: (len(text), text))
        for start in range(0, len(by_length), BATCH):
            batch = by_length[start : start + BATCH]
            encoded = self.tokenizer(
                batch,
                padding=True,
                truncation=True,
                max_length=self.longest,
                return_special_tokens_mask=True,
                return_tensors="pt",
            )
            own = encoded["attention_mask"].bool() & ~encoded["special_tokens_mask"].bool()
            if not own.any():
                continue
            with torch.inference_mode():
                hidden = self.model(
                    encoded["input_ids"], encoded["attention_mask"], output_hidden_states=True
                ).hidden_states[self.layer]
            unit = torch.nn.functional.normalize(hidden, dim=-1)
            for text, states, kept in zip(batch, unit, own, strict=True):
                if kept.any():
                    yield text, states[kept]


def _open(settings: EncoderSettings) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    folder = _folder(settings)
    try:
        model_files(settings.source, folder)
    except InputError as error:
        raise InputError(
            f"scoring.encoder.source: {error}; use a BERT-like model with its tokenizer and "
            "safetensors"
        ) from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = AutoModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"scoring.encoder.source: {settings.source}: not a model ({reason})"
        ) from None
    return model.eval(), tokenizer


def _folder(settings: EncoderSettings) -> Path:
    if settings.source.startswith("hub:"):
        try:
            return snapshot(ModelSource(source=settings.source, revision=settings.revision))
        except InputError as error:
            raise InputError(f"scoring.encoder.source: {error}") from None
    folder = expanded(settings.source)
    if not folder.is_dir():
        raise InputError(
            f"scoring.encoder.source: {settings.source}: no such folder; use a model folder or "
            "hub:<id>"
        )
    return folder
