"""Numbers, intervals and counts as the summary and the report write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from workflow_scripts.results.scorers import ACCURACIES as ACCURACIES
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.results.scorers import Scores as Scores

NEVER = "never"
Write = Callable[[float], str]
Test = Callable[[str], bool]


def scores_of(scorer: str, judge: str | None = None) -> Scores:
    """Names of the scorer's two scores.

    judge: the teacher whose answers stand for gold; see `scorers.judge_of`.
    """
    names = SCORERS[scorer].names
    return names if judge is None else names.against(judge)


def capital(text: str) -> str:
    """With a capital at its beginning."""
    return text[:1].upper() + text[1:]


def share(value: float) -> str:
    """A share in percent, without the sign."""
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """A difference of shares in percentage points."""
    # a tiny negative difference would print as -0.0
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def loss(value: float) -> str:
    """Nats."""
    return f"{value:.2f}"


def step(value: float) -> str:
    return NEVER if pd.isna(value) else f"{value:.0f}"


def percent(confidence: float) -> str:
    return f"{100 * confidence:g} %"


def whole(value: float) -> str:
    return f"{value:,.0f}"


def between(low: float, high: float, write: Write) -> str:
    """`[low, high]`; empty where there is no interval."""
    return "" if pd.isna(low) or pd.isna(high) else f"[{write(low)}, {write(high)}]"


def with_interval(row: pd.Series, column: str, write: Write) -> str:
    """A value of a table and its interval, as far as they are there."""
    if pd.isna(row[column]):
        return ""
    interval = between(row[f"{column}_low"], row[f"{column}_high"], write)
    return f"{write(row[column])} {interval}".rstrip()


def or_blank(write: Write) -> Write:
    """The same, but empty where nothing was measured."""
    return lambda value: "" if pd.isna(value) else write(value)


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def thousandths(value: float) -> str:
    return f"{value:.3f}"


def whole_percent(value: float) -> str:
    return f"{100 * value:.0f}"


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def holm(p: float) -> str:
    return "Holm p < 0.001" if p < 0.001 else f"Holm p = {p:.2g}"


def count(number: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def repetitions(seeds: int, draws: int) -> str:
    """`3 seeds × 3 draws of demonstrations`; without those that there are none of."""
    of_each = {"seed": seeds, "draw": draws}
    told = [count(number, noun) for noun, number in of_each.items() if number]
    return " × ".join(told) + " of demonstrations" * bool(draws)


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def markdown_table(table: pd.DataFrame) -> str:
    """A Markdown table of texts: the index on the left, empty cells where nothing is."""
    cells = table.astype(object).where(table.notna(), "")
    aligned = ["left", *("right" for _ in table.columns)]
    return str(cells.to_markdown(colalign=aligned, disable_numparse=True))


def rows_of(table: pd.DataFrame) -> list[pd.Series]:
    return [row for _, row in table.iterrows()]


def rows_by(table: pd.DataFrame, column: str) -> dict[str, pd.Series]:
    """Each row under its value in a column, where no two have the same."""
    return {str(row[column]): row for row in rows_of(table)}


def yes_or_no(value: bool) -> str:
    return "yes" if value else "no"
