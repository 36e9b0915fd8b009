"""Per-item results that another tool wrote, as predictions on the task's test split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.config.data import DataSettings
from workflow_scripts.config.slices import ForeignSlice
from workflow_scripts.foreign.matching import Matched, match
from workflow_scripts.foreign.readers import read_results
from workflow_scripts.foreign.scores import ScoredItems, hash_of_question, scored_items
from workflow_scripts.results.statistics import is_binary, least_discordant
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file, write_json
from workflow_scripts.runtime.home import without_home
from workflow_scripts.runtime.wording import listed
from workflow_scripts.tasks.examples import Example, read_examples
from workflow_scripts.tasks.sources import question_of

_TEST = "the test split"


def main(settings: ForeignSlice, file: Path, test: Path, predictions: Path, origin: Path) -> None:
    """Read a result that another tool wrote, on the items of a task's test split.

    file: samples of lm-evaluation-harness, a log of Inspect, or a table.
    test: test.parquet of the task.
    predictions: predictions.parquet, to write.
    origin: origin.json, to write: where the result comes from and what was matched.
    """
    examples = read_examples(test)
    found = result_of(file, settings)
    matched = on_the_split(found, examples, settings)
    with atomic_file(predictions) as partial:
        predictions_of(matched).to_parquet(partial, index=False)
    write_json(origin, origin_of(matched, len(examples)))


def result_of(file: Path, settings: ForeignSlice) -> ScoredItems:
    """The result in the file, or of several the one with the result's name.

    Raises InputError if there is none, or if it holds repetitions.
    """
    results = read_results(file, [settings.metric] if settings.metric else [])
    named = [own for own in results if own.name == settings.name]
    if len(results) > 1 and not named:
        raise InputError(
            f"{file}: no result named {settings.name}; "
            f"{listed([own.name for own in results], 'it holds')}"
        )
    found = (named if len(results) > 1 else results)[0]
    if repetitions := found.rows["seed"].nunique():
        raise InputError(
            f"{file}: holds {repetitions} seeds or epochs; write each into a file of its own and "
            "list them under `files`"
        )
    return replace(found, name=settings.name)


def on_the_split(
    found: ScoredItems, examples: Sequence[Example], settings: ForeignSlice
) -> Matched:
    """The split and the result on their common items.

    Where a log holds the rows of the data set, their questions are made as the task makes its own.
    An item without a known question is matched by id in a table alone: other tools number theirs.

    Raises InputError when they have fewer common items than a test needs.
    """
    questions = found.rows["doc"].map(lambda doc: _question_here(doc, settings.data))
    rows = found.rows.assign(question=questions.combine_first(found.rows["question"]))
    if found.format != "table":
        if rows["question"].isna().all():
            raise InputError(
                f"{found.path}: does not say the questions of its items, by which they are "
                "matched; give a table with item (as in the task's test.parquet) and score"
            )
        rows = rows.assign(question=rows["question"].fillna("not known"))
    split = scored_items(
        "split",
        Path(_TEST),
        _TEST,
        None,
        "",
        [
            {"item": own.item, "score": 0, "question": hash_of_question(own.question)}
            for own in examples
        ],
    )
    matched = match([split, replace(found, rows=rows)])
    scores = matched.results[1].rows["score"].to_numpy()
    least = least_discordant(1 - settings.confidence) if is_binary(scores) else 2
    if matched.items < least:
        raise InputError(
            f"{found.path}: has {matched.items} of the {len(examples)} test items, but a test "
            f"needs {least} to show anything; {'; '.join(matched.left_out)}"
        )
    return matched


def _question_here(doc: Any, data: DataSettings) -> str | None:
    """Hash of the question that the task makes of a row; None where it cannot make any."""
    try:
        return hash_of_question(question_of(doc, data, "")) if isinstance(doc, dict) else None
    except InputError:
        return None


def predictions_of(matched: Matched) -> pd.DataFrame:
    """In the columns of predictions.parquet, at step 0; both scores are the one that there is."""
    rows = matched.results[1].rows
    return pd.DataFrame(
        {
            "split": "test",
            "item": rows["item"],
            "step": 0,
            "completion": rows["answer"].astype("str"),
            "answer_loss": math.nan,
            "prediction": rows["read"].astype("str"),
            "strict": rows["score"],
            "flexible": rows["score"],
            "selection": math.nan,
            "selection_loss": math.nan,
        }
    )


def origin_of(matched: Matched, items: int) -> dict[str, Any]:
    """The fields of results_from.csv. items: of the test split."""
    found = matched.results[1]
    return {
        "file": without_home(str(found.path)),
        "format": found.format,
        "metric": found.metric,
        "items": items,
        "matched": matched.items,
        "by": matched.key,
        "note": "; ".join(matched.left_out),
    }


if __name__ == "__main__":
    run_program(main)
