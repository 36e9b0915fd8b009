"""Label probabilities of checkpoints with a classification head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification

from workflow_scripts.modeling.checkpoint_switch import Switch
from workflow_scripts.modeling.loading import LocalModel, labels_of_head, load_classifier
from workflow_scripts.runtime.errors import InputError


class Classifier:
    """A model whose checkpoints have a head over labels; loads the model once.

    labels: of the task; each checkpoint has one output per label, in their order.
    checkpoints: name → folder, of any kind that `Switch` knows.

    Raises InputError when a checkpoint's head has another number of labels, or the checkpoint
    belongs to another model.
    """

    def __init__(
        self,
        model: LocalModel,
        labels: Sequence[str],
        batch_size: int,
        checkpoints: Mapping[str, Path],
    ) -> None:
        for folder in checkpoints.values():
            _refuse_other_labels(folder, labels)
        self._model = load_classifier(model, len(labels))
        self._batch_size = batch_size
        self._switch = Switch(model, self._model, AutoModelForSequenceClassification, checkpoints)

    def label_losses(self, prompts: Sequence[Sequence[int]], checkpoint: str) -> Tensor:
        """−log p of every label after each prompt: (prompts, labels), float32, nats."""
        losses = torch.empty(len(prompts), self._model.config.num_labels)
        with self._switch.to(checkpoint), torch.inference_mode():
            for members in self._batches(prompts, f"labels, {checkpoint}"):
                padded = pad_sequence(
                    [torch.tensor(prompts[index]) for index in members],
                    batch_first=True,
                    padding_value=self._model.config.pad_token_id,
                )
                logits = self._model(padded.to(self._model.device), use_cache=False).logits
                losses[members] = -log_softmax(logits.float(), dim=-1).cpu()
        return losses

    def _batches(self, prompts: Sequence[Sequence[int]], description: str) -> Iterator[list[int]]:
        """Indices of the prompts, longest first; shows progress."""
        order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
        with tqdm(total=len(order), desc=description, mininterval=2) as progress:
            for start in range(0, len(order), self._batch_size):
                members = order[start : start + self._batch_size]
                yield members
                progress.update(len(members))


def are_classifiers(checkpoints: Iterable[Path]) -> bool:
    """Whether the checkpoints of a run have a classification head: all of them do, or none."""
    return any(labels_of_head(folder) is not None for folder in checkpoints)


def _refuse_other_labels(folder: Path, labels: Sequence[str]) -> None:
    count = labels_of_head(folder)
    if count != len(labels):
        raise InputError(
            f"{folder}: its classification head has {count} labels and the task {len(labels)}; "
            "evaluate it on tasks with the labels that it was trained on"
        )
