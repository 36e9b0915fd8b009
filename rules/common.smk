"""Names that the rules share: the validated experiment, paths, slices, resources. No work."""

import json
import os
import shlex
import sys
from functools import cache, wraps
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

from snakemake.exceptions import WorkflowError

# the folder of this file, not of the main Snakefile: another workflow may import this one
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
if not ROOT.is_dir():
    raise WorkflowError(f"{ROOT}: jobs run the package beside the Snakefile; import a local clone")
sys.path.insert(0, str(ROOT))

from workflow_scripts.config.comparisons import FamilyFigure
from workflow_scripts.config_files import check_config_file, local_path
from workflow_scripts.errors import InputError, without_home
from workflow_scripts.experiment import load_experiment
from workflow_scripts.files import read_json
from workflow_scripts.labels import labels_of
from workflow_scripts.launch import (
    command_of,
    distributed_command_of,
    expose_to_jobs,
    gpu_command_of,
)
from workflow_scripts.models.features import recorded_features, refuse_features
from workflow_scripts.names import transferred
from workflow_scripts.recipes import signals_of
from workflow_scripts.sources import source_files
from workflow_scripts.tasks.shares import SPLITS
from workflow_scripts.terms import signal_name

expose_to_jobs(ROOT, submitted=workflow.remote_exec)

try:
    # jobs read what has been checked, and files of a workflow that imports this one are its own
    if (
        workflow.is_main_process
        and Path(workflow.main_snakefile).resolve().parent == ROOT.resolve()
    ):
        for file in workflow.configfiles:
            check_config_file(Path(file))
    experiment = load_experiment(config)
except InputError as error:
    raise WorkflowError(f"the experiment's settings are not valid\n{error}") from None
config.update(experiment.model_dump(mode="json"))


def one_of(names):
    """What a wildcard matches that stands for one of these names; of no names, nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


PLAIN_TASKS = [task for task in experiment.tasks if task not in experiment.mixtures]
FETCHED_MODELS = [model for model in experiment.models if model not in experiment.scratch_models]


wildcard_constraints:
    model=one_of(experiment.models),
    task=one_of(experiment.tasks),
    teacher=one_of(experiment.teachers),
    condition=one_of(experiment.conditions),
    seed=r"\d+",
    shots=r"\d+",
    source=one_of(experiment.transfer),
    answerer=r"icl/\d+-shot|runs/[^/]+/seed-\d+(/repeat)?|transfer/[^/]+/[^/]+/seed-\d+/\d+-shot",
    part=r"\d{4}",
    signal=r"[^/]+",
    search=one_of(experiment.searches),
    figure=r"[a-z_]+",
    family=one_of(experiment.all_families),
    table=r"(?!icl_gap)[a-z_]+",


# --- paths ------------------------------------------------------------------------------------

MODEL = "resources/models/{model}/manifest.json"
# a model that an earlier study fetched need not be able to show what this one asks
for name in FETCHED_MODELS:
    known = recorded_features(Path(MODEL.format(model=name)), experiment.model_slice(name))
    try:
        refuse_features(name, known, experiment.features_asked(name))
    except InputError as error:
        raise WorkflowError(str(error)) from None

# environments and captions are named from the rule files' folder
ENVIRONMENT = "../envs/environment.yaml"
CAPTION = "captions/from_params.rst"
REPORT_CAPTION = "captions/report.rst"
# every figure has a caption; the registry itself would import matplotlib at every start
CAPTIONS = {path.stem for path in ROOT.glob("workflow_scripts/figures/captions/*.rst")}
FIGURES = sorted(CAPTIONS - set(get_args(FamilyFigure)))
FIGURE_KINDS = ("png", "svg", "csv")


def result(name):
    return str(Path(experiment.results, experiment.experiment, name))


def of_task(name):
    return result(f"tasks/{{task}}/{name}")


def of_pair(name):
    return result(f"{{model}}/{{task}}/{name}")


def of_model(name):
    return result(f"{{model}}/{name}")


def of_base(name):
    return of_pair(f"icl/{{shots}}-shot/{name}")


def of_signal(name):
    return of_pair(f"teachers/{{teacher}}/{{signal}}/{name}")


def of_run(name):
    return of_pair(f"runs/{{condition}}/seed-{{seed}}/{name}")


def of_transfer(name):
    """Of a run on the task `{source}`, evaluated on `{task}` after `{shots}` demonstrations."""
    return of_pair(f"transfer/{{source}}/{{condition}}/seed-{{seed}}/{{shots}}-shot/{name}")


def of_repeat(name):
    """Of the second evaluation of a run's chosen checkpoint."""
    return of_run(f"repeat/{name}")


