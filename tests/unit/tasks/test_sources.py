from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example, read_examples, write_examples
from workflow_scripts.tasks.patterns import PATTERNS
from workflow_scripts.tasks.sources import read_source
from workflow_scripts.tasks.splits import draw_splits

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


def splits_of(data: DataSettings) -> Mapping[str, Sequence[Example]]:
    return read_source(data).splits


def test_a_file_without_splits_is_one_split_named_all(jsonl: Write) -> None:
    data = jsonl({"question": "cat", "answer": "cats"}, {"question": "ox", "answer": "oxen"})
    assert splits_of(data) == {
        "all": [Example("row-1", "cat", "cats"), Example("row-2", "ox", "oxen")]
    }


def test_a_split_column_names_the_splits(jsonl: Write) -> None:
    data = jsonl(
        {"question": "cat", "answer": "cats", "split": "test"},
        {"question": "ox", "answer": "oxen", "split": "train"},
    )
    assert splits_of(data) == {
        "test": [Example("row-1", "cat", "cats")],
        "train": [Example("row-2", "ox", "oxen")],
    }


def test_an_id_column_names_the_items(jsonl: Write) -> None:
    data = jsonl({"id": 17, "question": "cat", "answer": "cats"})
    assert splits_of(data)["all"][0].item == "17"


def test_the_config_names_the_columns(jsonl: Write) -> None:
    data = jsonl({"q": "cat", "a": "cats"}, fields={"question": "q", "answer": "a"})
    assert splits_of(data)["all"] == [Example("row-1", "cat", "cats")]


def test_surrounding_white_space_is_removed(jsonl: Write) -> None:
    data = jsonl({"question": " cat\n", "answer": "\tcats "})
    assert splits_of(data)["all"] == [Example("row-1", "cat", "cats")]


@pytest.mark.parametrize(
    ("answer", "text"), [("2020-01-01", "2020-01-01"), ("007", "007"), (7, "7")]
)
def test_an_answer_is_the_text_that_the_file_holds(
    jsonl: Write, answer: str | int, text: str
) -> None:
    assert splits_of(jsonl({"question": "when", "answer": answer}))["all"][0].answer == text


@pytest.mark.parametrize(
    ("number", "text"),
    [("72.0", "72"), ("0.7", "0.7"), ("-3.50", "-3.5"), ("-0.0", "0"), ("1e3", "1000")],
)
def test_a_number_is_written_with_the_fewest_digits(tmp_path: Path, number: str, text: str) -> None:
    (tmp_path / "task.jsonl").write_text(f'{{"question": "how many", "answer": {number}}}')
    assert splits_of(from_source(str(tmp_path / "task.jsonl")))["all"][0].answer == text


@pytest.mark.parametrize("number", ["72.0", "0.70", "1e3"])
def test_a_number_that_is_text_stays_as_it_is(jsonl: Write, number: str) -> None:
    assert splits_of(jsonl({"question": "how many", "answer": number}))["all"][0].answer == number


def parquet_of(tmp_path: Path, answers: pa.Array, **settings: Any) -> DataSettings:
    table = pa.table({"question": [f"q{n}" for n in range(len(answers))], "answer": answers})
    pq.write_table(table, tmp_path / "task.parquet")
    return from_source(str(tmp_path / "task.parquet"), **settings)


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
def test_floats_have_the_digits_of_their_own_precision(tmp_path: Path, kind: pa.DataType) -> None:
    data = parquet_of(tmp_path, pa.array([0.7, 72.0, -1.5], kind))
    assert [e.answer for e in splits_of(data)["all"]] == ["0.7", "72", "-1.5"]


@pytest.mark.parametrize(
    ("answers", "column"),
    [
        (pa.array([[0.7, 0.1], [72.0]], pa.list_(pa.float32())), "answer"),
        (pa.array([[[0.7]], [[72.0]]], pa.list_(pa.list_(pa.float32()))), "answer.0.0"),
        (
            pa.array([{"n": 0.7}, {"n": 72.0}], pa.struct([("n", pa.float32())])),
            "answer.n",
        ),
    ],
)
def test_floats_within_a_column_have_them_too(
    tmp_path: Path, answers: pa.Array, column: str
) -> None:
    data = parquet_of(tmp_path, answers, fields={"answer": column})
    assert [e.answer for e in splits_of(data)["all"]] == ["0.7", "72"]


def test_floats_of_the_hub_have_the_digits_of_their_own_precision(hub: Write) -> None:
    rows = [{"question": "q", "answer": 0.7}, {"question": "r", "answer": 72.0}]
    narrow = datasets.Features(
        {"question": datasets.Value("string"), "answer": datasets.Value("float32")}
    )
    data = hub({"train": rows}, features=narrow)
    assert [e.answer for e in splits_of(data)["train"]] == ["0.7", "72"]


def test_whole_numbers_of_a_column_with_gaps_stay_whole(tmp_path: Path) -> None:
    rows = pd.DataFrame({"question": ["cat", "ox"], "answer": [72, 5], "id": [7, None]})
    rows.to_parquet(tmp_path / "task.parquet")
    assert splits_of(from_source(str(tmp_path / "task.parquet")))["all"] == [
        Example("7", "cat", "72"),
        Example("row-2", "ox", "5"),
    ]


