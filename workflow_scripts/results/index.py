"""Results on disk: an index of base results and runs, and readers of what they hold."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import RootModel, model_validator

from workflow_scripts.config.base import Name, ResultName, Strict
from workflow_scripts.results.names import is_transferred, shots_after
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file, read_json

# what a condition is repeated over: crossed with each other, and missing where it does not matter
REPLICATE = ["seed", "draw"]
RUN_KEYS = ["model", "task", "condition", *REPLICATE]
# the seed or draw of rows that are about all of several
ALL = "all"
# sample of the rows of icl_gap.csv that are about every item
WHOLE_SPLIT = "all"
# phases of the rows of cost.csv
TRAINING, INFERENCE = "training", "inference"
# what a cost was measured on: times compare only where these agree
COST_SETUP = ("processor", "threads", "processes", "dtype")
LOG_COLUMNS = ("step", "loss", "grad_norm", "learning_rate")
# columns of tables that hold text, most of it names that the config gives; `read_table` refuses a
# table with text elsewhere, so a new column of text has to be added here
TEXT = (
    *("model", "dtype", "task", "condition", *REPLICATE, "group", "first", "second", "reference"),
    *("first_step", "second_step", "split", "sample", "phase", "label", "domain", "answered"),
    *("processor", "threads"),
    *("teacher", "target", "author", "kind", "position", "verdict", "note"),
    *("item", "question", "answer", "unusable", "gold", "setting", "arm", "better"),
    *("first_answer", "first_prediction", "second_answer", "second_prediction"),
    *("file", "format", "metric", "by"),
)
# a number or text: the steps of several seeds, and `all` layers or logits
_NUMBER_OR_TEXT = ("step", "layer", "top_k")

_MEASURED_COLUMNS = ["split", "item", "step", "answer_loss", "strict", "flexible"]
# NaN where nothing chooses: on test items, and by agreement where the reference has no answer
_CHOOSING_COLUMNS = ["selection", "selection_loss"]
_PREDICTION_COLUMNS = [*_MEASURED_COLUMNS, *_CHOOSING_COLUMNS, "prediction"]
# of transfers: the task that was answered, and the demonstrations before its questions
_PLACE = ["task", "shots"]
# the name of a base result with demonstrations and nothing else in its context
_SHOTS = re.compile(r"\d+-shot")
# results that an error lists by name
_NAMED_AT_MOST = 20


# --- the index ----------------------------------------------------------------------------


class ResultEntry(Strict):
    """Files of one base result (`shots` given) or of one run (`seed` given).

    Each reader asks for the files that it needs. A base result is named `<k>-shot`, or like the
    teacher whose further context it is shown. A run that was trained on another task is named
    `<condition>@<source task>`, after demonstrations `<condition>@<source task>@<k>-shot`; its
    training log and costs belong to that task, and its predictions are those of the run on all
    other tasks, with the columns `task` and `shots`.

    draw: of the demonstrations that the result depends on; None where it is the same in each.
    support: labelled examples that it uses: demonstrations shown, or items trained on.
    foreign: whether it was made elsewhere: it has no shots, and its predictions no answer losses;
    its seed, if any, is that of its file.
    cost, inference: what training and what answering took.
    origin: of a foreign one, where it comes from.
    """

    model: Name
    task: Name
    condition: ResultName
    seed: int | None
    draw: int | None = None
    shots: int | None
    support: int | None = None
    foreign: bool = False
    predictions: Path | None = None
    training_log: Path | None = None
    cost: Path | None = None
    inference: Path | None = None
    origin: Path | None = None

    @property
    def name(self) -> str:
        """Its name in messages."""
        return name_of(self.model, self.task, self.condition, self.seed, self.draw)

    @model_validator(mode="after")
    def is_base_or_run(self) -> Self:
        if self.foreign and self.shots is not None:
            raise ValueError("a foreign result has no `shots`")
        if not self.foreign and (self.seed is None) == (self.shots is None):
            raise ValueError("give `shots` for a base result or `seed` for a run, not both")
        named = _SHOTS.fullmatch(self.condition)
        if self.shots is not None and named and self.condition != f"{self.shots}-shot":
            raise ValueError(f"a base result at {self.shots} shots is named {self.shots}-shot")
        return self


class ResultIndex(RootModel[tuple[ResultEntry, ...]]):
    """Where the results of an experiment are, in the order of its config; none is listed twice."""

    @model_validator(mode="after")
    def lists_each_once(self) -> Self:
        names = [entry.name for entry in self.entries]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated:
            raise ValueError(f"{repeated}: listed more than once")
        return self

    @property
    def entries(self) -> tuple[ResultEntry, ...]:
        return self.root

    @property
    def runs(self) -> tuple[ResultEntry, ...]:
        return tuple(e for e in self.entries if e.seed is not None and not e.foreign)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Names of the results that were made elsewhere."""
        return tuple(dict.fromkeys(entry.condition for entry in self.entries if entry.foreign))

    def of(self, model: str, task: str) -> ResultIndex:
        """The part about one model on one task."""
        return ResultIndex(
            tuple(entry for entry in self.entries if (entry.model, entry.task) == (model, task))
        )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the trained conditions and transferred results, in the order of the config."""
        return tuple(dict.fromkeys(entry.condition for entry in self.runs))


def name_of(*key: Any) -> str:
    """The name of a result in messages.

    key: names, then seed and draw, which are missing where it has none.
    """
    *names, seed, draw = key
    numbers = {"seed": seed, "draw": draw}
    told = [f"{name} {value}" for name, value in numbers.items() if not pd.isna(value)]
    return " ".join([*names, *told])


def is_shot_count(condition: str) -> bool:
    """Whether a result is the base model's after demonstrations alone: `<k>-shot`."""
    return _SHOTS.fullmatch(condition) is not None


