"""Searches the fields of a condition for those that answer most validation items correctly."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.slices import SearchSlice
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.results.index import write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.runtime.resume import discard_states, fingerprint_of, open_state
from workflow_scripts.search.run import RunScorer
from workflow_scripts.search.study import best_snippet, run_of, search, trials_table
from workflow_scripts.tasks.examples import read_examples
from workflow_scripts.training.arguments import training_parser
from workflow_scripts.training.targets import open_targets


def main() -> None:
    arguments = parse_arguments()
    settings = SearchSlice.model_validate_json(arguments.settings)
    state = open_study(arguments, settings)
    score = RunScorer(
        model=open_model(arguments.model),
        examples=read_examples(arguments.examples),
        targets=open_targets(
            run_of(settings, {}), arguments.model, arguments.targets, arguments.teacher_models
        ),
        validation=read_examples(arguments.validation),
        completion=settings.completion,
        scoring=settings.scoring,
    )
    trials = search(settings, score, state)
    with atomic_file(arguments.best) as partial:
        partial.write_text(best_snippet(settings, trials))
    write_table(trials_table(settings, trials), arguments.trials)
    discard_states(state.parent, kept=state)


def open_study(arguments: argparse.Namespace, settings: SearchSlice) -> Path:
    """The folder of the finished trials; it is kept, so that a search can be extended."""
    identity = settings.model_dump_json(exclude={"search": {"trials"}})
    inputs = [arguments.model, arguments.examples, arguments.validation]
    inputs += [*arguments.targets, *arguments.teacher_models]
    fingerprint = fingerprint_of(identity, inputs, "search.search")
    return open_state(arguments.trials.parent / ".study", fingerprint)


def parse_arguments() -> argparse.Namespace:
    parser = training_parser(__doc__, "SearchSlice")
    parser.add_argument(
        "--validation", type=Path, required=True, help="validation.parquet of the task"
    )
    parser.add_argument("--trials", type=Path, required=True, help="trials.csv")
    parser.add_argument("--best", type=Path, required=True, help="best.yaml")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
