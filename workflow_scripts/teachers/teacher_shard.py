"""Reads one shard of a teacher's targets: a model with a context before some examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from workflow_scripts.config.slices import TeacherSlice
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.modeling.loading import load_tokenizer, load_weights, open_model
from workflow_scripts.prompts.label_tokens import label_tokens
from workflow_scripts.prompts.rendering import (
    PLACEHOLDER,
    RENDERERS,
    Renderer,
    Rendering,
    refuse_misaligned,
    refuse_too_long,
    teacher_renderer,
)
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example, draw_demonstrations, read_examples
from workflow_scripts.teachers.manifest import describe_teacher
from workflow_scripts.teachers.passes import record_pass
from workflow_scripts.teachers.store import write_shard
from workflow_scripts.teachers.targets import KINDS, target_name
from workflow_scripts.teachers.teacher_pass import run_teacher_pass


def main(
    settings: TeacherSlice,
    targets: list[TargetSettings],
    model: Path,
    demonstrations: Path,
    examples: Path,
    shard: int,
    manifest: Path,
) -> None:
    """Read one shard of a teacher's targets: a model with a context before some examples.

    targets: all that the pass reads.
    demonstrations: the reserved pool.
    examples: training items with their own or generated answers.
    shard: its number, from 0.
    manifest: manifest.json of the shard, to write; its tensors lie beside it.
    """
    opened = open_model(model)
    shown = draw_demonstrations(read_examples(demonstrations), settings.context)
    own = examples_of_shard(examples, shard, settings.shards)
    items = [example.item for example in own]
    questions = [example.question for example in own]
    before = [example.text_before(settings.context.item) for example in own]
    tokenizer = load_tokenizer(opened)
    teacher = teacher_renderer(
        opened.architecture, tokenizer, settings.prompt, settings.system, shown
    )
    student = RENDERERS[opened.architecture](tokenizer, settings.prompt)
    renderings = render(teacher, student, own, answers_of(own, targets), before)
    refuse_too_long(renderings, items, opened.context_length)
    refuse_unknown(renderings, own, tokenizer, settings.max_unknown)
    reads_labels = any(KINDS[target.kind].reads_labels for target in targets)
    labels = settings.labels or () if reads_labels else ()
    tokens = label_tokens(teacher, questions, items, labels, before)
    weights = load_weights(opened)
    read = run_teacher_pass(weights, renderings, targets, settings.batch_size, tokens)
    folder = manifest.parent
    record_pass(folder.parent, map(target_name, targets))
    write_shard(
        folder,
        (shard, settings.shards),
        items,
        describe_teacher(settings, model, shown),
        list(zip(targets, read, strict=True)),
        labels,
    )


def examples_of_shard(path: Path, shard: int, shards: int) -> list[Example]:
    """The examples of one of `shards` parts, whose sizes differ by at most one."""
    examples = read_examples(path)
    chosen = np.array_split(np.arange(len(examples)), shards)[shard]
    if not chosen.size:
        raise InputError(
            f"{path}: {len(examples)} examples are too few for {shards} shards; raise "
            "`teacher_pass.shard_size`"
        )
    return [examples[index] for index in chosen]


def answers_of(examples: Sequence[Example], targets: Sequence[TargetSettings]) -> list[str]:
    """The answers that the teacher reads; where it reads none, unlabelled examples need none.

    Raises InputError naming the first example that lacks an answer that is read.
    """
    for target in (target for target in targets if target.position == "answer"):
        for example in examples:
            if example.answer is None:
                raise InputError(
                    f"item {example.item} has no answer, at which target {target_name(target)} is "
                    "read; set `answers: teacher` or `answers: student`, or use another position"
                )
    return [PLACEHOLDER if e.answer is None else e.answer for e in examples]


def render(
    teacher: Renderer,
    student: Renderer,
    examples: Sequence[Example],
    answers: Sequence[str],
    before: Sequence[str | None],
) -> list[Rendering]:
    """The teacher's conversations; each must end in the same tokens as the student's.

    before: the texts that the teacher alone sees before the questions.
    """
    questions = [example.question for example in examples]
    after_context = teacher.render(questions, answers, before)
    alone = student.render(questions, answers)
    for example, asked, shown in zip(examples, alone, after_context, strict=True):
        refuse_misaligned(asked, shown, example.item)
    return after_context


def refuse_unknown(
    renderings: Sequence[Rendering],
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    max_unknown: float,
) -> None:
    """Raises InputError when too many answers contain characters unknown to the tokenizer.

    max_unknown: the highest share of such answers.
    """
    token = tokenizer.unk_token_id
    # byte-level tokenizers know every text; their unknown token is the end token
    if token is None or token == tokenizer.eos_token_id:
        return
    counts = [rendering.answer_ids.count(token) for rendering in renderings]
    unknown = [
        example
        for example, count in zip(examples, counts, strict=True)
        if count and example.answer is not None
    ]
    if len(unknown) > max_unknown * len(examples):
        raise InputError(
            f"{len(unknown)} of {len(examples)} answers contain characters that the teacher's "
            f"tokenizer does not know ({sum(counts)} unknown tokens; the first is in item "
            f"{unknown[0].item}: {unknown[0].answer!r}); leave such items out, or raise the "
            "teacher's `max_unknown`"
        )


if __name__ == "__main__":
    run_program(main)
