"""The sections of the report about one model on one task, from its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.figures.data import chosen_results, over_seeds, rows_about, whole_test_gaps
from workflow_scripts.report import findings
from workflow_scripts.report.costs import cost_rows
from workflow_scripts.report.domains import BASE_MODEL, answered_sentence, domain_rows
from workflow_scripts.report.page_parts import Figure, Section, Table, slug
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import WHOLE_SPLIT
from workflow_scripts.results.names import is_main, without_source
from workflow_scripts.tables.drift import ALL_LAYERS
from workflow_scripts.tables.verdicts import against

# figures of the sections that are about all results; other ones are shown with the course
_FIGURES = {
    "gap": ("icl_gap",),
    "optimisation": ("loss_curves",),
}
_NOWHERE_ELSE = "course"


@dataclass(frozen=True)
class Pair:
    """One model on one task: its tables by name, and its figures by group and name.

    tables: rows of the experiment's tables; one that the experiment does not make is absent.
    figures: (group or None, name) → the figure.
    """

    model: str
    task: str
    settings: ReportSettings
    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[tuple[str | None, str], Figure]

    @property
    def title(self) -> str:
        return f"{self.settings.model_label(self.model)} on {self.settings.task_label(self.task)}"

    @property
    def scores(self) -> fmt.Scores:
        """What the task's are called."""
        return fmt.scores_of(self.settings.tasks[self.task].scoring.scorer)

    @property
    def confidence(self) -> str:
        return f"[{fmt.percent(self.settings.analysis.confidence)} CI]"

    def id(self, *names: str) -> str:
        return slug(self.model, self.task, *names)

    def table(self, name: str) -> pd.DataFrame:
        """Rows about the pair, of every seed; empty where the table is not made."""
        table = self.tables.get(name)
        columns = pd.DataFrame(columns=["model", "task", "condition", "seed"])
        return columns if table is None else rows_about(table, self.model, self.task)

    @property
    def whole_gaps(self) -> pd.DataFrame:
        """The gap on all test items, a row for each number of demonstrations."""
        return whole_test_gaps(self.table("icl_gap"))

    @property
    def trained(self) -> pd.DataFrame:
        """Comparisons in which something was trained."""
        comparisons = self.table("comparisons")
        return comparisons[comparisons["seed"].notna()]

    @property
    def groups(self) -> list[ComparisonGroup]:
        """ComparisonGroups that were compared, each with the members that were."""
        return findings.present_groups(self.settings.all_groups, self.table("comparisons"))

    def name(self, result: str) -> str:
        return self.settings.result_label(result)

    def name_in(self, group: str, result: str) -> str:
        """A member as its group calls it."""
        members = self.settings.comparisons[group].members
        text = members.get(result) if isinstance(members, dict) else None
        return text or self.name(result)

    def shown(self, section: str) -> list[Figure]:
        """Figures about all results that belong to a section."""
        elsewhere = {name for names in _FIGURES.values() for name in names}
        return [
            figure
            for (group, name), figure in self.figures.items()
            if group is None
            and (
                name in _FIGURES.get(section, ())
                or (section == _NOWHERE_ELSE and name not in elsewhere)
            )
        ]


def sections_of(pair: Pair) -> list[Section]:
    """Every section that there is something to say in, the groups first."""
    groups = pair.groups
    made = [
        gap_section(pair),
        *(group_section(pair, group, first=group is groups[0]) for group in groups),
    ]
    if len(pair.table("domains")):
        made.append(domains_section(pair))
    if len(pair.table("labels")):
        made.append(labels_section(pair))
    if len(pair.table("crossover")):
        made += [course_section(pair), optimisation_section(pair)]
    if len(pair.table("drift")):
        made.append(drift_section(pair))
    for name, make in (
        ("noise", noise_section),
        ("cost", cost_section),
        ("targets", targets_section),
    ):
        if len(pair.table(name)):
            made.append(make(pair))
    return made


# --- the main result ------------------------------------------------------------------------


def main_section(pair: Pair) -> Section:
    """The gap, and what the first group shows."""
    gap = findings.gap_sentence(pair.whole_gaps, pair.settings.analysis.confidence)
    group = next(iter(pair.groups), None)
    told = [] if group is None else _told(pair, group)
    return Section(
        id=pair.id("main-result"),
        title=pair.title,
        verdicts=[f"{gap}.", *told],
        figures=[
            figure
            for (owner, name), figure in pair.figures.items()
            if group is not None and owner == group.name and name == "forest_plot"
        ],
    )


