"""The whole experiment in a page of Markdown that reads well in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import pandas as pd

from workflow_scripts.analysis.verdicts import against
from workflow_scripts.figures.data import over_seeds, rows_about, standings
from workflow_scripts.names import is_main, is_transferred, recipe_of
from workflow_scripts.results import WHOLE_SPLIT


@dataclass(frozen=True)
class Tables:
    """What analysis made of an experiment; see `docs/architecture.md` for the columns."""

    summary: pd.DataFrame
    comparisons: pd.DataFrame
    crossover: pd.DataFrame
    cost: pd.DataFrame
    icl_gap: pd.DataFrame
    signals: pd.DataFrame

    def about(self, model: str, task: str) -> Tables:
        return Tables(
            **{
                field.name: rows_about(getattr(self, field.name), model, task)
                for field in fields(self)
            }
        )


def summary_markdown(tables: Tables, baseline: str, confidence: float) -> str:
    """One section for each model and task; where there are several, all gaps in a table first.

    Tables by step, verdicts and costs are about the main conditions. Variants of a sweep and
    transferred results have small tables of their own.

    baseline: the trained condition that the others are held against, where there is one.
    confidence: of the intervals in the tables.
    """
    pairs = tables.icl_gap[["model", "task"]].drop_duplicates()
    sections = [
        _section(tables.about(model, task), baseline, confidence)
        for model, task in pairs.itertuples(index=False, name=None)
    ]
    if len(pairs) > 1:
        sections.insert(0, _overview(tables.icl_gap, confidence))
    return "\n".join(sections)


def _section(tables: Tables, baseline: str, confidence: float) -> str:
    model, task = tables.icl_gap[["model", "task"]].iloc[0]
    gaps = _test_gaps(tables.icl_gap).sort_values("shots")
    comparisons = over_seeds(tables.comparisons)
    conditions = list(comparisons["first"].drop_duplicates())
    fewest, most = (f"{gaps['shots'].iloc[end]}-shot" for end in (0, -1))
    rival = baseline if baseline in conditions else most
    blocks = [
        f"## {model} on {task}",
        _gap_line(gaps, confidence),
        *_quick_look_lines(tables.icl_gap, confidence),
        *(
            _trained_blocks(tables, comparisons, (baseline, most, fewest), confidence)
            if len(tables.cost)
            else [_base_block(gaps, confidence)]
        ),
        *_sweep_blocks(conditions, comparisons, rival, confidence),
        *_transfer_blocks(conditions, comparisons, fewest, confidence),
        *_mass_blocks(tables.signals),
    ]
    return "\n\n".join(blocks) + "\n"


# --- the gap ------------------------------------------------------------------------------


def _overview(icl_gap: pd.DataFrame, confidence: float) -> str:
    test = _test_gaps(icl_gap)
    most = test[test["shots"] == test.groupby(["model", "task"])["shots"].transform("max")]
    table = pd.DataFrame(
        {
            "task": most["task"],
            f"gap, points [{_percent(confidence)} CI]": [
                f"{_points(gap)} [{_points(low)}, {_points(high)}]"
                for gap, low, high in zip(
                    most["gap"], most["gap_low"], most["gap_high"], strict=True
                )
            ],
            "qualifies": most["qualifies"].map(_yes_or_no),
            "decided": most["decided"].map(_yes_or_no),
            "smallest": most["smallest_qualifying"].map(_yes_or_no),
        }
    ).set_axis(most["model"])
    return f"## In-context gaps\n\n{_markdown(table)}\n"


def _gap_line(gaps: pd.DataFrame, confidence: float) -> str:
    fewest, most = gaps.iloc[0], gaps.iloc[-1]
    undecided = "" if most["decided"] else ", but its interval does not decide it"
    return (
        f"In-context gap: {_gap(most, confidence)}, from "
        f"{_share(fewest['accuracy_strict'])} % at {fewest['shots']} shots to "
        f"{_share(most['accuracy_strict'])} % at {most['shots']}: {_qualifies(most)}{undecided}"
    )


def _quick_look_lines(icl_gap: pd.DataFrame, confidence: float) -> Iterator[str]:
    quick = icl_gap[icl_gap["sample"] != WHOLE_SPLIT].sort_values("shots")
    if len(quick):
        most = quick.iloc[-1]
        found = _qualifies(most) if most["decided"] else "cannot decide"
        yield f"On the first {most['items']} items alone: {_gap(most, confidence)}: {found}"


def _base_block(gaps: pd.DataFrame, confidence: float) -> str:
    """The untouched model at each shot count."""
    table = pd.DataFrame(
        {
            measure.removeprefix("accuracy_"): [
                f"{write(row[measure])} [{write(row[f'{measure}_low'])}, "
                f"{write(row[f'{measure}_high'])}]"
                for _, row in gaps.iterrows()
            ]
            for measure, write in (
                ("accuracy_strict", _share),
                ("accuracy_flexible", _share),
                ("answer_loss", _loss),
            )
        },
        index=pd.Index(gaps["shots"], name="shots"),
    ).rename(columns={"answer_loss": "answer loss"})
    title = (
        f"Accuracy of the untouched model on {gaps['items'].iloc[0]} test items, %, and answer "
        f"loss, nats per token [{_percent(confidence)} CI]"
    )
    return _block(title, _markdown(table))


def _test_gaps(icl_gap: pd.DataFrame) -> pd.DataFrame:
    """The rows about all test items."""
    return icl_gap[(icl_gap["sample"] == WHOLE_SPLIT) & (icl_gap["split"] == "test")]


def _gap(row: pd.Series, confidence: float) -> str:
    return f"{_points(row['gap'])} points, {_interval(row['gap_low'], row['gap_high'], confidence)}"


def _qualifies(row: pd.Series) -> str:
    return "qualifies" if row["qualifies"] else "does not qualify"


# --- what was trained ---------------------------------------------------------------------


def _trained_blocks(
    tables: Tables, comparisons: pd.DataFrame, rivals: Sequence[str], confidence: float
) -> list[str]:
    """The main conditions by step, their verdicts against each rival, and their costs."""
    test = over_seeds(tables.summary[tables.summary["split"] == "test"])
    test = test[test["condition"].map(is_main)]
    cost = tables.cost[tables.cost["condition"].map(is_main)]
    trained = list(cost["condition"].unique())
    return [
        _block(
            f"Strict accuracy on {test['items'].iloc[0]} test items by step, %, and at the "
            f"chosen step [{_percent(confidence)} CI]",
            _accuracy_table(test, comparisons),
        ),
        _block(
            "Answer loss by step, nats per token, and the first step past the few-shot reference",
            _loss_table(test, tables.crossover),
        ),
        _block(
            "Paired differences in strict accuracy at the chosen steps",
            *_verdict_lines(comparisons, trained, dict.fromkeys(rivals), confidence),
        ),
        _block(
            "Cost of one training, mean over seeds, and peak memory",
            *(
                _cost_line(str(condition), runs)
                for condition, runs in cost.groupby("condition", sort=False)
            ),
        ),
    ]


def _accuracy_table(test: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    chosen = {
        row["condition"]: f"{row['step']}: {_accuracy(row)}"
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


def _verdict_lines(
    comparisons: pd.DataFrame, trained: Sequence[str], rivals: Iterable[str], confidence: float
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


def _cost_line(condition: str, runs: pd.DataFrame) -> str:
    gpu = runs["peak_gpu_mb"].max()
    on_gpu = f", {gpu:,.0f} MiB on the GPU" if gpu > 0 else ""
    return (
        f"- {condition}: {runs['wall_seconds'].mean():,.0f} s, "
        f"{runs['peak_rss_mb'].max():,.0f} MiB{on_gpu}, {runs['tokens'].mean():,.0f} tokens"
    )


# --- sweeps and transfer ------------------------------------------------------------------


def _sweep_blocks(
    conditions: Sequence[str], comparisons: pd.DataFrame, rival: str, confidence: float
) -> Iterator[str]:
    """A table for each swept condition: itself and its variants."""
    own = [name for name in conditions if not is_transferred(name)]
    for recipe in dict.fromkeys(recipe_of(name) for name in own if not is_main(name)):
        members = [name for name in own if recipe_of(name) == recipe]
        yield _block(
            f"Sweep of {recipe}: strict accuracy at the chosen step, %, difference to {rival}, "
            f"points [{_percent(confidence)} CI]",
            _standings_table(members, comparisons, rival),
        )


def _transfer_blocks(
    conditions: Sequence[str], comparisons: pd.DataFrame, rival: str, confidence: float
) -> Iterator[str]:
    transferred = [name for name in conditions if is_transferred(name)]
    if transferred:
        yield _block(
            "Trained on another task: strict accuracy at the step chosen there, %, difference to "
            f"{rival}, points [{_percent(confidence)} CI]",
            _standings_table(transferred, comparisons, rival),
        )


def _standings_table(conditions: Sequence[str], comparisons: pd.DataFrame, rival: str) -> str:
    """Each condition's chosen step and accuracy, and what is shown about it against the rival."""
    standing = standings(comparisons).set_index("condition").loc[list(conditions)]
    table = pd.DataFrame(
        {"step": standing["step"], "accuracy": [_accuracy(row) for _, row in standing.iterrows()]}
    )
    turned = against(comparisons, rival).set_index("first").reindex(table.index)
    table["difference"] = [
        None
        if pd.isna(row["difference"])
        else f"{_points(row['difference'])} "
        f"[{_points(row['difference_low'])}, {_points(row['difference_high'])}]"
        for _, row in turned.iterrows()
    ]
    return _markdown(table.assign(verdict=turned["verdict"]))


