"""Trains one student: a model on a task under a condition with a seed."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.slices import RunSlice
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.resume import fingerprint_of
from workflow_scripts.tasks.examples import read_examples
from workflow_scripts.training.arguments import training_parser
from workflow_scripts.training.processes import all_processes, end_with_launcher
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState, identity_of
from workflow_scripts.training.targets import open_targets


def main() -> None:
    end_with_launcher()
    arguments = parse_arguments()
    settings = RunSlice.model_validate_json(arguments.settings)
    inputs = [arguments.model, arguments.examples, *arguments.targets]
    processes = all_processes()
    identity = identity_of(settings, processes.num_processes)
    with processes.main_process_first():
        state = ResumeState.open(
            arguments.run / ".resume", fingerprint_of(identity, inputs, "training.train")
        )
    train_run(
        settings,
        open_model(arguments.model),
        read_examples(arguments.examples),
        open_targets(settings, arguments.model, arguments.targets, arguments.teacher_models),
        state,
        arguments.run,
    )


def parse_arguments() -> argparse.Namespace:
    parser = training_parser(__doc__, "RunSlice")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