def trained_on_source(name):
    """A file of the run that `of_transfer` evaluates."""
    return result(f"{{model}}/{{source}}/runs/{{condition}}/seed-{{seed}}/{name}")


def of_export(name):
    return result(f"exports/{{model}}/{{task}}/{{condition}}/seed-{{seed}}/{name}")


def of_search(name):
    return result(f"searches/{{search}}/{name}")


def of_figure(kind):
    return result(f"figures/{{model}}/{{task}}/{{figure}}.{kind}")


def of_family_figure(kind):
    return result(f"figures/{{model}}/{{task}}/{{family}}/{{figure}}.{kind}")


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

    Named from the working directory, so that a checkout can be moved with its results; `local`
    keeps the prefix of a module away from them.
    """
    files = source_files(ROOT, f"workflow_scripts.{entry_point}")
    return local([os.path.relpath(path) for path in files])


def package_file(name):
    """A file of the package that is no source, for a rule that reads it."""
    return local(os.path.relpath(ROOT / "workflow_scripts" / name))


def threads_of(stage):
    return _asked_for(stage, "threads")


def gpus_of(stage):
    return _asked_for(stage, "gpu")


def memory_of(stage):
    """More at every attempt: a job that ran out of memory may be tried again."""
    first = _asked_for(stage, "mem_mb")

    def asked(wildcards, attempt):
        return first(wildcards) * attempt

    return asked


def minutes_of(stage):
    return _asked_for(stage, "runtime")


def _asked_for(stage, resource):
    """What a job asks for: a model may ask for more than its stage does."""

    def asked(wildcards):
        model = getattr(wildcards, "model", None)
        return getattr(experiment.resources_of(stage, model), resource)

    return asked


def devices_of_search(wildcards):
    """Trials are trained in the process that searches."""
    return min(1, gpus_of("training")(_searched(wildcards)))


def minutes_of_search(wildcards):
    """Those of a training, for each trial."""
    trials = experiment.searches[wildcards.search].trials
    return minutes_of("training")(_searched(wildcards)) * trials


# --- what the wildcards of a rule stand for ---------------------------------------------------


def model_slice(wildcards):
    return experiment.model_slice(wildcards.model).model_dump_json()


def features_asked(wildcards, input):
    """A parameter made from inputs reruns nothing: later changes are checked when planned."""
    return json.dumps(experiment.features_asked(wildcards.model))


def pretraining_slice(wildcards):
    return experiment.pretraining_slice(wildcards.model).model_dump_json()


def examples_of_scratch(wildcards):
    """What a model from scratch is trained on."""
    tasks = experiment.models[wildcards.model].scratch.tasks
    return [of_task("train.parquet").format(task=task) for task in tasks]


def data_slice(wildcards):
    return experiment.data_slice(wildcards.task).model_dump_json()


def overflow_slice(wildcards):
    return experiment.overflow_slice(wildcards.task).model_dump_json()


def icl_slice(wildcards):
    return experiment.completion_slice(
        wildcards.model, wildcards.task, int(wildcards.shots)
    ).model_dump_json()


def teacher_slice(wildcards):
    return experiment.teacher_slice(
        wildcards.task, wildcards.teacher, wildcards.signal
    ).model_dump_json()


def run_slice(wildcards):
    return experiment.run_slice(
        wildcards.model,
        wildcards.task,
        wildcards.condition,
        int(wildcards.seed),
        kept=kept_of_run(wildcards),
    ).model_dump_json()


def kept_of_run(wildcards):
    return kept_steps(rules.train.output.checkpoints.format(**dict(wildcards.items())))


@cache  # a job that is tried again has the settings of its first attempt
def kept_steps(manifest):
    """Steps whose checkpoints an earlier training left: asking for these trains nothing."""
    return tuple(read_json(Path(manifest))["steps"]) if Path(manifest).exists() else ()


def steps_of_run(wildcards):
    return experiment.training_of(wildcards.model, wildcards.task, wildcards.condition).checkpoints


def completion_slice(wildcards):
    return experiment.completion_slice(wildcards.model, wildcards.task).model_dump_json()


def representation_slice(wildcards):
    return experiment.representation_slice(wildcards.task).model_dump_json()


def experiment_identity(wildcards):
    return experiment.identity_json()


def analysis_slice(wildcards):
    return experiment.analysis.model_dump_json()


def export_slice(wildcards):
    return experiment.recipe(
        wildcards.model,
        wildcards.task,
        wildcards.condition,
        int(wildcards.seed),
        kept=kept_of_run(wildcards),
        command=command_to_make(rules.export.output.card.format(**dict(wildcards.items()))),
    ).model_dump_json()


def command_to_make(target):
    """What makes a file again, with the config files that were given; without folders above."""
    here = Path.cwd()
    given = [Path(name).resolve() for name in workflow.overwrite_configfiles]
    files = [f.relative_to(here) if f.is_relative_to(here) else f.name for f in given]
    configs = ["--configfile", *map(str, files), "--"] if files else []
    return without_home(shlex.join(["snakemake", "--cores", "all", *configs, target]))


def scoring_slice(wildcards):
    return experiment.scoring_slice(wildcards.task).model_dump_json()


def scoring_without_rerun(wildcards, input):
    """The same where no result depends on it: a parameter made from inputs reruns nothing."""
    return scoring_slice(wildcards)


def scorer_of_task(wildcards):
    return experiment.tasks[wildcards.task].scoring.scorer


def scorers_of_tasks(wildcards):
    return json.dumps({name: task.scoring.scorer for name, task in experiment.tasks.items()})


def task_labels(wildcards):
    return json.dumps(labels_of(experiment.tasks[wildcards.task].data))


def local_task_files(wildcards):
    """The task's files where its source is local, so that an edit to them remakes the task."""
    source = experiment.tasks[wildcards.task].data.source
    path = local_path(source)
    if path is None:
        return []
    # Snakemake's logs name inputs, but no home folder
    name_of = os.path.relpath if source.startswith("~") else str
    return local(list(map(name_of, sorted(path.iterdir()) if path.is_dir() else [path])))


