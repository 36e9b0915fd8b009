from __future__ import annotations

import pandas as pd

from workflow_scripts.report.sections.measured import domains_answered


def told(*rows: tuple[str, int, str]) -> str:
    domains = pd.DataFrame(rows, columns=["domain", "shots", "answered"])
    return domains_answered(domains, str.upper)


def test_tasks_are_named_once_where_all_are_shown_demonstrations() -> None:
    rows = [("in", 0, "a, b"), ("in", 4, "a, b"), ("out", 0, "c"), ("out", 4, "c")]
    assert told(*rows) == "In domain: A and B; out of domain: C."


def test_those_that_are_shown_demonstrations_are_named_where_they_are_fewer() -> None:
    rows = [("in", 0, "a, b"), ("in", 4, "b"), ("out", 0, "c")]
    assert told(*rows) == "In domain: A and B; out of domain: C; in domain after 4 shots: B."
