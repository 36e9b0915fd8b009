from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.settings import DataSettings
from workflow_scripts.tasks.examples import Example
from workflow_scripts.tasks.sources import read_source

Write = Callable[..., DataSettings]


@pytest.fixture
def jsonl(tmp_path: Path) -> Write:
    """Settings of a task whose source is a .jsonl file of the given rows."""

    def write(*rows: dict[str, Any], **settings: Any) -> DataSettings:
        path = tmp_path / "task.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return from_source(str(path), **settings)

    return write


def from_source(source: str, **settings: Any) -> DataSettings:
    items = {"demonstrations": 1, "train": 1, "validation": 1, "test": 1}
    return DataSettings(source=source, **{"items": items} | settings)


def test_a_file_without_splits_is_one_split_named_all(jsonl: Write) -> None:
    data = jsonl({"question": "cat", "answer": "cats"}, {"question": "ox", "answer": "oxen"})
    assert read_source(data) == {
        "all": [Example("row-1", "cat", "cats"), Example("row-2", "ox", "oxen")]
    }


def test_a_split_column_names_the_splits(jsonl: Write) -> None:
    data = jsonl(
        {"question": "cat", "answer": "cats", "split": "test"},
        {"question": "ox", "answer": "oxen", "split": "train"},
    )
    assert read_source(data) == {
        "test": [Example("row-1", "cat", "cats")],
        "train": [Example("row-2", "ox", "oxen")],
    }


def test_an_id_column_names_the_items(jsonl: Write) -> None:
    data = jsonl({"id": 17, "question": "cat", "answer": "cats"})
    assert read_source(data)["all"][0].item == "17"


def test_the_config_names_the_columns(jsonl: Write) -> None:
    data = jsonl({"q": "cat", "a": "cats"}, fields={"question": "q", "answer": "a"})
    assert read_source(data)["all"] == [Example("row-1", "cat", "cats")]


def test_surrounding_white_space_is_removed(jsonl: Write) -> None:
    data = jsonl({"question": " cat\n", "answer": "\tcats "})
    assert read_source(data)["all"] == [Example("row-1", "cat", "cats")]


@pytest.mark.parametrize(
    ("answer", "text"), [("2020-01-01", "2020-01-01"), ("007", "007"), (7, "7")]
)
def test_an_answer_is_the_text_that_the_file_holds(
    jsonl: Write, answer: str | int, text: str
) -> None:
    assert read_source(jsonl({"question": "when", "answer": answer}))["all"][0].answer == text


def test_parquet_is_read_as_jsonl_is(tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": [5, 6], "question": ["cat", "ox"], "answer": ["cats", "oxen"]})
    rows.to_parquet(tmp_path / "task.parquet")
    assert read_source(from_source(str(tmp_path / "task.parquet"))) == {
        "all": [Example("5", "cat", "cats"), Example("6", "ox", "oxen")]
    }


def test_a_missing_value_in_parquet_is_refused_naming_its_row(tmp_path: Path) -> None:
    path = tmp_path / "task.parquet"
    pd.DataFrame({"question": ["cat", "ox"], "answer": ["cats", None]}).to_parquet(path)
    with pytest.raises(InputError, match=r"task\.parquet: row 2 has no 'answer'"):
        read_source(from_source(str(path)))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "ox"}, r"row 2 has no 'answer' \(it has: question\)"),
        ({"question": "ox", "answer": None}, "row 2 has no 'answer'"),
        ({"question": "ox", "answer": "  "}, "row 2: 'answer' is empty"),
        ({"question": "", "answer": "oxen"}, "row 2: 'question' is empty"),
        ({"question": "ox", "answer": ["oxen"]}, r"row 2: 'answer' is \['oxen'\], not text"),
        ({"question": "ox", "answer": float("nan")}, "row 2: 'answer' is nan, not text"),
    ],
)
def test_a_row_that_is_no_example_is_refused_by_number(
    jsonl: Write, row: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=rf"task\.jsonl: {reason}"):
        read_source(jsonl({"question": "cat", "answer": "cats"}, row))


def test_a_row_without_split_among_rows_with_one_is_refused(jsonl: Write) -> None:
    rows = [
        {"question": "cat", "answer": "cats", "split": "test"},
        {"question": "ox", "answer": "x"},
    ]
    with pytest.raises(InputError, match="row 2 has no 'split'"):
        read_source(jsonl(*rows))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"question": "cat", "answer": "cats"}\n{"question": ', "row 2 is not valid JSON"),
        (b'["cat", "cats"]', "row 1 is not a JSON object"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"\n", "holds no rows"),
    ],
)
def test_a_damaged_jsonl_file_is_refused(tmp_path: Path, text: bytes, reason: str) -> None:
    (tmp_path / "task.jsonl").write_bytes(text)
    with pytest.raises(InputError, match=rf"task\.jsonl: {reason}"):
        read_source(from_source(str(tmp_path / "task.jsonl")))


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "task.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"task\.parquet: not a parquet file"):
        read_source(from_source(str(tmp_path / "task.parquet")))


def test_a_file_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl: no such file"):
        read_source(from_source("nowhere.jsonl"))


def test_a_source_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"task\.csv: a task's `source` is"):
        read_source(from_source("task.csv"))


def test_a_generator_makes_as_many_different_questions_as_are_asked_for() -> None:
    items = {"demonstrations": 4, "train": 30, "validation": 5, "test": 10}
    examples = read_source(from_source("reasoning_gym:letter_counting", items=items))["all"]
    assert len({example.question for example in examples}) == len(examples) == 49


def test_a_generator_repeats_itself_for_the_same_seed() -> None:
    first, again, other = (
        read_source(from_source("reasoning_gym:letter_counting", seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_an_unknown_generator_is_refused_naming_the_nearest() -> None:
    with pytest.raises(InputError, match="no such data set; nearest: letter_counting"):
        read_source(from_source("reasoning_gym:leter_counting"))


def test_a_hub_data_set_that_cannot_be_had_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="hub:nobody/no-such-set: cannot be down") as refusal:
        read_source(from_source("hub:nobody/no-such-set", revision="main"))
    assert "\n" not in str(refusal.value)
