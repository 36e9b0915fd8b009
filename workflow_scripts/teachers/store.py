"""The signal store: a teacher's signal on disk, written in parts and read row by row.

A part is a safetensors file. A row of its tensors is one position; `offsets` (items + 1,) says
which rows are an item's. A hidden row holds every layer, side by side: one item is one contiguous
read, and a subset of layers needs no other pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from workflow_scripts.config.slices import Reading
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import SignalSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file, read_json, sha256_of
from workflow_scripts.teachers.manifest import HEADER, PartHeader, origin, read_header


@dataclass(frozen=True)
class HiddenRow:
    """One item's states, before the final norm.

    states: (positions, layers, width) in the model's dtype.
    """

    states: Tensor


@dataclass(frozen=True)
class LogitRow:
    """One item's k largest logits.

    values: (positions, k) float32. indices: (positions, k) int32, by falling value.
    logsumexp: (positions, 2) float32 over the whole vocabulary, of the logits and of the logits
    divided by the signal's temperature.
    """

    values: Tensor
    indices: Tensor
    logsumexp: Tensor


@dataclass(frozen=True)
class LabelRow:
    """What one item's prompt is followed by.

    logprobs: (1, labels) float32, of each label's first token, normalised over the whole
    vocabulary.
    """

    logprobs: Tensor


@dataclass(frozen=True)
class SortedRow:
    """One item's largest logits, without their tokens: for a student with another tokenizer.

    values: (positions, k) float32, by falling value.
    logsumexp: as of `LogitRow`.
    boundaries: (positions,) int32, of the rendering.
    vocabulary: (positions,) int32, length of a row of logits, of which k are kept.
    """

    values: Tensor
    logsumexp: Tensor
    boundaries: Tensor
    vocabulary: Tensor


Row = HiddenRow | LogitRow | LabelRow | SortedRow
_ROWS: dict[str, type[Row]] = {
    "hidden": HiddenRow,
    "logits": LogitRow,
    "labels": LabelRow,
    "sorted": SortedRow,
}


def write_part(
    path: Path, items: Sequence[str], tensors: Mapping[str, Tensor], description: Mapping[str, Any]
) -> None:
    """Writes one part, whole or not at all.

    tensors: `offsets` (items + 1,) and, by name of a row's field, (positions of all items, …).
    """
    header = PartHeader(list(items), dict(description))
    with atomic_file(path) as partial:
        save_file(dict(tensors), partial, {HEADER: json.dumps(asdict(header), sort_keys=True)})


class SignalStore:
    """One teacher's signal, read lazily by item."""

    def __init__(
        self, manifest: Path, description: Mapping[str, Any], places: dict[str, tuple[Path, int]]
    ) -> None:
        self._manifest = manifest
        self._places = places
        self._files: dict[Path, Any] = {}
        self.description = description
        self.signal = SignalSettings.model_validate(description["signal"])

    @classmethod
    def open(cls, manifest: Path) -> Self:
        """Opens the signal that `manifest` describes; its parts lie beside it.

        Every part is read once, without keeping it, to compare its checksum: about a second a
        gigabyte, little beside training, which reads all of it too, and the only check that
        finds a part replaced by one of equal size.

        Raises InputError when the manifest or a part is missing, damaged or exchanged.
        """
        description = read_json(manifest)
        try:
            parts = description["parts"].items()
            places = {
                item: (manifest.parent / name, row)
                for name, part in parts
                for row, item in enumerate(part["items"])
            }
            checksums = {manifest.parent / name: part["sha256"] for name, part in parts}
            store = cls(manifest, description, places)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise InputError(
                f"{manifest}: not the manifest of a signal; delete it and rerun"
            ) from None
        for part, checksum in checksums.items():
            read_header(part)
            if sha256_of(part) != checksum:
                raise InputError(
                    f"{part}: not the file that its manifest lists; delete both and rerun"
                )
        return store

    def refuse_other(
        self,
        reading: Reading,
        prompt: PromptSettings,
        labels: tuple[str, ...] | None,
        model: Path,
    ) -> None:
        """Raises InputError unless this is that signal of that model, context and prompt.

        labels: of the task; only a signal of labels depends on them.
        model: the teaching model's manifest.
        """
        expected = {
            "signal": reading.signal.model_dump(mode="json"),
            "context": reading.context.model_dump(mode="json"),
            "prompt": prompt.model_dump(mode="json"),
            "labels": list(labels or ()) if reading.signal.kind == "labels" else None,
            **origin(model),
        }
        for key, value in expected.items():
            if self.description.get(key) != value:
                raise InputError(
                    f"{self._manifest}: made with another {key}; delete its folder and rerun"
                )

    def read(self, item: str) -> Row:
        """Raises InputError for an item that the signal does not hold."""
        if item not in self._places:
            raise InputError(f"{self._manifest}: holds no item {item}; delete its folder and rerun")
        part, row = self._places[item]
        file = self._file(part)
        start, stop = file.get_slice("offsets")[row : row + 2].tolist()
        kind = _ROWS[self.signal.kind]
        fields = kind.__dataclass_fields__
        return kind(**{name: file.get_slice(name)[start:stop] for name in fields})

    def _file(self, part: Path) -> Any:
        if part not in self._files:
            self._files[part] = safe_open(part, framework="pt")
        return self._files[part]