# --- reading ------------------------------------------------------------------------------


def read_predictions(index: ResultIndex, also: Sequence[str] = ()) -> pd.DataFrame:
    """One row for each checkpoint and item of every result whose predictions are listed.

    A foreign result has test items alone, those that it has in every seed, at step 0.

    Columns: model, task, condition, seed, draw and shots (Int64; seed is missing in base results,
    draw in what is the same in each, shots in runs), split, item, step, answer_loss, strict,
    flexible, selection, selection_loss, prediction, and those of `also`.
    Raises InputError naming every result whose file is missing, or the file that is malformed or
    incomplete.
    """
    predictions = {entry: entry.predictions for entry in index.entries if entry.predictions}
    columns = [*_PREDICTION_COLUMNS, *also]
    table = _read_each(
        predictions, lambda entry, path: _predictions_of(entry, path, columns), "predictions"
    )
    return _in_every_seed(table, index.foreign) if index.foreign else table


def read_training_logs(index: ResultIndex) -> pd.DataFrame:
    """One row for each logged step of every training: its key, `step`, `loss`, a column per term.

    A term that a condition does not have is missing in its rows.
    Raises InputError naming every run whose log is missing, or the file that is malformed.
    """
    logs = {entry: entry.training_log for entry in index.entries if entry.training_log}
    return _read_each(logs, lambda _, path: _training_log_of(path), "training log")


def read_costs(index: ResultIndex) -> pd.DataFrame:
    """One row for each result and phase whose cost is listed: its key, `phase`, `support` and
    the fields of the file.

    Raises InputError naming every result whose cost is missing, or the file that is malformed.
    """
    kinds = {TRAINING: "cost", INFERENCE: "cost of inference"}
    files = {
        TRAINING: {entry: entry.cost for entry in index.entries if entry.cost},
        INFERENCE: {entry: entry.inference for entry in index.entries if entry.inference},
    }
    for phase, own in files.items():
        _refuse_missing(own, kinds[phase])
    tables = [
        _with_key(_cost_of(own[entry]), entry).assign(phase=phase, support=entry.support)
        for entry in index.entries
        for phase, own in files.items()
        if entry in own
    ]
    empty = pd.DataFrame(columns=[*RUN_KEYS, "shots", "phase", "support"])
    return pd.concat(tables, ignore_index=True) if tables else empty


def _read_each(
    files: Mapping[ResultEntry, Path],
    read: Callable[[ResultEntry, Path], pd.DataFrame],
    kind: str,
) -> pd.DataFrame:
    """The tables of all entries, one after another, behind their key columns."""
    _refuse_missing(files, kind)
    tables = [_with_key(read(entry, path), entry) for entry, path in files.items()]
    if not tables:
        return pd.DataFrame(columns=[*RUN_KEYS, "shots"])
    return pd.concat(tables, ignore_index=True)


