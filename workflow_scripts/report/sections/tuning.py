"""Conditions at the values that validation items chose for each of them."""

from __future__ import annotations

from workflow_scripts.report.document import Section, Table, cited
from workflow_scripts.report.pair import Pair
from workflow_scripts.results import formatting as fmt


def tuning_section(pair: Pair) -> Section:
    """Who was tuned with how many trials, and what was chosen."""
    tuning = pair.table("tuning")
    chosen = [
        {
            "condition": pair.name(row["arm"]),
            "trials": str(row["trials"]),
            "chosen": row["setting"],
            "result": pair.name(row["condition"]),
            "on validation, %": fmt.share(row["validation"]),
            **cited("tuning", row),
        }
        for row in fmt.rows_of(tuning[tuning["chosen"]])
    ]
    trials = [
        {
            "condition": pair.name(row["arm"]),
            "setting": row["setting"],
            "on validation, %": fmt.share(row["validation"]),
            "chosen": fmt.yes_or_no(row["chosen"]),
            **cited("tuning", row),
        }
        for row in fmt.rows_of(tuning)
    ]
    return Section(
        id=pair.id("tuning"),
        title="Which values did validation items choose?",
        text=[_text(tuning["trials"].drop_duplicates().tolist())],
        tables=[Table.of("The variant of each condition that is called tuned", chosen)],
        folded=[Table.of("Every trial", trials)],
    )


def _text(trials: list[int]) -> str:
    if len(trials) == 1:
        return f"Each condition was tuned with {fmt.count(trials[0], 'trial')}, itself among them."
    return (
        "Conditions were tuned with different numbers of trials; those with more have a better "
        "chance."
    )
