"""Runs on a mixture in domain and out of domain, side by side."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from workflow_scripts.report import findings
from workflow_scripts.results import formatting as fmt

BASE_MODEL = "base model"
WHERE = {"in": "in domain", "out": "out of domain"}


def domain_rows(
    domains: pd.DataFrame, measure: str, write: fmt.Write
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each condition, the base model first, with a cell for each domain and number of shots.

    domains: rows of domains.csv about one model and mixture.
    measure: the column that is told, with its interval.
    """
    base = domains["condition"].map(findings.is_base)
    named = domains.assign(condition=domains["condition"].mask(base, BASE_MODEL))
    for condition, own in named.groupby("condition", sort=False):
        yield (
            str(condition),
            {
                f"{WHERE[row['domain']]}, {fmt.count(row['shots'], 'shot')}": (
                    fmt.with_interval(row, measure, write)
                )
                for row in fmt.rows_of(own)
            },
        )


def answered_sentence(domains: pd.DataFrame, task_name: findings.Naming) -> str:
    """Which tasks are in the domain of a mixture, which are not, and which of them see shots."""
    told = []
    changes = domains.sort_values("shots", kind="stable").drop_duplicates(["domain", "answered"])
    fewer = changes.duplicated("domain")
    for row, is_fewer in zip(fmt.rows_of(changes), fewer, strict=True):
        names = [task_name(name) for name in row["answered"].split(", ")]
        after = f" after {fmt.count(row['shots'], 'shot')}" if is_fewer else ""
        verb = "is" if len(names) == 1 else "are"
        told.append(f"{WHERE[row['domain']]}{after} {verb} {fmt.listed(names)}")
    sentence = ", ".join(told)
    return f"{sentence[0].upper()}{sentence[1:]}."
