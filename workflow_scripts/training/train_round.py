"""Trains one round of a student on its own answers: one phase of a run that goes on."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.slices import RunSlice, TrackingSlice
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.lock import hold
from workflow_scripts.runtime.resume import fingerprint_of
from workflow_scripts.tasks.examples import Example
from workflow_scripts.training.phases import Part, read_phase
from workflow_scripts.training.processes import all_processes, end_with_launcher
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState, identity_of
from workflow_scripts.training.targets import open_targets


def main(
    settings: RunSlice,
    round: int,
    model: Path,
    examples: list[Path],
    targets: list[Path],
    teacher_models: list[Path],
    run: Path,
    earlier: Path | None = None,
    tracking: TrackingSlice | None = None,
) -> None:
    """Train one round of a student and write its folder; the last round's is that of a run.

    round: number of the phase, from 0.
    examples: the answers that this round trains on, one file.
    targets: manifests of the shards of each target, in the order of the phase's `reads`.
    teacher_models: manifests of the models that the targets were read from, in the same order.
    run: folder of the round.
    earlier: checkpoints/manifest.json of the round before.
    tracking: experiment trackers that it reports to.
    """
    _refuse_other_round(settings, round, examples, earlier)
    end_with_launcher()
    processes = all_processes()
    identity = f"{round} {identity_of(settings, processes.num_processes)}"
    inputs = [model, *examples, *targets, *([] if earlier is None else [earlier])]
    with processes.main_process_first():
        if processes.is_main_process:
            hold(run / "checkpoints")
        fingerprint = fingerprint_of(identity, inputs, "training.train_round")
        state = ResumeState.open(run / ".resume", fingerprint)
    given: list[list[Example]] = [[] for _ in settings.phases]
    given[round] = read_phase(settings.phases[round], examples[0])
    train_run(
        settings,
        open_model(model),
        given,
        open_targets(settings, model, targets, teacher_models, phase=round),
        state,
        run,
        Part.of_phase(settings, round, earlier),
        tracking,
    )


def _refuse_other_round(
    settings: RunSlice, round: int, examples: list[Path], earlier: Path | None
) -> None:
    rounds = len(settings.phases)
    if not 0 <= round < rounds:
        raise InputError(f"--round: no round {round}; the run has 0 to {rounds - 1}")
    if len(examples) != 1:
        raise InputError(f"--examples: {len(examples)} files, but a round trains on one")
    if (earlier is None) != (round == 0):
        raise InputError(
            f"--earlier: round {round} "
            + ("follows none; leave it out" if round == 0 else "needs the round before")
        )


if __name__ == "__main__":
    run_program(main)
