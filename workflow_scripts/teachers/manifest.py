"""Metadata of a teacher target: its description, the header of a shard, the manifest of all shards.

Reads headers, offsets and logits, never states, and needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from workflow_scripts.config.slices import TeacherSlice
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.runtime.checksums import checked, sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.teachers.targets import KINDS

if TYPE_CHECKING:
    from workflow_scripts.prompts.formats import Demonstration

# key of a shard's safetensors metadata; one key, because the format does not order several
HEADER = "shard"
# keys of a model's manifest
_OF_MODEL = ("vocabulary_sha256", "chat_template_sha256", "dtype", "layers", "width")


@dataclass(frozen=True)
class ShardHeader:
    """Metadata of a shard: its items in order, and the target's description."""

    items: list[str]
    description: dict[str, Any]


def describe(
    settings: TeacherSlice, model: Path, demonstrations: Sequence[Demonstration]
) -> dict[str, Any]:
    """Everything that a target's values depend on: equal descriptions mean equal targets.

    model: the model's manifest.
    """
    shown = [asdict(demonstration) for demonstration in demonstrations]
    return {**_known_beforehand(settings, model), "demonstrations": shown}


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
    return {"model_sha256": sha256_of(model), **said}


def read_header(shard: Path) -> ShardHeader:
    """Raises InputError when the file is missing, truncated or not a shard."""
    try:
        with safe_open(shard, framework="numpy") as file:
            return ShardHeader(**json.loads(file.metadata()[HEADER]))
    except FileNotFoundError:
        raise InputError(f"{shard}: no such file; rerun to make it") from None
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{shard}: damaged ({reason}); delete it and rerun") from None


def build_manifest(settings: TeacherSlice, model: Path, shards: Sequence[Path]) -> dict[str, Any]:
    """The manifest of a target's shards: their common description, items and checksums.

    Targets with a top k also have `mass`, the probability that the top k hold: for each kind of
    position the number of positions, the mean, the minimum, and the share with 0.999 or more.

    Raises InputError when a shard is damaged, was made with other settings, or repeats an item.
    """
    headers = {shard: read_header(checked(shard)) for shard in shards}
    common = headers[shards[0]].description
    expected = {
        **_known_beforehand(settings, model),
        "demonstrations": common.get("demonstrations"),
    }
    for shard, header in headers.items():
        _refuse_other(shard, header.description, expected)
    _refuse_repeated(headers)
    manifest = {
        **common,
        "items": sum(len(header.items) for header in headers.values()),
        "positions": sum(_positions(shard) for shard in shards),
        "shards": {
            shard.name: {"items": header.items, "sha256": sha256_of(shard)}
            for shard, header in headers.items()
        },
    }
    if settings.target.top_k is not None:
        manifest["mass"] = _mass(shards, settings.target)
    return manifest


def _known_beforehand(settings: TeacherSlice, model: Path) -> dict[str, Any]:
    return {
        **origin(model),
        **settings.model_dump(
            mode="json", include={"prompt", "system", "context", "target", "labels"}
        ),
        "final_norm": KINDS[settings.target.kind].final_norm,
    }


def _refuse_other(shard: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for key, value in expected.items():
        if found.get(key) != value:
            raise InputError(f"{shard}: made with another {key}; delete it and rerun")


def _refuse_repeated(headers: Mapping[Path, ShardHeader]) -> None:
    seen: dict[str, Path] = {}
    for shard, header in headers.items():
        for item in header.items:
            if item in seen:
                raise InputError(
                    f"{shard}: item {item} is also in {seen[item].name}; delete both and rerun"
                )
            seen[item] = shard


def _positions(shard: Path) -> int:
    with safe_open(shard, framework="numpy") as file:
        return int(file.get_tensor("offsets")[-1])


def _mass(shards: Sequence[Path], target: TargetSettings) -> dict[str, dict[str, float]]:
    """Probability of the top k at temperature 1, summarised by kind of position.

    The kinds are `all` and, for answers, `first`, `later` and `end`, by the token predicted there.
    Kinds without positions are left out.
    """
    masses, kinds = [], []
    for shard in shards:
        with safe_open(shard, framework="numpy") as file:
            offsets = file.get_tensor("offsets")
            masses.append(np.ones(offsets[-1]) if target.top_k == "all" else _mass_of_rows(file))
            kinds.append(_answer_kinds(offsets))
    mass, kind = np.concatenate(masses), np.concatenate(kinds)
    summaries = {"all": _summary(mass)}
    if target.position == "answer":
        named = {name: mass[kind == name] for name in ("first", "later", "end")}
        summaries |= {name: _summary(values) for name, values in named.items() if values.size}
    return summaries


def _mass_of_rows(shard: Any) -> np.ndarray[Any, Any]:
    logprobs = shard.get_tensor("values") - shard.get_tensor("logsumexp")[:, :1]
    mass: np.ndarray[Any, Any] = np.exp(logprobs).sum(axis=1)
    return mass


def _answer_kinds(offsets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The kind of token that each `answer` position predicts.

    offsets: (items + 1,). An empty answer has only an `end`.
    """
    kinds = np.full(offsets[-1], "later")
    kinds[offsets[:-1]] = "first"
    kinds[offsets[1:] - 1] = "end"
    return kinds


def _summary(mass: np.ndarray[Any, Any]) -> dict[str, float]:
    return {
        "positions": mass.size,
        "mean": float(mass.mean()),
        "min": float(mass.min()),
        "share_above_999": float((mass >= 0.999).mean()),
    }
