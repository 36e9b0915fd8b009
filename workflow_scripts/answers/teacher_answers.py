"""Answers questions with a teacher: the base model in its context."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.answers.answering import answer_questions, read_questions
from workflow_scripts.answers.records import told, write_answers
from workflow_scripts.config.slices import AnswersSlice
from workflow_scripts.evaluation.state import state_of
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import write_json
from workflow_scripts.tasks.examples import draw_demonstrations, read_examples


def main(
    settings: AnswersSlice,
    model: Path,
    demonstrations: Path,
    examples: Path,
    answers: Path,
    cost: Path,
) -> None:
    """Answer questions with the base model in a teacher's context.

    demonstrations: the reserved pool.
    examples: whose questions are answered; their own answers are not used.
    answers, cost: answers.parquet and its cost, to write.
    """
    pool = read_examples(demonstrations)
    inputs = [model, demonstrations, examples]
    with state_of(answers, settings, inputs, "answers.teacher_answers") as state:
        answered = answer_questions(
            open_model(model),
            settings,
            read_questions(examples),
            state,
            seeds=[settings.seed],
            demonstrations=draw_demonstrations(pool, settings.context),
        )
        print(f"teacher answers: {told(answered.answers)}", flush=True)
        write_answers(answers, answered.answers)
        write_json(cost, answered.inference)


if __name__ == "__main__":
    run_program(main)
