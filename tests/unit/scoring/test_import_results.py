"""Results of other tools, on the items of a task's test split."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.conftest import samples
from workflow_scripts.config.data import DataSettings
from workflow_scripts.config.slices import ForeignSlice
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring import import_results
from workflow_scripts.study.wildcards import as_json
from workflow_scripts.tasks.examples import Example, write_examples

# eleven of its sixteen questions are there once
SUMS = {json.loads(line)["doc"]["question"] for line in samples("float32").read_text().splitlines()}


ITEMS = {"demonstrations": 0, "train": 0, "validation": 1, "test": 9}


@pytest.fixture
def imported(tmp_path: Path):
    """Imports a file on these examples; returns the predictions and where they come from."""

    def run(file, examples, metric=None, name="theirs", **data):
        write_examples(tmp_path / "test.parquet", examples)
        own = DataSettings.model_validate({"source": "sums.jsonl", "items": ITEMS} | data)
        settings = ForeignSlice(name=name, metric=metric, data=own, confidence=0.95)
        written = {name: tmp_path / name for name in ("predictions.parquet", "origin.json")}
        words = ["--settings", as_json(settings), "--file", str(file)]
        words += ["--test", str(tmp_path / "test.parquet")]
        words += ["--predictions", str(written["predictions.parquet"])]
        words += ["--origin", str(written["origin.json"])]
        call(import_results.main, words)
        return (
            pd.read_parquet(written["predictions.parquet"]),
            json.loads(written["origin.json"].read_text()),
        )

    return run


@pytest.fixture
def table(tmp_path: Path):
    def write(frame):
        path = tmp_path / "scores.csv"
        pd.DataFrame(frame).to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def rewritten(tmp_path: Path, float32):
    """The samples with other documents, each from its own and its number."""

    def write(change):
        lines = [json.loads(line) for line in float32.read_text().splitlines()]
        for line in lines:
            line["doc"] = change(line["doc"], line["doc_id"])
        path = tmp_path / float32.name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def sums(*more: str) -> list[Example]:
    questions = [*sorted(SUMS), *more]
    return [Example(f"row-{n}", text, "1") for n, text in enumerate(questions)]


def numbered(count: int) -> list[Example]:
    return [Example(f"row-{n}", f"question {n}", "1") for n in range(count)]


def test_items_of_the_harness_are_found_by_their_questions(imported, float32):
    predictions, origin = imported(float32, sums("What is 1 + 77?"), "strict-match")
    assert set(predictions["item"]) <= {example.item for example in sums()}
    assert (origin["matched"], origin["by"], len(predictions)) == (11, "question", 11)
    assert origin["items"] == len(SUMS) + 1
    assert origin["format"] == "harness"
    assert origin["metric"] == "exact_match,strict-match"
    assert origin["file"].endswith(float32.name)
    assert "in the test split: 3 items (" in origin["note"]
    assert "in theirs: 5 items (" in origin["note"]


def test_the_answers_of_a_log_reach_the_predictions(imported, float32):
    predictions, _ = imported(float32, sums(), "strict-match")
    lines = [json.loads(line) for line in float32.read_text().splitlines()]
    own = {line["doc"]["question"]: line for line in lines if line["filter"] == "strict-match"}
    of_item = {example.item: own[example.question] for example in sums()}
    for row in predictions.to_dict("records"):
        line = of_item[row["item"]]
        assert row["completion"] == line["resps"][0][0]
        assert row["prediction"] == line["filtered_resps"][0]
        assert row["strict"] == row["flexible"] == line["exact_match"]


def test_results_of_other_tools_have_no_losses_and_no_steps(imported, seven_wrong):
    predictions, _ = imported(seven_wrong, sums())
    assert predictions[["answer_loss", "selection", "selection_loss"]].isna().all(axis=None)
    assert predictions[["split", "step"]].drop_duplicates().to_numpy().tolist() == [["test", 0]]


def test_items_of_a_table_are_found_by_their_ids(imported, table):
    path = table({"item": [f"row-{n}" for n in range(8)], "score": [1, 0] * 4})
    predictions, origin = imported(path, numbered(9))
    assert predictions["strict"].tolist() == [1, 0] * 4
    assert predictions["completion"].isna().all()
    assert (origin["matched"], origin["by"]) == (8, "id")
    assert origin["note"] == "not in every result, but in the test split: 1 item (row-8)"


def test_of_several_results_in_a_table_the_one_of_the_name_is_read(imported, table):
    items = [f"row-{n}" for n in range(8)]
    path = table({"item": items * 2, "result": ["a"] * 8 + ["b"] * 8, "score": [0] * 8 + [1] * 8})
    assert imported(path, numbered(8), name="b")[0]["strict"].mean() == 1
    with pytest.raises(InputError, match=r"scores.csv: no result named c; it holds a, b$"):
        imported(path, numbered(8), name="c")


def test_epochs_want_files_of_their_own(imported, three_epochs):
    with pytest.raises(InputError, match="holds 3 seeds or epochs; write each into a file"):
        imported(three_epochs, sums())


def test_fewer_common_items_than_a_test_needs_are_refused(imported, table):
    path = table({"item": [f"row-{n}" for n in range(5)], "score": [1, 0, 1, 1, 1]})
    with pytest.raises(InputError, match=r"has 5 of the 9 test items, but a test needs 6 to show"):
        imported(path, numbered(9))


def test_the_same_id_with_another_question_is_no_match(imported, table):
    rows = {"item": [f"row-{n}" for n in range(8)], "score": [1, 0] * 4}
    rows["question"] = [f"question {n}" if n < 7 else "another" for n in range(8)]
    _, origin = imported(table(rows), numbered(8))
    assert origin["matched"] == 7
    assert origin["note"] == "same id, another question: 1 item (row-7)"


def test_the_rows_of_a_log_become_questions_as_the_task_makes_them(imported, rewritten):
    """With the options below the question, as lm-evaluation-harness does not keep them."""
    path = rewritten(lambda doc, n: {"query": f"Which, {n}?", "choices": ["one", "two"]})
    examples = [Example(f"row-{n}", f"Which, {n}?\nA. one\nB. two", "A") for n in range(16)]
    fields = {"question": "query", "options": "choices"}
    _, origin = imported(path, examples, "strict-match", fields=fields, choices=["A", "B"])
    assert (origin["matched"], origin["by"]) == (16, "question")
    with pytest.raises(InputError, match="no common item"):
        imported(path, examples, "strict-match", fields={"question": "query"})


def test_numbers_of_a_log_without_questions_are_not_taken_for_ids(imported, rewritten):
    path = rewritten(lambda doc, _: {"column": doc})
    examples = [Example(str(n), f"question {n}", "1") for n in range(16)]
    with pytest.raises(InputError, match="does not say the questions of its items"):
        imported(path, examples, "strict-match")