def test_an_index_in_a_column_with_gaps_is_an_index(jsonl: Write) -> None:
    row = {"question": "Which?", "choices": ["this", "that"], "answer": 1.0}
    data = jsonl(row, fields={"options": "choices"}, choices=("1", "2"))
    assert splits_of(data)["all"][0].answer == "2"


def test_a_decimal_has_the_digits_of_its_column(tmp_path: Path) -> None:
    data = parquet_of(tmp_path, pa.array([Decimal("0.70"), Decimal("1E+2")], pa.decimal128(5, 2)))
    assert [e.answer for e in splits_of(data)["all"]] == ["0.70", "100.00"]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (date(2020, 1, 1), r"datetime\.date\(2020, 1, 1\)"),
        (datetime(2020, 1, 1), r"datetime\.datetime\(2020, 1, 1, 0, 0\)"),
        (b"oxen", "b'oxen'"),
        (float("inf"), "inf"),
    ],
)
def test_what_could_be_written_in_several_ways_is_refused(
    tmp_path: Path, answer: Any, shown: str
) -> None:
    with pytest.raises(InputError, match=f"row 1: 'answer' is {shown}, not text; write it as text"):
        splits_of(parquet_of(tmp_path, pa.array([answer])))


@pytest.mark.parametrize("kind", ["jsonl", "json"])
@pytest.mark.parametrize("column", ["question", "answer", "id"])
def test_half_of_a_character_is_refused_naming_its_row(
    tmp_path: Path, column: str, kind: str
) -> None:
    rows = [{"id": name, "question": name, "answer": name} for name in ("cat", "ox")]
    rows[1] |= {column: "o\ud800"}
    lines = [json.dumps(row) for row in rows]
    text = "\n".join(lines) if kind == "jsonl" else f"[{','.join(lines)}]"
    (tmp_path / f"task.{kind}").write_text(text)
    with pytest.raises(InputError, match=rf"row 2: '{column}' holds '\\ud800', half of a char"):
        splits_of(from_source(str(tmp_path / f"task.{kind}")))


def test_a_whole_pair_of_halves_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "task.jsonl").write_text(r'{"question": "grin", "answer": "\ud83d\ude00"}')
    assert splits_of(from_source(str(tmp_path / "task.jsonl")))["all"][0].answer == "😀"


def test_bytes_of_parquet_that_are_no_text_are_refused_naming_their_row(tmp_path: Path) -> None:
    ends = pa.array([0, 2, 4], pa.int32()).buffers()[1]
    damaged = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"ok\xff\xfe")])
    with pytest.raises(InputError, match=r"task\.parquet: row 2 holds text that is not UTF-8"):
        splits_of(parquet_of(tmp_path, damaged))


def test_every_other_character_can_be_written_and_read_again(jsonl: Write, tmp_path: Path) -> None:
    text = "a\0b\u2028\ufeff\ufffe\U0010ffffc"
    examples = splits_of(jsonl({"question": text, "answer": text}))["all"]
    write_examples(tmp_path / "all.parquet", examples)
    assert read_examples(tmp_path / "all.parquet") == [Example("row-1", text, text)]


def test_parquet_is_read_as_jsonl_is(tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": [5, 6], "question": ["cat", "ox"], "answer": ["cats", "oxen"]})
    rows.to_parquet(tmp_path / "task.parquet")
    assert splits_of(from_source(str(tmp_path / "task.parquet"))) == {
        "all": [Example("5", "cat", "cats"), Example("6", "ox", "oxen")]
    }


def test_a_missing_value_in_parquet_is_refused_naming_its_row(tmp_path: Path) -> None:
    path = tmp_path / "task.parquet"
    pd.DataFrame({"question": ["cat", "ox"], "answer": ["cats", None]}).to_parquet(path)
    with pytest.raises(InputError, match=r"task\.parquet: row 2 has no 'answer'"):
        splits_of(from_source(str(path)))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "ox"}, r"row 2 has no 'answer' \(it has: question\)"),
        ({"question": "ox", "answer": None}, "row 2 has no 'answer'"),
        ({"question": "ox", "answer": "  "}, "row 2: 'answer' is empty"),
        ({"question": "", "answer": "oxen"}, "row 2: 'question' is empty"),
        ({"question": "ox", "answer": ["oxen", None]}, "row 2: 'answer' is None, not text"),
        ({"question": "ox", "answer": []}, "row 2: 'answer' is empty"),
        ({"question": "ox", "answer": ["", " "]}, "row 2: 'answer' is empty"),
        ({"question": ["ox"], "answer": "oxen"}, r"row 2: 'question' is \['ox'\], not text"),
        ({"question": "ox", "answer": float("nan")}, "row 2: 'answer' is nan, not text"),
    ],
)
def test_a_row_that_is_no_example_is_refused_by_number(
    jsonl: Write, row: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=rf"task\.jsonl: {reason}"):
        splits_of(jsonl({"question": "cat", "answer": "cats"}, row))


