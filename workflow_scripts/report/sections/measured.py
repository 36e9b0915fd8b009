"""Mixtures, labels, evaluation noise, results from elsewhere, costs and teacher targets."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.report import findings
from workflow_scripts.report.document import Section, Table, cited, text_of
from workflow_scripts.report.pair import Pair
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import COST_SETUP, INFERENCE, TRAINING, is_shot_count
from workflow_scripts.results.names import is_main_or_tuned, without_source
from workflow_scripts.results.table_rows import over_seeds

_BASE_MODEL = "base model"
_SETUP = list(COST_SETUP)
_WHERE = {"in": "in domain", "out": "out of domain"}


# --- mixtures -----------------------------------------------------------------------------


def domains_section(pair: Pair) -> Section:
    """A mixture's runs on the tasks that it is made of, and on others."""
    domains = pair.table("domains")
    main = domains["condition"].map(is_main_or_tuned).astype(bool)
    baseline = pair.name(pair.settings.analysis.baseline)
    scores = f"In domain and out of domain: mean strict score over tasks, % {pair.interval}"
    added = f"What demonstrations add after training, points {pair.interval}"
    difference = f"Difference from {baseline}, points {pair.interval}"
    return Section(
        id=pair.id("domains"),
        title="In domain and out of domain",
        text=[
            domains_answered(domains, pair.settings.task_label),
            "Each task weighs the same. A mean over tasks of different metrics is a summary: the "
            "verdicts, task by task, are in the groups of each task.",
        ],
        tables=[_domains_table(pair, scores, domains[main], "score", fmt.share)],
        folded=[
            _domains_table(pair, f"{scores}: variants", domains[~main], "score", fmt.share),
            *(
                _domains_table(pair, title, domains, metric, fmt.points)
                for metric, title in (("difference", difference), ("gain", added))
                if metric in domains
            ),
        ],
    )


def _domains_table(
    pair: Pair, title: str, domains: pd.DataFrame, metric: str, write: fmt.Write
) -> Table:
    """A row for each condition, the base model first; a column for each domain and shots."""
    base = domains["condition"].map(is_shot_count).astype(bool)
    named = domains.assign(condition=domains["condition"].mask(base, _BASE_MODEL))
    rows = [
        {"result": _BASE_MODEL if name == _BASE_MODEL else pair.name(str(name))}
        | {
            f"{_WHERE[row['domain']]}, {fmt.count(row['shots'], 'shot')}": (
                fmt.with_interval(row, metric, write)
            )
            for row in fmt.rows_of(own)
        }
        | cited("domains", own)
        for name, own in named.dropna(subset=metric).groupby("condition", sort=False)
    ]
    return Table.of(title, rows)


def domains_answered(domains: pd.DataFrame, task_name: findings.Naming) -> str:
    """Which tasks are in the domain of a mixture, which are not, and which of them see shots."""
    told = []
    changes = domains.sort_values("shots", kind="stable").drop_duplicates(["domain", "answered"])
    fewer = changes.duplicated("domain")
    for row, is_fewer in zip(fmt.rows_of(changes), fewer, strict=True):
        names = [task_name(name) for name in row["answered"].split(", ")]
        after = f" after {fmt.count(row['shots'], 'shot')}" if is_fewer else ""
        told.append(f"{_WHERE[row['domain']]}{after}: {fmt.listed(names)}")
    return f"{fmt.capital('; '.join(told))}."


# --- what was forgotten -------------------------------------------------------------------


def retention_section(pair: Pair) -> Section:
    """What each condition gained on its task, beside what it forgot of others."""
    retention = over_seeds(pair.table("retention"))
    main = retention["condition"].map(is_main_or_tuned).astype(bool)
    title = f"Differences from the base model on test, points {pair.interval}"
    return Section(
        id=pair.id("retention"),
        title="What was forgotten?",
        findings=[
            findings.retention_finding(
                retention[retention["answered"] != pair.task],
                pair.name,
                pair.settings.task_label,
                pair.settings.analysis,
            )
        ],
        text=[
            "Every result answers without demonstrations, at the checkpoint chosen on its own "
            "task. Verdicts are corrected over the conditions of each task."
        ],
        tables=[_retention_table(pair, title, retention[main])],
        folded=[
            _retention_table(pair, f"{title}: variants", retention[~main]),
            Table.of(
                "Each difference from the base model",
                [_retention_cells(pair, row) for row in fmt.rows_of(retention)],
            ),
        ],
    )


