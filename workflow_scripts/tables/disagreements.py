"""Items on which the two results of a group's main pair disagree, for readers of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import MainPair
from workflow_scripts.results.checkpoint_selection import at_chosen_steps
from workflow_scripts.results.index import (
    REPLICATE,
    ResultEntry,
    ResultIndex,
    read_predictions,
    write_table,
)
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.tasks.examples import Example, read_examples

# items of each pair and direction
SHOWN = 10
# what is told about each of the two results
SIDE = ("step", "answer", "prediction", "strict")
COLUMNS = [
    *("model", "task", "group", "first", "second", *REPLICATE),
    *("better", "disagreements", "item", "question", "gold"),
    *(f"{side}_{name}" for side in ("first", "second") for name in SIDE),
]


def main(pairs: list[MainPair], index: ResultIndex, examples: Path, table: Path) -> None:
    """Make disagreements.csv.

    pairs: the main pair of each comparison group.
    index: all results, of which those of the pairs are read, with their first seed and draw.
    examples: of the test split.
    """
    predictions = read_predictions(_first_of(pairs, index), ("completion",))
    write_table(disagreement_table(predictions, pairs, read_examples(examples)), table)


def _first_of(pairs: Sequence[MainPair], index: ResultIndex) -> ResultIndex:
    """The results of the pairs in the first seed and draw that each has."""
    named = {name for pair in pairs for name in (pair.first, pair.second)}
    first: dict[str, ResultEntry] = {}
    for entry in index.entries:
        if entry.condition in named:
            first.setdefault(entry.condition, entry)
    return ResultIndex(tuple(first.values()))


def disagreement_table(
    predictions: pd.DataFrame, pairs: Sequence[MainPair], examples: Sequence[Example]
) -> pd.DataFrame:
    """disagreements.csv: items of which one result of a pair scores higher, `SHOWN` each way.

    Scores are strict, on test items at the chosen steps. Items are those whose scores differ most,
    then the first of the split: where every score is 0 or 1, the first. `better` is the side that
    scores higher, and `disagreements` counts all items of which it does. `answer` is the text as
    it was generated, `prediction` what the scorer read in it.

    predictions: as `read_predictions` returns them with texts, with one seed and draw of each.
    """
    chosen = at_chosen_steps(predictions)
    of_result = {str(name): rows for name, rows in chosen.groupby("condition", sort=False)}
    own = {example.item: example for example in examples}
    tables = [_of_pair(pair, of_result, own) for pair in pairs]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return table.reindex(columns=COLUMNS)


def _of_pair(
    pair: MainPair, of_result: Mapping[str, pd.DataFrame], examples: Mapping[str, Example]
) -> pd.DataFrame:
    first, second = (
        of_result[name].assign(answer=of_result[name]["completion"])
        for name in (pair.first, pair.second)
    )
    sides = first[["model", "task", "item", *REPLICATE, *SIDE]].merge(
        second[["item", *REPLICATE, *SIDE]], on="item", suffixes=("_first", "_second")
    )
    difference = sides["strict_first"] - sides["strict_second"]
    ordered = sides.loc[difference.abs().sort_values(ascending=False, kind="stable").index]
    tables = []
    for better, is_better in (("first", difference > 0), ("second", difference < 0)):
        shown = ordered[is_better.loc[ordered.index]].head(SHOWN)
        tables.append(shown.assign(better=better, disagreements=int(is_better.sum())))
    table = pd.concat(tables)
    return table.assign(
        **pair.model_dump(),
        # a result without a seed or draw has the same with each
        **{
            name: table[f"{name}_first"].combine_first(table[f"{name}_second"])
            for name in REPLICATE
        },
        question=[examples[item].question for item in table["item"]],
        gold=pd.array([_gold(examples[item]) for item in table["item"]], dtype="string"),
    ).rename(
        columns={
            f"{name}_{side}": f"{side}_{name}" for side in ("first", "second") for name in SIDE
        }
    )


def _gold(example: Example) -> str | None:
    """Its answer, or all texts that answers of free text are compared with."""
    return " / ".join(example.references) or example.answer


if __name__ == "__main__":
    run_program(main)