def examples_of_mixture(wildcards):
    """The splits of each task that the mixture is made of, in its order."""
    parts = experiment.parts_of(wildcards.task)
    return [of_task(f"{split}.parquet").format(task=part) for part in parts for split in SPLITS]


def overflow_of_task(wildcards):
    """What a task leaves out because it fits no context."""
    excludes = experiment.tasks[wildcards.task].data.overflow == "exclude"
    return [of_task("overflow.json")] if excludes else []


def parts_of_signal(wildcards):
    return [of_signal(f"part-{part}.safetensors") for part in experiment.parts(wildcards.task)]


def signals_of_condition(wildcards):
    """The manifest of each signal that the condition reads."""
    return _of_readings("manifest.json", wildcards)


def parts_of_condition(wildcards):
    """The parts of these signals, for `ancient()`: the manifests hold their checksums.

    The manifests must be ordinary inputs beside them: Snakemake checks nothing of a job when only
    ancient inputs of it are remade (findings/snakemake_ancient_hides_changed_input.sh).
    """
    return [
        path
        for part in experiment.parts(wildcards.task)
        for path in _of_readings(f"part-{part}.safetensors", wildcards)
    ]


def teacher_models_of_condition(wildcards):
    """The model that each of these signals is read from."""
    return [
        MODEL.format(model=experiment.teaching_model(teacher, wildcards.model))
        for teacher, _ in signals_of(experiment.conditions[wildcards.condition])
    ]


def _of_readings(name, wildcards):
    """A file of each signal that the condition reads; it lies under the model that teaches."""
    return [
        of_signal(name).format(
            model=experiment.teaching_model(teacher, wildcards.model),
            task=wildcards.task,
            teacher=teacher,
            signal=signal_name(signal),
        )
        for teacher, signal in signals_of(experiment.conditions[wildcards.condition])
    ]


# --- searches ---------------------------------------------------------------------------------


def search_slice(wildcards):
    return experiment.search_slice(wildcards.search).model_dump_json()


def searched_path(path):
    """A path of the model or task of a run, for the runs that a search is about."""

    def found(wildcards):
        return path.format(**vars(_searched(wildcards)))

    return found


def searched(function):
    """A function of a run's wildcards, for the runs that a search is about."""

    @wraps(function)
    def asked(wildcards, **given):
        return function(_searched(wildcards), **given)

    return asked


def _searched(wildcards):
    search = experiment.searches[wildcards.search]
    ((model, task),) = experiment.searched_pairs(search)
    return SimpleNamespace(model=model, task=task, condition=search.condition)


