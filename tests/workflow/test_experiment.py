"""A complete experiment through the real Snakefile leaves every table, figure and checkpoint."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import visible
from tests.tiny_experiment import EXPERIMENT
from tests.workflow.conftest import Project

CONDITIONS = set(EXPERIMENT["conditions"])


def figures(results: Path) -> Iterator[Path]:
    return (results / "figures/tiny/echo").rglob("*.*")


@pytest.fixture
def everything(finished_project: Project) -> pd.DataFrame:
    return pd.read_csv(finished_project.results / "summary.csv")


@pytest.fixture
def summary(everything: pd.DataFrame) -> pd.DataFrame:
    """The summary of the task that is trained on."""
    return everything[everything["task"] == "echo"]


def test_every_condition_is_there_at_every_checkpoint_and_split(summary):
    runs = summary[summary["seed"].notna()]
    found = {(row.condition, row.step, row.split) for row in runs.itertuples()}
    assert found == {
        (condition, step, split)
        for condition in CONDITIONS
        for step in (0, 1, 3)
        for split in ("validation", "test")
    }


def test_base_results_are_rows_of_the_same_table(summary):
    base = summary[summary["seed"].isna()]
    assert set(base["condition"]) == {"0-shot", "2-shot"}
    assert set(base["step"]) == {0}


def test_all_conditions_see_the_same_items(summary):
    assert set(summary.loc[summary["split"] == "test", "items"]) == {10}
    assert set(summary.loc[summary["split"] == "validation", "items"]) == {6}


def test_step_0_is_the_base_model(summary):
    test = summary[summary["split"] == "test"]
    zero_shot = test[test["condition"] == "0-shot"]["answer_loss"].item()
    base = test[(test["step"] == 0) & test["seed"].notna()]
    assert set(base["answer_loss"]) == {zero_shot}


def test_training_moved_every_student(summary):
    test = summary[(summary["split"] == "test") & summary["seed"].notna()]
    losses = test.pivot(index="condition", columns="step", values="answer_loss")
    assert (losses[3] < losses[0]).all()


def test_every_group_has_the_pairs_of_its_design_once(finished_project):
    table = pd.read_csv(finished_project.results / "comparisons.csv")
    main = table[(table["task"] == "echo") & (table["group"] == "main")]
    pairs = {frozenset(pair) for pair in zip(main["first"], main["second"], strict=True)}
    names = CONDITIONS | {"0-shot", "2-shot"}
    assert len(main) == len(pairs) == len(names) * (len(names) - 1) // 2
    elsewhere = table[table["group"] == "elsewhere"]
    assert set(elsewhere["first"]) == {f"{name}@echo" for name in CONDITIONS}
    assert set(elsewhere["second"]) == {"0-shot"}
    assert set(table["verdict"]) <= {"better", "worse", "not shown"}


def test_runs_are_evaluated_on_a_task_they_were_not_trained_on(everything):
    transferred = everything[(everything["task"] == "deduction") & everything["seed"].notna()]
    assert set(transferred["condition"]) == {f"{name}@echo" for name in CONDITIONS}
    assert (transferred.groupby(["condition", "split"])["step"].nunique() == 2).all()


def test_transfer_takes_the_checkpoint_that_its_own_validation_chose(finished_project):
    table = pd.read_csv(finished_project.results / "comparisons.csv")
    steps = table.drop_duplicates(["task", "first"]).set_index(["task", "first"])["first_step"]
    for condition in CONDITIONS:
        assert steps["deduction", f"{condition}@echo"] == steps["echo", condition]


def test_hidden_states_start_at_the_base_model_and_leave_it(finished_project):
    drift = pd.read_csv(finished_project.results / "drift.csv")
    assert set(drift["condition"]) == CONDITIONS
    means = drift.groupby(["condition", "step"])[["drift", "teacher_distance"]].mean()
    for condition in CONDITIONS:
        assert means.loc[condition, 0].tolist() == [0, 1]
        assert (means.loc[condition].loc[[1, 3], "drift"] > 0).all()
    # what is held to the teacher's states may come back
    assert means.loc[("sft", 3), "drift"] > means.loc[("sft", 1), "drift"]


def test_the_same_checkpoint_evaluated_twice_answers_the_same_items(finished_project):
    noise = pd.read_csv(finished_project.results / "noise.csv")
    assert noise[["task", "condition", "items"]].to_numpy().tolist() == [["echo", "sft", 10]]
    assert noise["loss_difference_max"].item() < 1e-4  # float32


def test_training_log_holds_every_term_at_every_step(finished_project):
    run = finished_project.results / "tiny/echo/runs/distilled/seed-0"
    log = pd.read_csv(run / "training_log.csv")
    assert list(log["step"]) == [1, 2, 3]
    parts = log["cross_entropy"] + 0.5 * (log["hidden-block-query"] + log["logit_kl-answer"])
    pd.testing.assert_series_equal(log["loss"], parts, check_names=False, rtol=1e-3)


def test_a_finished_run_leaves_no_resume_state(finished_project):
    assert not list(finished_project.results.glob("**/.resume"))
    assert not list(finished_project.results.glob("**/.*partial*"))


def test_tensorboard_events_are_written(finished_project):
    assert list(finished_project.results.glob("**/tensorboard/events*"))


def test_figures_and_summary_are_there(finished_project):
    results = finished_project.results
    names = {str(path.relative_to(results / "figures/tiny/echo")) for path in figures(results)}
    assert {"accuracy_by_step.png", "accuracy_by_step.svg", "loss_curves.csv"} <= names
    assert {f"states/{name}.svg" for name in ("forest_plot", "drift", "teacher_distance")} <= names
    summary = (results / "summary.md").read_text()
    assert [name for name in CONDITIONS if name not in summary] == []


def test_a_choice_is_one_of_the_labels_whatever_a_random_model_generates(finished_project):
    folder = finished_project.results / "tiny/deduction/icl/0-shot"
    assert set(pd.read_parquet(folder / "predictions.parquet")["prediction"]) <= {
        "(A)",
        "(B)",
        "(C)",
    }


def test_full_fine_tuning_leaves_whole_models_and_an_adapter_is_small(finished_project):
    runs = finished_project.results / "tiny/echo/runs"
    whole, adapter = (runs / f"{name}/seed-0/checkpoints/step-3" for name in ("sft", "distilled"))
    assert (whole / "model.safetensors").exists()
    assert not (whole / "adapter_config.json").exists()
    assert (adapter / "adapter_config.json").exists()
    assert not (adapter / "model.safetensors").exists()


def test_the_mass_that_the_top_k_covers_is_reported(finished_project):
    targets = pd.read_csv(finished_project.results / "targets.csv")
    assert set(targets["target"]) == {"logits-answer-top16-t2"}
    assert set(targets["teacher"]) == {"few-shot"}
    assert (targets["mass_min"] <= targets["mass_mean"]).all()
    assert targets["mass_mean"].between(0, 1).all()


def test_no_path_of_this_machine_reaches_the_results(finished_project):
    for path in finished_project.results.rglob("*"):
        if path.suffix in {".json", ".csv", ".md", ".svg"}:
            assert str(finished_project.folder) not in path.read_text(), path


def test_nothing_is_left_to_do(finished_project):
    assert not finished_project.planned()


def test_the_report_answers_each_familys_question_and_loads_nothing(finished_project):
    page = (finished_project.results / "report.html").read_text()
    for group in EXPERIMENT["comparisons"].values():
        assert group["question"] in page
    assert {source[:5] for source in re.findall(r'src="([^"]+)"', page)} == {"data:"}
    # what it links, beside its own sections and files, are the tables that rows are from
    links = {link for link in re.findall(r'href="([^"]+)"', page) if link[:5] != "data:"}
    tables = {link.partition("#")[0] for link in links if not link.startswith("#")}
    assert {path.name for path in finished_project.results.glob("*.csv")} >= tables > set()


def test_snakemakes_own_report_is_written_beside_it(finished_project):
    provenance = finished_project.results / "provenance.html"
    outcome = finished_project.snakemake("--report", str(provenance))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "accuracy_by_step" in provenance.read_text()
    provenance.unlink()


def test_a_chosen_checkpoint_is_exported_when_asked_for(finished_project):
    folder = finished_project.results / "exports/tiny/echo/distilled/seed-0"
    finished_project.run(f"{folder.relative_to(finished_project.folder)}/README.md")
    assert (folder / "adapter_model.safetensors").exists()
    assert "distilled" in (folder / "README.md").read_text()
    assert not finished_project.planned()


def test_an_experiment_without_conditions_measures_the_gap_alone(finished_project):
    """With one result, which is compared with nothing."""
    experiment = copy.deepcopy(EXPERIMENT)
    for key in ("conditions", "transfer", "teachers", "training", "comparisons", "representations"):
        del experiment[key]
    del experiment["tasks"]["echo"]
    experiment["experiment"] = "gap"
    finished_project.configure(experiment)
    try:
        finished_project.run()
    finally:
        finished_project.configure(EXPERIMENT)
    results = finished_project.folder / "results/gap"
    gap = pd.read_csv(results / "icl_gap.csv")
    assert {(row.task, row.shots) for row in gap.itertuples()} == {("deduction", 0)}
    assert visible(results / "figures/tiny/deduction") == {
        f"icl_gap.{kind}" for kind in ("csv", "png", "svg")
    }
    assert "tiny in float32 on deduction" in (results / "summary.md").read_text()
