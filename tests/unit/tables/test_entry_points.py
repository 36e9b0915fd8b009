from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.tasks.examples import Example, write_examples

SETTINGS = '{"bootstrap_samples": 200}'


@pytest.fixture
def index(result, tmp_path: Path) -> str:
    """One base result and one run on disk."""
    entries = []
    for name, seed, shots, course in (
        ("0-shot", None, 0, {0: 0}),
        ("sft", 0, None, {0: 0, 10: 60}),
    ):
        predictions = result(name, course, seed=seed, shots=shots)
        path = tmp_path / f"{name}.parquet"
        predictions.drop(columns=["model", "task", "condition", "seed", "shots"]).to_parquet(path)
        entries.append(
            {
                "model": "m",
                "task": "t",
                "condition": name,
                "seed": seed,
                "shots": shots,
                "predictions": str(path),
                "training_log": None,
                "cost": None if seed is None else str(tmp_path / "cost.json"),
            }
        )
    (tmp_path / "cost.json").write_text('{"wall_seconds": 61.25, "peak_gpu_mb": null}')
    return json.dumps(entries)


def run(rule: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"workflow_scripts.tables.{rule}", *arguments],
        text=True,
        capture_output=True,
        check=False,
    )


def test_summarise_writes_summary(index, tmp_path):
    output = tmp_path / "summary.csv"
    done = run("summarise", "--settings", SETTINGS, "--index", index, "--output", output)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(output)) == 6


def test_measure_cost_writes_cost(index, tmp_path):
    output = tmp_path / "cost.csv"
    done = run("measure_cost", "--index", index, "--output", output)
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(output)[["condition", "wall_seconds"]].values.tolist() == [["sft", 61.25]]


def test_measure_labels_writes_labels(index, tmp_path):
    output, examples = tmp_path / "labels.csv", tmp_path / "test.parquet"
    answers = ["word", "other"] * 50
    write_examples(examples, (Example(f"test-{i}", "?", word) for i, word in enumerate(answers)))
    arguments = ["--labels", '["word", "other"]', "--index", index, "--examples", examples]
    done = run("measure_labels", "--settings", SETTINGS, *arguments, "--output", output)
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(output)["items"].tolist() == [50] * 4


def test_measure_domains_writes_domains(index, tmp_path):
    output = tmp_path / "domains.csv"
    domains = '[{"source": "mix", "name": "out", "tasks": ["t"]}]'
    arguments = ["--settings", SETTINGS, "--domains", domains]
    moved = index.replace('"condition": "sft"', '"condition": "sft@mix"')
    done = run("measure_domains", *arguments, "--index", moved, "--output", output)
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(output)[["condition", "score"]].values.tolist() == [
        ["0-shot", 0.0],
        ["sft", 0.6],
    ]


def test_compare_writes_comparisons(index, tmp_path):
    output = tmp_path / "comparisons.csv"
    groups = (
        '[{"name": "main", "members": ["0-shot", "sft"], "design": "pairs",'
        ' "pairs": [["sft", "0-shot"]]}]'
    )
    arguments = ["--settings", SETTINGS, "--groups", groups, "--index", index]
    done = run("compare", *arguments, "--output", output)
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(output)["verdict"].tolist() == ["better"]


def test_a_malformed_group_is_refused_by_its_place(index, tmp_path):
    arguments = ["--settings", SETTINGS, "--groups", '[{"name": "main"}]', "--index", index]
    done = run("compare", *arguments, "--output", tmp_path / "comparisons.csv")
    assert done.returncode == 2
    assert done.stderr == "error: comparisons: 0.members: Field required\n"


def test_cross_writes_crossover(index, tmp_path):
    output = tmp_path / "crossover.csv"
    done = run("cross", "--settings", SETTINGS, "--index", index, "--output", output)
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(output)["note"].tolist() == ["no gap to cross"]


def test_describe_targets_writes_targets(tmp_path):
    mass = {"all": {"positions": 7, "mean": 0.99, "min": 0.5, "share_above_999": 0.25}}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"target": {"kind": "logits", "top_k": 8}, "mass": mass}))
    entry = {"model": "m", "task": "t", "teacher": "few", "target": "s", "manifest": str(manifest)}
    output = tmp_path / "targets.csv"
    done = run("describe_targets", "--index", json.dumps([entry]), "--output", output)
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(output)["mass_mean"].tolist() == [0.99]


@pytest.mark.parametrize("rule", ["summarise", "compare", "cross"])
def test_without_runs_every_table_is_written(rule, index, tmp_path):
    base = json.dumps(json.loads(index)[:1])
    output = tmp_path / "table.csv"
    groups = ["--groups", "[]"] if rule == "compare" else []
    done = run(rule, "--settings", SETTINGS, "--index", base, "--output", output, *groups)
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(output).columns) > {"model", "task"}


def test_a_missing_file_is_one_line_and_leaves_nothing_behind(index, tmp_path):
    (tmp_path / "sft.parquet").unlink()
    output = tmp_path / "crossover.csv"
    done = run("cross", "--settings", SETTINGS, "--index", index, "--output", output)
    assert done.returncode == 2
    assert done.stderr == (
        "error: 1 of 2 results have no predictions: m t sft seed 0; "
        "run snakemake again, which makes them\n"
    )
    assert not output.exists()