def test_a_row_without_split_among_rows_with_one_is_refused(jsonl: Write) -> None:
    rows = [
        {"question": "cat", "answer": "cats", "split": "test"},
        {"question": "ox", "answer": "x"},
    ]
    with pytest.raises(InputError, match="row 2 has no 'split'"):
        splits_of(jsonl(*rows))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"question": "cat", "answer": "cats"}\n{"question": ', "row 2 is not valid JSON"),
        (b'["cat", "cats"]', "row 1 is not a JSON object"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"\n", "holds no rows"),
        (b'{"question": "cat", "answer": ' + b"1" * 5000 + b"}", "row 1 is not valid JSON"),
        (b'{"question": "cat", "answer": ' + b"[" * 99999, "row 1 is not valid JSON"),
    ],
)
def test_a_damaged_jsonl_file_is_refused(tmp_path: Path, text: bytes, reason: str) -> None:
    (tmp_path / "task.jsonl").write_bytes(text)
    with pytest.raises(InputError, match=rf"task\.jsonl: {reason}"):
        splits_of(from_source(str(tmp_path / "task.jsonl")))


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "task.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"task\.parquet: not a parquet file"):
        splits_of(from_source(str(tmp_path / "task.parquet")))


@pytest.mark.parametrize(
    "wrap", [lambda rows: rows, lambda rows: {"canary": "x", "examples": rows}]
)
def test_a_json_file_is_a_list_or_holds_one_as_examples(
    tmp_path: Path, wrap: Callable[[Any], Any]
) -> None:
    rows = [{"input": "cat", "target": "cats"}, {"input": "ox", "target": "oxen"}]
    (tmp_path / "task.json").write_text(json.dumps(wrap(rows)))
    data = from_source(
        str(tmp_path / "task.json"), fields={"question": "input", "answer": "target"}
    )
    assert splits_of(data) == {
        "all": [Example("row-1", "cat", "cats"), Example("row-2", "ox", "oxen")]
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"examples": ', "is not valid JSON"),
        (f"[{'1' * 5000}]", "is not valid JSON"),
        ('{"rows": []}', "is neither a list nor an object with a list of `examples`"),
        ("[]", "holds no rows"),
        ("[3]", "row 1 is not a JSON object"),
    ],
)
def test_a_damaged_json_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "task.json").write_text(text)
    with pytest.raises(InputError, match=rf"task\.json: {reason}"):
        splits_of(from_source(str(tmp_path / "task.json")))


def test_a_folder_s_files_are_its_splits(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"question": "cat", "answer": "cats"}\n')
    (tmp_path / "dev.json").write_text('[{"question": "mouse", "answer": "mice"}]')
    pd.DataFrame({"question": ["ox"], "answer": ["oxen"]}).to_parquet(tmp_path / "test.parquet")
    (tmp_path / "LICENSE").write_text("free")
    assert splits_of(from_source(str(tmp_path))) == {
        "dev": [Example("dev-1", "mouse", "mice")],
        "test": [Example("test-1", "ox", "oxen")],
        "train": [Example("train-1", "cat", "cats")],
    }


def test_a_folder_with_a_split_in_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"question": "cat", "answer": "cats"}')
    (tmp_path / "test.json").write_text('[{"question": "cat", "answer": "cats"}]')
    with pytest.raises(InputError, match="two files are the split 'test'"):
        splits_of(from_source(str(tmp_path)))


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no \.jsonl, \.json, \.parquet file"):
        splits_of(from_source(str(tmp_path)))


def test_a_row_of_a_folder_is_refused_by_file_and_number(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"question": "cat"}')
    with pytest.raises(InputError, match=r"train\.jsonl: row 1 has no 'answer'"):
        splits_of(from_source(str(tmp_path)))


# --- columns within columns, and lists ----------------------------------------------------