def caveats(pair: Pair) -> Iterator[str]:
    """What a reader must know before believing, as far as the tables show it."""
    gaps = pair.whole_gaps
    most = gaps.sort_values("shots").iloc[-1]
    if most["shots"] > 0 and not most["qualifies"]:
        yield "The demonstrations give this model little or nothing, so there is little to distil."
    elif not most["decided"]:
        yield "The interval of the in-context gap does not decide whether the model qualifies."
    seeds = findings.seeds_sentence(findings.seeds_of(pair.trained))
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
            yield f"The group {group.name} lacks {fmt.listed(missing)}: no results here."


# --- the gap --------------------------------------------------------------------------------


def gap_section(pair: Pair) -> Section:
    confidence = pair.settings.analysis.confidence
    table = pair.table("icl_gap")
    quick = table[(table["sample"] != WHOLE_SPLIT) & (table["split"] == "test")]
    rows = [
        {
            "shots": str(row["shots"]),
            f"{pair.scores.strict}, % {pair.confidence}": fmt.with_interval(
                row, "accuracy_strict", fmt.share
            ),
            f"{pair.scores.flexible}, % {pair.confidence}": fmt.with_interval(
                row, "accuracy_flexible", fmt.share
            ),
            f"answer loss, nats {pair.confidence}": fmt.with_interval(row, "answer_loss", fmt.loss),
            # there is none to itself
            f"gap, points {pair.confidence}": fmt.with_interval(row, "gap", fmt.points)
            if row["shots"]
            else "",
        }
        for row in fmt.rows_of(pair.whole_gaps.sort_values("shots"))
    ]
    return Section(
        id=pair.id("gap"),
        title="What do demonstrations in context give the base model?",
        verdicts=[f"{findings.gap_sentence(pair.whole_gaps, confidence)}."],
        text=[f"{findings.quick_look_sentence(quick, confidence)}."]
        if quick["shots"].max() > 0
        else [],
        figures=pair.shown("gap"),
        tables=[Table.of("The base model at each number of demonstrations, on test", rows)],
    )


# --- groups -------------------------------------------------------------------------------


def group_section(pair: Pair, group: ComparisonGroup, first: bool) -> Section:
    """first: its sentences and plot are those of the main result."""
    rows = _group_rows(pair, group)
    pooled = over_seeds(rows)
    figures = [
        figure
        for (owner, name), figure in pair.figures.items()
        if owner == group.name and not (first and name == "forest_plot")
    ]
    return Section(
        id=pair.id(group.name),
        title=pair.settings.comparisons[group.name].question,
        verdicts=[] if first else _told(pair, group),
        text=["What it comes to, and the figure, are at the top under “The result”."] * first,
        figures=figures,
        tables=[_results_table(pair, group, rows, pooled)],
        folded=[_pairs_table(pair, group, pooled)] if group.design == "pairs" else [],
    )


def _told(pair: Pair, group: ComparisonGroup) -> list[str]:
    return findings.group_sentences(
        _group_rows(pair, group),
        group,
        pair.settings.analysis,
        lambda result: pair.name_in(group.name, result),
    )


def _group_rows(pair: Pair, group: ComparisonGroup) -> pd.DataFrame:
    comparisons = pair.table("comparisons")
    return comparisons[comparisons["group"] == group.name]


def _results_table(
    pair: Pair, group: ComparisonGroup, rows: pd.DataFrame, pooled: pd.DataFrame
) -> Table:
    """Each member at its chosen checkpoint, and what is shown about it."""
    chosen = fmt.rows_by(chosen_results(pooled), "condition")
    if group.design == "pairs":
        rival = findings.rivals_of(group, pair.settings.analysis.baseline)[0]
        turned = fmt.rows_by(against(pooled, rival), "first")
        shown = [(name, turned.get(name)) for name in group.members]
        rows = against(rows, rival)
    else:
        shown = [(group.members[0], None)]
        shown += [(str(row["first"]), row) for row in fmt.rows_of(pooled)]
    return Table.of(
        f"{fmt.capital(pair.scores.strict)} on test at the chosen checkpoint, and paired "
        "differences",
        [
            _member_cells(pair, group, name, chosen[name])
            | ({} if row is None else _difference_cells(pair, group, row, rows))
            for name, row in shown
        ],
    )


