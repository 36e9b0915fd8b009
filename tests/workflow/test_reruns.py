"""Which jobs a change makes Snakemake plan: all of them, by their messages, and no other.

Which settings and files each job depends on is tested without Snakemake (tests/unit/study/
test_changes.py, tests/unit/test_sources.py); here, that a rule has them and what follows is rerun.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_experiment import EXPERIMENT
from tests.workflow.conftest import Project
from workflow_scripts.results.index import read_table

Experiment = dict[str, Any]

CONDITIONS = set(EXPERIMENT["conditions"])
RUNS = [f"runs/{name}/seed-0" for name in CONDITIONS]


# --- what follows from what -------------------------------------------------------------------


REPORTED = {"write summary.md", "write report.html"}
RECORDED = {"record the settings of tiny", *REPORTED}
STATES_DRAWN = {
    f"draw states/{figure} (tiny, echo)" for figure in ("forest_plot", "drift", "teacher_distance")
}
BY_LAYER = {f"draw states/{figure} (tiny, echo)" for figure in ("drift", "teacher_distance")}
DRAWN = {
    *(f"draw {figure} (tiny, echo)" for figure in ("accuracy_by_step", "answer_loss_by_step")),
    *(f"draw {group}/forest_plot (tiny, echo)" for group in ("main", "states")),
    *BY_LAYER,
    "draw elsewhere/forest_plot (tiny, deduction)",
}

LOSSES_DRAWN = {"draw loss_curves (tiny, echo)"}


def gap_drawn(*tasks: str) -> set[str]:
    return {f"draw icl_gap (tiny, {task})" for task in tasks}


# a figure that shows none of them still has their names
OTHER_RESULTS = LOSSES_DRAWN | gap_drawn("echo", "deduction")

# accuracy by label and calibration are of choice tasks alone
LABELLED = {
    "deduction": (
        "measure the accuracy of each label (tiny, deduction)",
        "gather labels.csv",
        "measure the calibration (tiny, deduction)",
        "gather calibration.csv",
    )
}


def gathered(*tables: str) -> set[str]:
    return {f"gather {table}.csv" for table in tables} | REPORTED


def compared(*tasks: str) -> set[str]:
    """Tables and figures of tasks with other predictions, and of the experiment."""
    return {
        *(f"summarise the results (tiny, {task})" for task in tasks),
        *(f"compare the results (tiny, {task})" for task in tasks),
        *(f"show items on which results disagree (tiny, {task})" for task in tasks),
        *(f"find when training overtakes context (tiny, {task})" for task in tasks),
        *(f"measure what training gave, and how steadily (tiny, {task})" for task in tasks),
        *(job for job in DRAWN if job.endswith(tuple(f", {task})" for task in tasks))),
        *(job for task in tasks for job in LABELLED.get(task, ())),
    } | gathered("summary", "comparisons", "disagreements", "crossover", "optimisation")


def costed(*tasks: str) -> set[str]:
    return {f"measure the cost (tiny, {task})" for task in tasks} | gathered("cost")


def drift_measured() -> set[str]:
    job = "measure how far training moved the hidden states (tiny, echo)"
    return {job, *BY_LAYER} | gathered("drift", "drift_comparisons")


def represented(*conditions: str, seed: int = 0) -> set[str]:
    jobs = {f"read the hidden states of {name}, seed {seed} (tiny, echo)" for name in conditions}
    return jobs | drift_measured()


def repeated(condition: str) -> set[str]:
    """The second evaluation of one checkpoint."""
    return {
        f"evaluate {condition}, seed 0, a second time (tiny, echo)",
        f"score runs/{condition}/seed-0/repeat (tiny, echo)",
        "measure the noise of evaluation (tiny, echo)",
    } | gathered("noise")


BOTH = compared("echo", "deduction")


def transferred(*conditions: str, seed: int = 0) -> set[str]:
    return {
        job
        for name in conditions
        for job in (
            f"evaluate {name}, seed {seed}, on other tasks (tiny, echo)",
            f"score {name}, seed {seed}, on other tasks (tiny, echo)",
        )
    }


def evaluated(*conditions: str, seed: int = 0) -> set[str]:
    jobs = {
        job
        for name in conditions
        for job in (
            f"evaluate the checkpoints of {name}, seed {seed} (tiny, echo)",
            f"score runs/{name}/seed-{seed} (tiny, echo)",
        )
    }
    again = repeated("sft") if "sft" in conditions and seed == 0 else set()
    return jobs | transferred(*conditions, seed=seed) | again | BOTH | costed("echo")


def trained(*conditions: str, seed: int = 0) -> set[str]:
    jobs = {f"train {name}, seed {seed} (tiny, echo)" for name in conditions}
    shown = represented(*conditions, seed=seed) | LOSSES_DRAWN
    return jobs | evaluated(*conditions, seed=seed) | shown


def answered(task: str, *shots: int) -> set[str]:
    jobs = {f"answer {task} with tiny after {count} demonstrations" for count in shots}
    return jobs | scored(task, *(f"icl/{count}-shot" for count in shots)) | gap(task) | costed(task)


def scored(task: str, *results: str) -> set[str]:
    return {f"score {result} (tiny, {task})" for result in results}


def gap(*tasks: str) -> set[str]:
    shown = {"gather icl_gap.csv"} | gap_drawn(*tasks)
    return {f"measure the in-context gap (tiny, {task})" for task in tasks} | shown


def read(number: int = 0) -> set[str]:
    """A pass of the teacher over both shards."""
    shards = (f"pass {number}, shard 000{shard}" for shard in (0, 1))
    jobs = {f"read the few-shot teacher, {shard} (tiny, echo)" for shard in shards}
    return jobs | {"describe the targets (tiny, echo)"} | gathered("targets")


# everything that a model makes
ANSWERED = answered("echo", 0, 2) | answered("deduction", 0) | read() | trained(*CONDITIONS)


# --- settings ---------------------------------------------------------------------------------


def set_weight(experiment: Experiment) -> None:
    experiment["conditions"]["distilled"]["terms"][1]["weight"] = 0.25


def add_seed(experiment: Experiment) -> None:
    experiment["seeds"] = [0, 1]


def add_target(experiment: Experiment) -> None:
    """A condition that reads another target of the teacher, and one that is read already."""
    distilled = copy.deepcopy(experiment["conditions"]["distilled"])
    distilled["terms"][1]["site"] = "ffn"
    experiment["conditions"]["inner"] = distilled


def remove_condition(experiment: Experiment) -> None:
    del experiment["conditions"]["sft"]
    experiment["comparisons"]["states"]["members"] = ["2-shot", "distilled"]
    for name in ("main", "elsewhere"):
        members = experiment["comparisons"][name]["members"]
        experiment["comparisons"][name]["members"] = [m for m in members if not m.startswith("sft")]


def change_scorer(experiment: Experiment) -> None:
    experiment["tasks"]["echo"]["scoring"] = {"scorer": "span"}


def change_revision(experiment: Experiment) -> None:
    experiment["models"]["tiny"]["revision"] = "second"


def remove_checkpoint(experiment: Experiment) -> None:
    experiment["training"]["checkpoints"] = [3]


def reword(experiment: Experiment) -> None:
    experiment["models"]["tiny"]["label"] = "Another name"
    experiment["comparisons"]["states"] |= {
        "question": "Do they?",
        "members": {"sft": "fine-tuned", "distilled": "matched"},
    }


def ask_for_other_resources(experiment: Experiment) -> None:
    more = {"mem_mb": 700, "threads": 2, "runtime": 5, "gpu": 2}
    experiment["resources"] = dict.fromkeys(("training", "evaluation", "analysis"), more)
    experiment["models"]["tiny"]["resources"] = {"teachers": {"gpu": 1}}
    experiment["report_to"] = ["wandb"]


SETTINGS: dict[str, tuple[Callable[[Experiment], None], set[str]]] = {
    "a weight": (set_weight, trained("distilled") | RECORDED),
    "a seed more": (add_seed, trained(*CONDITIONS, seed=1) | OTHER_RESULTS | RECORDED),
    # by a pass of its own; nothing that reads the others is trained again
    "a target more": (
        add_target,
        (trained("inner") - represented("inner"))
        | read(1)
        | STATES_DRAWN
        | OTHER_RESULTS
        | RECORDED,
    ),
    # the baseline: another run is evaluated twice, and other states are compared
    "a condition less": (
        remove_condition,
        BOTH | costed("echo") | repeated("distilled") | drift_measured() | OTHER_RESULTS | RECORDED,
    ),
    # nothing is made, answered or trained again, but what transfers: other scores may choose
    # another checkpoint
    "another scorer": (
        change_scorer,
        scored("echo", "icl/0-shot", "icl/2-shot", *RUNS)
        | transferred(*CONDITIONS)
        | gap("echo")
        | LOSSES_DRAWN
        | repeated("sft")
        | BOTH
        | RECORDED,
    ),
    "another revision of the model": (change_revision, {"fetch model tiny"} | ANSWERED | RECORDED),
    "a checkpoint less": (
        remove_checkpoint,
        evaluated(*CONDITIONS) | represented(*CONDITIONS) | RECORDED,
    ),
    "labels, questions and texts": (reword, {*REPORTED, *STATES_DRAWN}),
}


@pytest.fixture
def project(finished_project: Project) -> Iterator[Project]:
    """The finished project, its experiment put back afterwards."""
    yield finished_project
    finished_project.configure(EXPERIMENT)


def changed(change: Callable[[Experiment], None]) -> Experiment:
    experiment = copy.deepcopy(EXPERIMENT)
    change(experiment)
    return experiment


@pytest.mark.parametrize("name", SETTINGS)
def test_a_changed_setting_plans_what_depends_on_it(name: str, project: Project):
    change, jobs = SETTINGS[name]
    project.configure(changed(change))
    assert project.planned() == jobs


def test_a_checkpoint_that_is_put_back_is_evaluated_and_not_trained(project: Project):
    completions = "results/tiny/tiny/echo/runs/sft/seed-0/completions.parquet"
    project.configure(changed(remove_checkpoint))
    project.run(completions)
    project.configure(EXPERIMENT)
    try:
        assert project.planned() == evaluated("sft")
    finally:
        project.run(completions)
    # the completions are the same again, byte for byte; what they cost is not
    assert project.planned() == costed("echo")
    project.run()


def tune(*rates: float) -> Callable[[Experiment], None]:
    sweep = {"conditions": ["sft", "distilled"], "field": "learning_rate", "choose": True}
    return lambda experiment: experiment.update(sweeps=[sweep | {"values": list(rates)}])


def test_a_further_value_is_trained_and_then_chosen_again(project: Project):
    folder = project.results / "tiny/echo"
    tuned = folder / "tuned/distilled/seed-0/predictions.parquet"
    target = str(tuned.relative_to(project.folder))
    project.configure(changed(tune(0.001)))  # which sft has
    project.run(target)
    choices = read_table(folder / "tuning.csv")
    (chosen,) = choices.loc[choices["chosen"] & (choices["arm"] == "distilled"), "condition"]
    original = folder / f"runs/{chosen}/seed-0/predictions.parquet"
    assert tuned.read_bytes() == original.read_bytes()

    project.configure(changed(tune(0.001, 0.1)))
    new = [f"{name}~learning_rate=0.1" for name in ("sft", "distilled")]
    assert project.planned(target) == {
        *(f"train {name}, seed 0 (tiny, echo)" for name in new),
        *(f"evaluate the checkpoints of {name}, seed 0 (tiny, echo)" for name in new),
        *(f"score runs/{name}/seed-0 (tiny, echo)" for name in new),
        "choose among the variants of each condition (tiny, echo)",
        "copy the chosen variant of distilled, seed 0 (tiny, echo)",
    }


# --- sources and files ------------------------------------------------------------------------


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    original = path.read_text()
    assert old in original
    path.write_text(original.replace(old, new))
    try:
        yield
    finally:
        path.write_text(original)


def test_an_edited_source_plans_what_imports_it(project: Project):
    first_import = "from __future__ import annotations\n"
    store = project.folder / "workflow_scripts/teachers/store.py"
    with edited(store, first_import, f"{first_import}# edited\n"):
        assert project.planned() == read() | trained(*CONDITIONS)


def test_another_precision_of_a_fetched_model_reruns_what_uses_the_model(project: Project):
    """As where `dtype: auto` is decided again on another machine."""
    manifest = project.folder / "resources/models/tiny/manifest.json"
    with edited(manifest, '"dtype": "float32"', '"dtype": "bfloat16"'):
        assert project.planned() == ANSWERED


def test_weights_that_change_in_their_folder_are_fetched_again(project: Project):
    weights = project.folder / "tiny-qwen3/model.safetensors"
    original = weights.read_bytes()
    weights.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    try:
        assert project.planned() == {"fetch model tiny"} | ANSWERED
    finally:
        weights.write_bytes(original)


def test_what_no_result_depends_on_reruns_nothing(project: Project):
    """Resources, trackers, the path of a log, and the times of every kind of file."""
    run = "results/tiny/tiny/echo/runs/distilled/seed-0"
    shard = "results/tiny/tiny/echo/teachers/few-shot/pass-0/shard-0000"
    project.configure(changed(ask_for_other_resources))
    rules = project.folder / "rules/training.smk"
    with edited(rules, 'layout.log("train"', 'layout.log("training"'):
        for path in (
            "workflow_scripts/training/train.py",
            "rules/training.smk",
            "echo.jsonl",
            "tiny.yaml",
            "tiny-qwen3/model.safetensors",
            "resources/models/tiny/model.safetensors",
            "resources/models/tiny/manifest.json",
            f"{shard}/hidden-block-query.safetensors",
            f"{shard}/manifest.json",
            f"{run}/checkpoints/step-3/adapter_model.safetensors",
            f"{run}/checkpoints/manifest.json",
        ):
            os.utime(project.folder / path)
        assert not project.planned()