# as the hub keeps SQuAD, CoQA and translations
NESTED = {
    "answers": {"text": ["in Rome", "Rome"], "start": [4, 7]},
    "questions": ["Where?", "When?"],
    "translation": {"en": "the cat", "es": "el gato"},
    "turns": [{"said": "Hello."}],
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("translation.es", "el gato"),
        ("questions.1", "When?"),
        ("turns.0.said", "Hello."),
        ("answers.start.1", "7"),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_dot_leads_into_a_column(tmp_path: Path, path: str, text: str, kind: str) -> None:
    file = tmp_path / f"task.{kind}"
    if kind == "jsonl":
        file.write_text(json.dumps(NESTED))
    else:
        pd.DataFrame([NESTED]).to_parquet(file)
    data = from_source(str(file), fields={"question": path, "answer": "translation.en"})
    assert splits_of(data)["all"] == [Example("row-1", text, "the cat")]


def test_a_column_whose_name_has_the_dot_comes_first(jsonl: Write) -> None:
    row = {"q.en": "cat", "q": {"en": "ox"}, "answer": "cats"}
    assert splits_of(jsonl(row, fields={"question": "q.en"}))["all"][0].question == "cat"


@pytest.mark.parametrize("path", ["translation.fr", "question.en", "questions.first"])
def test_a_path_that_leads_nowhere_is_refused_naming_those_that_are_there(
    jsonl: Write, path: str
) -> None:
    row = {"question": "cat", "answer": "cats", **NESTED}
    there = r"question, answer, answers\.text, answers\.start, questions, translation\.en, "
    with pytest.raises(InputError, match=rf"row 1 has no '{path}' \(it has: {there}"):
        splits_of(jsonl(row, fields={"question": path}))


def test_a_place_behind_the_end_of_a_list_is_missing(jsonl: Write) -> None:
    with pytest.raises(InputError, match=r"row 1 has no 'questions\.2'"):
        splits_of(jsonl({"answer": "x", **NESTED}, fields={"question": "questions.2"}))


def test_rows_are_chosen_by_what_lies_within_a_column(jsonl: Write) -> None:
    rows = [{"question": "q", "answer": "a", "meta": {"kind": kind}} for kind in "xyx"]
    assert len(splits_of(jsonl(*rows, where={"meta.kind": "x"}))["all"]) == 2


# --- references ---------------------------------------------------------------------------


def test_the_first_of_a_list_is_the_answer_and_all_are_references(jsonl: Write) -> None:
    row = {"question": "Where?", "answer": ["", "in Rome", "Rome", "in Rome "]}
    assert splits_of(jsonl(row))["all"] == [
        Example("row-1", "Where?", "in Rome", ("in Rome", "Rome"))
    ]


@pytest.mark.parametrize(
    ("concepts", "references"), [(["ski", "hill", "ski"], ("ski", "hill")), ("ski", ("ski",))]
)
def test_references_may_have_a_column_of_their_own(
    jsonl: Write, concepts: Any, references: tuple[str, ...]
) -> None:
    row = {"question": "Write.", "answer": ["They ski.", "We ski."], "concepts": concepts}
    data = jsonl(row, fields={"references": "concepts"})
    assert splits_of(data)["all"] == [Example("row-1", "Write.", "They ski.", references)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, r"row 2 has no 'concepts' \(it has: question, answer\)"),
        ({"concepts": None}, "row 2 has no 'concepts'"),
        ({"concepts": []}, "row 2: 'concepts' is empty"),
        ({"concepts": [""]}, "row 2: 'concepts' is empty"),
    ],
)
def test_a_row_without_references_is_refused_by_number(
    jsonl: Write, row: dict[str, Any], reason: str
) -> None:
    whole = {"question": "Write.", "answer": "They ski.", "concepts": ["ski"]}
    other = {"question": "Write.", "answer": "x"} | row
    data = jsonl(whole, other, fields={"references": "concepts"})
    with pytest.raises(InputError, match=reason):
        splits_of(data)


# --- choice tasks -------------------------------------------------------------------------

CHOICE = {"fields": {"options": "choices"}, "choices": ("A", "B")}


@pytest.mark.parametrize("answer", [1, "1", "B"])
def test_options_are_written_below_the_question_and_the_answer_is_a_label(
    jsonl: Write, answer: int | str
) -> None:
    row = {"question": "Which flies?", "choices": ["the fish", " the owl"], "answer": answer}
    assert splits_of(jsonl(row, **CHOICE))["all"] == [
        Example("row-1", "Which flies?\nA. the fish\nB. the owl", "B")
    ]


def test_options_are_read_from_parquet_too(tmp_path: Path) -> None:
    rows = {"question": ["Which flies?"], "choices": [["the fish", "the owl"]], "answer": [1]}
    pd.DataFrame(rows).to_parquet(tmp_path / "test.parquet")
    examples = splits_of(from_source(str(tmp_path / "test.parquet"), **CHOICE))["all"]
    assert examples == [Example("row-1", "Which flies?\nA. the fish\nB. the owl", "B")]


def test_options_may_have_a_column_each(jsonl: Write) -> None:
    row = {"question": "Which flies?", "answer0": "the fish", "answer1": "the owl", "label": 1}
    fields = {"options": ("answer0", "answer1"), "answer": "label"}
    assert splits_of(jsonl(row, fields=fields, choices=("A", "B")))["all"] == [
        Example("row-1", "Which flies?\nA. the fish\nB. the owl", "B")
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("a", "b", "c"), "row 1 has no 'c'"),
        (("a",), r"row 1: 1 options for 2 labels \(A, B\)"),
    ],
)
def test_columns_of_options_that_do_not_fit_are_refused(
    jsonl: Write, options: tuple[str, ...], reason: str
) -> None:
    row = {"question": "Which?", "a": "this", "b": "that", "answer": "A"}
    with pytest.raises(InputError, match=reason):
        splits_of(jsonl(row, fields={"options": options}, choices=("A", "B")))


@pytest.mark.parametrize(("answer", "label"), [(0, "1"), (1, "2"), ("1", "1")])
def test_digits_that_are_a_label_are_no_index(jsonl: Write, answer: int | str, label: str) -> None:
    row = {"question": "Which?", "choices": ["this", "that"], "answer": answer}
    data = jsonl(row, fields={"options": "choices"}, choices=("1", "2"))
    assert splits_of(data)["all"][0].answer == label