def _retention_table(pair: Pair, title: str, retention: pd.DataFrame) -> Table:
    """A row for each condition, a column for each task, the trained one first."""
    rows = []
    for condition, own in retention.groupby("condition", sort=False):
        cells = {"result": pair.name(str(condition))}
        for row in fmt.rows_of(own):
            task = pair.settings.task_label(row["answered"])
            name = f"{task}, trained on" if row["answered"] == pair.task else task
            difference = fmt.with_interval(row, "difference", fmt.points)
            cells[name] = f"{difference}, {findings.verdict_of(row)}"
        rows.append(cells | cited("retention", own))
    return Table.of(title, rows)


def _retention_cells(pair: Pair, row: pd.Series) -> dict[str, str]:
    return {
        "result": pair.name(row["condition"]),
        "answered": pair.settings.task_label(row["answered"]),
        f"base model, % {pair.interval}": fmt.with_interval(row, "base_accuracy", fmt.share),
        f"after training, % {pair.interval}": fmt.with_interval(row, "accuracy", fmt.share),
        f"difference, points {pair.interval}": fmt.with_interval(row, "difference", fmt.points),
        "Holm p": fmt.or_blank(fmt.p_value)(row["p_holm"]),
        "verdict": findings.verdict_of(row),
        **cited("retention", row),
    }


# --- labels -------------------------------------------------------------------------------


def labels_section(pair: Pair) -> Section:
    labels = over_seeds(pair.table("labels"))
    main = labels["condition"].map(without_source).map(is_main_or_tuned).astype(bool)
    title = f"{fmt.capital(pair.scores.strict)} on the test items of each label, chosen checkpoint"
    return Section(
        id=pair.id("labels"),
        title="How good is each result on the items of each label?",
        text=["A result that always gives one answer is right on all items of that label alone."],
        tables=[_labels_table(pair, title, labels[main])],
        folded=[_labels_table(pair, f"{title}: variants", labels[~main])],
    )


def _labels_table(pair: Pair, title: str, labels: pd.DataFrame) -> Table:
    rows = []
    for condition, own in labels.groupby("condition", sort=False):
        cells = {"result": pair.name(str(condition))}
        for row in fmt.rows_of(own):
            name = f"“{row['label']}”"
            cells[f"{name}, % {pair.interval}"] = fmt.with_interval(row, "accuracy", fmt.share)
            cells[f"answered {name}, %"] = fmt.share(row["predicted"])
        rows.append(cells | cited("labels", own))
    return Table.of(title, rows)


# --- calibration --------------------------------------------------------------------------


def calibration_section(pair: Pair) -> Section:
    calibration = over_seeds(pair.table("calibration"))
    main = calibration["condition"].map(without_source).map(is_main_or_tuned).astype(bool)
    title = "Calibration on test at the chosen checkpoint"
    return Section(
        id=pair.id("calibration"),
        title="Do the probabilities of the labels say how often the answer is right?",
        text=[
            "The expected calibration error (15 bins of equal width) is the mean distance of "
            "confidence and accuracy. Chance makes it more than 0: compare it with that of a "
            "perfectly calibrated model. The Brier score, summed over labels, is 0 at best and 2 "
            "at worst."
        ],
        tables=[_calibration_table(pair, title, calibration[main])],
        folded=[_calibration_table(pair, f"{title}: variants", calibration[~main])],
    )


def _calibration_table(pair: Pair, title: str, calibration: pd.DataFrame) -> Table:
    rows = [
        {
            "result": pair.name(row["condition"]),
            f"{pair.scores.noun}, %": fmt.share(row["accuracy"]),
            "mean confidence, %": fmt.share(row["confidence"]),
            f"calibration error, points {pair.interval}": fmt.with_interval(
                row, "calibration_error", fmt.share
            ),
            "of a calibrated model, points": fmt.share(row["calibrated"]),
            f"Brier score {pair.interval}": fmt.with_interval(row, "brier", fmt.loss),
            **cited("calibration", row),
        }
        for row in fmt.rows_of(calibration)
    ]
    return Table.of(title, rows)