# --- what analysis and figures gather ---------------------------------------------------------


def answers_of_pair(wildcards):
    """Predictions of the untouched model, of its runs, and of runs on other tasks."""
    runs = _of_runs("predictions.parquet", wildcards)
    return base_answers(wildcards) + runs + transferred_answers(wildcards)


def base_answers(wildcards):
    return [
        _of_pair(of_base("predictions.parquet"), wildcards, shots=shots)
        for shots in experiment.shots_of(wildcards.task)
    ]


def transferred_answers(wildcards):
    return [
        _of_pair(of_transfer("predictions.parquet"), wildcards, **transfer)
        for transfer in _transfers(wildcards)
    ]


def answers_of_domains(wildcards):
    """Predictions of the model and of its runs elsewhere, on what runs on mixtures answer."""
    return [
        file
        for pair in _domain_pairs(wildcards)
        for file in base_answers(pair) + transferred_answers(pair)
    ]


def costs_of_pair(wildcards):
    return _of_runs("cost.json", wildcards)


def inferences_of_pair(wildcards):
    """What answering cost the untouched model and each run."""
    base = [
        _of_pair(of_base("inference.json"), wildcards, shots=shots)
        for shots in experiment.shots_of(wildcards.task)
    ]
    return base + _of_runs("inference.json", wildcards)


def logs_of_pair(wildcards):
    return _of_runs("training_log.csv", wildcards)


def answers_evaluated_twice(wildcards):
    """First predictions of the run of the pair that is evaluated twice; none without training."""
    return _of_repeated_run(of_run("predictions.parquet"), wildcards)


def answers_repeated(wildcards):
    return _of_repeated_run(of_repeat("predictions.parquet"), wildcards)


def represented_items(wildcards):
    """The items whose hidden states are read."""
    split = experiment.representation_slice(wildcards.task).split
    return of_task(f"{split}.parquet").format(task=wildcards.task)


def representations_of_pair(wildcards):
    """Of every run whose hidden states are measured."""
    return _of_represented("representations.parquet", wildcards)


def similarities_of_pair(wildcards):
    return _of_represented("similarity.csv", wildcards)


def signals_of_pair(wildcards):
    return [
        _of_pair(of_signal("manifest.json"), wildcards, teacher=teacher, signal=signal)
        for teacher, signal in experiment.signals_of(wildcards.model, wildcards.task)
    ]


def _of_runs(name, wildcards):
    return [_of_pair(of_run(name), wildcards, **run) for run in _runs(wildcards)]


def _of_pair(pattern, wildcards, **names):
    return pattern.format(model=wildcards.model, task=wildcards.task, **names)


def _runs(wildcards):
    return [
        {"condition": condition, "seed": seed}
        for condition in experiment.conditions_of(wildcards.model, wildcards.task)
        for seed in experiment.seeds
    ]


def _repeated_runs(wildcards):
    """The run of the pair that is evaluated twice, if any is trained."""
    condition = experiment.repeated_condition(wildcards.model, wildcards.task)
    return [{"condition": condition, "seed": experiment.seeds[0]}] if condition else []


def _of_repeated_run(pattern, wildcards):
    return [_of_pair(pattern, wildcards, **run) for run in _repeated_runs(wildcards)]


def _represented_runs(wildcards):
    conditions = experiment.represented_conditions(wildcards.model, wildcards.task)
    return [run for run in _runs(wildcards) if run["condition"] in conditions]


def _of_represented(name, wildcards):
    return [_of_pair(of_run(name), wildcards, **run) for run in _represented_runs(wildcards)]


def _transfers(wildcards):
    return [
        {"source": source, "condition": condition, "shots": shots, "seed": seed}
        for source, condition in experiment.transfers_to(wildcards.model, wildcards.task)
        for shots in experiment.transfer_shots_of(wildcards.task)
        for seed in experiment.seeds
    ]


def _domain_pairs(wildcards):
    """The model on each task that its runs on mixtures are judged by."""
    tasks = dict.fromkeys(
        task for domain in experiment.domains_of(wildcards.model) for task in domain.tasks
    )
    return [SimpleNamespace(model=wildcards.model, task=task) for task in tasks]


def gathered_tables(wildcards):
    """The parts of a table of the experiment: of each model and task, or of each model."""
    if wildcards.table == "domains":
        return expand(of_model("domains.csv"), model=experiment.models_with_domains)
    return tables_of_pairs(wildcards.table)


