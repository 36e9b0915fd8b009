"""Conditions at the values that validation items chose for each of them."""

from __future__ import annotations

from workflow_scripts.report import findings
from workflow_scripts.report.document import Section, Table, cited
from workflow_scripts.report.pair import Pair
from workflow_scripts.report.sections.results import difference_cells
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.table_rows import chosen_results, over_seeds


def tuning_section(pair: Pair) -> Section:
    """Who was tuned with how many trials, and what the chosen variants show on test."""
    tuning = pair.table("tuning")
    comparisons = over_seeds(pair.table("tuning_comparisons"))
    test = fmt.rows_by(chosen_results(comparisons), "condition")
    chosen = [
        {
            "condition": pair.name(row["arm"]),
            "field": row["field"],
            "trials": str(row["trials"]),
            "chosen": pair.name(row["condition"]),
            "on validation, %": fmt.share(row["validation"]),
            f"on test, % {pair.interval}": fmt.with_interval(
                test[row["condition"]], "accuracy", fmt.share
            ),
            **cited("tuning", row),
        }
        for row in fmt.rows_of(tuning[tuning["chosen"]])
    ]
    pairs = [
        {
            "result": pair.name(row["first"]),
            "against": pair.name(row["second"]),
            **difference_cells(row, pair.interval),
            **cited("tuning_comparisons", row),
        }
        for row in fmt.rows_of(comparisons)
    ]
    trials = [
        {
            "condition": pair.name(row["arm"]),
            "field": row["field"],
            "variant": pair.name(row["condition"]),
            "on validation, %": fmt.share(row["validation"]),
            "chosen": fmt.yes_or_no(row["chosen"]),
            **cited("tuning", row),
        }
        for row in fmt.rows_of(tuning)
    ]
    return Section(
        id=pair.id("tuning"),
        title="What differs when each condition is tuned?",
        findings=[findings.headline(own, pair.name) for _, own in comparisons.groupby("group")],
        text=[_text(tuning["trials"].drop_duplicates().tolist())],
        tables=[
            Table.of("The variant of each condition that validation items chose", chosen),
            Table.of("The chosen variants on test, paired differences", pairs),
        ],
        folded=[Table.of("Every trial", trials)],
    )


def _text(trials: list[int]) -> str:
    if len(trials) == 1:
        return f"Each condition was tuned with {fmt.count(trials[0], 'trial')}, itself among them."
    return (
        "Conditions were tuned with different numbers of trials; those with more have a better "
        "chance."
    )
