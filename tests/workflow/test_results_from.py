"""Results of other tools through the real Snakefile: beside a study's own, and alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.tiny_models import save_random_qwen3
from tests.workflow.conftest import Project, copy_of_the_project

LOGS = Path(__file__).parents[1] / "unit/foreign/logs"
SAMPLES = {
    name: next((LOGS / "lm-eval" / name).glob("samples_sums_*")) for name in ("float32", "bfloat16")
}


def foreign(name: str, file: Path, **fields: Any) -> dict[str, Any]:
    return {"name": name, "model": "tiny", "task": "sums", "file": str(file)} | fields


def study(folder: Path, name: str) -> tuple[Project, dict[str, Any]]:
    """A task whose test items are the sixteen sums of the logs, and two that they lack."""
    project = copy_of_the_project(folder, name)
    docs = [json.loads(line)["doc"] for line in SAMPLES["float32"].read_text().splitlines()[:16]]
    rows = [doc | {"split": "test"} for doc in docs]
    rows += [{"question": f"What is {n} + 70?", "answer": f"{n + 70}"} for n in (1, 2, 3, 4)]
    for row, split in zip(rows[16:], ("test", "test", "demonstrations", "validation"), strict=True):
        row["split"] = split
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = {"demonstrations": 1, "train": 0, "validation": 1, "test": 18}
    return project, {
        "experiment": name,
        "tasks": {
            "sums": {
                "data": {"source": "sums.jsonl", "items": items},
                "generation": {"max_new_tokens": 3},
                "scoring": {"scorer": "word"},
            }
        },
        "results_from": [
            foreign(name, file, metric="strict-match") for name, file in SAMPLES.items()
        ],
        "analysis": {"bootstrap_samples": 400},
    }


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project, config = study(tmp_path_factory.mktemp("beside"), "beside")
    save_random_qwen3(project.folder / "tiny-qwen3", context=512)
    models = {"tiny": {"source": "tiny-qwen3", "dtype": "float32"}}
    project.configure(config | {"models": models, "shots": [0, 1]})
    project.run()
    return project


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project, config = study(tmp_path_factory.mktemp("alone"), "alone")
    config["results_from"].append(foreign("inspect", LOGS / "inspect/seven-wrong.eval"))
    project.configure(config | {"models": {"tiny": {"source": "elsewhere"}}})
    project.run()
    return project


def comparisons(project: Project) -> pd.DataFrame:
    table = pd.read_csv(project.results / "comparisons.csv")
    return table.set_index(["first", "second"])


def test_foreign_results_are_compared_with_own_ones_on_the_items_that_they_have(beside):
    """Five of the sixteen sums repeat the question of another, so eleven are matched."""
    rows = comparisons(beside)
    row = rows.loc[("float32", "0-shot")]
    assert (row["items"], row["first_accuracy"]) == (11, pytest.approx(6 / 11, abs=1e-6))
    assert row["detectable"] > 0
    assert {"1-shot", "0-shot"} <= {second for _, second in rows.index}


def test_a_result_is_summarised_on_its_own_items(beside):
    summary = pd.read_csv(beside.results / "summary.csv")
    test = summary[summary["split"] == "test"].set_index("condition")
    assert test["items"].to_dict() == {"0-shot": 18, "1-shot": 18, "float32": 11, "bfloat16": 11}


def test_results_are_compared_where_no_model_runs(alone):
    rows = comparisons(alone)
    assert list(rows.index) == [
        ("bfloat16", "float32"),
        ("inspect", "float32"),
        ("inspect", "bfloat16"),
    ]
    assert set(rows["items"]) == {11}
    assert not (alone.folder / "resources/models").exists()


def test_the_page_says_where_foreign_results_come_from(alone, beside):
    for project in (alone, beside):
        for page in ("report.html", "summary.md"):
            told = (project.results / page).read_text()
            assert SAMPLES["float32"].name in told
            assert "11 of 18, by question" in told
            assert "float32 was asked and scored elsewhere" in told
    assert "no model ran here" in (alone.results / "report.html").read_text()


def test_the_page_shows_the_answers_of_foreign_results(beside):
    shown = pd.read_csv(beside.results / "disagreements.csv")
    theirs = shown[shown["first"] == "bfloat16"]
    assert len(theirs)
    assert (theirs["first_answer"].astype(str).str.strip() == theirs["gold"].astype(str)).all()


def test_nothing_is_left_to_do(beside, alone):
    assert beside.planned() == alone.planned() == set()


def test_another_metric_reads_one_file_again_and_trains_nothing(beside):
    config = yaml.safe_load(beside.config.read_text())
    config["results_from"][0]["metric"] = "flexible-extract"
    beside.configure(config)
    planned = {message.split(" (")[0] for message in beside.planned()}
    assert planned & {"read float32, file 0", "read bfloat16, file 0"} == {"read float32, file 0"}
    assert not [message for message in planned if "answer" in message or "overtakes" in message]
