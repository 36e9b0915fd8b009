"""The main result with its caveats, the in-context gap, and each comparison group."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.report import findings
from workflow_scripts.report.document import Figure, Section, Table
from workflow_scripts.report.pair import Pair
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import WHOLE_SPLIT
from workflow_scripts.results.table_rows import chosen_results, over_seeds
from workflow_scripts.tables.verdicts import against


def main_section(pair: Pair) -> Section:
    """The gap, and what the first group shows."""
    first = pair.groups[:1]
    return Section(
        id=pair.id("main-result"),
        title=pair.title,
        findings=[_gap(pair), *(_headline(pair, group) for group in first)],
        figures=[figure for group in first for figure in _figures(pair, group)[:1]],
    )


def caveats(pair: Pair) -> Iterator[str]:
    """What a reader must know before believing, as far as the tables show it."""
    most = pair.whole_gaps.iloc[-1]
    if most["shots"] > 0 and not most["qualifies"]:
        yield "The demonstrations give this model little or nothing, so there is little to distil."
    elif not most["decided"]:
        yield "The interval of the in-context gap does not decide whether the model qualifies."
    seeds = findings.seeds_caveat(findings.seeds_of(pair.trained))
    if seeds:
        yield seeds
    for note, rows in pair.trained.dropna(subset=["note"]).groupby("note"):
        groups = fmt.listed(list(dict.fromkeys(rows["group"])))
        yield f"{fmt.count(len(rows), 'comparison')} without a test ({note}): {groups}."
    for group in pair.groups:
        missing = [
            name
            for name in pair.settings.comparisons[group.name].members
            if name not in group.members
        ]
        if missing:
            yield f"Group {group.name} has no results here for {fmt.listed(missing)}."
    for row in fmt.rows_of(pair.table("noise")):
        yield findings.noise_caveat(row, pair.name, pair.scores)


# --- the gap ------------------------------------------------------------------------------


def gap_section(pair: Pair) -> Section:
    interval = pair.interval
    rows = [
        {
            "shots": str(row["shots"]),
            f"{pair.scores.strict}, % {interval}": fmt.with_interval(
                row, "accuracy_strict", fmt.share
            ),
            f"{pair.scores.flexible}, % {interval}": fmt.with_interval(
                row, "accuracy_flexible", fmt.share
            ),
            f"answer loss, nats {interval}": fmt.with_interval(row, "answer_loss", fmt.loss),
            # no gap to itself
            f"gap, points {interval}": fmt.with_interval(row, "gap", fmt.points)
            if row["shots"]
            else "",
        }
        for row in fmt.rows_of(pair.whole_gaps)
    ]
    table = Table.of(
        f"The base model on {pair.whole_gaps['items'].iloc[0]} test items, by demonstrations", rows
    )
    return Section(
        id=pair.id("gap"),
        title="What do demonstrations in context give the base model?",
        findings=[_gap(pair)],
        figures=[figure for figure in pair.figures if figure.name == "icl_gap"],
        tables=[table],
        is_detail=len(pair.trained) > 0,
    )


def _gap(pair: Pair) -> str:
    gaps = pair.table("icl_gap")
    quick = gaps[(gaps["sample"] != WHOLE_SPLIT) & (gaps["split"] == "test")]
    return findings.gap_finding(pair.whole_gaps, quick, pair.settings.analysis.confidence)


# --- groups -------------------------------------------------------------------------------


def group_section(pair: Pair, group: ComparisonGroup, first: bool) -> Section:
    """first: its first figure is with the main result."""
    rows = _rows(pair, group)
    pooled = over_seeds(rows)
    every = [
        {"result": pair.name_in(group.name, row["first"])}
        | _difference_cells(pair, group, row, against(rows, row["second"]))
        for row in fmt.rows_of(pooled)
    ]
    figures = _figures(pair, group)
    return Section(
        id=pair.id(group.name),
        title=pair.settings.comparisons[group.name].question,
        findings=[_headline(pair, group)],
        text=["The first figure of this group is under “The result”."] * bool(first and figures),
        figures=figures[1:] if first else figures,
        tables=[_results_table(pair, group, rows, pooled)],
        folded=[Table.of("All pairs", every)] if group.design == "pairs" else [],
    )


def _headline(pair: Pair, group: ComparisonGroup) -> str:
    return findings.group_headline(
        _rows(pair, group),
        group,
        pair.settings.analysis,
        lambda result: pair.name_in(group.name, result),
    )


def _figures(pair: Pair, group: ComparisonGroup) -> list[Figure]:
    return [figure for figure in pair.figures if figure.group == group.name]


def _rows(pair: Pair, group: ComparisonGroup) -> pd.DataFrame:
    comparisons = pair.table("comparisons")
    return comparisons[comparisons["group"] == group.name]


def _results_table(
    pair: Pair, group: ComparisonGroup, rows: pd.DataFrame, pooled: pd.DataFrame
) -> Table:
    """Each member at its chosen checkpoint, with its main comparisons in rows.

    Base results without a comparison of their own are in the gap's section.
    """
    chosen = fmt.rows_by(chosen_results(pooled), "condition")
    baseline = pair.settings.analysis.baseline
    main, each = (findings.main_comparisons(r, group, baseline) for r in (pooled, rows))
    cells: list[dict[str, str]] = []
    trained = not all(map(findings.is_base, group.members))
    for member in group.members:
        own = [
            _difference_cells(pair, group, row, each)
            for row in fmt.rows_of(main[main["first"] == member])
        ]
        hidden = group.design == "pairs" and trained and findings.is_base(member)
        first, *others = own or [{}]
        named = _member_cells(pair, group, member, chosen[member])
        cells += [] if hidden and not own else [named | first]
        cells += [{"result": named["result"]} | other for other in others]
    return Table.of(
        f"Group {group.name}: {pair.scores.strict} on test at the chosen checkpoint, and paired "
        "differences",
        cells,
    )


def _member_cells(
    pair: Pair, group: ComparisonGroup, name: str, chosen: pd.Series
) -> dict[str, str]:
    text = pair.name_in(group.name, name)
    return {
        "result": text,
        "in the config": name if name != text else "",
        "step": "" if findings.is_base(name) else str(chosen["step"]),
        f"{pair.scores.noun}, % {pair.interval}": fmt.with_interval(chosen, "accuracy", fmt.share),
    }


def _difference_cells(
    pair: Pair, group: ComparisonGroup, row: pd.Series, each: pd.DataFrame
) -> dict[str, str]:
    """each: rows of every seed, turned like `row`."""
    own = each[(each["first"] == row["first"]) & (each["second"] == row["second"])]
    seeds, by_seed = findings.seeds_of(own), fmt.rows_by(own, "seed")
    differences = [fmt.points(by_seed[seed]["difference"]) for seed in seeds]
    return {
        "against": pair.name_in(group.name, row["second"]),
        **difference_cells(row, pair.interval),
        "difference of each seed": ", ".join(differences) if len(seeds) > 1 else "",
    }


def difference_cells(row: pd.Series, interval: str) -> dict[str, str]:
    """row: of comparisons.csv."""
    return {
        f"difference, points {interval}": fmt.with_interval(row, "difference", fmt.points),
        "Holm p": fmt.or_blank(fmt.p_value)(row["p_holm"]),
        "verdict": findings.verdict_of(row),
    }