def test_a_question_that_lists_its_options_stays_as_it_is(jsonl: Write) -> None:
    row = {"question": "Which?\n(A) this\n(B) that", "answer": "(B)"}
    data = jsonl(row, choices=("(A)", "(B)"))
    assert splits_of(data)["all"] == [Example("row-1", row["question"], "(B)")]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"answer": "C"}, "answer 'C' is not one of A, B"),
        ({"answer": 2}, "answer '2' is not one of A, B"),
        ({"answer": -1}, "answer '-1' is not one of A, B"),
        ({"choices": ["this"]}, r"1 options for 2 labels \(A, B\)"),
        ({"choices": ["this", "that", "both"]}, "3 options for 2 labels"),
        ({"choices": "this"}, "'choices' is 'this', not a list of options"),
        ({"choices": ["this", ""]}, "'choices' is empty"),
    ],
)
def test_a_row_that_does_not_fit_the_labels_is_refused_by_number(
    jsonl: Write, changed: dict[str, Any], reason: str
) -> None:
    row = {"question": "Which?", "choices": ["this", "that"], "answer": "A"}
    with pytest.raises(InputError, match=rf"row 2: {reason}"):
        splits_of(jsonl(row, row | changed, **CHOICE))


# --- pattern tasks ------------------------------------------------------------------------

PAIR = {"premise": "A cat sleeps.", "hypothesis": "It is awake.", "label": 2}
NLI = {
    "pattern": PATTERNS["minimal"],
    "fields": {"answer": "label"},
    "verbalizers": {"0": "Yes", "2": "No"},
}


@pytest.mark.parametrize(
    ("pattern", "question"),
    [
        (PATTERNS["minimal"], "A cat sleeps. It is awake. ?"),
        (PATTERNS["gpt-3"], "A cat sleeps. question: It is awake. Yes or No? answer:"),
        (
            PATTERNS["eval-harness"],
            "A cat sleeps. \nQuestion: It is awake. True or False?\nAnswer:",
        ),
        ("{hypothesis} After {premise}", "It is awake. After A cat sleeps."),
        ("{} {{premise}} {hypothesis}", "{} {A cat sleeps.} It is awake."),
        ("{premise} {hypothesis}\n", "A cat sleeps. It is awake."),
    ],
)
def test_a_pattern_makes_one_question_of_two_texts(
    jsonl: Write, pattern: str, question: str
) -> None:
    data = jsonl(PAIR | {"label": 0}, PAIR, **NLI | {"pattern": pattern})
    assert splits_of(data)["all"][1] == Example("row-2", question, "No")


def test_a_pattern_may_name_any_columns(jsonl: Write) -> None:
    row = {"answer": "x", "passage": " It is late. ", "n": 2, **NESTED}
    pattern = "{passage} {n} {translation.en}\n{questions}?"
    question = "It is late. 2 the cat\nWhere?, When??"
    assert splits_of(jsonl(row, pattern=pattern))["all"][0].question == question


@pytest.mark.parametrize("name", ["pasage", "translation.fr", " premise"])
def test_braces_that_name_no_column_are_refused_naming_the_columns(jsonl: Write, name: str) -> None:
    row = {"passage": "It is late.", "translation": {"en": "the cat"}, "answer": "x"}
    listed = r"\(it has: passage, translation\.en, answer\)"
    with pytest.raises(InputError, match=rf"row 1 has no '{name}' {listed}"):
        splits_of(jsonl(row, pattern=f"{{passage}} {{{name}}}"))


def test_braces_of_the_texts_stay_as_they_are(jsonl: Write) -> None:
    row = PAIR | {"premise": "{hypothesis} {0}"}
    data = jsonl(row | {"label": 0}, row, **NLI)
    assert splits_of(data)["all"][0].question == "{hypothesis} {0} It is awake. ?"


def test_the_config_names_the_columns_of_both_texts(jsonl: Write) -> None:
    row = {"sentence1": "A cat sleeps.", "sentence2": "It is awake."}
    fields = {"premise": "sentence1", "hypothesis": "sentence2", "answer": "label"}
    data = jsonl(row | {"label": 0}, row | {"label": 2}, **NLI | {"fields": fields})
    assert splits_of(data)["all"][0].question == "A cat sleeps. It is awake. ?"


def test_a_row_without_one_of_the_texts_is_refused_by_number(jsonl: Write) -> None:
    row = {"premise": "A cat sleeps.", "label": 0}
    with pytest.raises(InputError, match="row 2 has no 'hypothesis'"):
        read_source(jsonl(PAIR, row, **NLI))


@pytest.mark.parametrize("labels", [(0, 1, 2), ("0", "1", "2")])
def test_rows_of_labels_without_a_verbalizer_are_left_out_and_counted(
    jsonl: Write, labels: tuple[Any, ...]
) -> None:
    source = read_source(jsonl(*(PAIR | {"label": label} for label in labels), **NLI))
    assert [(e.item, e.answer) for e in source.splits["all"]] == [("row-1", "Yes"), ("row-3", "No")]
    assert source.other_labels == {"all": 1}


