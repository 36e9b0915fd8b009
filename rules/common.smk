"""The study that rules ask, wildcard constraints, builders of sources and resources."""

import gc
import os
import sys
from functools import cache, partial
from operator import attrgetter
from pathlib import Path

from snakemake.exceptions import WorkflowError

# the folder of this file, not of the main Snakefile: another workflow may import this one
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
if not ROOT.is_dir():
    raise WorkflowError(f"{ROOT}: jobs run the package beside the Snakefile; import a local clone")
PACKAGE = ROOT / "workflow_scripts"
sys.path.insert(0, str(ROOT))

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.runtime.launch import expose_to_jobs, in_turn, program
from workflow_scripts.runtime.code_files import source_files
from workflow_scripts.study.load import check_fetched_models, load_study
from workflow_scripts.study.slices import command_to_make
from workflow_scripts.study.constraints import constraints, one_of
from workflow_scripts.study.wildcards import OfWildcards, as_json, of_wildcards

# a plan is millions of objects that stay; looking for garbage among them takes a fifth of its time
gc.set_threshold(100_000, 50)

expose_to_jobs(ROOT, workflow.is_main_process, submitted=workflow.remote_exec)

# jobs read what has been checked, and files of a workflow that imports this one are its own
is_module = Path(workflow.main_snakefile).resolve().parent != ROOT.resolve()
is_to_check = workflow.is_main_process and not is_module
try:
    study = load_study(config, workflow.configfiles if is_to_check else ())
    check_fetched_models(study)
except InputError as error:
    raise WorkflowError(f"the experiment's settings are not valid\n{error}") from None
config.update(study.experiment.model_dump(mode="json"))

matrix, layout = study.matrix, study.layout
# what rules ask by their wildcards
slices = OfWildcards(study.slices, as_json)
inputs = OfWildcards(study.inputs)
runs = OfWildcards(study.run_inputs)
passes = OfWildcards(study.passes, as_json)
catalog = OfWildcards(study.catalog)
tables = OfWildcards(study.tables)
# environments and captions are named from the rule files' folder
ENVIRONMENT = "../envs/environment.yaml"
CAPTION = "captions/from_params.rst"
REPORT_CAPTION = "captions/report.rst"


wildcard_constraints:
    **constraints(study),


def source_of(entry_point):
    """Files of the package that the entry point imports: an edit to one reruns the rule."""
    return files_of_package(source_files(ROOT, f"workflow_scripts.{entry_point}"))


def source_of_table(wildcards):
    return source_of(f"tables.{wildcards.table}")


def source_of_gathered(wildcards):
    return source_of(f"tables.{tables.gathered_by(wildcards)}")


def files_of_package(paths):
    """Relative, so that a checkout can move, and `local`, without the prefix of a module."""
    return local([os.path.relpath(path) for path in paths])


def source_of_figure(wildcards):
    """The module of a figure is imported by its name, so the import graph lacks it."""
    name = wildcards.figure.rpartition("/")[2]
    return sorted({*source_of("figures.draw"), *source_of(f"figures.{name}")})


def data_files(wildcards):
    return local(inputs.source_files(wildcards))


def foreign_file(wildcards):
    return local(inputs.foreign_file(wildcards))


def model_files(wildcards):
    return local(inputs.model_files(wildcards))


def threads_of(stage):
    return asked(stage, "threads")


def asks(stage, gpu=False, times=None):
    """Resources of a stage's jobs; one that ran out of memory is tried again with more.

    times: function of wildcards to the number of usual jobs that one does; 1 if left out.
    """

    memory, minutes = asked(stage, "mem_mb"), asked(stage, "runtime")

    def mem_mb(wildcards, attempt):
        return (memory(wildcards) if callable(memory) else memory) * attempt

    def runtime(wildcards):
        return (minutes(wildcards) if callable(minutes) else minutes) * times(wildcards)

    devices = {"gpu": asked(stage, "gpu")} if gpu else {}
    return {"mem_mb": mem_mb, "runtime": runtime if times else minutes} | devices


def asked(stage, resource):
    """A number, or a function of wildcards where it depends on the job: Snakemake asks for each."""
    shared = study.resources.of_every_job(stage)
    if shared is not None:
        return getattr(shared, resource)
    return of_wildcards(partial(study.resources.of, stage), attrgetter(resource))


def without_rerun(function):
    """The parameter as one made from inputs: Snakemake reruns nothing when it changes."""
    return lambda wildcards, input: function(wildcards)


def of_searched_run(function):
    """A function of a run's wildcards, for the run that a search is about."""
    return lambda wildcards: function(matrix.searched_run(wildcards.search))


def run_slice(wildcards):
    return slices.run(wildcards, kept=kept_steps(made(rules.train.output.checkpoints, wildcards)))


def tracking(wildcards, input):
    """As a parameter made from inputs: Snakemake reruns nothing when it changes."""
    results = Path(rules.record_settings.output.record).parent
    return as_json(study.slices.tracking(results))


def export_slice(wildcards):
    kept = kept_steps(made(rules.train.output.checkpoints, wildcards))
    card = made(rules.export.output.card, wildcards)
    command = command_to_make(card, workflow.overwrite_configfiles)
    return slices.export(wildcards, kept=kept, command=command)


def made(output, wildcards):
    """A rule's output with these wildcards, behind the prefix of a module."""
    return output.format(**dict(wildcards.items()))


@cache  # a job that is tried again has the settings of its first attempt
def kept_steps(manifest):
    """Steps whose checkpoints an earlier training left: asking for these trains nothing."""
    return tuple(read_json(Path(manifest))["steps"]) if Path(manifest).exists() else ()
