"""Results of other tools through the real Snakefile: beside a study's own, and alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

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


def test_foreign_results_are_compared_with_the_base_model_on_their_items(beside):
    row = comparisons(beside).loc["float32", "0-shot"]
    assert (row["items"], row["first_accuracy"], row["seed"]) == (
        16,
        0.375,
        pytest.approx(0, nan_ok=True),
    )
    assert row["verdict"] in ("better", "not shown")


def test_own_results_are_compared_with_each_other_on_all_items(beside):
    summary = pd.read_csv(beside.results / "summary.csv")
    test = summary[summary["split"] == "test"].set_index("condition")
    assert test["items"].to_dict() == {"0-shot": 18, "1-shot": 18, "float32": 16, "bfloat16": 16}
