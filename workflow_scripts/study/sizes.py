"""How much disk a plan's targets need, known before anything runs."""

from __future__ import annotations

from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.study.resources import Resources
from workflow_scripts.study.results import TeacherTargetFiles

GIGABYTE = 10**9
# `auto` is one of the others: a bound gives a bound
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4, "auto": 4}
# an index beside each float32 logit
BYTES_OF_LOGIT = 4 + 4
NORMALISERS = 2
# of a sorted target: size of the vocabulary, and place in the answer
PLACES = 2


def bytes_at_most(resources: Resources, target: TeacherTargetFiles) -> int | None:
    """Bytes on disk at most; None when the `layers` or `width` of the model is not given.

    An answer is taken to be no longer than what may be generated.
    """
    model = resources.experiment.models[target.model]
    task = resources.experiment.tasks[target.task]
    if model.layers is None or model.width is None:
        return None
    return target_bytes(
        resources.matrix.target(target.teacher, target.target),
        len(labels_of(task.data) or ()),
        task.data.items.train,
        task.generation.max_new_tokens,
        model.layers,
        model.width,
        resources.dtype_of(target.model),
    )


def target_bytes(
    target: TargetSettings,
    labels: int,
    items: int,
    answer_tokens: int,
    layers: int,
    width: int,
    dtype: str,
) -> int | None:
    """Bytes of a target's tensors, headers aside; None of one that keeps the whole vocabulary.

    labels: of the task, 0 where it has none.
    answer_tokens: of each item's answer, the end token included; a bound gives a bound.
    layers, width, dtype: of the teacher.
    """
    positions = items * (answer_tokens if target.position == "answer" else 1)
    if target.kind == "labels":
        return positions * labels * 4
    if target.kind == "hidden":
        return positions * layers * width * BYTES[dtype]
    assert target.top_k is not None
    if target.top_k == "all":
        return None
    if target.kind == "sorted":
        return positions * (target.top_k * 4 + NORMALISERS * 4 + PLACES * 4)
    return positions * (target.top_k * BYTES_OF_LOGIT + NORMALISERS * 4)
