"""The whole experiment in a page of Markdown that reads well in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.analysis.verdicts import against
from workflow_scripts.figures.data import over_seeds, rows_about, standings


@dataclass(frozen=True)
class Tables:
    """What analysis made of an experiment; see `docs/architecture.md` for the columns."""

    summary: pd.DataFrame
    comparisons: pd.DataFrame
    crossover: pd.DataFrame
    cost: pd.DataFrame
    icl_gap: pd.DataFrame

    def about(self, model: str, task: str) -> Tables:
        return Tables(
            *(
                rows_about(table, model, task)
                for table in (
                    self.summary,
                    self.comparisons,
                    self.crossover,
                    self.cost,
                    self.icl_gap,
                )
            )
        )


def summary_markdown(tables: Tables, baseline: str, confidence: float) -> str:
    """One section for each model and task.

    baseline: the trained condition that the others are held against, where there is one.
    confidence: of the intervals in the tables.
    """
    pairs = tables.icl_gap[["model", "task"]].drop_duplicates()
    sections = [
        _section(tables.about(model, task), baseline, confidence)
        for model, task in pairs.itertuples(index=False, name=None)
    ]
    return "\n".join(sections)


def _section(tables: Tables, baseline: str, confidence: float) -> str:
    model, task = tables.icl_gap[["model", "task"]].iloc[0]
    test = over_seeds(tables.summary[tables.summary["split"] == "test"])
    comparisons = over_seeds(tables.comparisons)
    blocks = [
        [f"## {model} on {task}", "", _gap_line(tables.icl_gap, confidence)],
        [
            f"Strict accuracy on {test['items'].iloc[0]} test items by step, %, and at the "
            f"chosen step [{_percent(confidence)} CI]",
            "",
            _accuracy_table(test, comparisons),
        ],
        [
            "Answer loss by step, nats per token, and the first step past the few-shot reference",
            "",
            _loss_table(test, tables.crossover),
        ],
    ]
    trained = list(tables.cost["condition"].unique())
    if trained:
        rivals = _rivals(tables.icl_gap, baseline)
        blocks += [
            [
                "Paired differences in strict accuracy at the chosen steps",
                "",
                *_verdict_lines(comparisons, trained, rivals, confidence),
            ],
            [
                "Cost of one training, mean over seeds, and peak memory",
                "",
                *(
                    _cost_line(str(condition), runs)
                    for condition, runs in tables.cost.groupby("condition", sort=False)
                ),
            ],
        ]
    return "\n\n".join("\n".join(lines) for lines in blocks) + "\n"


# --- the gap ------------------------------------------------------------------------------


def _gap_line(icl_gap: pd.DataFrame, confidence: float) -> str:
    test = icl_gap[icl_gap["split"] == "test"].sort_values("shots")
    fewest, most = test.iloc[0], test.iloc[-1]
    qualifies = "qualifies" if most["qualifies"] else "does not qualify"
    return (
        f"In-context gap: {_points(most['gap'])} points, "
        f"{_interval(most['gap_low'], most['gap_high'], confidence)}, from "
        f"{_share(fewest['accuracy_strict'])} % at {fewest['shots']} shots to "
        f"{_share(most['accuracy_strict'])} % at {most['shots']}: {qualifies}"
    )


# --- the tables ---------------------------------------------------------------------------


def _accuracy_table(test: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    chosen = {
        row["condition"]: f"{row['step']}: {_share(row['accuracy'])} "
        f"[{_share(row['accuracy_low'])}, {_share(row['accuracy_high'])}]"
        for _, row in standings(comparisons).iterrows()
    }
    table = _by_step(test, "accuracy_strict").map(_share_or_blank)
    return _markdown(table.assign(chosen=table.index.map(chosen)))


def _loss_table(test: pd.DataFrame, crossover: pd.DataFrame) -> str:
    table = _by_step(test, "answer_loss").map(_loss_or_blank)
    for column, heading in (("loss_step", "loss <"), ("accuracy_step", "accuracy ≥")):
        crossed = crossover.groupby("condition")[column].agg(_steps_in_words)
        table[heading] = table.index.map(crossed.to_dict())
    return _markdown(table)


def _by_step(test: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One row for each condition, one column for each step, in the order of the summary."""
    order = test["condition"].drop_duplicates()
    return test.pivot(index="condition", columns="step", values=measure).loc[order]


def _steps_in_words(steps: pd.Series) -> str:
    """The seeds' steps: `20`, or `20/never/40`."""
    words = ["never" if pd.isna(step) else f"{step:.0f}" for step in steps]
    return words[0] if len(set(words)) == 1 else "/".join(words)


def _markdown(table: pd.DataFrame) -> str:
    cells = table.astype(object).where(table.notna(), "")
    aligned = ["left", *("right" for _ in table.columns)]
    return str(cells.to_markdown(colalign=aligned, disable_numparse=True))


# --- the verdicts -------------------------------------------------------------------------


def _rivals(icl_gap: pd.DataFrame, baseline: str) -> list[str]:
    shots = icl_gap["shots"]
    return list(dict.fromkeys([baseline, f"{shots.max()}-shot", f"{shots.min()}-shot"]))


def _verdict_lines(
    comparisons: pd.DataFrame, trained: list[str], rivals: list[str], confidence: float
) -> Iterator[str]:
    """Each trained condition against each rival."""
    for rival in rivals:
        turned = against(comparisons, rival)
        for _, row in turned[turned["first"].isin(trained)].iterrows():
            interval = _interval(row["difference_low"], row["difference_high"], confidence)
            yield (
                f"- {row['first']} vs {row['second']}: {row['verdict']} "
                f"({_points(row['difference'])} points, {interval}, {_holm(row['p_holm'])})"
            )


def _holm(p: float) -> str:
    return "Holm p < 0.001" if p < 0.001 else f"Holm p = {p:.2g}"


# --- the cost -----------------------------------------------------------------------------


def _cost_line(condition: str, runs: pd.DataFrame) -> str:
    gpu = runs["peak_gpu_mb"].max()
    on_gpu = f", {gpu:,.0f} MiB on the GPU" if gpu > 0 else ""
    return (
        f"- {condition}: {runs['wall_seconds'].mean():,.0f} s, "
        f"{runs['peak_rss_mb'].max():,.0f} MiB{on_gpu}, {runs['tokens'].mean():,.0f} tokens"
    )


# --- numbers ------------------------------------------------------------------------------


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _share_or_blank(value: float) -> str:
    return "" if pd.isna(value) else _share(value)


def _loss_or_blank(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _percent(confidence: float) -> str:
    return f"{100 * confidence:g} %"


def _interval(low: float, high: float, confidence: float) -> str:
    return f"{_percent(confidence)} CI [{_points(low)}, {_points(high)}]"
