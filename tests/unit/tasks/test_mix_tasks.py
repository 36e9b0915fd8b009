"""The mixture's files and their manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.tasks import mix_tasks
from workflow_scripts.tasks.examples import Example, read_examples, write_examples
from workflow_scripts.tasks.shares import SPLITS

DATA = DataSettings(
    source="mixture",
    mixture={"second": 1, "first": 2},
    items={"demonstrations": 0, "train": 6, "validation": 3, "test": 3},
)


def example_of(task: str, item: str) -> Example:
    """One of the second task is unlabelled in training and has a further column."""
    answer = None if (task, item[:5]) == ("second", "train") else "x"
    columns = {"hint": item} if task == "second" else {}
    return Example(item, f"{task} {item[-1]}", answer, ("y",), columns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the program puts the mixture of two tasks of five items in each split."""
    files = []
    for task in DATA.mixture or ():
        for split in SPLITS:
            files.append(tmp_path / task / f"{split}.parquet")
            examples = [example_of(task, f"{split}-{n}") for n in range(5)]
            write_examples(files[-1], examples)
    mix_tasks.main(DATA, files, tmp_path / "both")
    return tmp_path / "both"


def manifest_of(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())


def test_a_mixture_is_a_file_for_each_split(folder: Path) -> None:
    sizes = {split: len(read_examples(folder / f"{split}.parquet")) for split in SPLITS}
    assert sizes == DATA.items.model_dump()


def test_items_are_of_the_task_that_they_are_named_after(folder: Path) -> None:
    examples = read_examples(folder / "train.parquet")
    assert {e.item.partition("/")[0] for e in examples} == {"first", "second"}
    assert all(e.question.startswith(e.item.partition("/")[0]) for e in examples)


def test_references_are_kept(folder: Path) -> None:
    assert {e.references for e in read_examples(folder / "test.parquet")} == {("y",)}


def test_unlabelled_items_and_columns_are_passed_on(folder: Path) -> None:
    for example in read_examples(folder / "train.parquet"):
        task, _, item = example.item.partition("/")
        assert example.answer == (None if task == "second" else "x")
        assert example.columns == ({"hint": item} if task == "second" else {})
    assert manifest_of(folder)["unlabelled"]["train"] == 2


def test_the_manifest_says_what_is_mixed(folder: Path) -> None:
    manifest = manifest_of(folder)
    assert manifest["source"] == "mixture"
    assert manifest["mixture"] == {"second": 1.0, "first": 2.0}
    assert manifest["counts"] == DATA.items.model_dump()
    assert manifest["components"] == {
        "demonstrations": {"second": 0, "first": 0},
        "train": {"second": 2, "first": 4},
        "validation": {"second": 1, "first": 2},
        "test": {"second": 1, "first": 2},
    }


def test_the_manifest_vouches_for_the_files(folder: Path) -> None:
    assert manifest_of(folder)["sha256"] == {
        f"{split}.parquet": sha256_of(folder / f"{split}.parquet") for split in SPLITS
    }
