"""The whole experiment in a page of Markdown that reads well in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.figures.data import chosen_results, over_seeds, rows_about, whole_test_gaps
from workflow_scripts.report import findings
from workflow_scripts.report.costs import cost_rows
from workflow_scripts.report.domains import domain_rows
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import INFERENCE, TRAINING, WHOLE_SPLIT
from workflow_scripts.results.names import is_main
from workflow_scripts.tables.verdicts import against


@dataclass(frozen=True)
class Tables:
    """What the summary tells of; see `docs/architecture.md` for the columns."""

    summary: pd.DataFrame
    comparisons: pd.DataFrame
    crossover: pd.DataFrame
    cost: pd.DataFrame
    icl_gap: pd.DataFrame
    noise: pd.DataFrame
    domains: pd.DataFrame

    def about(self, model: str, task: str) -> Tables:
        return Tables(
            **{
                field.name: rows_about(getattr(self, field.name), model, task)
                for field in fields(self)
            }
        )


def summary_markdown(
    tables: Tables,
    groups: Sequence[ComparisonGroup],
    settings: AnalysisSettings,
    scorers: Mapping[str, str],
) -> str:
    """One section for each model and task; where there are several, all gaps in a table first.

    Tables by step and costs are about the main conditions; each group has its sentences and
    its verdicts.

    groups: of the experiment; members that a model and task lack are left out of theirs.
    scorers: of each task.
    """
    pairs = tables.icl_gap[["model", "task"]].drop_duplicates()
    sections = [
        _section(tables.about(model, task), groups, settings, fmt.scores_of(scorers[task]))
        for model, task in pairs.itertuples(index=False, name=None)
    ]
    if len(pairs) > 1:
        sections.insert(0, _overview(tables.icl_gap, settings.confidence))
    return "\n".join(sections)


def _section(
    tables: Tables,
    groups: Sequence[ComparisonGroup],
    settings: AnalysisSettings,
    scores: fmt.Scores,
) -> str:
    model, dtype, task = tables.icl_gap[["model", "dtype", "task"]].iloc[0]
    gaps = whole_test_gaps(tables.icl_gap)
    trained = tables.comparisons[tables.comparisons["seed"].notna()]
    trains = tables.cost["phase"].eq(TRAINING).any()
    of_seeds = findings.seeds_sentence(findings.seeds_of(trained))
    of_noise = [findings.noise_sentence(row, scores=scores) for row in fmt.rows_of(tables.noise)]
    cautions = [*([of_seeds] if of_seeds else []), *of_noise]
    blocks = [
        f"## {model} in {dtype} on {task}",
        findings.gap_sentence(gaps, settings.confidence),
        *_quick_look_lines(tables.icl_gap, settings.confidence),
        *([" ".join(cautions)] if cautions else []),
        *(
            _trained_blocks(tables, settings.confidence, scores)
            if trains
            else [_base_block(gaps.sort_values("shots"), settings.confidence, scores)]
        ),
        *(
            _group_block(group, trained, settings, scores)
            for group in findings.present_groups(groups, trained)
        ),
        *([_domains_block(tables.domains, settings.confidence)] if len(tables.domains) else []),
        *([_cost_block(tables.cost, f"{gaps['shots'].max()}-shot")] if trains else []),
    ]
    return "\n\n".join(blocks) + "\n"


# --- the gap ------------------------------------------------------------------------------


def _overview(icl_gap: pd.DataFrame, confidence: float) -> str:
    test = whole_test_gaps(icl_gap)
    most = test[test["shots"] == test.groupby(["model", "task"])["shots"].transform("max")]
    most = most[most["shots"] > 0]
    table = pd.DataFrame(
        {
            "task": most["task"],
            f"gap, points [{fmt.percent(confidence)} CI]": [
                fmt.with_interval(row, "gap", fmt.points) for _, row in most.iterrows()
            ],
            "qualifies": most["qualifies"].map(fmt.yes_or_no),
            "decided": most["decided"].map(fmt.yes_or_no),
            "smallest": most["smallest_qualifying"].map(fmt.yes_or_no),
        }
    ).set_axis(most["model"])
    return f"## In-context gaps\n\n{fmt.markdown_table(table)}\n"


def _quick_look_lines(icl_gap: pd.DataFrame, confidence: float) -> Iterator[str]:
    quick = icl_gap[icl_gap["sample"] != WHOLE_SPLIT]
    if quick["shots"].max() > 0:
        yield findings.quick_look_sentence(quick, confidence)


def _base_block(gaps: pd.DataFrame, confidence: float, scores: fmt.Scores) -> str:
    """The base model at each shot count."""
    table = pd.DataFrame(
        {
            name: [fmt.with_interval(row, measure, write) for _, row in gaps.iterrows()]
            for name, measure, write in (
                (scores.strict, "accuracy_strict", fmt.share),
                (scores.flexible, "accuracy_flexible", fmt.share),
                ("answer loss", "answer_loss", fmt.loss),
            )
        },
        index=pd.Index(gaps["shots"], name="shots"),
    )
    title = (
        f"{fmt.capital(scores.noun)} of the base model on {gaps['items'].iloc[0]} test "
        f"items, %, and answer loss, nats [{fmt.percent(confidence)} CI]"
    )
    return _block(title, fmt.markdown_table(table))


# --- what was trained ---------------------------------------------------------------------


def _trained_blocks(tables: Tables, confidence: float, scores: fmt.Scores) -> list[str]:
    """The main conditions by step."""
    test = over_seeds(tables.summary[tables.summary["split"] == "test"])
    test = test[test["condition"].map(is_main)]
    interval = f"[{fmt.percent(confidence)} CI]"
    return [
        _block(
            f"{fmt.capital(scores.strict)} on {test['items'].iloc[0]} test items by step, %, "
            f"and at the chosen step {interval}",
            _accuracy_table(test, over_seeds(tables.comparisons)),
        ),
        _block(
            f"Answer loss by step, nats, and the first step past the few-shot reference {interval}",
            _loss_table(test, over_seeds(tables.crossover), scores.noun),
        ),
    ]


def _accuracy_table(test: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    chosen = {
        row["condition"]: f"{row['step']}: {fmt.with_interval(row, 'accuracy', fmt.share)}"
        for _, row in chosen_results(comparisons).iterrows()
    }
    table = _by_step(test, "accuracy_strict").map(fmt.or_blank(fmt.share))
    return fmt.markdown_table(table.assign(chosen=table.index.map(chosen)))


def _loss_table(test: pd.DataFrame, crossover: pd.DataFrame, noun: str) -> str:
    table = _by_step(test, "answer_loss").map(fmt.or_blank(fmt.loss))
    for measure, heading in (("loss", "loss <"), ("accuracy", f"{noun} ≥")):
        steps = {
            row["condition"]: ""
            if findings.no_gap(row, measure)
            else findings.crossing_step(row, f"{measure}_step")
            for _, row in crossover.iterrows()
        }
        table[heading] = table.index.map(steps)
    return fmt.markdown_table(table)


def _by_step(test: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One row for each condition, one column for each step, in the order of the summary."""
    order = test["condition"].drop_duplicates()
    return test.pivot(index="condition", columns="step", values=measure).loc[order]