def tables_of_pairs(table):
    tasks = experiment.choice_tasks if table == "labels" else experiment.tasks
    return expand(of_pair(f"{table}.csv"), model=experiment.models, task=tasks)


def tables(names):
    return [result(f"{name}.csv") for name in names]


def table_names():
    """Every table that analysis makes of the experiment."""
    measured = ["drift", "drift_comparisons"] if experiment.representations else []
    trained = ["summary", "comparisons", "crossover", "optimisation", *measured, "noise"]
    labels = ["labels"] if experiment.choice_tasks else []
    return ["icl_gap", *trained, *domain_table_names(), *labels, "cost", "signals"]


def domain_table_names():
    return ["domains"] if experiment.models_with_domains else []


def captions_of(stage, names):
    return [package_file(f"{stage}/captions/{name}.rst") for name in names]


def drift_of_figure(wildcards):
    """The table of hidden states, for the figures that show them."""
    shown = wildcards.figure in ("teacher_distance", "drift")
    return [_of_pair(of_pair("drift.csv"), wildcards)] if shown else []


def cost_of_figure(wildcards):
    """The table of costs, for the figure that shows them."""
    shown = wildcards.figure == "memory_by_value"
    return [_of_pair(of_pair("cost.csv"), wildcards)] if shown else []


def all_figures():
    return [
        file
        for model in experiment.models
        for task in experiment.tasks
        for file in [*pair_figures(model, task), *family_figures(model, task)]
    ]


def figures_of_kind(kind):
    return [file for file in all_figures() if file.endswith(f".{kind}")]


def pair_figures(model, task):
    """Without training there are no steps to draw by."""
    figures = FIGURES if experiment.conditions_of(model, task) else ["icl_gap"]
    return [
        of_figure(kind).format(model=model, task=task, figure=figure)
        for figure in figures
        for kind in FIGURE_KINDS
    ]


def family_figures(model, task):
    return [
        of_family_figure(kind).format(model=model, task=task, family=family.name, figure=figure)
        for family in experiment.families_of(model, task)
        for figure in experiment.figures_of(model, task, family)
        for kind in FIGURE_KINDS
    ]


def figure_caption(wildcards):
    return (ROOT / f"workflow_scripts/figures/captions/{wildcards.figure}.rst").read_text()


def table_caption(wildcards):
    return (ROOT / f"workflow_scripts/analysis/captions/{wildcards.table}.rst").read_text()


def icl_gap_caption(wildcards):
    return (ROOT / "workflow_scripts/analysis/captions/icl_gap.rst").read_text()


def figure_labels(wildcards):
    """How the report names a figure; labels are looked up here only, so they rerun nothing."""
    return {
        "figure": wildcards.figure.replace("_", " "),
        "model": experiment.models[wildcards.model].label or wildcards.model,
        "task": experiment.tasks[wildcards.task].label or wildcards.task,
    }


def family_slice(wildcards):
    return _family(wildcards).model_dump_json()


def _family(wildcards):
    families = experiment.families_of(wildcards.model, wildcards.task)
    return next(family for family in families if family.name == wildcards.family)


def family_texts(wildcards):
    return json.dumps(experiment.texts_of(wildcards.family))


def family_values(wildcards):
    """The numbers of the members that a sweep varies, for the figures that show them."""
    if not wildcards.figure.endswith("_by_value"):
        return "{}"
    return json.dumps(experiment.swept_values(_family(wildcards).members, wildcards.task))


# --- the `--index` of entry points: names, and the files that a rule has as inputs ---------------
# a parameter made from inputs reruns nothing, so the names in their order are one more parameter


def result_names(wildcards):
    """Everything that answers a task with a model, as tables and figures order it."""
    return json.dumps(_results(wildcards, _run_results(wildcards)))


def own_names(wildcards):
    """What answers a task with the model but for runs on other tasks."""
    return json.dumps([*_base_results(wildcards), *_run_results(wildcards)])


def family_slices(wildcards):
    """Which results of the model on the task are compared with each other, as JSON."""
    families = experiment.family_slices(wildcards.model, wildcards.task)
    return json.dumps([family.model_dump(mode="json") for family in families])


def domain_slices(wildcards):
    """The tasks in and out of the domain of each mixture that trains the model, as JSON."""
    domains = experiment.domains_of(wildcards.model)
    return json.dumps([domain.model_dump(mode="json") for domain in domains])


