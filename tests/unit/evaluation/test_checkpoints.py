"""A run's checkpoints are read whole, checked, and completed in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.evaluation.checkpoints import complete_checkpoints, read_checkpoints
from workflow_scripts.files import sha256_of, write_json
from workflow_scripts.rendering import Rendering
from workflow_scripts.settings import GenerationSettings

RENDERING = Rendering(ids=(1, 2, 3, 4), question=0, query=1, prompt=1)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    files = {}
    for step in (2, 10):
        path = tmp_path / f"step-{step}" / "adapter_model.safetensors"
        path.parent.mkdir()
        path.write_text(str(step))
        files[str(path.relative_to(tmp_path))] = sha256_of(path)
    write_json(tmp_path / "manifest.json", {"steps": [2, 10], "files": files})
    return tmp_path / "manifest.json"


class RecordingEngine:
    """Answers with the adapter's name, so that a row shows which one made it."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def add_adapter(self, name: str, folder: Path) -> None:
        self.folders[name] = folder

    def generate(
        self, prompts: Sequence[Sequence[int]], generation: GenerationSettings, adapter: str | None
    ) -> list[str]:
        return [f"{adapter}: {len(prompt)}" for prompt in prompts]

    def answer_loss(self, renderings: Sequence[Rendering], adapter: str | None) -> list[float]:
        return [float(len(rendering.answer_ids)) for rendering in renderings]


def test_steps_are_read_with_their_folders(manifest):
    assert read_checkpoints(manifest) == {
        2: manifest.parent / "step-2",
        10: manifest.parent / "step-10",
    }


@pytest.mark.parametrize("damage", ["delete", "rewrite"])
def test_a_damaged_adapter_is_refused_by_name(manifest, damage):
    path = manifest.parent / "step-10/adapter_model.safetensors"
    path.unlink() if damage == "delete" else path.write_text("other")
    with pytest.raises(InputError, match=r"step-10/adapter_model.*missing or damaged"):
        read_checkpoints(manifest)


def test_every_checkpoint_completes_every_item(manifest):
    rendered = {"validation": {"a": RENDERING}, "test": {"b": RENDERING, "c": RENDERING}}
    table = complete_checkpoints(
        RecordingEngine(),
        read_checkpoints(manifest),
        rendered,
        GenerationSettings(max_new_tokens=3),
    )
    assert table[["split", "item", "step", "completion", "answer_loss"]].to_numpy().tolist() == [
        [split, item, step, f"step-{step}: 2", 2.0]
        for step in (2, 10)
        for split, item in (("validation", "a"), ("test", "b"), ("test", "c"))
    ]
