"""The teacher targets of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.config.slices import RunSlice, TeacherTarget
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.teachers.manifest import origin
from workflow_scripts.teachers.store import TargetStore
from workflow_scripts.teachers.targets import KINDS, teacher_target_name


def open_targets(
    settings: RunSlice, model: Path, manifests: Sequence[Path], teacher_models: Sequence[Path]
) -> dict[str, TargetStore]:
    """Name of a target → its store, for all targets that the run reads.

    model: the student's manifest.
    manifests, teacher_models: of each target and of the model that it was read from, in the order
    of `settings.reads`.
    Raises InputError when a target is missing or damaged, was made for another run, or cannot be
    compared with this student.
    """
    for flag, given in (("targets", manifests), ("teacher-models", teacher_models)):
        if len(given) != len(settings.reads):
            names = ", ".join(map(teacher_target_name, settings.reads))
            raise InputError(
                f"--{flag}: {len(given)} manifests, but the run reads {names or 'none'}; give one "
                "for each, in this order"
            )
    stores = {}
    for read, manifest, teacher in zip(settings.reads, manifests, teacher_models, strict=True):
        _refuse_incomparable(read, teacher, model)
        store = TargetStore.open(manifest)
        store.refuse_other(read, settings.prompt, settings.labels, teacher)
        stores[teacher_target_name(read)] = store
    return stores


def _refuse_incomparable(read: TeacherTarget, teacher: Path, student: Path) -> None:
    """Labels and sorted logits can be compared across models; states and tokens cannot."""
    of_teacher, of_student = origin(teacher), origin(student)
    shared = KINDS[read.target.kind].shared
    if shared is None or of_teacher == of_student:
        return
    names = f"{teacher.parent.name} and the student {student.parent.name}"
    both = f"conditions' teacher {read.teacher}: {names}"
    if shared == "model":
        raise InputError(
            f"{both} are different models, so their hidden states cannot be compared; use logit or "
            "label terms"
        )
    instead = "use uld, which needs no common vocabulary, or label_kl"
    if of_teacher["vocabulary_sha256"] != of_student["vocabulary_sha256"]:
        raise InputError(
            f"{both} have different vocabularies, so their logits cannot be matched token by "
            f"token; {instead}"
        )
    # after a chat template an answer begins without the space that follows plain text
    if _has_template(of_teacher) != _has_template(of_student):
        raise InputError(
            f"{both} begin answers with different tokens, because only one of them has a chat "
            f"template; {instead}"
        )


def _has_template(model: Mapping[str, Any]) -> bool:
    return model["chat_template_sha256"] is not None
