"""How many jobs the shipped studies have."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.planned_jobs import job_counts
from workflow_scripts.study.load import load_study

STUDIES = Path(__file__).parents[3] / "config/experiments"

# models × tasks × conditions × seeds, and what stands before and after them
JOBS = {
    # 3 models at 3 shot counts; 20 conditions on 2 students and one on the smaller, 3 seeds;
    # 4 teachers of each student, whose 14 targets are read together, in 6 shards
    "qwen3-gsm8k": {
        "fetch_model": 3,
        "make_task": 1,
        "complete_base": 9,
        "teacher_shard": 48,
        "train": 123,
        "complete_run": 123,
        "complete_again": 2,
        "score": 134,
    },
    # 16 conditions and 3 seeds; hidden states of the 9 conditions that are drawn by layer
    "qwen3-layers": {
        "teacher_shard": 12,
        "train": 48,
        "hidden_states": 27,
        "complete_again": 1,
        "score": 51,
    },
    # 37 conditions on 2 students and 4 tasks, 3 seeds, and those of one task on 3 others; a third
    # model teaches
    "opt-mnli": {
        "fetch_model": 3,
        "find_overflow": 7,
        "complete_base": 126,
        "teacher_shard": 20,
        "train": 888,
        "complete_run": 888,
        "complete_transfers": 222,
    },
    # 6 conditions on 3 students and a mixture of 9 tasks, 3 seeds, evaluated on 11 tasks, on 3 of
    # them after demonstrations too; all read one target, in 10 shards
    "flan-uld": {
        "fetch_model": 4,
        "find_overflow": 11,
        "make_task": 11,
        "mix_tasks": 1,
        "complete_base": 60,
        "teacher_shard": 10,
        "train": 54,
        "complete_run": 54,
        "complete_transfers": 54,
    },
    # 4 and 2 conditions on 2 students and a mixture of 3 tasks, 3 seeds, evaluated on 4 tasks, on
    # one of them after demonstrations too
    "demo-uld": {
        "fetch_model": 1,
        "pretrain": 3,
        "make_task": 4,
        "mix_tasks": 1,
        "complete_base": 24,
        "teacher_shard": 2,
        "train": 18,
        "complete_run": 18,
        "complete_transfers": 18,
    },
    # 18 conditions and 3 seeds, evaluated on 3 other tasks too
    "demo-nli": {
        "complete_base": 20,
        "teacher_shard": 3,
        "train": 54,
        "complete_run": 54,
        "complete_transfers": 54,
        "score": 75,
        "score_transfers": 54,
    },
    # 5 conditions trained on 5 of 13 tasks, and those of GSM8K evaluated on the other 12
    "qwen3-mmlu-bbh": {
        "fetch_model": 2,
        "make_task": 13,
        "complete_base": 52,
        "train": 150,
        "complete_run": 150,
        "complete_transfers": 30,
        "complete_again": 10,
        "score": 212,
        "score_transfers": 30,
    },
    # 6 conditions on 3 models, 3 seeds; 2 teachers of each model in 6 shards
    "qwen35-gsm8k": {"teacher_shard": 36, "train": 54, "complete_run": 54, "complete_again": 3},
    # one task entry in 6 languages
    "qwen3-mgsm": {"make_task": 6, "complete_base": 12, "train": 36, "complete_run": 36},
    # 27 conditions on 2 tasks and 3 seeds; hidden states of 11 conditions
    "demo-full": {
        "complete_base": 4,
        "train": 162,
        "complete_run": 162,
        "hidden_states": 66,
        "complete_again": 2,
    },
    # 4 conditions on 2 tasks, 3 seeds and, but for plain fine-tuning, 3 draws
    "demo-label-free": {
        "complete_base": 8,
        "teacher_answers": 6,
        "choose_answers": 6,
        "teacher_shard": 6,
        "train": 60,
        "complete_run": 60,
    },
    # 11 conditions on one task, 4 of them on another too, 3 seeds and, but for plain fine-tuning, 3
    # draws; one trains on its own answers in 5 rounds
    "demo-label-free-full": {
        "complete_base": 14,
        "teacher_answers": 12,
        "student_answers": 45,
        "choose_answers": 57,
        "teacher_shard": 51,
        "train": 123,
        "train_round": 36,
        "train_last_round": 9,
        "complete_run": 132,
    },
    # 8 conditions on 3 tasks, 3 seeds and, but for plain fine-tuning, 3 draws; two train on their
    # own answers in 6 rounds
    "qwen3-label-free": {
        "complete_base": 12,
        "teacher_answers": 18,
        "student_answers": 324,
        "train": 144,
        "train_round": 270,
        "train_last_round": 54,
    },
    # 3 conditions, 3 seeds; the teacher also answers validation items
    "demo-instruction": {
        "complete_base": 1,
        "complete_teacher": 1,
        "teacher_answers": 2,
        "choose_answers": 3,
        "train": 9,
    },
    "demo-document": {"complete_teacher": 1, "teacher_answers": 2, "teacher_shard": 1, "train": 6},
    # 4 conditions on 2 models, 3 seeds; the teacher also answers validation items
    "qwen3-instruction": {
        "complete_base": 2,
        "complete_teacher": 2,
        "teacher_answers": 6,
        "student_answers": 36,
        "train": 18,
        "complete_run": 24,
    },
    "first": {"complete_base": 2, "teacher_shard": 1, "train": 2, "complete_run": 2},
    "smollm2-gsm8k": {"complete_base": 2, "train": 5, "complete_run": 5},
}


def test_every_study_has_its_counts_here():
    assert set(JOBS) == {path.stem for path in STUDIES.glob("*.yaml")}


@pytest.mark.parametrize("name", JOBS)
def test_the_matrix_has_as_many_jobs_as_it_should(name):
    counts = job_counts(load_study(yaml.safe_load((STUDIES / f"{name}.yaml").read_text())))
    assert {rule: counts.get(rule) for rule in JOBS[name]} == JOBS[name]
