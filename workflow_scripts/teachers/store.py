"""The target store: a teacher's targets on disk, written in shards and read item by item.

A shard is a folder with a safetensors file for each target and one manifest. A row of a file's
tensors is one position; `offsets` (items + 1,) gives each item's rows. `targets.KINDS` describes
the tensors. Hidden states of all layers lie side by side, so an item is one contiguous read and
another subset of layers needs no new teacher pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from workflow_scripts.config.slices import TeacherTarget
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_directory, write_json
from workflow_scripts.teachers.manifest import (
    MANIFEST,
    ShardManifest,
    TeacherDescription,
    describe_target,
    origin,
    read_manifest,
)
from workflow_scripts.teachers.targets import KINDS, target_name


def write_shard(
    folder: Path,
    place: tuple[int, int],
    items: Sequence[str],
    teacher: TeacherDescription,
    targets: Sequence[tuple[TargetSettings, Mapping[str, Tensor]]],
    labels: Sequence[str] = (),
) -> None:
    """Writes one shard; it appears whole or not at all.

    place: its number, from 0, and the number of shards.
    targets: each with its tensors, `offsets` (items + 1,), and the fields of the target's kind,
        each (positions of all items, …).
    labels: of the task, for a target of labels.
    """
    shard, shards = place
    described, files = {}, {}
    with atomic_directory(folder, checksum=False) as partial:
        for target, tensors in targets:
            name = target_name(target)
            described[name] = describe_target(target, labels, tensors)
            file = partial / _file_of(name)
            save_file(dict(tensors), file)
            files[file.name] = sha256_of(file)
        manifest = ShardManifest(
            teacher=teacher,
            shard=shard,
            shards=shards,
            items=tuple(items),
            targets=described,
            files=files,
        )
        write_json(partial / MANIFEST, manifest.model_dump(mode="json"))


def _file_of(target: str) -> str:
    return f"{target}.safetensors"


class TargetStore:
    """A teacher target, read lazily by item."""

    def __init__(self, shards: Mapping[Path, ShardManifest], name: str) -> None:
        """shards: all of the target's, by their manifests' paths; see `open`."""
        self._shards = shards
        self._name = name
        self._first = next(iter(shards))
        self.teacher = shards[self._first].teacher
        self.target = shards[self._first].targets[name].target
        self._fields = KINDS[self.target.kind].fields
        self._places: dict[str, tuple[Path, int]] = {}
        for manifest, shard in shards.items():
            for row, item in enumerate(shard.items):
                if item in self._places:
                    other = self._places[item][0].parent
                    raise InputError(
                        f"{manifest.parent}: item {item} is also in {other.name}; delete both and "
                        "rerun"
                    )
                self._places[item] = (manifest.parent / _file_of(name), row)
        self._files: dict[Path, Any] = {}

    @classmethod
    def open(cls, manifests: Sequence[Path], name: str) -> Self:
        """Opens the target of this name in the shards that `manifests` describe.

        Reads the target's file in every shard once to compare its checksum. That takes about a
        second per gigabyte, little beside training, and is the only check that finds a file
        replaced by one of equal size.

        Raises InputError when a manifest or a file is missing, damaged or replaced, or the shards
        do not belong together.
        """
        shards = {manifest: read_manifest(manifest) for manifest in manifests}
        first = shards[manifests[0]]
        for manifest, shard in shards.items():
            _refuse_without(manifest, shard, name)
            for key, value in shard.teacher:
                if value != getattr(first.teacher, key):
                    raise InputError(
                        f"{manifest}: made with another {key} than {manifests[0]}; delete both "
                        "folders and rerun"
                    )
        if [shard.shard for shard in shards.values()] != list(range(first.shards)):
            raise InputError(
                f"{manifests[0]}: belongs to {first.shards} shards, but {len(shards)} or others "
                "are given; delete its pass and rerun"
            )
        return cls(shards, name)

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
            "target": read.target,
            "system": read.system,
            "context": read.context,
            "prompt": prompt,
            "labels": tuple(labels or ()) if KINDS[read.target.kind].reads_labels else None,
            "model": origin(model),
        }
        for manifest, shard in self._shards.items():
            for key, found in shard.expected(self._name).items():
                if found != expected[key]:
                    raise InputError(
                        f"{manifest}: made with another {key}; delete its folder and rerun"
                    )

    def read(self, item: str) -> dict[str, Tensor]:
        """Field → (positions of the item, …); raises InputError when there is no such item."""
        if item not in self._places:
            pass_ = self._first.parents[1]
            raise InputError(f"{pass_}: holds no item {item}; delete the folder and rerun")
        shard, row = self._places[item]
        file = self._file(shard)
        start, stop = file.get_slice("offsets")[row : row + 2].tolist()
        return {name: file.get_slice(name)[start:stop] for name in self._fields}

    def _file(self, shard: Path) -> Any:
        if shard not in self._files:
            self._files[shard] = safe_open(shard, framework="pt")
        return self._files[shard]


def _refuse_without(manifest: Path, shard: ShardManifest, name: str) -> None:
    """Raises InputError unless the shard holds this target as it was written."""
    if name not in shard.targets:
        raise InputError(
            f"{manifest}: holds no target {name}; delete {manifest.parents[1]} and rerun"
        )
    file = manifest.parent / _file_of(name)
    again = f"delete {manifest} and rerun, which makes it again"
    if not file.is_file():
        raise InputError(f"{file}: no such file; {again}")
    if sha256_of(file) != shard.files.get(file.name):
        raise InputError(f"{file}: damaged, or not the file that its manifest lists; {again}")
