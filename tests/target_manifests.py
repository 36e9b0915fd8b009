"""Manifests of teachers' shards, for jobs that read nothing else of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.outputs import save
from workflow_scripts.config.slices import ContextSettings
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.teachers.manifest import (
    DescribedTarget,
    Mass,
    ShardManifest,
    TeacherDescription,
)
from workflow_scripts.teachers.targets import target_name

TEACHER = TeacherDescription(
    model={},
    prompt=PromptSettings(),
    system=None,
    context=ContextSettings(shots=2, answers="correct", seed=0),
    demonstrations=(),
)


def save_target_manifest(
    path: Path, target: TargetSettings, masses: dict[str, dict[str, Any]]
) -> str:
    """Writes the manifest of a shard with one target. Returns the target's name.

    masses: kind of position → what the top k hold there.
    """
    name = target_name(target)
    described = DescribedTarget(
        target=target,
        labels=None,
        final_norm=None,
        positions=5,
        mass={kind: Mass(**mass) for kind, mass in masses.items()},
    )
    manifest = ShardManifest(
        teacher=TEACHER, shard=0, shards=1, items=("a", "b"), targets={name: described}, files={}
    )
    save(manifest.model_dump(mode="json"), path)
    return name