# --- noise, cost, targets -----------------------------------------------------------------


def noise_section(pair: Pair) -> Section:
    rows = [
        {
            "result": pair.name(row["condition"]),
            "seed": str(row["seed"]),
            "draw": "" if pd.isna(row["draw"]) else str(row["draw"]),
            "step": str(row["step"]),
            "test items": fmt.whole(row["items"]),
            "answers that change": fmt.whole(row["changed_predictions"]),
            "scores that change": fmt.whole(row["changed_strict"]),
            f"change of {pair.scores.noun}, points": fmt.points(row["difference"]),
            "mean change of an item's answer loss, nats": f"{row['loss_difference']:.2g}",
            **cited("noise", row),
        }
        for row in fmt.rows_of(pair.table("noise"))
    ]
    return Section(
        id=pair.id("noise"),
        title="How much does an evaluation change when it is repeated?",
        tables=[Table.of("A checkpoint evaluated twice", rows)],
        is_detail=True,
    )


def results_from_section(pair: Pair) -> Section:
    """Where results come from that were made elsewhere."""
    rows = [
        {
            "result": pair.name(row["condition"]),
            "seed": "" if pd.isna(row["seed"]) else str(row["seed"]),
            "file": text_of(row["file"]),
            "format": row["format"],
            "metric": row["metric"],
            "test items": f"{row['matched']} of {row['items']}, by {row['by']}",
            "left out": text_of(row["note"]),
            **cited("results_from", row),
        }
        for row in fmt.rows_of(pair.table("results_from"))
    ]
    return Section(
        id=pair.id("results-from"),
        title="Which results were made elsewhere?",
        text=[
            "Other tools wrote these. A group with one of them is compared on the test items that "
            "all its members have."
        ],
        tables=[Table.of("Results made elsewhere, and the test items found in them", rows)],
    )


def cost_section(pair: Pair) -> Section:
    """Seconds and tokens are means over the runs, memory is their largest peak.

    CPU seconds, or wall seconds on a GPU. Training is compared with that of the baseline, and an
    answer with one after the most demonstrations, where both were measured on the same.
    """
    costs = pair.table("cost").fillna({"threads": ""})
    most = f"{pair.whole_gaps['shots'].iloc[-1]}-shot"
    references = {
        phase: costs[(costs["phase"] == phase) & (costs["condition"] == name)]
        for phase, name in ((TRAINING, pair.settings.analysis.baseline), (INFERENCE, most))
    }
    rows = {
        str(result): {"result": pair.name(str(result))} | _cost_cells(pair, own, references)
        for result, own in costs.groupby("condition", sort=False)
    }
    runs = "seeds and draws" if findings.draws_of(costs) else "seeds"
    title = (
        f"Cost of training and of an answer{_measured_on(pair, costs, references)}: means over "
        f"the {runs}, memory at its largest peak"
    )
    main = [
        name
        for name in rows
        if is_main_or_tuned(name) and (name == most or not is_shot_count(name))
    ]
    return Section(
        id=pair.id("cost"),
        title="What do training and inference cost?",
        tables=[Table.of(title, [rows[name] for name in main])],
        folded=[
            Table.of(
                f"{title}: variants and fewer demonstrations",
                [row for name, row in rows.items() if name not in main],
            )
        ],
    )


def _cost_cells(
    pair: Pair, costs: pd.DataFrame, references: Mapping[str, pd.DataFrame]
) -> dict[str, str]:
    """costs: rows of cost.csv about one result; what it does not have is empty.

    references: the rows that those of a phase are compared with.
    """
    training, inference = (costs[costs["phase"] == phase] for phase in (TRAINING, INFERENCE))
    return {
        "labelled examples": _mean(costs["support"].iloc[:1]),
        **_times("training", "s", 1, pair, training, references[TRAINING]),
        "MiB": _peak(training, "peak_rss_mb"),
        "GPU MiB": _peak(training, "peak_gpu_mb"),
        "tokens": _mean(training["tokens"]),
        **_times("an answer", "ms", 1000, pair, inference, references[INFERENCE]),
        "its MiB": _peak(inference, "peak_rss_mb"),
        "its GPU MiB": _peak(inference, "peak_gpu_mb"),
        **cited("cost", costs),
    }


