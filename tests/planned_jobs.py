"""How many jobs of each rule that costs something a study plans, without Snakemake."""

from __future__ import annotations

from itertools import product

from workflow_scripts.study.study import Study


def job_counts(study: Study) -> dict[str, int]:
    """Rule → number of its jobs; rules without a job are left out."""
    matrix, supervision = study.matrix, study.supervision
    tasks = study.experiment.tasks
    pairs = list(product(study.experiment.models, tasks))
    base = sum(len(matrix.base_results_of(*pair)) for pair in pairs)
    runs = sum(len(matrix.runs_of(*pair)) for pair in pairs)
    transfers = sum(len(matrix.transfers_of(*pair)) for pair in pairs)
    repeats = sum(len(matrix.repeats_of(*pair)) for pair in pairs)
    counts = {
        "fetch_model": len(matrix.fetched_models),
        "pretrain": len(matrix.scratch_models),
        "find_overflow": sum(len(study.inputs.overflow(task)) for task in tasks),
        "make_task": len(matrix.plain_tasks),
        "mix_tasks": len(matrix.mixtures),
        "complete_base": base,
        "teacher_shard": sum(
            len(supervision.shards_of(target))
            for pair in pairs
            for target in supervision.targets_of(*pair)
        ),
        "teacher_manifest": sum(len(supervision.targets_of(*pair)) for pair in pairs),
        "train": runs,
        "complete_run": runs,
        "complete_transfer": transfers,
        "complete_again": repeats,
        "hidden_states": sum(len(study.catalog.states_of(*pair)) for pair in pairs),
        "score": base + runs + transfers + repeats,
    }
    return {rule: count for rule, count in counts.items() if count}