def _member_cells(
    pair: Pair, group: ComparisonGroup, name: str, chosen: pd.Series
) -> dict[str, str]:
    text = pair.name_in(group.name, name)
    return {
        "result": text,
        "in the config": name if name != text else "",
        "chosen step": "" if findings.is_base(name) else str(chosen["step"]),
        f"{pair.scores.noun}, % {pair.confidence}": fmt.with_interval(
            chosen, "accuracy", fmt.share
        ),
    }


def _difference_cells(
    pair: Pair, group: ComparisonGroup, row: pd.Series, rows: pd.DataFrame
) -> dict[str, str]:
    """rows: of every seed, turned like `row`."""
    tested = pd.notna(row["p_holm"])
    own = rows[(rows["first"] == row["first"]) & (rows["second"] == row["second"])]
    seeds = findings.seeds_of(own)
    each = fmt.rows_by(own, "seed")
    return {
        "against": pair.name_in(group.name, row["second"]),
        f"difference, points {pair.confidence}": fmt.with_interval(row, "difference", fmt.points),
        "Holm p": fmt.p_value(row["p_holm"]) if tested else "",
        "verdict": str(row["verdict"]) if tested else f"no test: {findings.note_of(row)}",
        "difference of each seed": ", ".join(fmt.points(each[seed]["difference"]) for seed in seeds)
        if len(seeds) > 1
        else "",
    }


def _pairs_table(pair: Pair, group: ComparisonGroup, pooled: pd.DataFrame) -> Table:
    rows = [
        {"result": pair.name_in(group.name, row["first"])}
        | _difference_cells(pair, group, row, pooled)
        for row in fmt.rows_of(pooled)
    ]
    return Table.of("All pairs", rows)


# --- domains --------------------------------------------------------------------------------


def domains_section(pair: Pair) -> Section:
    """Of a mixture: its runs on the tasks that it is made of, and on others."""
    domains = pair.table("domains")
    variants = ~domains["condition"].map(is_main)
    baseline = pair.name(pair.settings.analysis.baseline)
    scores = f"Mean strict score on test, % {pair.confidence}"
    return Section(
        id=pair.id("domains"),
        title="In domain and out of domain",
        text=[
            answered_sentence(domains, pair.settings.task_label),
            "Each task weighs the same. A mean over tasks of different metrics is a summary: what "
            "is shown, task by task, is said in their groups.",
        ],
        tables=[_domains_table(pair, scores, domains[~variants], "score", fmt.share)],
        folded=[
            _domains_table(pair, f"{scores}: variants", domains[variants], "score", fmt.share),
            _domains_table(
                pair,
                f"Difference from {baseline}, points {pair.confidence}",
                domains,
                "difference",
                fmt.points,
            ),
            _domains_table(
                pair,
                f"What demonstrations add after training, points {pair.confidence}",
                domains,
                "gain",
                fmt.points,
            ),
        ],
    )


def _domains_table(
    pair: Pair, title: str, domains: pd.DataFrame, measure: str, write: fmt.Write
) -> Table:
    rows = [
        {"result": name if name == BASE_MODEL else pair.name(name)} | cells
        for name, cells in domain_rows(domains.dropna(subset=measure), measure, write)
    ]
    return Table.of(title, rows)


# --- labels ---------------------------------------------------------------------------------


def labels_section(pair: Pair) -> Section:
    labels = over_seeds(pair.table("labels"))
    variants = ~labels["condition"].map(lambda name: is_main(without_source(name)))
    title = "Strict accuracy on the test items of each correct label, at the chosen checkpoint"
    return Section(
        id=pair.id("labels"),
        title="How good is each result on the items of each label?",
        text=["A result that always gives one answer is right on all items of that label alone."],
        tables=[_labels_table(pair, title, labels[~variants])],
        folded=[_labels_table(pair, f"{title}: variants", labels[variants])],
    )


def _labels_table(pair: Pair, title: str, labels: pd.DataFrame) -> Table:
    rows = []
    for condition, own in labels.groupby("condition", sort=False):
        cells = {"result": pair.name(str(condition))}
        for row in fmt.rows_of(own):
            name = f"“{row['label']}”"
            accuracy = fmt.with_interval(row, "accuracy", fmt.share)
            cells[f"{name}, % {pair.confidence}"] = accuracy
            cells[f"answered {name}, %"] = fmt.share(row["predicted"])
        rows.append(cells)
    return Table.of(title, rows)


# --- training -------------------------------------------------------------------------------


