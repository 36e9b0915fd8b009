"""The kinds of teacher target: what a row holds on disk, and what an objective makes of it.

The plan reads this table too, so it imports no torch. How a model's outputs become rows is in
`teacher_pass.READERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from workflow_scripts.config.slices import TeacherTarget
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.runtime.numbers import exact

if TYPE_CHECKING:
    from torch import Tensor

FLOAT32 = INT32 = 4
# logsumexp of the logits, and of the logits divided by the target's temperature
NORMALISERS = 2


@dataclass(frozen=True)
class TeacherSize:
    """What the size of a row depends on beside the target.

    labels: of the task, 0 without any. layers, width, value_bytes: of the model's hidden states.
    """

    labels: int
    layers: int
    width: int
    value_bytes: int


@dataclass(frozen=True)
class TopK:
    """A teacher's k largest logits and the exact normaliser of all of them.

    values, indices: (positions, k). logsumexp: (positions,), of logits / temperature.
    """

    values: Tensor
    indices: Tensor
    logsumexp: Tensor
    temperature: float

    def __getitem__(self, rows: slice) -> TopK:
        """Those of some positions."""
        return TopK(self.values[rows], self.indices[rows], self.logsumexp[rows], self.temperature)


@dataclass(frozen=True)
class SortedLogits:
    """A teacher's k largest logits without their tokens, at the answer positions of its tokenizer.

    There is one row per token of the teacher's answer, not of the student's.

    values: (positions, k), in descending order. logsumexp: (positions,), of logits / temperature.
    boundaries: (positions,), as the student's.
    examples: (positions,) index in the batch of the example each row belongs to.
    vocabulary: number of logits that the k were taken from.
    """

    values: Tensor
    logsumexp: Tensor
    boundaries: Tensor
    examples: Tensor
    vocabulary: int
    temperature: float

    def __getitem__(self, rows: Tensor) -> SortedLogits:
        """Those of some positions."""
        of_positions = ("values", "logsumexp", "boundaries", "examples")
        return replace(self, **{name: getattr(self, name)[rows] for name in of_positions})


class TargetKind:
    """One kind of target.

    fields: tensors of a row, one entry per position.
    shared: what teacher and student must have in common for a comparison.
    final_norm: whether hidden states are taken before the model's final norm.
    reads_labels: whether the values depend on the task's labels.
    """

    fields: tuple[str, ...]
    shared: Literal["model", "vocabulary"] | None = None
    final_norm: Literal["before"] | None = None
    reads_labels = False

    def name(self, target: TargetSettings) -> str:
        """Identity of the target and name of its folder: no two targets of a teacher share it."""
        assert target.temperature is not None
        return f"{target.kind}-{target.position}-top{target.top_k}-t{exact(target.temperature)}"

    def row_bytes(self, target: TargetSettings, size: TeacherSize) -> int | None:
        """Bytes of a position; None where that depends on the model's vocabulary."""
        raise NotImplementedError

    def batched(self, target: TargetSettings, fields: Mapping[str, Tensor]) -> Any:
        """What an objective is given: the rows of a batch, each field (positions, …).

        fields: also `examples`, (positions,), the index in the batch of each row's example.
        """
        raise NotImplementedError


class Hidden(TargetKind):
    """Hidden states of one site, before the final norm.

    states: (positions, layers, width) in the model's dtype, every layer.
    """

    fields = ("states",)
    shared = "model"
    final_norm = "before"

    def name(self, target: TargetSettings) -> str:
        return f"hidden-{target.site}-{target.position}"

    def row_bytes(self, target: TargetSettings, size: TeacherSize) -> int:
        return size.layers * size.width * size.value_bytes

    def batched(self, target: TargetSettings, fields: Mapping[str, Tensor]) -> Tensor:
        return fields["states"]


class Logits(TargetKind):
    """The k largest logits.

    values: (positions, k) float32. indices: (positions, k) int32, by descending value.
    logsumexp: (positions, 2) float32 over the whole vocabulary, of the logits and of the logits
    divided by the target's temperature.
    """

    fields = ("values", "indices", "logsumexp")
    shared = "vocabulary"

    def row_bytes(self, target: TargetSettings, size: TeacherSize) -> int | None:
        if not isinstance(target.top_k, int):
            return None
        return target.top_k * (FLOAT32 + INT32) + NORMALISERS * FLOAT32

    def batched(self, target: TargetSettings, fields: Mapping[str, Tensor]) -> TopK:
        assert target.temperature is not None
        return TopK(
            values=fields["values"],
            indices=fields["indices"].long(),
            logsumexp=fields["logsumexp"][:, -1],
            temperature=target.temperature,
        )


class Labels(TargetKind):
    """Log-probabilities of the first token of each label.

    logprobs: (1, labels) float32, normalised over the whole vocabulary.
    """

    fields = ("logprobs",)
    reads_labels = True

    def name(self, target: TargetSettings) -> str:
        return "labels"

    def row_bytes(self, target: TargetSettings, size: TeacherSize) -> int:
        return size.labels * FLOAT32

    def batched(self, target: TargetSettings, fields: Mapping[str, Tensor]) -> Tensor:
        return fields["logprobs"]


class Sorted(TargetKind):
    """The k largest logits without their tokens, for a student with another tokenizer.

    values: (positions, k) float32, in descending order.
    logsumexp: as in `Logits`.
    boundaries: (positions,) int32, of the rendering.
    vocabulary: (positions,) int32, number of logits that the k were taken from.
    """

    fields = ("values", "logsumexp", "boundaries", "vocabulary")

    def row_bytes(self, target: TargetSettings, size: TeacherSize) -> int | None:
        if not isinstance(target.top_k, int):
            return None
        return target.top_k * FLOAT32 + NORMALISERS * FLOAT32 + 2 * INT32

    def batched(self, target: TargetSettings, fields: Mapping[str, Tensor]) -> SortedLogits:
        assert target.temperature is not None
        return SortedLogits(
            values=fields["values"],
            logsumexp=fields["logsumexp"][:, -1],
            boundaries=fields["boundaries"],
            examples=fields["examples"],
            # one model's rows have one length
            vocabulary=int(fields["vocabulary"][0]),
            temperature=target.temperature,
        )


KINDS: dict[str, TargetKind] = {
    "hidden": Hidden(),
    "logits": Logits(),
    "labels": Labels(),
    "sorted": Sorted(),
}


def target_name(target: TargetSettings) -> str:
    """Name of the target's folder."""
    return KINDS[target.kind].name(target)


def teacher_target_name(read: TeacherTarget) -> str:
    return f"{read.teacher}/{target_name(read.target)}"
