"""The summary for the terminal, from the same document as the page."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path
from typing import Protocol

import pandas as pd
import pytest
import yaml

from tests.unit.figures.conftest import ODDLY_NAMED
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.report import report
from workflow_scripts.report.build import build_document
from workflow_scripts.report.document import render
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.files import write_json
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
TABLES = ("summary", "comparisons", "crossover", "cost", "icl_gap", "noise")
Tables = dict[str, pd.DataFrame]


class ResultTree(Protocol):
    folder: Path
    groups: tuple[ComparisonGroup, ...]
    model: str
    task: str


def settings_of(*trees: ResultTree, scorer: str = "word") -> str:
    """The demo's settings with the models, tasks and groups of simulated trees, as JSON."""
    study = load_study(CONFIG)
    content = study.experiment.model_dump(mode="json") | {"wordings": study.slices.wordings()}
    (model,), (task,) = content["models"].values(), content["tasks"].values()
    task |= {"scoring": task["scoring"] | {"scorer": scorer}}
    content["models"] = {tree.model: model | {"dtype": "bfloat16"} for tree in trees}
    content["tasks"] = {tree.task: task for tree in trees}
    content["comparisons"] = {
        group.name: {
            "question": f"Group {group.name}?",
            "members": list(group.members),
            "design": group.design,
        }
        for tree in trees
        for group in tree.groups
    }
    return json.dumps(content | {"labelled": False})


def tables_of(tree: ResultTree) -> Tables:
    return {name: read_table(tree.folder / f"{name}.csv") for name in TABLES}


def rendered(settings: str, tables: Tables) -> str:
    parsed = ReportSettings.model_validate_json(settings)
    return render(report.TEMPLATES / "summary.md", document=build_document(parsed, tables, {}))


def summary_of(tree: ResultTree, **settings: str) -> str:
    return rendered(settings_of(tree, **settings), tables_of(tree))


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def rows_after(heading: str, page: str) -> list[list[str]]:
    """Cells of the table below a line that starts so, without its header."""
    lines = page[page.index(f"\n{heading}") + 1 :].splitlines()[4:]
    return [cells_of(line) for line in itertools.takewhile(bool, lines)]


def rows_of_group(name: str, page: str) -> list[list[str]]:
    return rows_after(f"**Group {name}?**", page)


def test_names_that_look_like_numbers_or_nothing_have_their_rows(oddly_named):
    page = summary_of(oddly_named)
    assert "135 in bfloat16 on 1e5" in page
    assert set(ODDLY_NAMED) <= {row[0] for row in rows_after("Answer loss by step", page)}


