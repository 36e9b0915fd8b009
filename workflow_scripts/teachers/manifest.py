"""The manifest of a shard: what its targets depend on, its items, and checksums of its files.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, ValidationError

from workflow_scripts.config.base import Strict
from workflow_scripts.config.slices import ContextSettings, TeacherSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.runtime.checksums import checked, sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.teachers.targets import KINDS

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.prompts.formats import Demonstration

MANIFEST = "manifest.json"
# keys of a model's manifest
_OF_MODEL = ("vocabulary_sha256", "chat_template_sha256", "dtype", "layers", "width")
Array = np.ndarray[Any, Any]


class Mass(Strict):
    """The probability that the top k hold at some positions.

    share_above_999: share of the positions where it is 0.999 or more.
    """

    positions: int
    mean: float
    min: float
    share_above_999: float


class DescribedTarget(Strict):
    """A target in a shard.

    labels: of the task, for a target of labels.
    mass: by kind of position, for a target with a top k; see `mass_by_kind`.
    """

    target: TargetSettings
    labels: tuple[str, ...] | None
    final_norm: str | None
    positions: int
    mass: dict[str, Mass] = Field({})


class TeacherDescription(Strict):
    """What the targets of a teacher depend on: equal descriptions mean equal targets.

    model: see `origin`. demonstrations: those that it saw.
    """

    model: dict[str, Any]
    prompt: PromptSettings
    system: str | None
    context: ContextSettings
    demonstrations: tuple[dict[str, Any], ...]


class ShardManifest(Strict):
    """The manifest of shard number `shard` of `shards`.

    items: in order. targets: by name. files: checksums by name.
    """

    teacher: TeacherDescription
    shard: int
    shards: int
    items: tuple[str, ...]
    targets: dict[str, DescribedTarget]
    files: dict[str, str]

    def expected(self, target: str) -> dict[str, Any]:
        """What a run that reads this target compares, by name."""
        described, teacher = self.targets[target], self.teacher
        return {
            "target": described.target,
            "system": teacher.system,
            "context": teacher.context,
            "prompt": teacher.prompt,
            "labels": described.labels,
            "model": teacher.model,
        }


def describe_teacher(
    settings: TeacherSlice, model: Path, demonstrations: Sequence[Demonstration]
) -> TeacherDescription:
    """model: the model's manifest."""
    return TeacherDescription(
        model=origin(model),
        prompt=settings.prompt,
        system=settings.system,
        context=settings.context,
        demonstrations=tuple(asdict(demonstration) for demonstration in demonstrations),
    )


def describe_target(
    target: TargetSettings, labels: Sequence[str], tensors: Mapping[str, Tensor]
) -> DescribedTarget:
    """labels: of the task. tensors: of a shard."""
    kind = KINDS[target.kind]
    return DescribedTarget(
        target=target,
        labels=tuple(labels) if kind.reads_labels else None,
        final_norm=kind.final_norm,
        positions=int(tensors["offsets"][-1]),
        mass={} if target.top_k is None else mass_by_kind(target, tensors),
    )


def origin(model: Path) -> dict[str, Any]:
    """The part of a description about the model, its vocabulary and its chat template.

    model: the model's manifest.
    """
    content = read_json(checked(model))
    try:
        said = {key: content[key] for key in _OF_MODEL}
    except (KeyError, TypeError):
        raise InputError(
            f"{model}: not the manifest of a model; delete its folder and rerun"
        ) from None
    return {"sha256": sha256_of(model), **said}


def read_manifest(path: Path) -> ShardManifest:
    """Raises InputError when the file is missing, damaged or another."""
    try:
        return ShardManifest.model_validate_json(checked(path).read_bytes())
    except ValidationError:
        raise InputError(
            f"{path}: not the manifest of a teacher's shard; delete it and rerun"
        ) from None


def mass_by_kind(target: TargetSettings, tensors: Mapping[str, Tensor]) -> dict[str, Mass]:
    """Probability of the top k at temperature 1, summarised by kind of position.

    The kinds are `all` and, for answers, `first`, `later` and `end`, by the token predicted there.
    Kinds without positions are left out.
    """
    offsets = tensors["offsets"].numpy()
    if target.top_k == "all":
        mass = np.ones(offsets[-1])
    else:
        logprobs = tensors["values"].numpy() - tensors["logsumexp"].numpy()[:, :1]
        mass = np.exp(logprobs).sum(axis=1)
    summaries = {"all": _summary(mass)}
    if target.position == "answer":
        kind = _answer_kinds(offsets)
        named = {name: mass[kind == name] for name in ("first", "later", "end")}
        summaries |= {name: _summary(values) for name, values in named.items() if values.size}
    return summaries


def _answer_kinds(offsets: Array) -> Array:
    """The kind of token that each `answer` position predicts.

    offsets: (items + 1,). An empty answer has only an `end`.
    """
    kinds = np.full(offsets[-1], "later")
    kinds[offsets[:-1]] = "first"
    kinds[offsets[1:] - 1] = "end"
    return kinds


def _summary(mass: Array) -> Mass:
    return Mass(
        positions=mass.size,
        mean=float(mass.mean()),
        min=float(mass.min()),
        share_above_999=float((mass >= 0.999).mean()),
    )