def _cost_block(cost: pd.DataFrame, most: str) -> str:
    """Of the main conditions, and of the base model with the most demonstrations."""
    lines = [
        _cost_line(name, cells)
        for name, cells in cost_rows(cost)
        if is_main(name) and (name == most or cells["tokens"])
    ]
    return _block("Cost of training and of an answer, mean over seeds, with peak memory", *lines)


def _cost_line(name: str, cells: Mapping[str, str]) -> str:
    answer = f"an answer in {cells['inference, ms an answer']} ms, {_memory(INFERENCE, cells)}"
    if not cells["tokens"]:
        return f"- {name}: {answer}"
    training = f"trained in {cells['training, s']} s, {_memory(TRAINING, cells)}"
    return f"- {name}: {training}, {cells['tokens']} tokens; {answer}"


def _memory(phase: str, cells: Mapping[str, str]) -> str:
    gpu = cells[f"{phase}, GPU MiB"]
    return f"{cells[f'{phase}, MiB']} MiB" + f" and {gpu} MiB on the GPU" * bool(gpu)


def _domains_block(domains: pd.DataFrame, confidence: float) -> str:
    """Of the main conditions that were trained on a mixture."""
    main = domains[domains["condition"].map(is_main)]
    cells = dict(domain_rows(main, "score", fmt.share))
    table = pd.DataFrame.from_dict(cells, orient="index").rename_axis("result")
    title = (
        "In domain and out of domain: mean strict score over tasks, % "
        f"[{fmt.percent(confidence)} CI]; verdicts are in the groups of each task"
    )
    return _block(title, fmt.markdown_table(table))


