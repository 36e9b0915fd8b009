"""Names that the rules share: the validated experiment, paths, slices, resources. No work."""

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from workflow_scripts.errors import InputError
from workflow_scripts.launch import command_of, expose_to_jobs
from workflow_scripts.settings import SPLITS, load_experiment
from workflow_scripts.sources import source_files

expose_to_jobs(ROOT)

try:
    experiment = load_experiment(config)
except InputError as error:
    raise WorkflowError(f"the experiment's settings are not valid\n{error}") from None
config.update(experiment.model_dump(mode="json"))


wildcard_constraints:
    model="|".join(map(re.escape, experiment.models)),
    task="|".join(map(re.escape, experiment.tasks)),
    teacher="|".join(map(re.escape, experiment.teachers)) or "none",
    condition="|".join(map(re.escape, experiment.conditions)) or "none",
    seed=r"\d+",
    shots=r"\d+",
    answerer=r"icl/\d+-shot|runs/[^/]+/seed-\d+",
    part=r"\d{4}",
    signal=r"[^/]+",
    figure=r"[a-z_]+",
    table=r"[a-z_]+",


# --- paths ------------------------------------------------------------------------------------

MODEL = "resources/models/{model}/manifest.json"
# environments and captions are named from the rule files' folder
ENVIRONMENT = "../envs/environment.yaml"
CAPTION = "captions/from_params.rst"
SUMMARY_CAPTION = "captions/summary.rst"
# every figure has a caption; the registry itself would import matplotlib at every start
FIGURES = sorted(p.stem for p in ROOT.glob("workflow_scripts/figures/captions/*.rst"))


def result(name):
    return f"{experiment.results}/{experiment.experiment}/{name}"


def of_task(name):
    return result(f"tasks/{{task}}/{name}")


def of_pair(name):
    return result(f"{{model}}/{{task}}/{name}")


def of_base(name):
    return of_pair(f"icl/{{shots}}-shot/{name}")


def of_signal(name):
    return of_pair(f"teachers/{{teacher}}/{{signal}}/{name}")


def of_run(name):
    return of_pair(f"runs/{{condition}}/seed-{{seed}}/{name}")


def of_figure(kind):
    return result(f"figures/{{model}}/{{task}}/{{figure}}.{kind}")


def of_answerer(name):
    """A file of what completed the items: a base model at some shots, or a run."""
    return of_pair(f"{{answerer}}/{name}")


def log_of(rule_name, *wildcard_names):
    return per_job("logs", rule_name, wildcard_names) + ".log"


def benchmark_of(rule_name, *wildcard_names):
    return per_job("benchmarks", rule_name, wildcard_names) + ".tsv"


def per_job(folder, rule_name, wildcard_names):
    return result(Path(folder, rule_name, *(f"{{{name}}}" for name in wildcard_names)))


# --- commands, sources, resources -------------------------------------------------------------


def source_of(entry_point):
    """The package's files that the entry point imports: an edit to one reruns the rule.

    Named from the working directory, so that a checkout can be moved with its results.
    """
    files = source_files(ROOT, f"workflow_scripts.{entry_point}")
    return [os.path.relpath(path) for path in files]


def threads_of(stage):
    return experiment.resources_of(stage).threads


def gpus_of(stage):
    return experiment.resources_of(stage).gpu


def memory_of(stage):
    return experiment.resources_of(stage).mem_mb


def minutes_of(stage):
    return experiment.resources_of(stage).runtime


# --- what the wildcards of a rule stand for ---------------------------------------------------


def model_slice(wildcards):
    return experiment.models[wildcards.model].model_dump_json(exclude={"label"})


def data_slice(wildcards):
    return experiment.tasks[wildcards.task].data.model_dump_json()


def icl_slice(wildcards):
    return experiment.icl_slice(wildcards.task, int(wildcards.shots)).model_dump_json()


