"""One loaded model that serves all checkpoints of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from workflow_scripts.modeling.loading import BIASES, LocalModel, checkpoint_kind, weights_in
from workflow_scripts.runtime.errors import InputError


class Switch:
    """Turns a loaded model into one of its checkpoints, and back.

    Adapters and bias terms stay loaded side by side; whole models are copied into the model's
    memory one at a time.
    """

    def __init__(
        self,
        model: LocalModel,
        weights: PreTrainedModel,
        auto_class: Any,
        checkpoints: Mapping[str, Path],
    ) -> None:
        """weights: the model, loaded with the transformers class `auto_class`.

        checkpoints: name → folder of a PEFT adapter, of bias terms or of a whole model.
        Raises InputError when a folder holds none of these, or a checkpoint of another model.
        """
        self._local = model
        self._weights = weights
        self._auto_class = auto_class
        # the model's own tensors, by their names before PEFT renames modules
        self._state = weights.state_dict()
        self._state_from = model.folder
        # PEFT replaces layers inside the model, so calls to the model use the active adapter
        self._peft: PeftModel | None = None
        self._adapters: set[str | None] = set()
        self._biases: dict[str | None, dict[str, Tensor]] = {}
        self._wholes: dict[str | None, Path] = {}
        for name, folder in checkpoints.items():
            kind = checkpoint_kind(folder)
            if kind == "adapter":
                self._add_adapter(name, folder)
            elif kind == "biases":
                self._biases[name] = self._read_biases(folder)
            else:
                self._wholes[name] = folder

    @contextmanager
    def to(self, name: str | None) -> Iterator[None]:
        """Inside the block the model is this checkpoint; None is the base model.

        Raises InputError when a whole checkpoint belongs to another model.
        """
        self._hold_weights_of(self._wholes.get(name, self._local.folder))
        with self._adapted(name), self._holding(self._biases.get(name, {})):
            yield

    def _adapted(self, name: str | None) -> AbstractContextManager[Any]:
        if self._peft is None:
            return nullcontext()
        if name not in self._adapters:
            return self._peft.disable_adapter()  # type: ignore[no-any-return]
        self._peft.set_adapter(name)
        return nullcontext()

    def _add_adapter(self, name: str, folder: Path) -> None:
        try:
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(self._weights, folder, adapter_name=name)
            else:
                self._peft.load_adapter(folder, adapter_name=name)
        except (OSError, ValueError, RuntimeError) as error:
            raise _not_of_this_model(folder, str(error).splitlines()[0]) from None
        self._adapters.add(name)
        self._weights.eval()

    def _read_biases(self, folder: Path) -> dict[str, Tensor]:
        biases: dict[str, Tensor] = load_file(folder / BIASES)
        own = _shapes(self._state)
        for name, shape in _shapes(biases).items():
            if own.get(name) != shape:
                raise _not_of_this_model(folder, f"it has no {name} of shape {tuple(shape)}")
        return biases

    @contextmanager
    def _holding(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Inside the block the model has these tensors in place of its own."""
        own = {name: self._state[name].clone() for name in tensors}
        self._copy(tensors)
        try:
            yield
        finally:
            self._copy(own)

    def _hold_weights_of(self, folder: Path) -> None:
        """Copies a folder's weights into the model, unless it holds them already."""
        if folder == self._state_from:
            return
        loaded, absent = weights_in(folder, self._auto_class, self._local.dtype)
        state = loaded.state_dict()
        if absent or _shapes(state) != _shapes(self._state):
            raise _not_of_this_model(folder, "its weights have other names or shapes")
        self._copy(state)
        self._state_from = folder

    def _copy(self, tensors: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in tensors.items():
                self._state[name].copy_(tensor)


def _not_of_this_model(folder: Path, reason: str) -> InputError:
    return InputError(f"{folder}: not a checkpoint of this model ({reason})")


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}
