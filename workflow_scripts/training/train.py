"""Trains one student: a model on a task under a condition with a seed."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.slices import RunSlice, TrackingSlice
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.lock import hold
from workflow_scripts.runtime.resume import fingerprint_of
from workflow_scripts.training.phases import read_phase
from workflow_scripts.training.processes import all_processes, end_with_launcher
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState, identity_of
from workflow_scripts.training.targets import open_targets


def main(
    settings: RunSlice,
    model: Path,
    examples: list[Path],
    targets: list[Path],
    teacher_models: list[Path],
    run: Path,
    tracking: TrackingSlice | None = None,
) -> None:
    """Train one student and write its run folder.

    examples: of each phase; for one on demonstrations, demonstrations.parquet of the task.
    targets: manifests of the shards of each target, in the order of the phases and of the `reads`
    of each.
    teacher_models: manifests of the models that the targets were read from, in the same order.
    run: folder of the run.
    tracking: experiment trackers that it reports to.
    """
    if len(examples) != len(settings.phases):
        raise InputError(
            f"--examples: {len(examples)} files, but the run has {len(settings.phases)} phases; "
            "give one for each"
        )
    end_with_launcher()
    processes = all_processes()
    identity = identity_of(settings, processes.num_processes)
    with processes.main_process_first():
        if processes.is_main_process:
            hold(run / "checkpoints")
        fingerprint = fingerprint_of(identity, [model, *examples, *targets], "training.train")
        state = ResumeState.open(run / ".resume", fingerprint)
    train_run(
        settings,
        open_model(model),
        list(map(read_phase, settings.phases, examples)),
        open_targets(settings, model, targets, teacher_models),
        state,
        run,
        tracking=tracking,
    )


if __name__ == "__main__":
    run_program(main)
