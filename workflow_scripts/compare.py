"""Compares results that other tools wrote, without a study.

    python -m workflow_scripts.compare base/samples_gsm8k_….jsonl tuned/samples_gsm8k_….jsonl
    python -m workflow_scripts.compare base=base.eval tuned=seed0.eval,seed1.eval,seed2.eval

The statistics are those of comparisons.csv (`tables/comparisons.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import MarginAsked
from workflow_scripts.config.slices import ComparisonSlice
from workflow_scripts.foreign.matching import Matched, match
from workflow_scripts.foreign.readers import read_results
from workflow_scripts.foreign.scores import ScoredItems
from workflow_scripts.results.formatting import p_value, percent, points, share, with_interval
from workflow_scripts.results.statistics import is_binary, least_discordant
from workflow_scripts.results.table_rows import chosen_results, over_seeds
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.tables.comparisons import COLUMNS, compare_chosen

# of comparisons.csv, what results without steps, draws and answer losses leave empty
_ABSENT = ("model", "task", "group", "draw", "first_step", "second_step")


def main(
    *results: Path,
    metric: str | None = None,
    margin: float | None = None,
    equivalent: bool = False,
    other_prompts: bool = False,
    confidence: float = 0.95,
    csv: Path | None = None,
) -> None:
    """Compare per-item results of lm-evaluation-harness, Inspect or any table, item by item.

    results: [NAME=]FILE[,FILE...] of each; several files of one are its seeds.
    metric: to compare where files hold several, as in exact_match,strict-match; for files of
    different tools, theirs with a semicolon between.
    margin: in points; also test whether the first of each pair is less than that worse.
    equivalent: test whether they differ by less than the margin, either way.
    other_prompts: compare results although their prompts differ.
    confidence: of intervals and verdicts.
    csv: table to write, with a row for each pair and seed.
    """
    asked = _margin(margin, equivalent)
    if not 0 < confidence < 1:
        raise InputError("--confidence: must lie between 0 and 1, like 0.95")
    settings = AnalysisSettings(confidence=confidence)
    wanted = [name.strip() for name in metric.split(";")] if metric else []
    named = _named_once([own for given in results for own in _read(str(given), wanted)])
    if len(named) < 2:
        raise InputError(
            f"{len(named)} result given; give two or more, as files or in one table with a column "
            "result"
        )
    matched = match(named, other_prompts)
    table = compare_results(matched, asked, settings)
    if csv is not None:
        with atomic_file(csv, checksum=False) as partial:
            table.drop(columns=list(_ABSENT)).to_csv(partial, index=False, float_format="%.6g")
    print(told(matched, table, asked, settings))


def _margin(margin: float | None, equivalent: bool) -> MarginAsked | None:
    if margin is None:
        if equivalent:
            raise InputError("--equivalent: needs --margin, the difference that does not matter")
        return None
    if not 0 < margin < 100:
        raise InputError(f"--margin: {margin:g} must lie between 0 and 100 points, like 2")
    return MarginAsked(margin=margin / 100, both_ways=equivalent)


def _read(given: str, metrics: Sequence[str]) -> list[ScoredItems]:
    """The results of an argument: all of a file, or one whose seeds are in several files."""
    name, equals, files = given.partition("=")
    if Path(given).exists() or not equals:
        name, files = "", given
    paths = [Path(given)] if Path(given).exists() else [Path(file) for file in files.split(",")]
    found = [result for path in paths for result in read_results(path, metrics)]
    if len(paths) > 1:
        found = [_with_seeds(found)]
    if name and len(found) > 1:
        raise InputError(
            f"{given}: holds {len(found)} results, which have names; leave out {name}="
        )
    return [replace(result, name=name or result.name) for result in found]


def _with_seeds(files: Sequence[ScoredItems]) -> ScoredItems:
    """One result of several files, each of another seed."""
    for result in files:
        if result.rows["seed"].notna().any():
            raise InputError(
                f"{result.path}: holds seeds or epochs of its own; give them in one table with a "
                "column seed"
            )
    whole = match(files)
    rows = [own.rows.assign(seed=seed) for seed, own in enumerate(whole.results)]
    unscored = dict.fromkeys(item for result in files for item in result.unscored)
    table = pd.concat(rows, ignore_index=True).astype({"seed": "Int64"})
    return replace(files[0], rows=table, unscored=tuple(unscored))


def _named_once(results: list[ScoredItems]) -> list[ScoredItems]:
    """The results with names that tell them apart: `gpt (1)`, `gpt (2)`."""
    names = [result.name for result in results]
    return [
        result
        if names.count(result.name) == 1
        else replace(result, name=f"{result.name} ({place})")
        for place, result in enumerate(results, start=1)
    ]


def compare_results(
    matched: Matched, asked: MarginAsked | None, settings: AnalysisSettings
) -> pd.DataFrame:
    """comparisons.csv of all pairs of results, in one group.

    Raises InputError when there are fewer items than a test needs, or seeds differ.
    """
    results = matched.results
    _refuse_uneven(results)
    pairs = list(combinations(range(len(results)), 2))
    level = (1 - settings.confidence) / len(pairs)
    graded = not is_binary(np.concatenate([result.rows["score"] for result in results]))
    least = 2 if graded else least_discordant(level)
    if matched.items < least:
        raise InputError(
            f"{' and '.join(str(result.path) for result in results)} have {matched.items} common "
            f"items, but a test needs {least} to show anything; evaluate more items"
            + "".join(f"; {line}" for line in matched.left_out)
        )
    names = [f"r{place}" for place in range(len(results))]
    group = ComparisonSlice(
        name="results",
        members=tuple(names),
        design="pairs",
        margin=asked,
        pairs=tuple((names[first], names[second]) for first, second in pairs),
    )
    chosen = pd.concat(
        [
            pd.DataFrame(
                {
                    "item": result.rows["item"],
                    "seed": _numbered(result.rows["seed"]),
                    "strict": result.rows["score"],
                    **{"model": "", "task": "", "condition": name, "step": 0},
                }
            )
            for name, result in zip(names, results, strict=True)
        ],
        ignore_index=True,
    )
    chosen["draw"] = pd.array([pd.NA] * len(chosen), dtype="Int64")
    chosen["answer_loss"] = math.nan
    table = compare_chosen(chosen, [group], settings)
    columns = [name for name in COLUMNS if not name.startswith("loss_")]
    told_as = dict(zip(names, [result.name for result in results], strict=True))
    return table[columns].replace({"first": told_as, "second": told_as})


def _refuse_uneven(results: Sequence[ScoredItems]) -> None:
    """Results with seeds have as many, and each has every item."""
    numbers: dict[Path, int] = {}
    for result in results:
        number = result.rows["seed"].nunique()
        if not number:
            continue
        counts = result.rows["item"].value_counts()
        if (counts < number).any():
            raise InputError(
                f"{result.path}: item {counts.idxmin()} has {counts.min()} of {number} seeds or "
                "epochs; give each item the same"
            )
        numbers[result.path] = number
    if len(set(numbers.values())) > 1:
        told = ", ".join(f"{path} has {number}" for path, number in numbers.items())
        raise InputError(f"{told} seeds or epochs; give each result as many, or one")


def _numbered(seeds: pd.Series) -> pd.Series:
    """Seeds from 0: which of one result goes with which of another means nothing."""
    return seeds.rank(method="dense").astype("Int64") - 1


def told(
    matched: Matched, table: pd.DataFrame, asked: MarginAsked | None, settings: AnalysisSettings
) -> str:
    """The tables of results and of their differences, and what was compared."""
    pooled = over_seeds(table)
    interval = f"[{percent(settings.confidence)} CI]"
    accuracies = chosen_results(pooled)
    results = pd.DataFrame(
        {
            "result": accuracies["condition"],
            f"score, % {interval}": [
                with_interval(row, "accuracy", share) for _, row in accuracies.iterrows()
            ],
        }
    )
    several = len(pooled) > 1
    differences = [_told_pair(row, interval, several, asked) for _, row in pooled.iterrows()]
    metrics = dict.fromkeys(result.metric for result in matched.results)
    seeds = max(result.rows["seed"].nunique() for result in matched.results)
    of_seeds = f" in {seeds} seeds" if seeds > 1 else ""
    lines = [
        _written(results),
        "",
        _written(pd.DataFrame(differences)),
        "",
        f"{matched.items:,} common items{of_seeds}, matched by {matched.key}; metric: "
        f"{' and '.join(metrics)}",
        *matched.left_out,
        *dict.fromkeys(note for note in pooled["note"] if note),
    ]
    return "\n".join(lines)


def _told_pair(
    row: pd.Series, interval: str, several: bool, asked: MarginAsked | None
) -> dict[str, str]:
    """A row of the table of differences."""
    holm = {"p, Holm": _or_dash(row["p_holm"])} if several else {}
    margin = {}
    if asked is not None:
        sign = "±" if asked.both_ways else "-"
        margin = {f"margin {sign}{100 * asked.margin:g}": str(row["margin_verdict"])}
    detectable = row["detectable"]
    return {
        "first": str(row["first"]),
        "second": str(row["second"]),
        f"difference, points {interval}": with_interval(row, "difference", points),
        "p": _or_dash(row["p"]),
        **holm,
        "first is": str(row["verdict"]),
        "detectable": "-" if pd.isna(detectable) else share(detectable),
        **margin,
    }


def _or_dash(p: float) -> str:
    return "-" if pd.isna(p) else p_value(p)


def _written(table: pd.DataFrame) -> str:
    text = table.to_markdown(index=False, tablefmt="plain", disable_numparse=True)
    return "\n".join(line.rstrip() for line in str(text).splitlines())


if __name__ == "__main__":
    run_program(main)