# --- groups -----------------------------------------------------------------------------


def _group_block(
    group: ComparisonGroup,
    comparisons: pd.DataFrame,
    settings: AnalysisSettings,
    scores: fmt.Scores,
) -> str:
    """What the group shows, then its verdicts: as lines of all pairs, as a table else."""
    rows = comparisons[comparisons["group"] == group.name]
    told = " ".join(findings.group_sentences(rows, group, settings))
    pooled = over_seeds(rows)
    if group.design == "pairs":
        lines = "\n".join(_verdict_lines(group, pooled, settings))
    else:
        lines = _group_table(group, pooled, settings.confidence, scores.noun)
    return _block(f"Comparison group {group.name}. {told}", lines)


def _verdict_lines(
    group: ComparisonGroup, comparisons: pd.DataFrame, settings: AnalysisSettings
) -> Iterator[str]:
    """Each trained member against each rival."""
    for rival in findings.rivals_of(group, settings.baseline):
        for _, row in against(comparisons, rival).iterrows():
            if not findings.is_base(row["first"]):
                yield (
                    f"- {row['first']} vs {row['second']}: {row['verdict']} "
                    f"({_verdict_evidence(row, settings.confidence)})"
                )


def _verdict_evidence(row: pd.Series, confidence: float) -> str:
    interval = fmt.between(row["difference_low"], row["difference_high"], fmt.points)
    no_test = f"no test: {findings.note_of(row)}"
    tested = fmt.holm(row["p_holm"]) if pd.notna(row["p_holm"]) else no_test
    difference = f"{fmt.points(row['difference'])} points"
    return f"{difference}, {fmt.percent(confidence)} CI {interval}, {tested}"


def _group_table(
    group: ComparisonGroup, comparisons: pd.DataFrame, confidence: float, noun: str
) -> str:
    """Each member's chosen step and accuracy, and what is shown about it."""
    chosen = fmt.rows_by(chosen_results(comparisons), "condition")
    rows = [_member_row(group.members[0], chosen[group.members[0]])]
    rows += [
        _member_row(row["first"], chosen[row["first"]])
        | {
            "against": row["second"],
            "difference": fmt.with_interval(row, "difference", fmt.points),
            "verdict": row["verdict"] if pd.notna(row["p_holm"]) else "no test",
        }
        for _, row in comparisons.iterrows()
    ]
    unit = f"[{fmt.percent(confidence)} CI]"
    table = pd.DataFrame(rows).set_index("result")
    return fmt.markdown_table(
        table.rename(
            columns={"accuracy": f"{noun}, % {unit}", "difference": f"difference, points {unit}"}
        )
    )


def _member_row(member: str, chosen: pd.Series) -> dict[str, str]:
    return {
        "result": member,
        "step": str(chosen["step"]),
        "accuracy": fmt.with_interval(chosen, "accuracy", fmt.share),
    }


# --- tables ---------------------------------------------------------------------------------


def _block(title: str, *lines: str) -> str:
    return "\n".join([title, "", *lines])