# --- the signals --------------------------------------------------------------------------


def _mass_blocks(signals: pd.DataFrame) -> Iterator[str]:
    if signals.empty:
        return
    table = pd.DataFrame(
        {
            "signal": signals["signal"],
            "positions": signals["kind"],
            "number": signals["positions"],
            "mean": signals["mass_mean"].map(_mass),
            "minimum": signals["mass_min"].map(_mass),
            "share": signals["share_above_999"].map(_share),
        }
    ).set_axis(signals["teacher"])
    yield _block(
        "Probability mass of the teacher's top k, %: mean and minimum over positions, and the "
        "share at 99.9 or more",
        _markdown(table),
    )


def _mass(value: float) -> str:
    return f"{100 * value:.3f}"


# --- tables and numbers -------------------------------------------------------------------


def _block(title: str, *lines: str) -> str:
    return "\n".join([title, "", *lines])


def _markdown(table: pd.DataFrame) -> str:
    cells = table.astype(object).where(table.notna(), "")
    aligned = ["left", *("right" for _ in table.columns)]
    return str(cells.to_markdown(colalign=aligned, disable_numparse=True))


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _accuracy(standing: pd.Series) -> str:
    low, high = _share(standing["accuracy_low"]), _share(standing["accuracy_high"])
    return f"{_share(standing['accuracy'])} [{low}, {high}]"


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _share_or_blank(value: float) -> str:
    return "" if pd.isna(value) else _share(value)


def _loss(value: float) -> str:
    return f"{value:.2f}"


def _loss_or_blank(value: float) -> str:
    return "" if pd.isna(value) else _loss(value)


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _percent(confidence: float) -> str:
    return f"{100 * confidence:g} %"


def _interval(low: float, high: float, confidence: float) -> str:
    return f"{_percent(confidence)} CI [{_points(low)}, {_points(high)}]"