def course_section(pair: Pair) -> Section:
    test = over_seeds(pair.table("summary"))
    test = test[test["split"] == "test"]
    main = test[test["condition"].map(is_main)]
    swept = test[~test["condition"].map(is_main)]
    measures = (
        (
            f"{fmt.capital(pair.scores.strict)} on test by optimizer step, %",
            "accuracy_strict",
            fmt.share,
        ),
        ("Answer loss on test by optimizer step, nats", "answer_loss", fmt.loss),
    )
    return Section(
        id=pair.id("course"),
        title=f"How do {pair.scores.noun} and loss change while training?",
        text=["Step 0 is the base model. Intervals are in the figures and in summary.csv."],
        figures=pair.shown("course"),
        tables=[_by_step(pair, title, main, column, write) for title, column, write in measures],
        folded=[
            _by_step(pair, f"{title}: variants", swept, column, write)
            for title, column, write in measures
        ],
    )


def _by_step(pair: Pair, title: str, test: pd.DataFrame, column: str, write: fmt.Write) -> Table:
    rows = [
        {"result": pair.name(str(condition))}
        | {str(row["step"]): write(row[column]) for row in fmt.rows_of(own.sort_values("step"))}
        for condition, own in test.groupby("condition", sort=False)
    ]
    steps = [str(step) for step in sorted(test["step"].unique())]
    return Table(
        title, ["result", *steps], [[row.get(c, "") for c in ["result", *steps]] for row in rows]
    )


def optimisation_section(pair: Pair) -> Section:
    crossings = over_seeds(pair.table("crossover"))
    measures = over_seeds(pair.table("optimisation"))
    told = [
        *(
            findings.crossover_sentence(row, pair.name, pair.scores)
            for row in _baseline_rows(pair, crossings)
        ),
        *(
            findings.gap_reduction_sentence(row, pair.name)
            for row in _baseline_rows(pair, measures)
        ),
    ]
    return Section(
        id=pair.id("optimisation"),
        title="When does training overtake context, and how steadily?",
        verdicts=told,
        text=[
            "The loss that is minimised differs between conditions by construction, so its "
            "variance compares runs of one condition, not conditions. An interval that ends with "
            "“never” says that in some resamplings of the items no checkpoint overtakes."
        ],
        figures=pair.shown("optimisation"),
        tables=[
            _optimisation_table(pair, "Main conditions", crossings, measures, is_main),
        ],
        folded=[
            _optimisation_table(
                pair, "Variants", crossings, measures, lambda name: not is_main(name)
            )
        ],
    )


def _baseline_rows(pair: Pair, table: pd.DataFrame) -> list[pd.Series]:
    """The row of the baseline, of the first condition where there is none."""
    own = table[table["condition"] == pair.settings.analysis.baseline]
    return fmt.rows_of(own if len(own) else table.head(1))[:1]


def _optimisation_table(
    pair: Pair,
    title: str,
    crossings: pd.DataFrame,
    measures: pd.DataFrame,
    wanted: fmt.Test,
) -> Table:
    cells: dict[str, dict[str, str]] = {}
    for row in fmt.rows_of(crossings[crossings["condition"].map(wanted)]):
        cells[row["condition"]] = {"result": pair.name(row["condition"])} | {
            f"overtakes by {noun}, step {pair.confidence}": "no gap"
            if findings.no_gap(row, measure)
            else findings.crossing_step(row, f"{measure}_step")
            for measure, noun in (("loss", "loss"), ("accuracy", pair.scores.noun))
        }
    for row in fmt.rows_of(measures[measures["condition"].map(wanted)]):
        cells.setdefault(row["condition"], {"result": pair.name(row["condition"])}).update(
            {
                f"gap closed, % {pair.confidence}": fmt.with_interval(
                    row, "gap_reduction", fmt.whole_percent
                ),
                f"mean {pair.scores.noun} along training, % {pair.confidence}": fmt.with_interval(
                    row, "area", fmt.share
                ),
                "loss variance": fmt.or_blank(fmt.short)(row["loss_variance"]),
                "gradient norm: median, 95 %, largest": ", ".join(
                    fmt.or_blank(fmt.short)(row[f"grad_norm_{name}"])
                    for name in ("median", "p95", "max")
                ),
                "loss spikes": fmt.or_blank(fmt.short)(row["spikes"]),
                "variance between late checkpoints": fmt.or_blank(fmt.short)(
                    row["checkpoint_variance"]
                ),
            }
        )
    return Table.of(title, list(cells.values()))


# --- representations --------------------------------------------------------------------------


