"""Searches the fields of a condition for those that answer most validation items correctly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.config.slices import SearchSlice, TrackingSlice
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.results.index import write_table
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.runtime.lock import hold
from workflow_scripts.runtime.resume import discard_states, fingerprint_of, open_state
from workflow_scripts.search.run import RunScorer
from workflow_scripts.search.study import best_snippet, run_of, search, trials_table
from workflow_scripts.tasks.examples import read_examples
from workflow_scripts.training.phases import read_phase
from workflow_scripts.training.targets import open_targets


def main(
    settings: SearchSlice,
    model: Path,
    examples: list[Path],
    validation: Path,
    targets: list[Path],
    teacher_models: list[Path],
    trials: Path,
    best: Path,
    reference: list[Path] | None = None,
    tracking: TrackingSlice | None = None,
) -> None:
    """Search the fields of a condition for those that answer most validation items correctly.

    examples: of each phase; for one on demonstrations, demonstrations.parquet of the task.
    validation: validation.parquet of the task.
    targets: manifests of the shards of each target, in the order of the phases and of the `reads`
    of each.
    teacher_models: manifests of the models that the targets were read from, in the same order.
    trials, best: trials.csv and best.yaml, to write.
    reference: answers of the reference teacher to validation items, if checkpoints are chosen by
    their agreement with it.
    tracking: experiment trackers that each trial reports to.
    """
    answered = reference or []
    inputs = [model, *examples, validation, *targets, *teacher_models, *answered]
    hold(trials)
    tracking = tracking or TrackingSlice()
    name = os.path.relpath(trials.parent, Path(tracking.folder).parent)
    state = open_study(trials.parent, settings, inputs)
    run = run_of(settings, {})
    score = RunScorer(
        model=open_model(model),
        examples=list(map(read_phase, run.phases, examples)),
        targets=open_targets(run, model, targets, teacher_models),
        validation=read_examples(validation),
        completion=settings.completion,
        scoring=settings.scoring,
        reference=[example for path in answered for example in read_examples(path)],
        tracking=tracking.model_copy(update={"name": name}),
    )
    found = search(settings, score, state)
    with atomic_file(best) as partial:
        partial.write_text(best_snippet(settings, found))
    write_table(trials_table(settings, found), trials)
    discard_states(state.parent, kept=state)


def open_study(folder: Path, settings: SearchSlice, inputs: Sequence[Path]) -> Path:
    """The folder of the finished trials; it is kept, so that a search can be extended."""
    identity = settings.model_dump_json(exclude={"search": {"trials"}})
    return open_state(folder / ".study", fingerprint_of(identity, inputs, "search.search"))


if __name__ == "__main__":
    run_program(main)
