"""The target store: a teacher's target on disk, written in shards and read item by item.

A shard is a safetensors file. A row of its tensors is one position; `offsets` (items + 1,) gives
each item's rows. `targets.KINDS` describes the tensors. Hidden states of all layers lie side by
side, so an item is one contiguous read and another subset of layers needs no new teacher pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from workflow_scripts.config.slices import TeacherTarget
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.runtime.checksums import checked, sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file, read_json
from workflow_scripts.teachers.manifest import HEADER, ShardHeader, origin, read_header
from workflow_scripts.teachers.targets import KINDS


def write_shard(
    path: Path, items: Sequence[str], tensors: Mapping[str, Tensor], description: Mapping[str, Any]
) -> None:
    """Writes one shard; it appears whole or not at all.

    tensors: `offsets` (items + 1,), and the fields of the target's kind, each (positions of all
        items, …).
    """
    header = ShardHeader(list(items), dict(description))
    with atomic_file(path) as partial:
        save_file(dict(tensors), partial, {HEADER: json.dumps(asdict(header), sort_keys=True)})


class TargetStore:
    """A teacher target, read lazily by item."""

    def __init__(
        self, manifest: Path, description: Mapping[str, Any], places: dict[str, tuple[Path, int]]
    ) -> None:
        self._manifest = manifest
        self._places = places
        self._files: dict[Path, Any] = {}
        self.description = description
        self.target = TargetSettings.model_validate(description["target"])
        self._fields = KINDS[self.target.kind].fields

    @classmethod
    def open(cls, manifest: Path) -> Self:
        """Opens the target that `manifest` describes; its shards lie beside it.

        Reads every shard once to compare its checksum. That takes about a second per gigabyte,
        little beside training, and is the only check that finds a shard replaced by one of equal
        size.

        Raises InputError when the manifest or a shard is missing, damaged or replaced.
        """
        description = read_json(checked(manifest))
        try:
            shards = description["shards"].items()
            places = {
                item: (manifest.parent / name, row)
                for name, shard in shards
                for row, item in enumerate(shard["items"])
            }
            checksums = {manifest.parent / name: shard["sha256"] for name, shard in shards}
            store = cls(manifest, description, places)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise InputError(
                f"{manifest}: not the manifest of a target; delete it and rerun"
            ) from None
        for shard, checksum in checksums.items():
            read_header(shard)
            if sha256_of(shard) != checksum:
                raise InputError(
                    f"{shard}: not the file that its manifest lists; delete both and rerun"
                )
        return store

    def refuse_other(
        self,
        read: TeacherTarget,
        prompt: PromptSettings,
        labels: tuple[str, ...] | None,
        model: Path,
    ) -> None:
        """Raises InputError unless this is the target `read` of this model and prompt.

        labels: of the task; only some kinds of target depend on them.
        model: the teaching model's manifest.
        """
        expected = {
            "target": read.target.model_dump(mode="json"),
            "system": read.system,
            "context": read.context.model_dump(mode="json"),
            "prompt": prompt.model_dump(mode="json"),
            "labels": list(labels or ()) if KINDS[read.target.kind].reads_labels else None,
            **origin(model),
        }
        for key, value in expected.items():
            if self.description.get(key) != value:
                raise InputError(
                    f"{self._manifest}: made with another {key}; delete its folder and rerun"
                )

    def read(self, item: str) -> dict[str, Tensor]:
        """Field → (positions of the item, …); raises InputError when there is no such item."""
        if item not in self._places:
            raise InputError(f"{self._manifest}: holds no item {item}; delete its folder and rerun")
        shard, row = self._places[item]
        file = self._file(shard)
        start, stop = file.get_slice("offsets")[row : row + 2].tolist()
        return {name: file.get_slice(name)[start:stop] for name in self._fields}

    def _file(self, shard: Path) -> Any:
        if shard not in self._files:
            self._files[shard] = safe_open(shard, framework="pt")
        return self._files[shard]
