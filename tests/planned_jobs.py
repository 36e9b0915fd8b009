"""How many jobs of each rule that costs something a study plans, without Snakemake."""

from __future__ import annotations

from itertools import product

from workflow_scripts.study.results import TeacherResult
from workflow_scripts.study.study import Study
from workflow_scripts.study.supervision import REFERENCE_SPLITS


def job_counts(study: Study) -> dict[str, int]:
    """Rule → number of its jobs; rules without a job are left out."""
    matrix, supervision = study.matrix, study.supervision
    tasks = study.experiment.tasks
    by_agreement = study.experiment.evaluation.choose_by == "agreement"
    pairs = list(product(study.experiment.models, tasks))
    base = sum(len(matrix.base_results_of(*pair)) for pair in pairs)
    told = sum(isinstance(r, TeacherResult) for p in pairs for r in matrix.base_results_of(*p))
    runs = sum(len(matrix.runs_of(*pair)) for pair in pairs)
    rounds = [
        len(supervision.phases_of(run.condition))
        for pair in pairs
        for run in matrix.runs_of(*pair)
        if supervision.is_in_rounds(run.condition)
    ]
    answers = {answers for pair in pairs for answers in supervision.generated_of(*pair)}
    answers |= {
        reference
        for pair in pairs
        for split in REFERENCE_SPLITS
        if split in tasks[pair[1]].data.unlabelled or (split == "validation" and by_agreement)
        if (reference := supervision.reference_of(*pair, split)) is not None
    }
    transfers = sum(len(matrix.runs_of(*pair)) for pair in pairs if matrix.transfers_from(pair[1]))
    repeats = sum(len(matrix.repeats_of(*pair)) for pair in pairs)
    counts = {
        "fetch_model": len(matrix.fetched_models),
        "pretrain": len(matrix.scratch_models),
        "find_overflow": sum(len(study.inputs.overflow(task)) for task in tasks),
        "make_task": len(matrix.plain_tasks),
        "mix_tasks": len(matrix.mixtures),
        "complete_base": base - told,
        "complete_teacher": told,
        "teacher_answers": len({a.file("answers.parquet") for a in answers if a.round is None}),
        "student_answers": sum(rounds),
        "choose_answers": len(answers),
        "teacher_shard": len(
            {
                shard.file("manifest.json")
                for pair in pairs
                for shard in study.passes.all_shards_of(*pair)
            }
        ),
        "train": runs - len(rounds),
        "train_round": sum(rounds) - len(rounds),
        "train_last_round": len(rounds),
        "complete_run": runs,
        "complete_transfers": transfers,
        "complete_again": repeats,
        "hidden_states": sum(len(study.catalog.states_of(*pair)) for pair in pairs),
        "score": base + runs + repeats,
        "score_transfers": transfers,
    }
    return {rule: count for rule, count in counts.items() if count}
