"""Reads one shard of a teacher's target: a model with demonstrations before some examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from workflow_scripts.config.slices import TeacherSlice
from workflow_scripts.modeling.loading import load_tokenizer, load_weights, open_model
from workflow_scripts.prompts.label_tokens import label_tokens
from workflow_scripts.prompts.rendering import (
    RENDERERS,
    Renderer,
    Rendering,
    refuse_misaligned,
    refuse_too_long,
)
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example, draw_demonstrations, read_examples
from workflow_scripts.teachers.manifest import describe
from workflow_scripts.teachers.store import write_shard
from workflow_scripts.teachers.teacher_pass import run_teacher_pass


def main(
    settings: TeacherSlice,
    model: Path,
    demonstrations: Path,
    examples: Path,
    shard: int,
    tensors: Path,
) -> None:
    """Read one shard of a teacher's target: a model with demonstrations before some examples.

    demonstrations: the reserved pool.
    examples: train.parquet of the task.
    shard: its number, from 0.
    tensors: safetensors file to write.
    """
    opened = open_model(model)
    shown = draw_demonstrations(read_examples(demonstrations), settings.context)
    own = examples_of_shard(examples, shard, settings.teacher_pass.shard_size)
    items = [example.item for example in own]
    questions = [example.question for example in own]
    tokenizer = load_tokenizer(opened)
    renderer = RENDERERS[opened.architecture]
    teacher = renderer(tokenizer, settings.prompt, shown)
    renderings = render(teacher, renderer(tokenizer, settings.prompt), own)
    refuse_too_long(renderings, items, opened.context_length)
    refuse_unknown(renderings, own, tokenizer, settings.max_unknown)
    tokens = label_tokens(teacher, questions, items, settings.labels or ())
    read = run_teacher_pass(
        load_weights(opened), renderings, settings.target, settings.teacher_pass.batch_size, tokens
    )
    write_shard(tensors, items, read, describe(settings, model, shown))


def examples_of_shard(path: Path, shard: int, shard_size: int) -> list[Example]:
    examples = read_examples(path)
    chosen = examples[shard * shard_size : (shard + 1) * shard_size]
    if not chosen:
        raise InputError(f"{path}: {len(examples)} examples, none in shard {shard} of {shard_size}")
    return chosen


def render(teacher: Renderer, student: Renderer, examples: list[Example]) -> list[Rendering]:
    """The teacher's conversations; each must end in the same tokens as the student's."""
    questions = [example.question for example in examples]
    answers = [example.answer for example in examples]
    after_context = teacher.render(questions, answers)
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
    unknown = [example for example, count in zip(examples, counts, strict=True) if count]
    if len(unknown) > max_unknown * len(examples):
        raise InputError(
            f"{len(unknown)} of {len(examples)} answers contain characters that the teacher's "
            f"tokenizer does not know ({sum(counts)} unknown tokens; the first is in item "
            f"{unknown[0].item}: {unknown[0].answer!r}); leave such items out, or raise the "
            "teacher's `max_unknown`"
        )


if __name__ == "__main__":
    run_program(main)
