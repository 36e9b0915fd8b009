"""A run's checkpoints, completed one after another by one engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from workflow_scripts.engines.protocol import Engine
from workflow_scripts.errors import InputError
from workflow_scripts.files import read_json, sha256_of
from workflow_scripts.icl_gap.completions import complete
from workflow_scripts.rendering import Rendering
from workflow_scripts.settings import GenerationSettings


def read_checkpoints(manifest: Path) -> dict[int, Path]:
    """Step → folder of its adapter.

    Raises InputError when a file of an adapter is missing or is not what training wrote.
    """
    content = read_json(manifest)
    for name, checksum in content["files"].items():
        path = manifest.parent / name
        if not path.exists() or sha256_of(path) != checksum:
            raise InputError(f"{path}: missing or damaged; delete {manifest} to train again")
    return {step: manifest.parent / f"step-{step}" for step in content["steps"]}


def complete_checkpoints(
    engine: Engine,
    checkpoints: Mapping[int, Path],
    rendered: Mapping[str, Mapping[str, Rendering]],
    generation: GenerationSettings,
) -> pd.DataFrame:
    """Completions of every item at every step: split, item, step, completion, answer_loss."""
    tables = []
    for step, folder in checkpoints.items():
        name = f"step-{step}"
        engine.add_adapter(name, folder)
        tables.append(complete(engine, rendered, generation, adapter=name, step=step))
    return pd.concat(tables)
