"""One trial: a run with some values of the searched fields, and its accuracy."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.config.slices import CompletionSlice, PredictionSlice, RunSlice, TrackingSlice
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.completions import complete_splits
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.results.checkpoint_selection import chosen_step
from workflow_scripts.scoring.predictions import score_completions
from workflow_scripts.scoring.selection import with_selection
from workflow_scripts.tasks.examples import Example
from workflow_scripts.teachers.store import TargetStore
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState


@dataclass(frozen=True)
class RunScorer:
    """Trains runs and scores them on validation items, never on test items.

    examples, targets: of each phase of every run.
    reference: answers of the reference teacher to validation items, where agreement with them
        chooses.
    tracking: with the name of the search, to which each trial adds its own.
    """

    model: LocalModel
    examples: Sequence[Sequence[Example]]
    targets: Sequence[Mapping[str, TargetStore]]
    validation: Sequence[Example]
    completion: CompletionSlice
    scoring: PredictionSlice
    tracking: TrackingSlice
    reference: Sequence[Example] = ()

    def __call__(self, run: RunSlice, folder: Path) -> tuple[float, int]:
        """Strict accuracy of the run's chosen checkpoint on the validation items, and its step.

        Where agreement chooses checkpoints, the agreement in place of the accuracy.

        Resumes from the state of a killed start in `folder`.
        Raises Diverged when the loss is not finite, and the errors of `train_run`.
        """
        manifest = folder / "run" / "checkpoints" / "manifest.json"
        if not manifest.exists():
            state = ResumeState(folder / "resume" / "state")
            name = f"{self.tracking.name}/{folder.name}"
            tracking = self.tracking.model_copy(update={"name": name})
            trained = (self.model, self.examples, self.targets, state, folder / "run")
            train_run(run, *trained, None, tracking)
            gc.collect()  # a Trainer holds the weights in a reference cycle
        completed = complete_splits(
            self.model,
            self.completion,
            {"validation": self.validation},
            folder / "answers",
            checkpoints=read_checkpoints(manifest, run.training.checkpoints),
        )
        predictions = score_completions(completed.table, self.validation, self.scoring)
        predictions = with_selection(predictions, self.scoring, self.reference)
        step = chosen_step(predictions)
        value = "selection" if self.scoring.choose_by == "agreement" else "strict"
        return float(predictions.loc[predictions["step"] == step, value].mean()), step
