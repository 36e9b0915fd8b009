"""A model's language head apart from the rest of its forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.overrides import TorchFunctionMode

from workflow_scripts.modeling.teacher_forcing import head_positions, unwrapped

# what a model does to the output of its head before it returns logits, in order
AfterHead = Sequence[Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class LanguageHead:
    """A head as its model runs it: (n, width) → (n, vocabulary).

    after: from `after_head`. autocast: device and dtype that the model casts to, if it does.
    """

    module: Any
    after: AfterHead
    autocast: tuple[str, torch.dtype] | None

    def __call__(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.module(hidden)
        for step in self.after:
            logits = step(logits)
        return logits

    def precision(self) -> AbstractContextManager[Any]:
        """The context to call it in; weights are cast once within it."""
        return nullcontext() if self.autocast is None else torch.autocast(*self.autocast)

    @property
    def trained(self) -> tuple[Tensor, ...]:
        """Its trained weights."""
        return tuple(weight for weight in self.module.parameters() if weight.requires_grad)


class HeadInputs:
    """Keeps what the head reads at given positions of one forward pass: (positions, width).

    Enter it before `head_positions`, which leaves the head fewer positions.
    """

    def __init__(self, model: Any, rows: Tensor, columns: Tensor) -> None:
        self._module = unwrapped(model).get_output_embeddings()
        self._rows = rows
        self._columns = columns
        self._autocast: tuple[str, torch.dtype] | None = None
        self.hidden: Tensor

    def head(self, after: AfterHead) -> LanguageHead:
        """The head, to run on what was kept."""
        return LanguageHead(self._module, after, self._autocast)

    def __enter__(self) -> Self:
        self._handle = self._module.register_forward_pre_hook(self._keep)
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.remove()

    def _keep(self, head: Any, arguments: tuple[Tensor]) -> None:
        (hidden,) = arguments
        self.hidden = hidden[self._rows.to(hidden.device), self._columns.to(hidden.device)]
        device = hidden.device.type
        if torch.is_autocast_enabled(device):
            self._autocast = device, torch.get_autocast_dtype(device)


@torch.no_grad()
def after_head(model: Any) -> AfterHead | None:
    """What the model does to its head's output, soft-capping or scaling, seen in a forward pass.

    None where the head and these steps do not give the model's logits: such a head must run within
    the model's forward pass.
    """
    place = torch.zeros(1, dtype=torch.long, device=model.device)
    steps = _Steps()
    head = model.get_output_embeddings()
    begin = head.register_forward_hook(lambda module, arguments, output: steps.begin(output))
    try:
        with HeadInputs(model, place, place) as read, head_positions(model, place, place), steps:
            logits = model(input_ids=place[None], use_cache=False).logits
    finally:
        begin.remove()
    found = read.head(steps.taken)(read.hidden)
    return steps.taken if torch.equal(found, logits) else None


def is_sharded(model: Any) -> bool:
    """Whether the head's weights lie on several devices outside the model's forward pass."""
    head = unwrapped(model).get_output_embeddings()
    return any(isinstance(weight, DTensor) for weight in head.parameters())


class _Steps(TorchFunctionMode):
    """Records functions, each of which is called on the result of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Callable[[Tensor], Tensor]] = []
        self._last: Tensor | None = None

    def begin(self, tensor: Tensor) -> None:
        self._last = tensor

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        options = options or {}
        result = function(*arguments, **options)
        if arguments and arguments[0] is self._last and isinstance(result, Tensor):
            self.taken.append(partial(_call, function, arguments[1:], options))
            self._last = result
        return result


def _call(function: Any, others: Any, options: Any, tensor: Tensor) -> Any:
    return function(tensor, *others, **options)
