"""Answers the questions of one round with a student, as it is before the round."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.answers.answering import answer_questions, read_questions
from workflow_scripts.answers.records import told, write_answers
from workflow_scripts.config.slices import AnswersSlice
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.state import state_of
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import write_json
from workflow_scripts.training.rounds import round_items


def main(
    settings: AnswersSlice,
    round: int,
    number: int,
    seed: int,
    step: int,
    train_items: int,
    model: Path,
    examples: Path,
    answers: Path,
    cost: Path,
    checkpoints: Path | None = None,
) -> None:
    """Answer the questions of one round with a student, which sees no context.

    round: counted from 0. number: of its questions. seed: of the run.
    step: after which the round begins.
    train_items: rounds are drawn from the first of the examples, up to this number.
    examples: whose questions are answered; their own answers are not used.
    answers, cost: answers.parquet and its cost, to write.
    checkpoints: manifest of the round before; without it the base model answers.
    """
    inputs = [model, examples, *([checkpoints] if checkpoints else [])]
    with state_of(answers, settings, inputs, "answers.student_answers") as state:
        questions = read_questions(examples)[:train_items]
        asked = round_items([question.item for question in questions], seed, round, number)
        answered = answer_questions(
            open_model(model),
            settings,
            [questions[index] for index in asked],
            state,
            seeds=[settings.seed, seed, round],
            checkpoint=read_checkpoints(checkpoints, [step])[step] if checkpoints else None,
        )
        print(f"student answers: {told(answered.answers)}", flush=True)
        write_answers(answers, answered.answers)
        write_json(cost, answered.inference)


if __name__ == "__main__":
    run_program(main)
