"""Judges differences of published accuracies, without the answers behind them.

    python -m workflow_scripts.published resources/replications/snell-2022.yaml

Each file is a `Publication`. docs/replications.md is made of those in resources/replications/.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import yaml
from pydantic import Field, ValidationError

from workflow_scripts.config.base import Line, Strict
from workflow_scripts.results.formatting import (
    between,
    markdown_table,
    p_value,
    points,
    share,
)
from workflow_scripts.results.statistics import holm
from workflow_scripts.results.unpaired import (
    detectable_unpaired,
    most_disagreements,
    newcombe_unpaired,
    p_unpaired,
    p_unpaired_not_worse,
    possible_disagreements,
)
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.config_files import check_config_file
from workflow_scripts.study.refusals import error_lines
from workflow_scripts.tables.verdicts import NOT_SHOWN, verdict, verdict_of_margin

CONFIDENCE = 0.95
POWER = 0.8


class PublishedResult(Strict):
    """A result of a publication."""

    name: Line
    accuracy: float = Field(ge=0, le=100, description="In percent.")

    @property
    def share(self) -> float:
        return self.accuracy / 100


class PublishedComparison(Strict):
    """Two results of a publication on the same items."""

    task: Line
    items: int = Field(ge=1)
    averaged_over: int = Field(
        1, ge=1, description="Runs, or samples of each answer, that an accuracy is the mean of."
    )
    first: PublishedResult
    second: PublishedResult
    margin: Annotated[float, Field(gt=0, lt=100)] | None = Field(
        None, description="In points: ask whether the first is less than that worse."
    )


class Publication(Strict):
    """What was claimed, how it was evaluated, and the accuracies behind it."""

    title: Line
    authors: Line
    year: int
    source: Line
    claim: Line
    evaluation: Line
    comparisons: tuple[PublishedComparison, ...] = Field(min_length=1)


def main(*files: Path) -> None:
    """Say what the published accuracies in these files show.

    files: YAML files with a title, a source, a claim, and the accuracies of its comparisons.
    """
    if not files:
        raise InputError("give a file, such as resources/replications/snell-2022.yaml")
    print("\n".join(judged(read_publication(file)) for file in files), end="")


def read_publication(file: Path) -> Publication:
    """Raises InputError with one line for each problem of the file."""
    try:
        check_config_file(file)
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return Publication.model_validate(content)
    except ValidationError as error:
        lines = error_lines(error, content)
        raise InputError("\n".join(f"{file}: {line}" for line in lines)) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: cannot be read as YAML: {reason}") from None


def judged(publication: Publication) -> str:
    """Markdown: the claim, how it was evaluated, and the comparisons with their verdicts."""
    table = compare_published(publication)
    rows = [_written(row) for _, row in table.iterrows()]
    shown = sum(word != NOT_SHOWN for word in table["verdict"])
    return "\n".join(
        [
            f"## {publication.title}",
            "",
            f"{publication.authors} ({publication.year}); {publication.source}.",
            "",
            f"- **Claim.** {publication.claim}",
            f"- **Evaluation.** {publication.evaluation}",
            f"- **Shown by the published accuracies:** {shown} of {len(table)}.",
            "",
            markdown_table(pd.DataFrame(rows).set_index("task")),
            "",
        ]
    )


def compare_published(publication: Publication) -> pd.DataFrame:
    """One row for each comparison, p-values corrected within the publication (Holm 1979).

    Margins are corrected among themselves. disagreements: see `most_disagreements`; absent for
    means, and where a margin is asked for.
    """
    table = pd.DataFrame([_compared(comparison) for comparison in publication.comparisons])
    asked = table["margin"].notna()
    for of_kind in (asked, ~asked):
        table.loc[of_kind, "p_holm"] = holm(table.loc[of_kind, "p"].to_numpy())
    table["verdict"] = [_verdict(row) for _, row in table.iterrows()]
    return table


def _compared(comparison: PublishedComparison) -> dict[str, object]:
    first, second, items = comparison.first.share, comparison.second.share, comparison.items
    margin = None if comparison.margin is None else comparison.margin / 100
    level = 1 - CONFIDENCE
    row = {
        "task": comparison.task,
        "items": items,
        "first": comparison.first.name,
        "second": comparison.second.name,
        "first_accuracy": first,
        "second_accuracy": second,
        "difference": first - second,
        "interval": newcombe_unpaired(first, second, items, CONFIDENCE),
        "detectable": detectable_unpaired(first, second, items, level, POWER),
        "margin": margin,
        "disagreements": None,
        "possible": None,
    }
    if margin is not None:
        return row | {"p": p_unpaired_not_worse(first, second, items, margin)}
    if comparison.averaged_over == 1:
        right = round(first * items), round(second * items)
        row["disagreements"] = most_disagreements(*right, items, level)
        row["possible"] = possible_disagreements(*right, items)
    return row | {"p": p_unpaired(first, second, items)}


def _verdict(row: pd.Series) -> str:
    if pd.isna(row["margin"]):
        return verdict(row["interval"], row["p_holm"], CONFIDENCE)
    return verdict_of_margin(row["interval"], row["p_holm"], CONFIDENCE, row["margin"], False)


def _written(row: pd.Series) -> dict[str, str]:
    margin = "" if pd.isna(row["margin"]) else f" (margin {100 * row['margin']:g})"
    interval = between(row["interval"].low, row["interval"].high, points)
    return {
        "task": row["task"],
        "items": f"{row['items']:,}",
        "first, %": f"{row['first']}: {share(row['first_accuracy'])}",
        "second, %": f"{row['second']}: {share(row['second_accuracy'])}",
        "difference, points [95 % CI]": f"{points(row['difference'])} {interval}",
        "Holm p": p_value(row["p_holm"]),
        "detectable": share(row["detectable"]),
        "shown if at most … disagree": _disagreeing(row),
        "first is": row["verdict"] + margin,
    }


def _disagreeing(row: pd.Series) -> str:
    if pd.isna(row["disagreements"]):
        return ""
    most = int(row["disagreements"])
    if not most:
        return "never"
    # the number of disagreements has the parity of the difference
    if most >= int(row["possible"]) - 1:
        return "always"
    return f"{most} ({share(most / row['items'])} %)"


if __name__ == "__main__":
    run_program(main)