def _refuse_missing(files: Mapping[ResultEntry, Path], kind: str) -> None:
    missing = [entry.name for entry, path in files.items() if not path.exists()]
    if missing:
        others = len(missing) - _NAMED_AT_MOST
        more = f" and {others} more" if others > 0 else ""
        raise InputError(
            f"{len(missing)} of {len(files)} results have no {kind}: "
            f"{', '.join(missing[:_NAMED_AT_MOST])}{more}; run snakemake again, which makes them"
        )


def _with_key(table: pd.DataFrame, entry: ResultEntry) -> pd.DataFrame:
    key = pd.DataFrame(
        {
            "model": entry.model,
            "task": entry.task,
            "condition": entry.condition,
        }
        | {
            name: pd.array([getattr(entry, name)] * len(table), dtype="Int64")
            for name in (*REPLICATE, "shots")
        },
        index=table.index,
    )
    return pd.concat([key, table], axis=1)


def _predictions_of(entry: ResultEntry, path: Path, columns: list[str]) -> pd.DataFrame:
    if is_transferred(entry.condition):
        every = _read_parquet(path, [*columns, *_PLACE])
        place = (every["task"] == entry.task) & (every["shots"] == shots_after(entry.condition))
        table = every.loc[place, columns].reset_index(drop=True)
    else:
        table = _read_parquet(path, columns)
    measured = [name for name in _MEASURED_COLUMNS if not (entry.foreign and name == "answer_loss")]
    for column in measured:
        if table[column].isna().any():
            item = table.loc[table[column].isna(), "item"].iloc[0]
            raise InputError(f"{path}: item {item} has no {column}; rerun its evaluation")
    _refuse_uneven(entry, path, table)
    # older versions wrote truth values
    return table.astype({"strict": float, "flexible": float, "item": str})


def _in_every_seed(table: pd.DataFrame, foreign: Sequence[str]) -> pd.DataFrame:
    """Without the items that some seed of a foreign result lacks."""
    own = table[table["condition"].isin(foreign)]
    keys = ["model", "task", "condition"]
    seeds = own.groupby(keys)["seed"].transform("nunique")
    there = own.groupby([*keys, "item"])["seed"].transform("nunique")
    return table.drop(own.index[there < seeds]).reset_index(drop=True)


def _read_parquet(path: Path, columns: list[str]) -> pd.DataFrame:
    checked(path)
    try:
        missing = [name for name in columns if name not in pq.read_schema(path).names]
    except pa.ArrowException as error:
        raise InputError(f"{path}: not a parquet file ({error}); delete it and rerun") from None
    if missing:
        raise InputError(f"{path}: no column {missing[0]}; rerun its evaluation")
    return pd.read_parquet(path, columns=columns)


def _refuse_uneven(entry: ResultEntry, path: Path, table: pd.DataFrame) -> None:
    """Every step must hold every item of its split once."""
    if "test" not in set(table["split"]):
        raise InputError(f"{path}: holds no test items of {entry.name}; rerun its evaluation")
    if table.duplicated(["split", "step", "item"]).any():
        item = table.loc[table.duplicated(["split", "step", "item"]), "item"].iloc[0]
        raise InputError(f"{path}: item {item} is there twice at one step; rerun its evaluation")
    steps = table.groupby(["split", "item"])["step"].size()
    uneven = steps[steps < table["step"].nunique()]
    if len(uneven):
        split, item = uneven.index[0]
        raise InputError(f"{path}: {split} item {item} is missing at a step; rerun its evaluation")


def _training_log_of(path: Path) -> pd.DataFrame:
    table = read_table(path)
    missing = [name for name in LOG_COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path}: no column {missing[0]}; delete it and rerun")
    return table


def _cost_of(path: Path) -> pd.DataFrame:
    fields = read_json(checked(path))
    if not isinstance(fields, dict):
        raise InputError(f"{path}: not a JSON object; delete it and rerun")
    missing = [name for name in COST_SETUP if name not in fields]
    if missing:
        raise InputError(f"{path}: no field {missing[0]}; delete it and rerun")
    return pd.DataFrame([fields])


# --- tables -------------------------------------------------------------------------------