def teacher_slice(wildcards):
    return experiment.teacher_slice(
        wildcards.task, wildcards.teacher, wildcards.signal
    ).model_dump_json()


def run_slice(wildcards):
    return experiment.run_slice(
        wildcards.task, wildcards.condition, int(wildcards.seed)
    ).model_dump_json()


def completion_slice(wildcards):
    return experiment.completion_slice(wildcards.task).model_dump_json()


def experiment_identity(wildcards):
    return experiment.identity_json()


def analysis_slice(wildcards):
    return experiment.analysis.model_dump_json()


def scoring_slice(wildcards):
    return experiment.tasks[wildcards.task].scoring.model_dump_json()


def local_task_file(wildcards):
    """The task's file where its source is one, so that an edit to it remakes the task."""
    source = experiment.tasks[wildcards.task].data.source
    return [] if ":" in source else [source]


def parts_of_signal(wildcards):
    return [of_signal(f"part-{part}.safetensors") for part in experiment.parts(wildcards.task)]


def signals_of_condition(wildcards):
    teacher = experiment.conditions[wildcards.condition].teacher
    return [
        of_pair(f"teachers/{teacher}/{signal}/manifest.json")
        for signal in experiment.signals_of(wildcards.condition)
    ]


def parts_of_condition(wildcards):
    teacher = experiment.conditions[wildcards.condition].teacher
    return [
        of_pair(f"teachers/{teacher}/{signal}/part-{part}.safetensors")
        for signal in experiment.signals_of(wildcards.condition)
        for part in experiment.parts(wildcards.task)
    ]


# --- what analysis and figures gather ---------------------------------------------------------


def base_files(name):
    return expand(of_base(name), shots=experiment.shots, allow_missing=True)


def run_files(name):
    return expand(
        of_run(name), condition=experiment.conditions, seed=experiment.seeds, allow_missing=True
    )


def pair_tables(wildcards):
    return expand(of_pair(f"{wildcards.table}.csv"), model=experiment.models, task=experiment.tasks)


def tables(names):
    return [result(f"{name}.csv") for name in names]


def all_figures():
    return expand(
        of_figure("{kind}"),
        model=experiment.models,
        task=experiment.tasks,
        figure=FIGURES,
        kind=["png", "svg"],
    )


def figure_caption(wildcards):
    return (ROOT / f"workflow_scripts/figures/captions/{wildcards.figure}.rst").read_text()


def table_caption(wildcards):
    return (ROOT / f"workflow_scripts/analysis/captions/{wildcards.table}.rst").read_text()


def figure_labels(wildcards):
    """How the report names a figure; labels are looked up here only, so they rerun nothing."""
    return {
        "figure": wildcards.figure.replace("_", " "),
        "model": experiment.models[wildcards.model].label or wildcards.model,
        "task": experiment.tasks[wildcards.task].label or wildcards.task,
    }


def base_index(wildcards):
    """The base results of a model on a task, as the `--index` of an entry point."""
    return json.dumps(_base_entries(wildcards))


def result_index(wildcards):
    """Base results and runs of a model on a task, as the `--index` of an entry point."""
    runs = [
        _entry(wildcards, of_run, condition=condition, seed=seed)
        for condition in experiment.conditions
        for seed in experiment.seeds
    ]
    return json.dumps(_base_entries(wildcards) + runs)


def _base_entries(wildcards):
    return [
        _entry(wildcards, of_base, condition=f"{shots}-shot", shots=shots)
        for shots in experiment.shots
    ]


def _entry(wildcards, path, condition, shots=None, seed=None):
    names = {"model": wildcards.model, "task": wildcards.task, "condition": condition}
    names |= {"shots": shots, "seed": seed}
    files = {"predictions": "predictions.parquet"}
    trained = {"training_log": "training_log.csv", "cost": "cost.json"}
    return (
        names
        | {key: path(name).format(**names) for key, name in files.items()}
        | {
            key: path(name).format(**names) if seed is not None else None
            for key, name in trained.items()
        }
    )
