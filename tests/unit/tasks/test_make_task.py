from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import write_json
from workflow_scripts.tasks.examples import read_examples
from workflow_scripts.tasks.make_task import make_task
from workflow_scripts.tasks.patterns import PATTERNS
from workflow_scripts.tasks.shares import SPLITS

ITEMS = {"demonstrations": 2, "train": 8, "validation": 3, "test": 5}


@pytest.fixture
def data(tmp_path: Path) -> DataSettings:
    rows = [{"question": f"question {n}", "answer": f"answer {n}"} for n in range(20)]
    source = tmp_path / "task.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DataSettings(source=str(source), items=ITEMS)


NOTHING = {"other labels": 0, "empty texts": 0, "overflow": 0}


def test_a_task_is_a_file_for_each_split(data: DataSettings, tmp_path: Path) -> None:
    make_task(data, tmp_path / "task")
    sizes = {split: len(read_examples(tmp_path / "task" / f"{split}.parquet")) for split in SPLITS}
    assert sizes == ITEMS


def test_the_manifest_vouches_for_the_files(data: DataSettings, tmp_path: Path) -> None:
    make_task(data, tmp_path / "task")
    manifest = json.loads((tmp_path / "task" / "manifest.json").read_text())
    assert manifest["counts"] == ITEMS
    assert manifest["sha256"] == {
        f"{split}.parquet": sha256_of(tmp_path / "task" / f"{split}.parquet") for split in SPLITS
    }


def test_the_manifest_does_not_tell_the_users_home(
    data: DataSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_task(data, tmp_path / "task")
    assert manifest_of(tmp_path / "task")["source"] == "~/task.jsonl"


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def test_what_overflows_is_left_out_and_the_manifest_says_of_which_contexts(
    data: DataSettings, tmp_path: Path
) -> None:
    make_task(data, tmp_path / "plain")
    over = [example.item for example in read_examples(tmp_path / "plain" / "test.parquet")[:2]]
    models = {"opt-125m": {"context_length": 2048, "items": 2}}
    write_json(tmp_path / "overflow.json", {"items": over, "shots": 16, "models": models})
    make_task(data, tmp_path / "task", tmp_path / "overflow.json")
    made = [e.item for s in SPLITS for e in read_examples(tmp_path / "task" / f"{s}.parquet")]
    assert not set(made) & set(over)
    manifest = manifest_of(tmp_path / "task")
    assert manifest["left_out"] == NOTHING | {"overflow": 2}
    assert manifest["overflow"] == {"shots": 16, "models": models}


def test_rows_of_other_labels_are_counted_in_the_splits_that_ours_are_drawn_from(
    tmp_path: Path,
) -> None:
    source = tmp_path / "pairs"
    source.mkdir()
    for split in ("train", "test", "unused"):
        rows = [{"premise": f"{split} {n}", "hypothesis": "h", "label": n % 3} for n in range(45)]
        (source / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = DataSettings(
        source=str(source),
        pattern=PATTERNS["minimal"],
        fields={"answer": "label"},
        verbalizers={"0": "Yes", "2": "No"},
        splits={"demonstrations": "train", "validation": "train"},
        items=ITEMS,
    )
    make_task(data, tmp_path / "task")
    assert manifest_of(tmp_path / "task")["left_out"] == NOTHING | {"other labels": 30}


def test_no_answer_of_an_unlabelled_split_reaches_its_file(
    data: DataSettings, tmp_path: Path
) -> None:
    unlabelled = data.model_copy(update={"unlabelled": ("train", "test")})
    make_task(unlabelled, tmp_path / "task")
    assert manifest_of(tmp_path / "task")["unlabelled"] == {
        "demonstrations": 0,
        "train": 8,
        "validation": 0,
        "test": 5,
    }
    for split in SPLITS:
        answers = {e.answer for e in read_examples(tmp_path / "task" / f"{split}.parquet")}
        assert (answers == {None}) == (split in ("train", "test"))


def test_scrambled_answers_make_the_same_unlabelled_split(
    data: DataSettings, tmp_path: Path
) -> None:
    unlabelled = data.model_copy(update={"unlabelled": ("train",)})
    make_task(unlabelled, tmp_path / "first")
    source = Path(data.source)
    source.write_text(source.read_text().replace('"answer 1', '"other 9'))
    make_task(unlabelled, tmp_path / "second")
    first, second = (
        (tmp_path / name / "train.parquet").read_bytes() for name in ("first", "second")
    )
    assert first == second


def test_the_same_settings_make_the_same_bytes(data: DataSettings, tmp_path: Path) -> None:
    make_task(data, tmp_path / "first")
    make_task(data, tmp_path / "second")
    first, second = (
        (tmp_path / name / "manifest.json").read_bytes() for name in ("first", "second")
    )
    assert first == second


def test_refused_settings_write_nothing(data: DataSettings, tmp_path: Path) -> None:
    too_many = data.model_copy(update={"items": data.items.model_copy(update={"train": 99})})
    with pytest.raises(InputError):
        make_task(too_many, tmp_path / "task")
    assert not (tmp_path / "task").exists()


@pytest.mark.parametrize("module", ["tasks.make_task", "scoring.predictions"])
def test_what_needs_no_model_starts_without_the_model_libraries(module: str) -> None:
    code = (
        f"import sys, workflow_scripts.{module}; "
        "sys.exit(bool({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
