"""Tables from files: each entry point reads its results and writes its table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from tests.target_manifests import save_target_manifest
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import Domain
from workflow_scripts.config.slices import ComparisonSlice
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables import (
    comparisons,
    cost,
    crossover,
    domains,
    labels,
    summary,
    targets,
)
from workflow_scripts.tables.targets import TargetEntry
from workflow_scripts.tasks.examples import Example, write_examples

SETTINGS = AnalysisSettings(bootstrap_samples=200)
GROUP = ComparisonSlice(
    name="main", members=("0-shot", "sft"), design="pairs", pairs=(("sft", "0-shot"),)
)


@pytest.fixture
def entries(result, tmp_path: Path) -> list[dict[str, object]]:
    """One base result and one run on disk."""
    entries = []
    for name, seed, shots, correct in (
        ("0-shot", None, 0, {0: 0}),
        ("sft", 0, None, {0: 0, 10: 60}),
    ):
        predictions = result(name, correct, seed=seed, shots=shots)
        path = tmp_path / f"{name}.parquet"
        save(predictions.drop(columns=["model", "task", "condition", "seed", "shots"]), path)
        entries.append(
            {
                "model": "m",
                "task": "t",
                "condition": name,
                "seed": seed,
                "shots": shots,
                "predictions": path,
                "cost": None if seed is None else tmp_path / "cost.json",
            }
        )
    setup = {"processor": "AMD EPYC", "threads": "2", "processes": 1, "dtype": "float32"}
    save(setup | {"wall_seconds": 61.25, "peak_gpu_mb": None}, tmp_path / "cost.json")
    return entries


@pytest.fixture
def index(entries) -> ResultIndex:
    return ResultIndex.model_validate(entries)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_a_summary_has_a_row_for_each_result_step_and_split(index, output):
    summary.main(SETTINGS, index, output)
    assert len(pd.read_csv(output)) == 6


def test_a_cost_is_read_of_each_result_that_has_one(index, output):
    cost.main(index, output)
    assert pd.read_csv(output)[["condition", "wall_seconds"]].values.tolist() == [["sft", 61.25]]


def test_labels_are_those_of_the_examples(index, output, tmp_path):
    examples = tmp_path / "test.parquet"
    answers = ["word", "other"] * 50
    write_examples(examples, (Example(f"test-{i}", "?", word) for i, word in enumerate(answers)))
    labels.main(SETTINGS, ["word", "other"], index, examples, output)
    assert pd.read_csv(output)["items"].tolist() == [50] * 4


def test_domains_compare_the_runs_on_a_mixture_with_the_base_model(entries, output):
    entries[1]["condition"] = "sft@mix"
    answered = pd.read_parquet(entries[1]["predictions"])
    save(answered.assign(task="t", shots=0), entries[1]["predictions"])
    domain = Domain(source="mix", name="out", tasks=("t",))
    domains.main(SETTINGS, [domain], ResultIndex.model_validate(entries), output)
    assert pd.read_csv(output)[["condition", "score"]].values.tolist() == [
        ["0-shot", 0.0],
        ["sft", 0.6],
    ]


def test_comparisons_have_a_verdict_for_each_pair(index, output):
    comparisons.main(SETTINGS, [GROUP], index, output)
    assert pd.read_csv(output)["verdict"].tolist() == ["better"]


def test_a_crossover_needs_a_gap(index, output):
    crossover.main(SETTINGS, index, output)
    assert pd.read_csv(output)["note"].tolist() == ["no gap to cross"]


def test_targets_say_how_much_their_top_k_holds(output, tmp_path):
    mass = {"all": {"positions": 7, "mean": 0.99, "min": 0.5, "share_above_999": 0.25}}
    manifest = tmp_path / "manifest.json"
    target = TargetSettings(kind="logits", position="prompt", top_k=8, temperature=1)
    name = save_target_manifest(manifest, target, mass)
    entry = TargetEntry(model="m", task="t", teacher="few", target=name, manifest=manifest)
    targets.main([entry], output)
    assert pd.read_csv(output)["mass_mean"].tolist() == [0.99]


@pytest.mark.parametrize("table", ["summary", "comparisons", "crossover"])
def test_without_runs_every_table_is_written(table, entries, output):
    base = ResultIndex.model_validate(entries[:1])
    if table == "comparisons":
        comparisons.main(SETTINGS, [], base, output)
    else:
        {"summary": summary, "crossover": crossover}[table].main(SETTINGS, base, output)
    assert set(pd.read_csv(output).columns) > {"model", "task"}


def test_a_malformed_group_is_refused_by_its_place(output):
    words = ["--settings", "{}", "--groups", '[{"name": "main"}]', "--index", "[]"]
    with pytest.raises(InputError, match=r"^--groups: 0\.members: Field required$"):
        call(comparisons.main, [*words, "--table", str(output)])


def test_a_missing_file_is_one_line_and_leaves_nothing_behind(index, output, tmp_path):
    (tmp_path / "sft.parquet").unlink()
    command = [sys.executable, "-m", crossover.__name__, "--settings", "{}"]
    command += ["--index", index.model_dump_json(), "--table", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: 1 of 2 results have no predictions: m t sft seed 0; "
        "run snakemake again, which makes them\n"
    )
    assert not output.exists()
