from __future__ import annotations

import pandas as pd
import pytest

from workflow_scripts.foreign.readers import read_results
from workflow_scripts.runtime.errors import InputError


@pytest.fixture
def table(tmp_path):
    def write(text, name="scores.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_table_may_hold_several_results(tmp_path, suffix):
    frame = pd.DataFrame(
        {"item": ["01", "02"] * 2, "result": ["a", "a", "b", "b"], "score": [1, 0, 0.5, 1]}
    )
    path = tmp_path / f"scores.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    first, second = read_results(path)
    assert (first.name, second.name) == ("a", "b")
    assert first.rows["item"].tolist() == ["01", "02"]
    assert second.rows["score"].tolist() == [0.5, 1]


def test_truth_values_are_scores(table):
    (result,) = read_results(
        table('{"item": 1, "correct": true}\n{"item": 2, "correct": false}\n', "x.jsonl")
    )
    assert result.name == "x"
    assert result.metric == "correct"
    assert result.rows["score"].tolist() == [1, 0]


def test_seeds_repeat_items(table):
    (result,) = read_results(table("item,seed,score\na,3,1\na,5,0\n"))
    assert result.rows["seed"].tolist() == [3, 5]


def test_a_single_seed_is_none(table):
    (result,) = read_results(table("item,seed,score\na,3,1\nb,3,0\n"))
    assert result.rows["seed"].isna().all()


def test_an_empty_score_is_named(table):
    (result,) = read_results(table("item,score\na,1\nb,\n"))
    assert result.unscored == ("b",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("item,score\na,1\na,0\n", "item a is there twice; give each item one row, and"),
        ("item,score,seed\na,1,1\na,1,1\nb,1,2\n", "item a is there twice with seed 1"),
        ("item,score\na,1\nb,1.5\n", "item b has score 1.5, but a score is a number from 0 to 1"),
        ("item,score\na,-0.1\n", "item a has score -0.1"),
        ("item,score\na,yes\n", "item a has score 'yes'"),
        ("items,score\na,1\n", "no column item; did you mean 'items'"),
        ("item,strict,flexible\na,1,1\n", "holds 2 metrics; choose a metric: 'strict' or"),
        ("item,note\na,x\n", "holds no scores"),
        ("item,score\n", "holds no rows"),
        ("", "is not a whole csv table"),
        ("item,score\n,1\n", "row 1 has no item"),
        ("item,score,seed\na,1,x\nb,1,y\n", "column seed holds what is no whole number"),
        ("item,score,task\na,1,x\nb,1,y\n", "holds results on 2 tasks"),
        ("item,score\na,\n", "no item has a score for score"),
    ],
)
def test_bad_tables_get_one_line(table, text, problem):
    with pytest.raises(InputError) as refused:
        read_results(table(text))
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_parquet_file_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "scores.parquet"
    pd.DataFrame({"item": ["a"], "score": [1]}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="not a whole parquet table; it was cut or is damaged"):
        read_results(path)


def test_other_files_are_refused(table, tmp_path):
    with pytest.raises(InputError, match=r"give samples_\*.jsonl of lm-evaluation-harness"):
        read_results(table("x", "notes.txt"))
    with pytest.raises(InputError, match="no such file"):
        read_results(tmp_path / "none.csv")


def test_a_column_answer_holds_texts_and_no_scores(table):
    (result,) = read_results(table("item,score,answer\na,1,12\nb,0,\n"))
    assert result.metric == "score"
    assert result.rows["answer"].dropna().tolist() == ["12"]
