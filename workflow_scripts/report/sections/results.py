"""The main result with its caveats, the in-context gap, and each comparison group."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.report import findings
from workflow_scripts.report.document import (
    WRONG,
    Figure,
    Section,
    Source,
    Table,
    Text,
    cited,
    sources,
    text_of,
)
from workflow_scripts.report.pair import Pair
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import REPLICATE, WHOLE_SPLIT, is_shot_count
from workflow_scripts.results.table_rows import chosen_results, is_pooled, over_seeds
from workflow_scripts.tables.verdicts import against

# rows of disagreements that a page shows, at most, and the columns that tell their tables apart
_DISAGREEMENTS = 200
_DIRECTION = ["model", "task", "group", "better"]


def main_section(pair: Pair) -> Section:
    """The gap, and what the first group shows."""
    first = pair.groups[:1]
    return Section(
        id=pair.id("main-result"),
        title=pair.title,
        findings=[*_gap(pair), *_contexts(pair), *(_headline(pair, group) for group in first)],
        sources=[
            *_sources_of_gap(pair),
            *(s for group in first for s in sources("comparisons", _rows(pair, group))),
        ],
        figures=[figure for group in first for figure in _figures(pair, group)[:1]],
    )


def caveats(pair: Pair) -> Iterator[str]:
    """What a reader must know before believing, as far as the tables show it."""
    for most in fmt.rows_of(pair.whole_gaps.tail(1)):
        contexts = "demonstrations" if most["shots"] > 0 else "contexts of the teachers"
        if (most["shots"] > 0 or len(pair.context_gaps)) and not most["qualifies"]:
            yield f"The {contexts} give this model little or nothing, so there is little to distil."
        elif not most["decided"]:
            yield "The interval of the in-context gap does not decide whether the model qualifies."
    seeds = findings.seeds_caveat(findings.seeds_of(pair.trained))
    draws = findings.draws_caveat(findings.draws_of(pair.table("comparisons")))
    yield from filter(None, (seeds, draws))
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
    foreign = pair.table("results_from")
    for row in fmt.rows_of(foreign.drop_duplicates("condition")):
        found = foreign.loc[foreign["condition"] == row["condition"], "matched"].min()
        yield (
            f"{pair.name(row['condition'])} was asked and scored elsewhere, so prompts and scorer "
            f"may differ; {found} of {row['items']} test items were found in its results."
        )
    for row in fmt.rows_of(pair.table("noise")):
        yield findings.noise_caveat(row, pair.name, pair.scores)


# --- the gap ------------------------------------------------------------------------------


def gap_section(pair: Pair) -> Section:
    rows = [
        {"shots": str(row["shots"]), **_gap_cells(pair, row, is_gap=row["shots"] > 0)}
        for row in fmt.rows_of(pair.whole_gaps)
    ]
    contexts = [
        {"teacher": row["condition"], **_gap_cells(pair, row, is_gap=True)}
        for row in fmt.rows_of(pair.context_gaps)
    ]
    items = f"{pair.whole_gaps['items'].iloc[0]} test items"
    return Section(
        id=pair.id("gap"),
        title="What do demonstrations in context give the base model?",
        findings=[*_gap(pair), *_contexts(pair)],
        sources=_sources_of_gap(pair),
        figures=[figure for figure in pair.figures if figure.name == "icl_gap"],
        tables=[
            Table.of(f"The base model on {items}, by demonstrations", rows),
            *([Table.of(f"The base model on {items}, by teacher", contexts)] if contexts else []),
        ],
        is_detail=len(pair.trained) > 0,
    )


def _gap_cells(pair: Pair, row: pd.Series, is_gap: bool) -> dict[str, str]:
    """row: of icl_gap.csv. is_gap: false of 0 shots, which have no gap to themselves."""
    scores, interval = pair.scores, pair.interval
    each = pair.draws(row["condition"])
    draws = [fmt.points(gap) for gap in each["gap"]]
    return {
        f"{scores.strict}, % {interval}": fmt.with_interval(row, "accuracy_strict", fmt.share),
        f"{scores.flexible}, % {interval}": fmt.with_interval(row, "accuracy_flexible", fmt.share),
        f"answer loss, nats {interval}": fmt.with_interval(row, "answer_loss", fmt.loss),
        f"gap, points {interval}": fmt.with_interval(row, "gap", fmt.points) if is_gap else "",
        "gap of each draw": ", ".join(draws),
        **cited("icl_gap", row, each),
    }


def _gap(pair: Pair) -> Iterator[str]:
    """One finding; none of a model that does not run here."""
    for most in fmt.rows_of(pair.whole_gaps.tail(1)):
        yield findings.gap_finding(
            pair.whole_gaps,
            _quick(pair),
            pair.settings.analysis.confidence,
            len(pair.draws(most["condition"])),
        )


def _quick(pair: Pair) -> pd.DataFrame:
    """The gap on the first test items."""
    gaps = pair.table("icl_gap")
    quick = gaps[(gaps["sample"] != WHOLE_SPLIT) & (gaps["split"] == "test")]
    return over_seeds(quick[quick["condition"].map(is_shot_count).astype(bool)])


def _sources_of_gap(pair: Pair) -> list[Source]:
    return sources("icl_gap", pair.whole_gaps, pair.context_gaps, _quick(pair))


def _contexts(pair: Pair) -> list[str]:
    return [
        findings.context_finding(
            row["condition"],
            row,
            pair.settings.analysis.confidence,
            len(pair.draws(row["condition"])),
        )
        for row in fmt.rows_of(pair.context_gaps)
    ]


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
        sources=sources("comparisons", rows),
        text=["The first figure of this group is under “The result”."] * bool(first and figures),
        figures=figures[1:] if first else figures,
        tables=[_results_table(pair, group, rows, pooled)],
        folded=[
            *([Table.of("All pairs", every)] if group.design == "pairs" else []),
            *_disagreements(pair, group),
        ],
    )


def _disagreements(pair: Pair, group: ComparisonGroup) -> Iterator[Table]:
    """Items on which one result of the main pair scores higher than the other, and the reverse."""
    table = pair.table("disagreements")
    own = table[table["group"] == group.name]
    if own.empty:
        return
    # fewer of each in a large study, whose page would be too long
    most = pair.tables["disagreements"].groupby(_DIRECTION).ngroups
    for better, rows in own.groupby("better", sort=False):
        worse = {"first": "second", "second": "first"}[str(better)]
        shown = rows.head(max(_DISAGREEMENTS // most, 1))
        yield Table.of(
            _disagreement_title(pair, group, shown, (str(better), worse)),
            [_disagreement_cells(pair, group, row) for row in fmt.rows_of(shown)],
        )


def _disagreement_title(
    pair: Pair, group: ComparisonGroup, rows: pd.DataFrame, sides: tuple[str, str]
) -> str:
    """sides: the better one first."""
    row = rows.iloc[0]
    better, worse = (pair.name_in(group.name, row[side]) for side in sides)
    is_graded = not rows[[f"{side}_strict" for side in sides]].isin([0, 1]).all(axis=None)
    told = (
        f"{better} scores higher than {worse}"
        if is_graded
        else f"{better} is right and {worse} {WRONG}"
    )
    numbers = [f"{name} {row[name]}" for name in REPLICATE if pd.notna(row[name])]
    which = f" ({', '.join(numbers)})" if numbers else ""
    items = fmt.count(int(row["disagreements"]), "test item")
    return f"Where {told}{which}: {items} in all"


def _disagreement_cells(pair: Pair, group: ComparisonGroup, row: pd.Series) -> dict[str, str]:
    """row: of disagreements.csv."""
    cells: dict[str, str] = {
        "item": row["item"],
        "question": text_of(row["question"]),
        "gold": text_of(row["gold"]),
    }
    for side in ("first", "second"):
        name, step = pair.name_in(group.name, row[side]), row[f"{side}_step"]
        at = f", step {step}" if pair.settings.is_trained(row[side]) else ""
        cells[f"answer of {name}{at}"] = text_of(row[f"{side}_answer"])
        cells[f"{name} is"] = _judged(row, side)
    return cells | cited("disagreements", row)


def _judged(row: pd.Series, side: str) -> str:
    """`right`, `wrong, read as “12”` where that is not the whole answer, or the score."""
    score, answer, read = (row[f"{side}_{name}"] for name in ("strict", "answer", "prediction"))
    words = {1.0: "right", 0.0: WRONG}
    said = words.get(float(score)) or f"{fmt.share(score)} %"
    whole = pd.isna(read) or str(read).strip() == str(answer).strip()
    return said if whole else Text(f"{said}, read as “{read}”")


def _headline(pair: Pair, group: ComparisonGroup) -> str:
    return findings.group_headline(
        _rows(pair, group),
        group,
        pair.settings.analysis,
        lambda result: pair.name_in(group.name, result),
        pair.settings.is_base,
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
    is_base = pair.settings.is_base
    main, each = (findings.main_comparisons(r, group, baseline, is_base) for r in (pooled, rows))
    cells: list[dict[str, str]] = []
    trained = not all(map(is_base, group.members))
    for member in group.members:
        own = [
            _difference_cells(pair, group, row, each)
            for row in fmt.rows_of(main[main["first"] == member])
        ]
        hidden = group.design == "pairs" and trained and is_base(member)
        first, *others = own or [{}]
        compared = pooled[(pooled[["first", "second"]] == member).any(axis=1)][:1]
        named = _member_cells(pair, group, member, chosen[member])
        named |= cited("comparisons", compared)
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
        "step": str(chosen["step"]) if pair.settings.is_trained(name) else "",
        f"{pair.scores.noun}, % {pair.interval}": fmt.with_interval(chosen, "accuracy", fmt.share),
    }


def _difference_cells(
    pair: Pair, group: ComparisonGroup, row: pd.Series, each: pd.DataFrame
) -> dict[str, str]:
    """each: rows of every seed and draw, turned like `row`."""
    own = each[(each["first"] == row["first"]) & (each["second"] == row["second"])]
    return {
        "against": pair.name_in(group.name, row["second"]),
        **difference_cells(row, pair.interval),
        **_differences_of_each(own),
        **cited("comparisons", row, own),
    }


def _differences_of_each(own: pd.DataFrame) -> dict[str, str]:
    """The difference of each seed; those of another draw after a semicolon.

    own: rows of one pair.
    """
    own = own[~is_pooled(own)]
    names = [name for name in REPLICATE if own[name].nunique() > 1]
    if not names:
        return {"difference of each seed": ""}
    ordered = own.assign(**{name: own[name].astype("Int64") for name in REPLICATE})
    of_draws = ordered.sort_values(REPLICATE).groupby("draw", dropna=False)["difference"]
    apart = "; " if "seed" in names else ", "
    differences = apart.join(", ".join(map(fmt.points, values)) for _, values in of_draws)
    return {f"difference of each {' and '.join(names)}": differences}


def difference_cells(row: pd.Series, interval: str) -> dict[str, str]:
    """row: of comparisons.csv."""
    return {
        f"difference, points {interval}": fmt.with_interval(row, "difference", fmt.points),
        "Holm p": fmt.or_blank(fmt.p_value)(row["p_holm"]),
        "verdict": findings.verdict_of(row),
        **findings.margin_cells(row),
    }