def all_family_slices(wildcards):
    """The families of the whole experiment, without what the report says of them, as JSON."""
    return json.dumps(
        [
            {"name": name, "members": list(family.members), "design": family.design}
            for name, family in experiment.all_families.items()
        ]
    )


def report_settings(wildcards):
    """All settings but resources, folders and searches: for the report, and a config for others."""
    left_out = dict.fromkeys(("resources", "results", "max_signal_gb", "searches"), True)
    content = experiment.model_dump(
        mode="json", exclude=left_out | {"models": {"__all__": {"resources"}}}
    )
    families = {
        name: family.model_dump(mode="json") for name, family in experiment.all_families.items()
    }
    return without_home(json.dumps(content | {"families": families}))


def signal_names(wildcards):
    return json.dumps(_signals(wildcards))


def base_index(wildcards, input):
    return json.dumps(_with_files(_base_results(wildcards), "predictions", input.predictions))


def domain_names(wildcards):
    """What answers the tasks that the model's runs on mixtures are judged by."""
    return json.dumps(_domain_results(wildcards))


def domain_index(wildcards, input):
    return json.dumps(_with_files(_domain_results(wildcards), "predictions", input.predictions))


def answer_index(wildcards, input):
    results = _results(wildcards, _run_results(wildcards))
    return json.dumps(_with_files(results, "predictions", input.predictions))


def cost_index(wildcards, input):
    runs = _with_files(_run_results(wildcards), "cost", input.costs)
    own = [*_base_results(wildcards), *runs]
    return json.dumps(_with_files(own, "inference", input.inferences))


def answer_and_log_index(wildcards, input):
    runs = _with_files(_run_results(wildcards), "training_log", input.logs)
    return json.dumps(_with_files(_results(wildcards, runs), "predictions", input.predictions))


def twice_evaluated_index(wildcards, input):
    results = _repeated_results(wildcards)
    return json.dumps(_with_files(results, "predictions", input.predictions))


def repeated_index(wildcards, input):
    return json.dumps(_with_files(_repeated_results(wildcards), "predictions", input.repeated))


def log_index(wildcards, input):
    runs = _with_files(_run_results(wildcards), "training_log", input.logs)
    return json.dumps(_results(wildcards, runs))


def represented_names(wildcards):
    return json.dumps(_represented(wildcards))


def representation_index(wildcards, input):
    measured = _with_files(_represented(wildcards), "representations", input.representations)
    return json.dumps(_with_files(measured, "similarity", input.similarities))


def signal_index(wildcards, input):
    return json.dumps(_with_files(_signals(wildcards), "manifest", input.manifests))


def _with_files(entries, kind, files):
    return [entry | {kind: file} for entry, file in zip(entries, files, strict=True)]


def _results(wildcards, runs):
    return [*_base_results(wildcards), *runs, *_transferred_results(wildcards)]


def _base_results(wildcards):
    return [
        _result(wildcards, f"{shots}-shot", shots=shots)
        for shots in experiment.shots_of(wildcards.task)
    ]


def _run_results(wildcards):
    return [_result(wildcards, run["condition"], seed=run["seed"]) for run in _runs(wildcards)]


def _repeated_results(wildcards):
    return [
        _result(wildcards, run["condition"], seed=run["seed"]) for run in _repeated_runs(wildcards)
    ]


def _transferred_results(wildcards):
    return [
        _result(
            wildcards,
            transferred(run["condition"], run["source"], run["shots"]),
            seed=run["seed"],
        )
        for run in _transfers(wildcards)
    ]


def _domain_results(wildcards):
    return [
        entry
        for pair in _domain_pairs(wildcards)
        for entry in [*_base_results(pair), *_transferred_results(pair)]
    ]


def _result(wildcards, condition, shots=None, seed=None):
    names = {"model": wildcards.model, "task": wildcards.task, "condition": condition}
    support = experiment.support(wildcards.task, condition)
    return names | {"shots": shots, "seed": seed, "support": support}


def _represented(wildcards):
    names = {"model": wildcards.model, "task": wildcards.task}
    return [names | run for run in _represented_runs(wildcards)]


def _signals(wildcards):
    names = {"model": wildcards.model, "task": wildcards.task}
    return [
        names | {"teacher": teacher, "signal": signal}
        for teacher, signal in experiment.signals_of(wildcards.model, wildcards.task)
    ]