def read_table(path: Path) -> pd.DataFrame:
    """A CSV table: the columns in `TEXT` as text, every other as numbers or truth values.

    Text stays as it was written (a condition named `null`, a label `1e5`); an empty cell alone is
    missing.

    Raises InputError when the file is missing, damaged or not a table, or when a column that is
    not in `TEXT` holds text.
    """
    checked(path)
    kinds = dict.fromkeys(TEXT, "string")
    try:
        table = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError):
        raise InputError(f"{path}: not a CSV table; delete it and rerun") from None
    for name in table.columns.difference([*TEXT, *_NUMBER_OR_TEXT]):
        cells = table[name].dropna()
        words = cells[pd.to_numeric(cells, errors="coerce").isna()]
        if len(words):
            raise InputError(
                f"{path}: column {name} holds '{words.iloc[0]}', which is no number; delete it "
                "and rerun"
            )
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a CSV, whole or not at all, with six significant digits."""
    texts = table.select_dtypes(["object", "string"]).stack()
    # readers take a carriage return for the end of a line, and Python's csv does not quote one
    has_return = texts.astype(str).str.contains("\r", regex=False).any()
    quoting: Literal[0, 1] = csv.QUOTE_ALL if has_return else csv.QUOTE_MINIMAL
    with atomic_file(path) as partial:
        table.to_csv(partial, index=False, float_format="%.6g", quoting=quoting)


# --- arranging ----------------------------------------------------------------------------


def for_each_replicate(predictions: pd.DataFrame) -> pd.DataFrame:
    """Every result once for each seed and draw: repeated over those that it does not depend on.

    So each row has a seed and a draw; where no result has one, it is 0.
    """
    for column in REPLICATE:
        everywhere = predictions[column].isna()
        own, levels = predictions[~everywhere], _levels(predictions, column) or [0]
        repeated = [predictions[everywhere].assign(**{column: level}) for level in levels]
        predictions = pd.concat([*repeated, own], ignore_index=True)
    return predictions


def by_replicate(predictions: pd.DataFrame) -> Iterator[tuple[dict[str, str | None], pd.DataFrame]]:
    """The rows `for_each_replicate`: those of each seed and draw, then all where there are several.

    Yields the columns `seed` and `draw` of what is made from the rows, and the rows. A column is
    `ALL` where there are several of them together, missing where no result has one.
    """
    levels = {column: _levels(predictions, column) for column in REPLICATE}
    every = for_each_replicate(predictions)
    replicates = list(every.groupby(list(reversed(REPLICATE))))
    for (draw, seed), own in replicates:
        keys = {"seed": str(seed), "draw": str(draw)}
        yield {column: key if levels[column] else None for column, key in keys.items()}, own
    if len(replicates) > 1:
        yield {column: together(levels[column]) for column in REPLICATE}, every


def together(levels: Sequence[object]) -> str | None:
    """The seed or draw of a row about all of these: a single one, `ALL`, or none."""
    return ALL if len(levels) > 1 else next(map(str, levels), None)


def _levels(predictions: pd.DataFrame, column: str) -> list[int]:
    return sorted(predictions[column].dropna().unique())


def by_item(predictions: pd.DataFrame, value: str, columns: list[str]) -> pd.DataFrame:
    """`value` with a row for each (draw, seed, item), so that rows pair the same item everywhere.

    predictions: one model, task and split, with a seed and a draw in every row.
    Returns one column for each combination of `columns`; every seed and draw has the same items.
    Raises InputError when an item is missing in one of them.
    """
    rows = ["draw", "seed", "item"]
    table = predictions.pivot(index=rows, columns=columns, values=value)
    # an item that one seed lacks altogether has no row yet
    table = table.reindex(pd.MultiIndex.from_product([table.index.unique(row) for row in rows]))
    if table.isna().to_numpy().any():
        column = table.columns[table.isna().any()][0]
        draw, seed, item = table.index[table[column].isna()][0]
        name = " ".join(str(part) for part in (column if isinstance(column, tuple) else [column]))
        of_draw = f", draw {draw}" if table.index.unique("draw").size > 1 else ""
        raise InputError(
            f"{predictions['model'].iloc[0]} {predictions['task'].iloc[0]}: item {item} has no "
            f"result in {name}, seed {seed}{of_draw}: the item sets differ; rerun its evaluation"
        )
    return table


def cube_of(table: pd.DataFrame) -> NDArray[np.float64]:
    """The values of `by_item`: (draws, seeds, items, columns)."""
    replicates = [table.index.unique(row).size for row in ("draw", "seed")]
    values: NDArray[np.float64] = table.to_numpy(dtype=float)
    return values.reshape(*replicates, -1, table.shape[1])