@pytest.fixture(scope="module")
def page(one_seed: ResultTree, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Through the entry point."""
    folder = tmp_path_factory.mktemp("page")
    write_json(folder / "manifest.json", {"dtype": "bfloat16"})
    report.main(
        settings=settings_of(one_seed),
        models=[folder / "manifest.json"],
        tables=[one_seed.folder / f"{name}.csv" for name in TABLES],
        wordings=load_study(CONFIG).slices.wordings(),
        page=folder / "summary.md",
    )
    return (folder / "summary.md").read_text()


def test_the_demo_experiment_fits_one_page(page):
    assert len(page.splitlines()) <= 66


def test_the_in_context_gap_comes_with_its_interval(page):
    assert re.search(r"In-context gap: \+65\.0 points, 95 % CI \[\+54\.6, \+73\.6\]", page)


def test_the_quick_look_says_whether_so_few_items_can_decide(page):
    alone = "on the first 16 items alone: +75.0 points, 95 % CI [+43.8, +89.8]: qualifies"
    assert f"; {alone}\n" in page


def test_one_seed_is_reported_as_one(page, three_seeds):
    caution = "Everything was trained with one seed (0)"
    assert caution in page
    assert caution not in summary_of(three_seeds)


def test_accuracy_is_tabled_by_step_with_the_chosen_checkpoint(page):
    cells = next(row for row in rows_after("Strict accuracy", page) if row[0] == "sft")
    assert cells[:2] == ["sft", "0.0"]
    assert len(cells) == 8
    assert re.fullmatch(r"40: \d+\.\d \[\d+\.\d, \d+\.\d\]", cells[-1])


def test_a_metric_of_texts_is_called_by_its_name(one_seed):
    page = summary_of(one_seed, scorer="rouge")
    assert "\nROUGE-L on 100 test items by step, %" in page
    assert "ccuracy" not in page


def test_the_first_step_past_the_reference_has_its_interval(page):
    row = next(row for row in rows_after("Answer loss by step", page) if row[0] == "sft")
    assert row[-2] == "40 [40, never]"


def test_a_run_that_never_reaches_the_reference_says_so(page):
    rows = [row for row in rows_after("Answer loss", page) if row[0] == "answer-kl-zero-shot"]
    assert rows[0][-1].startswith("never")


# --- costs --------------------------------------------------------------------------------


def test_each_result_has_a_row_of_cost(page):
    rows = {row[0]: row[1:] for row in rows_after("Cost of training", page)}
    assert rows["sft"] == ["64", "154", "", "1,310", "12,345", "50", "1.00", "900"]
    assert rows["layerwise"][2] == "1.00"
    assert rows["8-shot"] == ["8", "", "", "", "", "50", "", "1,300"]


def test_costs_say_what_they_were_measured_on(page):
    assert "\nCost of training and of an answer on AMD EPYC, 2 threads, bfloat16: means" in page


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("processor", "Xeon", "Xeon, 2 threads, bfloat16"),
        ("threads", "1", "AMD EPYC, 1 thread, bfloat16"),
        ("processes", 2, "AMD EPYC, 2 processes, 2 threads, bfloat16"),
        ("dtype", "float32", "AMD EPYC, 2 threads, float32"),
    ],
)
def test_a_training_on_something_else_is_named_and_not_compared(one_seed, field, value, named):
    page = summary_of_costs(one_seed, "training", {field: value})
    rows = {row[0]: row[1:] for row in rows_after("Cost of training", page)}
    assert rows["layerwise"][1:3] == ["154", ""]
    assert rows["answer-kl-zero-shot"][1:3] == ["154", "1.00"]
    (line,) = (line for line in page.splitlines() if line.startswith("Cost of training"))
    measured = "on AMD EPYC, 2 threads, bfloat16"
    assert f" {measured} (not compared: training of layerwise on {named}): means" in line


def test_on_a_gpu_the_time_of_a_training_is_wall_time(one_seed):
    on_gpu = {"processor": "NVIDIA H100", "threads": pd.NA, "wall_seconds": 30.0}
    page = summary_of_costs(one_seed, "training", on_gpu)
    rows = {row[0]: row[1:] for row in rows_after("Cost of training", page)}
    assert rows["sft"][1:4] == ["154", "", ""]
    assert rows["layerwise"][1:4] == ["", "30", ""]
    assert "training of layerwise on NVIDIA H100, bfloat16)" in page


def summary_of_costs(tree: ResultTree, phase: str, of_layerwise: dict[str, object]) -> str:
    """The summary where one condition was measured on something else."""
    tables = tables_of(tree)
    costs = tables["cost"]
    own = (costs["condition"] == "layerwise") & (costs["phase"] == phase)
    tables["cost"] = costs.assign(
        **{name: costs[name].mask(own, value) for name, value in of_layerwise.items()}
    )
    return rendered(settings_of(tree), tables)


# --- groups -----------------------------------------------------------------------------


def test_a_group_begins_with_its_question_and_what_is_shown(page):
    assert re.search(r"^\*\*Group main\?\*\* Shown: answer-kl > sft, ", page, re.MULTILINE)


def test_trained_members_are_tabled_against_the_baseline_and_both_references(page):
    rows = rows_of_group("main", page)
    assert [row[3] for row in rows if row[0] == "answer-kl"] == ["sft", "8-shot", "0-shot"]
    assert len(rows) == 4 + 5 + 5
    assert {row[6] for row in rows} == {"better", "worse", "not shown"}


def test_a_row_of_a_group_states_step_accuracy_difference_and_corrected_p(page):
    (row,) = [row for row in rows_of_group("main", page) if row[0] + row[3] == "layerwisesft"]
    number = r"[+-]\d+\.\d"
    assert re.fullmatch(r"60\.0 \[\d+\.\d, \d+\.\d\]", row[2])
    assert re.fullmatch(rf"{number} \[{number}, {number}\]", row[4])
    assert (row[1], row[5], row[6]) == ("40", "0.62", "not shown")


def test_the_steps_of_a_decomposition_are_tabled_against_what_they_follow(page):
    rows = rows_of_group("causes", page)
    assert [(row[0], row[3]) for row in rows] == [
        ("sft", ""),
        ("layerwise", "sft"),
        ("answer-kl-zero-shot", "layerwise"),
        ("answer-kl-zero-shot", "sft"),
    ]


def test_several_seeds_are_one_row_and_one_verdict(three_seeds):
    page = summary_of(three_seeds)
    assert [row[0] for row in rows_after("Strict accuracy", page)].count("sft") == 1
    assert [row[0] for row in rows_of_group("main", page)].count("sft") == 2
    assert [row[0] for row in rows_after("Cost of training", page)].count("sft") == 1


def test_a_comparison_without_a_test_has_the_reason_instead_of_a_p(one_seed):
    tables = tables_of(one_seed)
    note = "too few items: 2 of 5"
    tables["comparisons"] = tables["comparisons"].assign(p_holm=float("nan"), note=note)
    page = rendered(settings_of(one_seed), tables)
    assert f"No test ({note}): 2 of 2 pairs" in page or f"no test ({note}): 2 of 2 pairs" in page
    assert {row[-1] for row in rows_of_group("main", page)} == {f"no test: {note}"}
    assert "Holm" not in page


# --- sweeps and transfer ------------------------------------------------------------------


@pytest.fixture(scope="module")
def swept_page(swept: ResultTree) -> str:
    return summary_of(swept)


def test_tables_by_step_and_costs_are_about_the_main_conditions(swept_page):
    part = swept_page[swept_page.index("\nStrict accuracy on 100 test items by step") :]
    assert "answer-kl-zero-shot" in part
    assert "~" not in part
    assert "@" not in part


def test_a_sweep_has_a_table_with_its_variants(swept_page):
    rows = rows_of_group("layerwise-sweep", swept_page)
    assert [row[0] for row in rows] == [
        "sft",
        "layerwise",
        *(f"layerwise~weight={weight}" for weight in (0.1, 0.5, 2, 5)),
        "layerwise~reduction=mean",
    ]


def test_a_variant_has_step_accuracy_difference_and_verdict(swept_page):
    row = rows_of_group("layerwise-sweep", swept_page)[5]
    assert row[:4] == ["layerwise~weight=5", "40", "99.0 [94.6, 99.8]", "sft"]
    assert re.fullmatch(r"\+34\.0 \[\+\d+\.\d, \+\d+\.\d\]", row[4])
    assert row[6] == "better"


def test_runs_on_another_task_have_a_table_of_their_own(swept_page):
    rows = rows_of_group("elsewhere", swept_page)
    assert [row[0] for row in rows[:3]] == ["0-shot", "sft@gsm8k", "layerwise@gsm8k"]
    assert (rows[1][1], rows[1][6]) == ("20", "better")


def test_seeds_that_were_chosen_at_other_steps_are_one_transferred_row(transferred):
    rows = rows_of_group("elsewhere", summary_of(transferred))
    assert rows[1][:2] == ["sft@gsm8k", "20/21"]


def test_what_a_second_evaluation_changes_is_reported(one_seed):
    assert "sft (seed 0, step 40) changes 2 of 100 answers" in summary_of(one_seed)


# --- mixtures -----------------------------------------------------------------------------


@pytest.fixture
def mixed_page(one_seed: ResultTree) -> str:
    """As if the task were a mixture."""
    places = itertools.product(("in", "out"), (0, 4), ("base", "sft", "layerwise~weight=2"))
    domains = pd.DataFrame(places, columns=["domain", "shots", "condition"])
    base = domains["shots"].astype(str) + "-shot"
    domains["condition"] = domains["condition"].mask(domains["condition"] == "base", base)
    scores = domains["shots"] / 10 + (domains["domain"] == "in") / 4
    domains = domains.assign(model="smollm2-135m", task="plural", answered="plural").assign(
        score=scores, score_low=0.1, score_high=0.9
    )
    return rendered(settings_of(one_seed), tables_of(one_seed) | {"domains": domains})


def test_a_mixture_has_a_table_in_and_out_of_domain_after_each_number_of_demonstrations(mixed_page):
    header = mixed_page[mixed_page.index("In domain and out of domain") :].splitlines()[2]
    assert cells_of(header)[1:] == [
        "in domain, 0 shots",
        "in domain, 4 shots",
        "out of domain, 0 shots",
        "out of domain, 4 shots",
    ]
    interval = "[10.0, 90.0]"
    scores = [f"{score} {interval}" for score in ("25.0", "65.0", "0.0", "40.0")]
    rows = rows_after("In domain and out of domain", mixed_page)
    assert rows == [["base model", *scores], ["sft", *scores]]


def test_without_a_mixture_there_is_no_such_table(page):
    assert "out of domain" not in page


# --- without runs, and several models -------------------------------------------------------


def test_an_untrained_model_has_its_gap_and_the_base_results_only(untrained):
    page = summary_of(untrained)
    rows = rows_after("The base model on 100 test items", page)
    assert [row[0] for row in rows] == ["0", "8"]
    assert rows[1][1] == "65.0 [55.3, 73.6]"
    assert "In-context gap" in page
    assert "Strict accuracy on 100 test items by step" not in page


@pytest.fixture
def two_models(one_seed: ResultTree, untrained: ResultTree) -> str:
    """One model that is trained and a smaller one that is not and whose gap decides nothing."""
    trained, other = tables_of(one_seed), tables_of(untrained)
    smaller = {"gap_low": -0.1, "decided": False, "smallest_qualifying": False}
    other["icl_gap"] = other["icl_gap"].assign(**smaller)
    both = {
        name: pd.concat([trained[name], table.assign(model="small")])
        for name, table in other.items()
    }
    settings = settings_of(dataclasses.replace(untrained, model="small"), one_seed)
    content = json.loads(settings)
    content["models"] = dict(reversed(content["models"].items()))
    return rendered(json.dumps(content), both)


def test_several_models_begin_with_a_table_of_their_gaps(two_models):
    assert two_models.startswith("## In-context gaps\n")
    assert rows_after("## In-context gaps", f"\n{two_models}") == [
        ["smollm2-135m", "plural", "0.0", "65.0", "+65.0 [+54.6, +73.6]", "yes", "yes", "yes"],
        ["small", "plural", "0.0", "65.0", "+65.0 [-10.0, +73.6]", "yes", "no", "no"],
    ]


def test_each_of_several_models_has_its_section(two_models):
    found = re.findall(r"^## (\S+) in bfloat16 on plural$", two_models, re.MULTILINE)
    assert found == ["smollm2-135m", "small"]


def test_a_gap_that_its_interval_does_not_decide_says_so(two_models):
    section = two_models[two_models.index("## small") :]
    assert "qualifies, but its interval does not decide it; on the first 16" in section
    assert re.search(r"on the first 16 items alone: .*: cannot decide$", section, re.MULTILINE)


def test_one_model_on_one_task_needs_no_table_of_gaps(page):
    assert page.startswith("## smollm2-135m in bfloat16 on plural\n")


# --- draws of demonstrations --------------------------------------------------------------


@pytest.fixture(scope="module")
def over_draws(in_draws) -> str:
    return summary_of(in_draws)


def test_the_gap_is_the_mean_of_the_draws_with_each_beside_it(over_draws, in_draws):
    assert "at 8 (mean of 3 draws)" in over_draws
    settings = ReportSettings.model_validate_json(settings_of(in_draws))
    (part,) = build_document(settings, tables_of(in_draws), {}).parts
    (table,) = part.gap.tables
    none, eight = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (none["gap of each draw"], none["shots"], eight["shots"]) == ("", "0", "8")
    assert eight["gap of each draw"].count(",") == 2


def test_a_group_counts_seeds_and_draws_and_shows_the_difference_of_each(over_draws):
    assert "3 seeds × 3 draws of demonstrations, 80 % power" in over_draws
    (header, *_) = (line for line in over_draws.splitlines() if "difference of each" in line)
    place = cells_of(header).index("difference of each seed and draw")
    rows = [line for line in over_draws.splitlines() if line.startswith("| answer-kl ")]
    each = next(cells_of(row)[place] for row in rows if "0-shot" in row)
    assert [len(draw.split(", ")) for draw in each.split("; ")] == [3, 3, 3]


def test_costs_are_means_over_seeds_and_draws(over_draws):
    assert "means over the seeds and draws, memory at its largest peak" in over_draws


def test_one_draw_is_not_spoken_of(one_seed):
    assert "draw" not in summary_of(one_seed)