def test_labels_may_be_names(jsonl: Write) -> None:
    verbalizers = {"entailment": "Yes", "non-entailment": "No"}
    rows = [PAIR | {"label": label} for label in verbalizers]
    examples = splits_of(jsonl(*rows, **NLI | {"verbalizers": verbalizers}))["all"]
    assert [example.answer for example in examples] == ["Yes", "No"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_labels_may_be_truth_values(tmp_path: Path, kind: str) -> None:
    rows = [{"question": f"{value}?", "answer": value} for value in (True, False)]
    file = tmp_path / f"task.{kind}"
    if kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pd.DataFrame(rows).to_parquet(file)
    data = from_source(str(file), verbalizers={"True": "yes", "False": "no"})
    assert [example.answer for example in splits_of(data)["all"]] == ["yes", "no"]


def test_a_split_of_other_labels_only_is_there_and_empty(jsonl: Write) -> None:
    rows = [PAIR | {"label": 0, "split": "train"}, PAIR | {"split": "train"}]
    source = read_source(jsonl(*rows, PAIR | {"label": -1, "split": "test"}, **NLI))
    assert source.splits["test"] == []
    assert source.other_labels == {"test": 1}


def test_a_verbalizer_of_a_label_that_never_occurs_is_refused_naming_those_that_do(
    jsonl: Write,
) -> None:
    rows = [PAIR | {"label": label} for label in (0, 1, 1)]
    with pytest.raises(InputError, match=r"label '2' of .* in 'label'; its values: 0, 1$"):
        read_source(jsonl(*rows, **NLI))


@pytest.mark.parametrize("label", ["", " Yes", "Yes\n"])
def test_a_label_with_white_space_around_it_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="has white space around it"):
        from_source("task.jsonl", verbalizers={"0": label, "2": "No"})


# --- chosen rows --------------------------------------------------------------------------

ANIMALS = (
    {"question": "cat", "answer": "cats", "kind": "regular", "letters": 3},
    {"question": "ox", "answer": "oxen", "kind": "irregular", "letters": 2},
    {"question": "dog", "answer": "dogs", "kind": "regular", "letters": 3},
)


@pytest.mark.parametrize(
    ("where", "items"),
    [
        ({"kind": "regular"}, ["row-1", "row-3"]),
        ({"letters": "2"}, ["row-2"]),
        ({"kind": "regular", "letters": "3", "question": "dog"}, ["row-3"]),
    ],
)
def test_only_rows_with_the_values_are_taken(
    jsonl: Write, where: dict[str, str], items: list[str]
) -> None:
    chosen = splits_of(jsonl(*ANIMALS, where=where))["all"]
    assert [example.item for example in chosen] == items


def test_rows_that_are_not_chosen_are_not_counted_as_left_out(jsonl: Write) -> None:
    rows = [PAIR | {"label": label, "kind": "a"} for label in (0, 2)]
    data = jsonl(*rows, PAIR | {"label": 1, "kind": "b"}, where={"kind": "a"}, **NLI)
    assert read_source(data).other_labels == {}


def test_a_column_to_choose_by_that_a_row_lacks_is_refused(jsonl: Write) -> None:
    row = {"question": "ox", "answer": "oxen"}
    with pytest.raises(InputError, match=r"row 4 has no 'kind' \(it has: question, answer\)"):
        read_source(jsonl(*ANIMALS, row, where={"kind": "regular"}))


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({"kind": "regulr"}, "no row has 'regulr' in 'kind'.*: irregular, regular$"),
        ({"kind": "irregular", "letters": "3"}, "no row has '3' in 'letters'.*: 2$"),
    ],
)
def test_values_that_no_row_has_are_refused_naming_those_that_are_there(
    jsonl: Write, where: dict[str, str], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        read_source(jsonl(*ANIMALS, where=where))


def test_of_many_values_some_are_named(jsonl: Write) -> None:
    rows = [{"question": "q", "answer": "a", "n": n} for n in range(100, 120)]
    with pytest.raises(InputError, match=r"its values: 100, .*, 107, …$"):
        read_source(jsonl(*rows, where={"n": "7"}))


# --- further columns ------------------------------------------------------------------------


def test_further_columns_are_kept_as_texts(jsonl: Write) -> None:
    row = {"question": "Who?", "answer": "Tim", "document": " Tim sings. ", "page": 7.0}
    data = jsonl(row, columns=("document", "page"))
    (example,) = splits_of(data)["all"]
    assert example.columns == {"document": "Tim sings.", "page": "7"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, r"row 2 has no 'document' \(it has: question, answer\)"),
        ({"document": None}, "row 2 has no 'document'"),
        ({"document": " "}, "row 2: 'document' is empty"),
    ],
)
def test_a_row_without_a_further_column_is_refused_by_number(
    jsonl: Write, row: dict[str, Any], reason: str
) -> None:
    whole = {"question": "Who?", "answer": "Tim", "document": "Tim sings."}
    data = jsonl(whole, {"question": "Who?", "answer": "Tim"} | row, columns=("document",))
    with pytest.raises(InputError, match=reason):
        splits_of(data)


# --- unlabelled rows ------------------------------------------------------------------------


def folder_of(tmp_path: Path, splits: Mapping[str, list[dict[str, Any]]], **settings: Any) -> Any:
    for name, rows in splits.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return from_source(str(tmp_path), **settings)


def asked(name: str, count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"question": f"{name} {n}"} | more for n in range(count)]


