"""A study without labels through the real Snakefile: answers, rounds, draws, a told teacher."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tiny_experiment import CROSS_ENTROPY, EXPERIMENT, KL, write_tiny_inputs
from tests.workflow.conftest import Project, copy_of_the_project

# a random model hardly ends an answer, so a letter does
GENERATION = {"max_new_tokens": 8, "stop": list("aeiou Q")}
KEEP = {"max_unusable": 1.0}


def experiment() -> dict[str, Any]:
    """Two draws; test items without labels, which the 2-shot teacher answers instead."""
    config = copy.deepcopy(EXPERIMENT)
    config |= {"experiment": "free", "draws": 2}
    for key in ("transfer", "representations"):
        del config[key]
    del config["tasks"]["deduction"]
    echo = config["tasks"]["echo"]
    echo |= {"generation": GENERATION, "reference": "few-shot"}
    echo["data"] |= {
        "items": {"demonstrations": 4, "train": 14, "validation": 6, "test": 10},
        "unlabelled": ["train", "validation", "test"],
    }
    config["teachers"]["told"] = {"system": "Say it again."}
    config["conditions"] = {
        "labels": {"train_on": "demonstrations", "terms": [CROSS_ENTROPY]},
        "answers": {
            "teacher": "few-shot",
            "answers": {"by": "teacher", "keep": KEEP},
            "terms": [CROSS_ENTROPY, KL],
        },
        "phases": {
            "teacher": "told",
            "phases": [
                {"train_on": "demonstrations", "steps": 1, "terms": [CROSS_ENTROPY]},
                {
                    "answers": {"by": "teacher", "samples": 2, "temperature": 1, "keep": KEEP},
                    "terms": [CROSS_ENTROPY],
                },
            ],
        },
        "own": {
            "teacher": "few-shot",
            "answers": {"by": "student", "rounds": 2, "keep": KEEP},
            "terms": [KL],
        },
    }
    members = ["labels", "answers", "phases", "own", "told", "2-shot"]
    config["comparisons"] = {"main": {"question": "Which?", "members": members}}
    config["evaluation"] = {"choose_by": "agreement"}
    config["training"] |= {"steps": 4, "checkpoints": [2, 4]}
    return config


def write_rows(folder: Path, scrambled: bool) -> None:
    """The items, with the demonstrations in a split of their own; other answers if scrambled."""
    path = folder / "echo.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["split"] = "demonstrations" if number < 4 else "all"
        if number >= 4 and scrambled:
            row["answer"] = f"wrong {number}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def study(folder: Path, *, unlabelled: bool, scrambled: bool) -> Project:
    project = copy_of_the_project(folder, "free")
    write_tiny_inputs(project.folder)
    write_rows(project.folder, scrambled)
    config = experiment()
    splits = dict.fromkeys(("train", "validation", "test"), "all")
    config["tasks"]["echo"]["data"]["splits"] = splits | {"demonstrations": "demonstrations"}
    if not unlabelled:
        config["tasks"]["echo"]["data"]["unlabelled"] = []
        config["draws"] = 1
        config["tasks"]["echo"]["data"]["items"]["demonstrations"] = 2
        config["conditions"] = {name: config["conditions"][name] for name in ("answers", "own")}
        config["comparisons"] = {}
    project.configure(config)
    return project


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = study(tmp_path_factory.mktemp("free"), unlabelled=True, scrambled=False)
    project.run()
    return project


@pytest.fixture(scope="module")
def summary(finished: Project) -> pd.DataFrame:
    return pd.read_csv(finished.results / "summary.csv")


def test_what_sees_demonstrations_is_there_for_each_draw(summary):
    draws = summary[summary["draw"] != "all"].groupby("condition")["draw"].unique()
    drawn = {name: own.tolist() for name, own in draws.items() if not pd.isna(own).all()}
    assert sorted(drawn) == ["2-shot", "answers", "labels", "own", "phases"]
    assert all(own == ["0", "1"] for own in drawn.values())
    assert draws.index.difference(list(drawn)).tolist() == ["0-shot", "told"]


def test_no_gold_is_in_the_splits_without_labels(finished):
    for split in ("train", "validation", "test"):
        assert pd.read_parquet(finished.results / f"tasks/echo/{split}.parquet").answer.isna().all()


def test_results_are_the_agreement_with_the_reference(finished):
    """The reference agrees with itself wherever it has an answer."""
    scored = pd.read_parquet(finished.results / "tiny/echo/icl/2-shot/predictions.parquet")
    assert len(scored)
    assert (scored["flexible"] == 1).all()


def test_a_student_answers_anew_in_every_round(finished):
    rounds = finished.results / "tiny/echo/runs/own/seed-0/rounds"
    first, second = (pd.read_parquet(rounds / f"{n}/answers.parquet") for n in (0, 1))
    assert len(first) == len(second) == 8
    assert set(first["item"]) != set(second["item"])


def test_what_is_taught_is_counted(finished):
    answers = pd.read_csv(finished.results / "answers.csv")
    assert (answers["kept"] <= answers["answers"]).all()
    assert answers["accuracy_strict"].isna().all()


def test_the_report_says_agreement(finished):
    told = (finished.results / "summary.md").read_text()
    assert "agreement, % [95 % CI]" in told
    assert "accuracy, % [95 % CI]" not in told


def test_scrambled_gold_gives_the_same_students(tmp_path: Path):
    targets = [
        f"results/free/tiny/echo/runs/{name}/seed-0/checkpoints/manifest.json"
        for name in ("answers", "own")
    ]
    checksums = []
    for scrambled in (False, True):
        folder = tmp_path / ("scrambled" if scrambled else "plain")
        folder.mkdir()
        project = study(folder, unlabelled=False, scrambled=scrambled)
        project.run(*targets)
        manifests = [json.loads((project.folder / target).read_text()) for target in targets]
        gold = pd.read_parquet(project.results / "tasks/echo/train.parquet")["answer"]
        checksums.append(([manifest["files"] for manifest in manifests], gold.tolist()))
    (students, gold), (others, scrambled_gold) = checksums
    assert gold != scrambled_gold
    assert students == others


def test_nothing_is_left_to_do(finished):
    assert finished.planned() == set()
