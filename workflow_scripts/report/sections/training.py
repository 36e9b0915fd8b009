"""What happens while training: accuracy and loss by step, steadiness, drift of hidden states."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.report import findings
from workflow_scripts.report.document import Section, Table, cited, sources
from workflow_scripts.report.pair import Pair
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.names import is_main_or_tuned
from workflow_scripts.results.table_rows import chosen_results, over_seeds
from workflow_scripts.tables.drift import ALL_LAYERS

Cells = dict[str, dict[str, str]]


def learning_curve_section(pair: Pair) -> Section:
    """Accuracy and loss of every checkpoint, and when they pass those of the few-shot reference."""
    test = over_seeds(pair.table("summary"))
    test = test[test["split"] == "test"]
    items = test["items"].max()
    reached, crossed = _chosen(pair, items), _crossings(pair)
    accuracy = f"{fmt.capital(pair.scores.strict)} on {items} test items by step, %"
    loss = "Answer loss by step, nats, and the first step past the few-shot reference"

    def tables(wanted: fmt.Test, suffix: str = "") -> list[Table]:
        own = test[test["condition"].map(wanted)]
        measured = own[own["answer_loss"].notna()]
        return [
            _by_step(pair, f"{accuracy}{suffix}", own, "accuracy_strict", fmt.share, reached),
            _by_step(pair, f"{loss}{suffix}", measured, "answer_loss", fmt.loss, crossed),
        ]

    return Section(
        id=pair.id("learning-curve"),
        title=f"How do {pair.scores.noun} and loss change while training, and when does it "
        "overtake context?",
        text=[
            "Step 0 is the base model. Intervals are in the figures and in summary.csv. Where an "
            "interval ends with “never”, no checkpoint passes in some resamplings of the items."
        ],
        figures=[f for f in pair.figures if f.group is None and f.name != "icl_gap"],
        tables=tables(is_main_or_tuned),
        folded=tables(lambda name: not is_main_or_tuned(name), ": variants"),
    )


def _chosen(pair: Pair, items: int) -> Cells:
    """Condition → its chosen step and the accuracy there.

    items: of the test split; a comparison group with a result from elsewhere may have fewer.
    """
    comparisons = over_seeds(pair.table("comparisons"))
    column = f"chosen step: {pair.scores.noun} {pair.interval}"
    found: Cells = {}
    for row in fmt.rows_of(chosen_results(comparisons)):
        compared = _compared(comparisons, row["condition"])
        fewer = compared["items"].iloc[0]
        accuracy = fmt.with_interval(row, "accuracy", fmt.share)
        on_fewer = f" on {fewer} items" if fewer < items else ""
        found[row["condition"]] = {
            column: f"{row['step']}: {accuracy}{on_fewer}",
            **cited("comparisons", compared),
        }
    return found


def _compared(comparisons: pd.DataFrame, result: str) -> pd.DataFrame:
    """The first comparison of a result, which has its step and accuracy."""
    return comparisons[(comparisons[["first", "second"]] == result).any(axis=1)][:1]


def _crossings(pair: Pair) -> Cells:
    """Condition → the first steps past the loss and the accuracy of the reference."""
    return {
        row["condition"]: {
            f"loss < {fmt.loss(row['reference_loss'])} ({pair.name(row['reference'])})": (
                findings.crossing_step(row, "loss")
            ),
            f"{pair.scores.noun} ≥ {fmt.share(row['reference_accuracy'])} %": (
                findings.crossing_step(row, "accuracy")
            ),
            **cited("crossover", row),
        }
        for row in fmt.rows_of(over_seeds(pair.table("crossover")))
    }


def _by_step(
    pair: Pair, title: str, test: pd.DataFrame, column: str, write: fmt.Write, more: Cells
) -> Table:
    """A row for each condition, a column for each step, then the cells of `more`."""
    steps = dict.fromkeys((str(step) for step in sorted(test["step"].unique())), "")
    return Table.of(
        title,
        [
            {"result": pair.name(str(condition))}
            | steps
            | {str(row["step"]): write(row[column]) for row in fmt.rows_of(own)}
            | more.get(str(condition), {})
            | cited("summary", own)
            for condition, own in test.groupby("condition", sort=False)
        ],
    )


# --- steadiness ---------------------------------------------------------------------------


def steadiness_section(pair: Pair) -> Section:
    metrics = over_seeds(pair.table("optimisation"))
    main = metrics["condition"].map(is_main_or_tuned).astype(bool)
    return Section(
        id=pair.id("optimisation"),
        title="How much of the gap does training close, and how steadily?",
        text=[
            "The training loss differs between conditions by construction, so its variance "
            "compares runs of one condition, not conditions."
        ],
        tables=[_steadiness_table(pair, "Main conditions", metrics[main])],
        folded=[_steadiness_table(pair, "Variants", metrics[~main])],
    )


def _steadiness_table(pair: Pair, title: str, metrics: pd.DataFrame) -> Table:
    short = fmt.or_blank(fmt.short)
    rows = [
        {
            "result": pair.name(row["condition"]),
            f"gap closed, % {pair.interval}": fmt.with_interval(
                row, "gap_reduction", fmt.whole_percent
            )
            or findings.note_of(row),
            f"mean {pair.scores.noun} along training, % {pair.interval}": fmt.with_interval(
                row, "area", fmt.share
            ),
            "loss variance": short(row["loss_variance"]),
            "gradient norm: median, 95 %, largest": ", ".join(
                short(row[f"grad_norm_{name}"]) for name in ("median", "p95", "max")
            ),
            "loss spikes": short(row["spikes"]),
            "variance between late checkpoints": short(row["checkpoint_variance"]),
            **cited("optimisation", row),
        }
        for row in fmt.rows_of(metrics)
    ]
    return Table.of(title, rows)


# --- hidden states ------------------------------------------------------------------------


def drift_section(pair: Pair) -> Section:
    drift = over_seeds(pair.table("drift"))
    comparisons = over_seeds(pair.table("drift_comparisons"))
    overall = comparisons[comparisons["layer"].astype(str) == ALL_LAYERS]
    of_main = overall["first"].map(is_main_or_tuned).astype(bool)
    shown = overall[of_main].groupby("position", sort=False)
    # each condition's own last step: trainings may differ in length
    last = drift[drift["step"] == drift.groupby("condition")["step"].transform("max")]
    title = "Mean drift over all layers, at the last checkpoint"
    return Section(
        id=pair.id("representations"),
        title="Does distillation keep the model closer to itself, and which layers move?",
        findings=[
            f"At the {findings.POSITIONS[str(position)]}: "
            f"{findings.headline(own, pair.name, findings.drift_difference)}"
            for position, own in shown
        ],
        sources=sources("drift_comparisons", overall[of_main]),
        text=[
            "Drift is 1 − cosine between the hidden states of a trained checkpoint and of the "
            "base model on the same held-out items: 0 where training changed nothing."
        ],
        tables=[
            _drift_table(pair, title, overall[of_main]),
            _layers_table(pair, last[last["condition"].map(is_main_or_tuned).astype(bool)]),
        ],
        folded=[_drift_table(pair, f"{title}: variants", overall[~of_main])],
    )


def _drift_table(pair: Pair, title: str, comparisons: pd.DataFrame) -> Table:
    rows = [
        {
            "position": findings.POSITIONS[row["position"]],
            "result": pair.name(row["first"]),
            "drift": f"{row['first_drift']:.3f}",
            "against": pair.name(row["second"]),
            "its drift": f"{row['second_drift']:.3f}",
            f"difference {pair.interval}": fmt.with_interval(
                row, "difference", findings.drift_difference
            ),
            "Holm p": fmt.or_blank(fmt.p_value)(row["p_holm"]),
            "verdict": findings.verdict_of(row),
            **cited("drift_comparisons", row),
        }
        for row in fmt.rows_of(comparisons)
    ]
    return Table.of(title, rows)


def _layers_table(pair: Pair, last: pd.DataFrame) -> Table:
    rows = [
        {
            "position": findings.POSITIONS[str(position)],
            "result": pair.name(str(condition)),
            "layers": f"{own['layer'].min()} to {own['layer'].max()}",
            f"those that drift most: layer, drift {pair.interval}": "; ".join(
                f"{row['layer']}: {fmt.with_interval(row, 'drift', fmt.thousandths)}"
                for row in fmt.rows_of(own.nlargest(3, "drift"))
            ),
            **cited("drift", own.nlargest(3, "drift")),
        }
        for (position, condition), own in last.groupby(["position", "condition"], sort=False)
    ]
    return Table.of("The three layers that drift most, at the last checkpoint", rows)