def test_rows_of_unlabelled_splits_need_no_answer_column(tmp_path: Path) -> None:
    splits = {name: asked(name, 3, answer="x") for name in ("demonstrations", "validation", "test")}
    data = folder_of(tmp_path, splits | {"train": asked("train", 3)}, unlabelled=("train",))
    drawn = draw_splits(splits_of(data), data)
    assert [e.answer for e in drawn["train"]] == [None]
    assert [e.answer for e in drawn["test"]] == ["x"]


@pytest.mark.parametrize("answer", [["not", {"text": 1}], "C", 7.5, {"text": "x"}])
def test_an_unlabelled_split_s_own_source_split_may_hold_any_answers(
    tmp_path: Path, answer: Any
) -> None:
    splits = {name: asked(name, 3, answer="A") for name in ("demonstrations", "validation", "test")}
    data = folder_of(
        tmp_path,
        splits | {"train": asked("train", 3, answer=answer)},
        unlabelled=("train",),
        choices=("A", "B"),
    )
    assert {e.answer for e in splits_of(data)["train"]} == {None}


def test_references_of_unlabelled_splits_are_not_read(tmp_path: Path) -> None:
    row = {"answer": ["x", "y"], "concepts": ["z"]}
    splits = {n: asked(n, 3, **row) for n in ("demonstrations", "train", "validation", "test")}
    for fields in ({}, {"references": "concepts"}):
        data = folder_of(tmp_path, splits, unlabelled=("train", "test"), fields=fields)
        drawn = draw_splits(splits_of(data), data)
        assert {(e.answer, e.references) for e in drawn["train"] + drawn["test"]} == {(None, ())}
        assert drawn["validation"][0].references


ONE_FILE = {"demonstrations": 2, "train": 8, "validation": 3, "test": 5}


@pytest.mark.parametrize("verbalizers", [None, {"0": "No", "1": "Yes"}])
@pytest.mark.parametrize("unlabelled", [("train",), ("validation", "test"), ("test",)])
def test_labelled_splits_are_drawn_as_without_unlabelled_ones_beside_them(
    jsonl: Write, unlabelled: tuple[str, ...], verbalizers: dict[str, str] | None
) -> None:
    rows = [{"question": f"q{n}", "answer": n % 3} for n in range(30)]
    settings = {"items": ONE_FILE, "verbalizers": verbalizers}
    with_answers = jsonl(*rows, **settings)
    whole = draw_splits(splits_of(with_answers), with_answers)
    data = jsonl(*rows, **settings, unlabelled=unlabelled)
    drawn = draw_splits(splits_of(data), data)
    for ours, examples in drawn.items():
        assert [e.item for e in examples] == [e.item for e in whole[ours]]
        assert ours in unlabelled or examples == whole[ours]
        assert ours not in unlabelled or {e.answer for e in examples} == {None}


def rows_without_answers(jsonl: Write, ours: str, gone: dict[str, Any]) -> DataSettings:
    """A task of one file where the first row that is drawn for `ours` has another answer."""
    rows = [{"question": f"q{n}", "answer": "x", "id": f"row-{n + 1}"} for n in range(20)]
    whole = jsonl(*rows, items=ONE_FILE)
    item = draw_splits(splits_of(whole), whole)[ours][0].item
    rows[int(item.removeprefix("row-")) - 1] = {"question": "q", "id": item} | gone
    return jsonl(*rows, items=ONE_FILE, unlabelled=("train",))


@pytest.mark.parametrize("gone", [{}, {"answer": None}, {"answer": ""}, {"answer": []}])
def test_a_missing_answer_beside_an_unlabelled_split_is_none_there(
    jsonl: Write, gone: dict[str, Any]
) -> None:
    data = rows_without_answers(jsonl, "train", gone)
    source = read_source(data)
    drawn = draw_splits(source.splits, data, unanswered=source.unanswered)
    assert {e.answer for e in drawn["train"]} == {None}


@pytest.mark.parametrize("ours", ["demonstrations", "validation", "test"])
def test_a_missing_answer_is_refused_in_a_labelled_split_naming_the_row(
    jsonl: Write, ours: str
) -> None:
    data = rows_without_answers(jsonl, ours, {"answer": ""})
    source = read_source(data)
    with pytest.raises(InputError, match=rf"row \d+: 'answer' is empty.*; it is drawn for {ours}"):
        draw_splits(source.splits, data, unanswered=source.unanswered)


def test_unlabelled_rows_are_not_filtered_by_label(tmp_path: Path) -> None:
    labelled = [{"question": f"q{n}", "answer": n % 3} for n in range(9)]
    splits = dict.fromkeys(("demonstrations", "validation", "test"), labelled)
    data = folder_of(
        tmp_path,
        splits | {"train": asked("train", 2) + asked("other", 2, answer=2)},
        unlabelled=("train",),
        verbalizers={"0": "No", "1": "Yes"},
    )
    source = read_source(data)
    assert len(source.splits["train"]) == 4
    assert source.other_labels == {"demonstrations": 3, "validation": 3, "test": 3}


