"""Disk space of the teacher targets, estimated before anything runs."""

from __future__ import annotations

from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.study.resources import Resources
from workflow_scripts.study.results import PlannedTarget
from workflow_scripts.teachers.targets import KINDS, TeacherSize

GIGABYTE = 10**9
# `auto` becomes one of the others, so an upper bound
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4, "auto": 4}


def bytes_at_most(resources: Resources, target: PlannedTarget) -> int | None:
    """Upper bound of bytes on disk; None when the model's `layers` or `width` is not given.

    Assumes that no answer is longer than `max_new_tokens`.
    """
    model = resources.experiment.models[target.teaching]
    task = resources.experiment.tasks[target.task]
    if model.layers is None or model.width is None:
        return None
    size = TeacherSize(
        labels=len(labels_of(task.data) or ()),
        layers=model.layers,
        width=model.width,
        value_bytes=BYTES[resources.dtype_of(target.teaching)],
    )
    return target_bytes(target.target, target.items, task.generation.max_new_tokens, size)


def target_bytes(
    target: TargetSettings, items: int, answer_tokens: int, size: TeacherSize
) -> int | None:
    """Bytes of a target's tensors, headers aside; None where the whole vocabulary is kept.

    answer_tokens: of each item's answer, the end token included; an upper bound gives a bound.
    """
    positions = items * (answer_tokens if target.position == "answer" else 1)
    row = KINDS[target.kind].row_bytes(target, size)
    return None if row is None else positions * row