def drift_section(pair: Pair) -> Section:
    drift = over_seeds(pair.table("drift"))
    comparisons = over_seeds(pair.table("drift_comparisons"))
    of_main = comparisons["first"].map(is_main)
    # each condition's own: trainings may differ in length
    last = drift[drift["step"] == drift.groupby("condition")["step"].transform("max")]
    main = last[last["condition"].map(is_main)]
    baseline = [row["condition"] for row in _baseline_rows(pair, drift)]
    own = drift[drift["condition"].isin(baseline)]
    return Section(
        id=pair.id("representations"),
        title="Does distillation keep the model closer to itself, and which layers move?",
        verdicts=[
            *findings.drift_sentences(comparisons[of_main], pair.name),
            *findings.most_drifting_sentences(own, pair.name),
        ],
        text=[
            "Drift is 1 − cosine between the hidden states of a trained checkpoint and of the "
            "base model on the same held-out items: 0 where training changed nothing."
        ],
        tables=[_drift_table(pair, "Mean drift over all layers", comparisons[of_main])],
        folded=[
            _layers_table(pair, main),
            _drift_table(pair, "Mean drift over all layers: variants", comparisons[~of_main]),
        ],
    )


def _drift_table(pair: Pair, title: str, comparisons: pd.DataFrame) -> Table:
    """At the last checkpoint, against the baseline."""
    overall = comparisons[comparisons["layer"].astype(str) == ALL_LAYERS]
    rows = [
        {
            "position": findings.POSITIONS[row["position"]],
            "result": pair.name(row["first"]),
            "drift": f"{row['first_drift']:.3f}",
            "against": pair.name(row["second"]),
            "its drift": f"{row['second_drift']:.3f}",
            f"difference {pair.confidence}": fmt.with_interval(
                row, "difference", findings.drift_difference
            ),
            "Holm p": fmt.or_blank(fmt.p_value)(row["p_holm"]),
            "verdict": str(row["verdict"])
            if pd.notna(row["p_holm"])
            else f"no test: {findings.note_of(row)}",
        }
        for row in fmt.rows_of(overall)
    ]
    return Table.of(f"{title}, at the last checkpoint", rows)


def _layers_table(pair: Pair, last: pd.DataFrame) -> Table:
    rows = []
    for (position, condition), own in last.groupby(["position", "condition"], sort=False):
        top = own.nlargest(3, "drift")
        rows.append(
            {
                "position": findings.POSITIONS[str(position)],
                "result": pair.name(str(condition)),
                f"layers that drift most: layer, drift {pair.confidence}": "; ".join(
                    f"{row['layer']}: {fmt.with_interval(row, 'drift', fmt.thousandths)}"
                    for row in fmt.rows_of(top)
                ),
            }
        )
    return Table.of("The three layers that drift most, at the last checkpoint", rows)


# --- noise, cost, targets -----------------------------------------------------------------------


def noise_section(pair: Pair) -> Section:
    return Section(
        id=pair.id("noise"),
        title="How much does an evaluation change when it is repeated?",
        verdicts=[
            findings.noise_sentence(row, pair.name, pair.scores)
            for row in fmt.rows_of(pair.table("noise"))
        ],
    )


def cost_section(pair: Pair) -> Section:
    costs = pair.table("cost")
    cells = [(result, {"result": pair.name(result)} | row) for result, row in cost_rows(costs)]
    title = "Cost of a training and of an answer"
    return Section(
        id=pair.id("cost"),
        title="What do training and inference cost?",
        text=["Seconds and tokens are means over the seeds, memory is the largest peak of them."],
        tables=[Table.of(title, [row for result, row in cells if is_main(result)])],
        folded=[
            Table.of(f"{title}: variants", [row for result, row in cells if not is_main(result)])
        ],
    )


def targets_section(pair: Pair) -> Section:
    rows = [
        {
            "teacher": str(row["teacher"]),
            "target": str(row["target"]),
            "positions": str(row["kind"]),
            "number": fmt.whole(row["positions"]),
            "mean mass, %": fmt.share(row["mass_mean"]),
            "least mass, %": fmt.share(row["mass_min"]),
            "positions with 99.9 % or more, %": fmt.share(row["share_above_999"]),
        }
        for row in fmt.rows_of(pair.table("targets"))
    ]
    return Section(
        id=pair.id("targets"),
        title="How much of the teacher’s probability do its recorded tokens hold?",
        tables=[Table.of("Probability of the teacher’s top k tokens together", rows)],
    )