def test_labels_that_no_split_has_are_not_looked_for(tmp_path: Path) -> None:
    data = folder_of(
        tmp_path,
        {name: asked(name, 2) for name in ("train", "validation", "test")},
        unlabelled=("train", "validation", "test"),
        verbalizers={"0": "No", "1": "Yes"},
        items={"demonstrations": 0, "train": 1, "validation": 1, "test": 1},
    )
    assert len(splits_of(data)["test"]) == 2


def test_balanced_training_items_cannot_be_unlabelled() -> None:
    with pytest.raises(ValueError, match="`balanced` needs the labels of training items"):
        from_source("task.jsonl", choices=("A", "B"), balanced=True, unlabelled=("train",))


# --- the hub ------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Write:
    """Settings of a task whose source is a data set of the hub, of splits of rows."""

    def serve(
        rows: Mapping[str, list[dict[str, Any]]],
        features: datasets.Features | None = None,
        **settings: Any,
    ) -> DataSettings:
        splits = {name: datasets.Dataset.from_list(own, features) for name, own in rows.items()}
        monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: splits)
        return from_source("hub:somebody/something", revision="main", **settings)

    return serve


def test_rows_of_the_hub_without_a_text_are_left_out_and_counted(hub: Write) -> None:
    whole = {"q": "Write.", "a": ["They ski."], "concepts": ["ski"]}
    empty = [
        {"q": None},
        {"q": " "},
        {"a": [""]},
        {"a": []},
        {"concepts": [""]},
        {"concepts": None},
    ]
    data = hub(
        {"train": [whole, *(whole | change for change in empty)], "test": [whole | {"a": []}]},
        pattern="{q} {concepts}",
        fields={"answer": "a", "references": "concepts"},
    )
    source = read_source(data)
    assert [example.item for example in source.splits["train"]] == ["train-1"]
    assert source.splits["test"] == []
    assert source.no_text == {"train": 6, "test": 1}


def test_a_split_of_the_hub_whose_answers_are_hidden_cannot_be_drawn_from(hub: Write) -> None:
    rows = [{"question": str(n), "answer": "x"} for n in range(9)]
    data = hub(
        {"train": rows, "test": [row | {"answer": ""} for row in rows]},
        splits={"demonstrations": "train", "validation": "train"},
    )
    with pytest.raises(InputError, match=r"'test' has 0 different .* without text are skipped"):
        draw_splits(splits_of(data), data)


def test_unlabelled_rows_of_the_hub_are_kept_without_answers(hub: Write) -> None:
    rows = [{"question": str(n), "answer": "x", "document": "d"} for n in range(9)]
    hidden = [row | {"answer": ""} for row in rows]
    data = hub(
        {"train": rows, "test": [*hidden, hidden[0] | {"document": ""}]},
        splits={"demonstrations": "train", "validation": "train"},
        unlabelled=("test",),
        columns=("document",),
    )
    source = read_source(data)
    assert len(source.splits["test"]) == 9
    assert source.no_text == {"test": 1}
    assert [e.answer for e in draw_splits(source.splits, data)["test"]] == [None]


def test_a_zero_of_the_hub_is_a_text(hub: Write) -> None:
    data = hub({"train": [{"question": 0, "answer": 0}]})
    assert splits_of(data)["train"] == [Example("train-1", "0", "0")]


def test_items_of_the_hub_are_named_by_their_row_where_ids_repeat(hub: Write) -> None:
    row = {"id": 1, "question": "cat", "answer": "cats"}
    splits = splits_of(hub({"train": [row], "test": [row]}))
    assert [example.item for split in splits.values() for example in split] == ["train-1", "test-1"]


# --- the published files ------------------------------------------------------------------


def test_gsm8k_is_read_from_its_folder(real_data: Callable[[str], Path]) -> None:
    splits = splits_of(from_source(str(real_data("gsm8k"))))
    assert {name: len(split) for name, split in splits.items()} == {"train": 7473, "test": 1319}


@pytest.mark.parametrize(
    ("name", "choices", "items"),
    [
        ("causal_judgement", ("Yes", "No"), 187),
        ("logical_deduction_three_objects", ("(A)", "(B)", "(C)"), 250),
        ("logical_deduction_five_objects", tuple(f"({c})" for c in "ABCDE"), 250),
        ("logical_deduction_seven_objects", tuple(f"({c})" for c in "ABCDEFG"), 250),
    ],
)
def test_bbh_is_read_and_drawn_from_its_files(
    real_data: Callable[[str], Path], name: str, choices: tuple[str, ...], items: int
) -> None:
    data = from_source(
        str(real_data(f"bbh/{name}.json")),
        fields={"question": "input", "answer": "target"},
        choices=choices,
        items={"demonstrations": 10, "train": 70, "validation": 27, "test": 78},
    )
    source = splits_of(data)
    assert len(source["all"]) == items
    assert len(draw_splits(source, data)["train"]) == 70


def test_a_file_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl: no such file"):
        splits_of(from_source("nowhere.jsonl"))


def test_a_source_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"task\.csv: a task's `source` is"):
        splits_of(from_source("task.csv"))


def test_a_hub_data_set_that_cannot_be_had_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="hub:nobody/no-such-set: cannot be down") as refusal:
        splits_of(from_source("hub:nobody/no-such-set", revision="main"))
    assert "\n" not in str(refusal.value)
