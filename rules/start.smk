"""Checks before the first job, for what would make jobs fail later.

A workflow that imports this one runs them by `onstart: <name of the module>.onstart()`.
"""

from workflow_scripts.runtime import preflight
from workflow_scripts.runtime.gpu_lease import check_locks, offered_devices
from workflow_scripts.training.tracking import refuse_missing

# locks of folders of results, for as long as this Snakemake lives
held = []


onstart:
    try:
        check_before_start()
    except InputError as error:
        raise WorkflowError(f"nothing was started\n{error}") from None


def check_before_start():
    folder = Path(rules.record_settings.output.record).parent
    held.append(preflight.claim(folder))
    preflight.check_clock(folder)
    jobs = [job for job in workflow.dag.needrun_jobs() if is_ours(job)]
    if any(stage_of(job) == "training" for job in jobs):
        refuse_missing(study.experiment.report_to)
    if workflow.local_exec:
        check_devices([job for job in jobs if job.resources.get("gpu")])
    elif workflow.executor_plugin.name == "slurm":
        check_slurm([job for job in jobs if not job.is_local], workflow.executor_settings)


def is_ours(job):
    return Path(job.rule.snakefile).resolve().is_relative_to(ROOT.resolve())


def check_devices(jobs):
    if jobs:
        wanted = {gpu_key(job): job.resources.gpu for job in jobs}
        preflight.check_devices(wanted, offered_devices(os.environ))
        check_locks()


def gpu_key(job):
    """Where the settings say how many GPUs the job asks for."""
    stage, model = stage_of(job), model_of(job)
    if stage in study.experiment.models[model].resources:
        return f"models.{model}.resources.{stage}.gpu"
    return f"resources.{stage}.gpu"


def stage_of(job):
    """That of the rule's file, but for the files that no stage is named after."""
    file = Path(job.rule.snakefile).stem
    if file == "answers":
        return "evaluation" if "round" in job.wildcards.keys() else "icl_gap"
    return "training" if file == "search" else file


def model_of(job):
    if "search" in job.wildcards.keys():
        return matrix.searched_run(job.wildcards.search).model
    return job.wildcards.model


def check_slurm(jobs, settings):
    chosen_by_plugin = settings.partition_config or "SNAKEMAKE_SLURM_PARTITIONS" in os.environ
    if not chosen_by_plugin and not all(job.resources.get("slurm_partition") for job in jobs):
        preflight.check_default_partition()
    if settings.status_command == "sacct":
        preflight.check_accounting()
