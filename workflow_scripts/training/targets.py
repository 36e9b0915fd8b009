"""The teacher targets of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.config.slices import RunSlice, TeacherTarget
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.teachers.manifest import origin, read_manifest
from workflow_scripts.teachers.store import TargetStore
from workflow_scripts.teachers.targets import KINDS, target_name, teacher_target_name


def open_targets(
    settings: RunSlice,
    model: Path,
    manifests: Sequence[Path],
    teacher_models: Sequence[Path],
    phase: int | None = None,
) -> list[dict[str, TargetStore]]:
    """For each phase: name of a target that its terms read → its store.

    model: the student's manifest.
    manifests: of the shards of each target, in the order of the phases and of the `reads` of each.
    teacher_models: of the model that each target was read from, in the same order.
    phase: the only one whose targets are given and opened.
    Raises InputError when a target is missing or damaged, was made for another run, or cannot be
    compared with this student.
    """
    phases = [
        slice_.reads if phase in (None, number) else ()
        for number, slice_ in enumerate(settings.phases)
    ]
    expected = [read for reads in phases for read in reads]
    of_each = list(_by_target(manifests))
    for flag, given in (("targets", of_each), ("teacher-models", teacher_models)):
        if len(given) != len(expected):
            names = ", ".join(map(teacher_target_name, expected))
            raise InputError(
                f"--{flag}: those of {len(given)} targets, but the run reads {names or 'none'}; "
                "give those of each, in this order"
            )
    places = iter(zip(of_each, teacher_models, strict=True))
    return [
        {teacher_target_name(read): _opened(settings, model, read, *next(places)) for read in reads}
        for reads in phases
    ]


def _by_target(manifests: Sequence[Path]) -> Iterator[Sequence[Path]]:
    """The manifests of one target after another: each says how many shards belong together."""
    start = 0
    while start < len(manifests):
        stop = start + read_manifest(manifests[start]).shards
        yield manifests[start:stop]
        start = stop


def _opened(
    settings: RunSlice, model: Path, read: TeacherTarget, manifests: Sequence[Path], teacher: Path
) -> TargetStore:
    _refuse_incomparable(read, teacher, model)
    store = TargetStore.open(manifests, target_name(read.target))
    store.refuse_other(read, settings.prompt, settings.labels, teacher)
    return store


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