def _times(
    work: str, unit: str, units: int, pair: Pair, own: pd.DataFrame, reference: pd.DataFrame
) -> dict[str, str]:
    """A result's time, and its ratio to the reference's where the two compare."""
    cells = {f"{work}, CPU {unit}": "", f"{work}, {unit}": ""}
    if len(own):
        on_cpu = own["threads"].ne("").all()
        cells[f"{work}, CPU {unit}" if on_cpu else f"{work}, {unit}"] = _mean(units * _seconds(own))
    if len(reference):
        is_other = len(own) and own["condition"].iloc[0] != reference["condition"].iloc[0]
        ratio = _seconds(own).mean() / _seconds(reference).mean()
        told = f"{ratio:.2f}" if is_other and _compare(own, reference) else ""
        cells[f"times {pair.name(reference['condition'].iloc[0])}"] = told
    return cells


def _seconds(costs: pd.DataFrame) -> pd.Series:
    """Of each run, or of an answer: CPU seconds, wall seconds where a GPU computed."""
    seconds = costs["cpu_seconds"].where(costs["threads"] != "", costs["wall_seconds"])
    # tokens are counted in training alone
    return seconds / costs["answers"].fillna(1).astype(float)


def _compare(*costs: pd.DataFrame) -> bool:
    """Whether times were measured on one processor with as many threads, in one dtype."""
    return len(pd.concat(costs)[_SETUP].drop_duplicates()) == 1


def _measured_on(pair: Pair, costs: pd.DataFrame, references: Mapping[str, pd.DataFrame]) -> str:
    """What computed, and whose times do not compare because something else did."""
    compared = pd.concat(references.values())
    others = [
        f"{phase} of {pair.name(str(result))} on {_setups(own)}"
        for phase, reference in references.items()
        for result, own in costs[costs["phase"] == phase].groupby("condition", sort=False)
        if not _compare(own, reference)
    ]
    not_compared = f" (not compared: {fmt.listed(others)})" if others else ""
    return f" on {_setups(compared if len(compared) else costs)}{not_compared}"


def _setups(costs: pd.DataFrame) -> str:
    """`AMD EPYC, 2 threads, float32`, of each setup."""
    return fmt.listed(list(map(_setup, fmt.rows_of(costs[_SETUP].drop_duplicates()))))


def _setup(row: pd.Series) -> str:
    processes = [f"{row['processes']} processes"] if row["processes"] > 1 else []
    plural = "" if row["threads"] == "1" else "s"
    threads = [f"{row['threads']} thread{plural}"] if row["threads"] else []
    return ", ".join([row["processor"], *processes, *threads, row["dtype"]])


def _mean(values: pd.Series) -> str:
    """Whole, or two significant digits if small; empty without values."""
    mean = values.mean()
    if pd.isna(mean):
        return ""
    return fmt.whole(mean) if mean >= 10 or mean == 0 else f"{mean:.2g}"


def _peak(costs: pd.DataFrame, column: str) -> str:
    peak = costs[column].max()
    return fmt.whole(peak) if peak > 0 else ""


def targets_section(pair: Pair) -> Section:
    rows = [
        {
            "teacher": str(row["teacher"]),
            "target": str(row["target"]),
            "answers": str(row["author"]),
            "draw": "" if pd.isna(row["draw"]) else str(row["draw"]),
            "positions": str(row["kind"]),
            "number": fmt.whole(row["positions"]),
            "mean mass, %": fmt.share(row["mass_mean"]),
            "least mass, %": fmt.share(row["mass_min"]),
            "positions with 99.9 % or more, %": fmt.share(row["share_above_999"]),
            **cited("targets", row),
        }
        for row in fmt.rows_of(pair.table("targets"))
    ]
    return Section(
        id=pair.id("targets"),
        title="How much of the teacher’s probability do its recorded tokens hold?",
        tables=[Table.of("Probability of the teacher’s top k tokens together", rows)],
    )
