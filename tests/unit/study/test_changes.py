"""Which jobs a changed setting reaches by their parameters: all of them, and no other.

Snakemake reruns these and what is made from their files (tests/workflow/test_reruns.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tiny_experiment import EXPERIMENT
from workflow_scripts.study.load import load_study

Experiment = dict[str, Any]

KEPT = (1, 3)  # steps whose checkpoints an earlier training left
RECORDED = {"record settings", "report", "summary"}
TRAINED = {"train sft 0", "train distilled 0"}
READ = {"teach few-shot"}
STEPS = {"steps of sft 0", "steps of distilled 0"}
STATES = {"represent sft 0", "represent distilled 0"}
DRAWN_ON_ECHO = {"draw main (echo)", "draw states (echo)"}


def given(config: Experiment) -> dict[str, Any]:
    """Each job of a study, and the parameters that make Snakemake rerun it when they change."""
    study = load_study(config)
    ask, matrix, tasks = study.slices, study.matrix, study.experiment.tasks
    jobs: dict[str, Any] = {f"fetch {model}": ask.model(model) for model in matrix.fetched_models}
    jobs |= {f"make {task}": ask.data(task) for task in tasks}
    jobs |= {f"score {task}": ask.scoring(task) for task in tasks}
    for model, task in product(study.experiment.models, tasks):
        pair = SimpleNamespace(model=model, task=task)
        for base in matrix.base_results_of(model, task):
            jobs[f"answer {task} {base.shots}"] = ask.completion(model, task, base.shots)
        for target in study.supervision.targets_of(model, task):
            names = (target.data, target.teacher, 0)
            jobs[f"teach {target.teacher}"] = ask.teacher(model, task, *names)
        for run in matrix.runs_of(model, task):
            name = f"{run.condition} {run.seed}"
            jobs[f"train {name}"] = ask.run(model, task, run.condition, run.seed, kept=KEPT)
            jobs[f"steps of {name}"] = ask.steps(model, task, run.condition)
            jobs[f"evaluate {name}"] = ask.completion(model, task)
        for run in matrix.runs_of(model, task) if matrix.transfers_from(task) else ():
            name = f"transfer {run.condition} {run.seed}"
            jobs[name] = ask.completions_elsewhere(model, task)
        for run in matrix.repeats_of(model, task):
            jobs[f"repeat {run.condition}"] = ask.completion(model, task)
        for run in study.catalog.states_of(model, task):
            jobs[f"represent {run.condition} {run.seed}"] = ask.representation(task)
        jobs[f"tables ({task})"] = [ask.analysis(), study.inputs.results.names(pair)]
        jobs[f"learning curves ({task})"] = study.inputs.evaluated.names(pair)
        for own in matrix.foreign_of(model, task):
            jobs[f"import {own.name}"] = ask.foreign(model, task, own.name)
        jobs[f"costs ({task})"] = study.inputs.own_results.names(pair)
        jobs[f"drift ({task})"] = study.inputs.states.names(pair)
        jobs[f"targets ({task})"] = study.inputs.targets.names(pair)
        jobs[f"compare ({task})"] = ask.comparisons(model, task)
        jobs[f"labels ({task})"] = ask.labels(task)
        for group in study.groups.of_pair(model, task):
            figures = study.catalog.group_figures(model, task, group)
            jobs[f"draw {group.name} ({task})"] = [
                ask.figure(model, task, f"{group.name}/{figure}") for figure in figures
            ]
    jobs["summary"] = ask.summary()
    return jobs | {"record settings": ask.identity(), "report": ask.report()}


def reached(change: Callable[[Experiment], None]) -> set[str]:
    """Jobs that are new after the change, and those with other parameters."""
    changed = copy.deepcopy(EXPERIMENT)
    change(changed)
    before, after = given(copy.deepcopy(EXPERIMENT)), given(changed)
    return {job for job, settings in after.items() if before.get(job) != settings}


# --- settings ---------------------------------------------------------------------------------


def setting(path: str, value: Any) -> Callable[[Experiment], None]:
    """A change of one setting."""

    def apply(experiment: Experiment) -> None:
        *parents, last = path.split(".")
        for key in parents:
            experiment = experiment[int(key) if key.isdigit() else key]
        experiment[last] = value

    return apply


def together(*changes: Callable[[Experiment], None]) -> Callable[[Experiment], None]:
    def apply(experiment: Experiment) -> None:
        for change in changes:
            change(experiment)

    return apply


def add_condition(experiment: Experiment) -> None:
    early = copy.deepcopy(experiment["conditions"]["distilled"])
    early["terms"][1]["layers"] = "early"
    experiment["conditions"]["early"] = early


def remove_condition(experiment: Experiment) -> None:
    del experiment["conditions"]["sft"]
    for group in experiment["comparisons"].values():
        group["members"] = [name for name in group["members"] if not name.startswith("sft")]
    experiment["comparisons"]["states"]["members"] = ["2-shot", "distilled"]


def reorder_conditions(experiment: Experiment) -> None:
    experiment["conditions"] = dict(reversed(experiment["conditions"].items()))


def add_foreign(experiment: Experiment) -> None:
    entry = {"name": "theirs", "model": "tiny", "task": "echo", "file": __file__}
    experiment["results_from"] = [entry]


MORE = {"mem_mb": 700, "threads": 2, "runtime": 5, "gpu": 2}
NEW_RUN = ("train", "steps of", "evaluate", "transfer", "represent")
CURVES = {"learning curves (echo)", "learning curves (deduction)"}
TABLES = {"tables (echo)", "tables (deduction)", "costs (echo)", "drift (echo)"} | CURVES
LABELS = together(
    setting("models.tiny.label", "Another name"),
    setting("tasks.echo.label", "Repeat"),
    setting("conditions.sft.label", "Plain fine-tuning"),
)
TEXTS = together(
    setting("comparisons.states.question", "Do they?"),
    setting("comparisons.states.members", {"sft": "fine-tuned", "distilled": "matched"}),
)
PROMPT = {"question": "Plural of {question}?"}

SETTINGS: dict[str, tuple[Callable[[Experiment], None], set[str]]] = {
    "a weight": (
        setting("conditions.distilled.terms.1.weight", 0.25),
        {"train distilled 0", *RECORDED},
    ),
    "a seed more": (
        setting("seeds", [0, 1]),
        {f"{job} {name} 1" for job in NEW_RUN for name in ("sft", "distilled")} | TABLES | RECORDED,
    ),
    "a condition more, on a teacher that is there": (
        add_condition,
        {f"{job} early 0" for job in NEW_RUN if job != "represent"}
        | (TABLES - {"drift (echo)"})
        | RECORDED,
    ),
    # the baseline: another run is evaluated twice
    "a condition less": (
        remove_condition,
        {"repeat distilled", "compare (echo)", "compare (deduction)", "draw elsewhere (deduction)"}
        | DRAWN_ON_ECHO
        | TABLES
        | RECORDED,
    ),
    "conditions in another order": (reorder_conditions, TABLES | RECORDED),
    "another prompt": (
        setting("tasks.echo.prompt", PROMPT),
        {"answer echo 0", "answer echo 2", "repeat sft", "evaluate sft 0", "evaluate distilled 0"}
        | READ
        | TRAINED
        | STATES
        | RECORDED,
    ),
    "another scorer": (
        setting("tasks.echo.scoring", {"scorer": "span"}),
        {"score echo"} | DRAWN_ON_ECHO | RECORDED,
    ),
    # states are measured towards the teacher's
    "other demonstrations": (
        setting("demonstration_seed", 1),
        {"answer echo 2", "train distilled 0"} | READ | STATES | RECORDED,
    ),
    "another revision of the model": (
        setting("models.tiny.revision", "second"),
        {"fetch tiny", *RECORDED},
    ),
    "another precision": (setting("models.tiny.dtype", "bfloat16"), {"fetch tiny", *RECORDED}),
    "a checkpoint less": (setting("training.checkpoints", [3]), STEPS | RECORDED),
    "a checkpoint that was not saved": (
        setting("training.checkpoints", [1, 2, 3]),
        STEPS | TRAINED | RECORDED,
    ),
    "a checkpoint after the end": (
        together(setting("training.steps", 5), setting("training.checkpoints", [1, 3, 5])),
        STEPS | TRAINED | RECORDED,
    ),
    "labels": (LABELS, {"report"}),
    "a group's question and texts": (TEXTS, {"draw states (echo)", "report", "summary"}),
    "another design of a group": (
        setting("comparisons.main.design", "first"),
        {"compare (echo)", "draw main (echo)", *RECORDED},
    ),
    # no group names it
    "a result that was made elsewhere": (
        add_foreign,
        {"import theirs", "tables (echo)", *RECORDED},
    ),
    "trackers": (setting("report_to", ["wandb", "mlflow"]), set()),
    "resources": (
        together(
            setting("resources", dict.fromkeys(("training", "evaluation", "analysis"), MORE)),
            setting("models.tiny.resources", {"teachers": {"gpu": 1}}),
        ),
        set(),
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_changed_setting_reaches_what_depends_on_it(name: str):
    change, jobs = SETTINGS[name]
    assert reached(change) == jobs
