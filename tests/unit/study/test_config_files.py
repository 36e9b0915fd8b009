"""What YAML loses without a word is refused with the file, the key's path and the lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.config_files import check_config_file

ROOT = Path(__file__).parents[3]


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Checks a file of this text; the lines of its refusal."""
    monkeypatch.chdir(tmp_path)

    def problems(text: str, name: str = "study.yaml") -> list[str]:
        (tmp_path / name).write_text(text)
        try:
            check_config_file(tmp_path / name)
        except InputError as error:
            return str(error).splitlines()
        return []

    return problems


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("**/*.yaml")), ids=lambda p: p.name)
def test_shipped_configs_say_nothing_twice(path):
    check_config_file(path)


# --- keys given twice -----------------------------------------------------------------------------


def test_a_key_that_appears_twice_is_named_with_file_and_both_lines(check):
    assert check("training: {steps: 4}\nshots: [0]\ntraining: {steps: 8}\n") == [
        "study.yaml: training: appears twice, in lines 1 and 3; remove or rename one"
    ]


def test_all_nested_keys_are_named_with_their_paths_at_once(check):
    text = "conditions:\n  sft:\n    terms:\n      - {weight: 1,\n         weight: 2}\n  sft: {}\n"
    assert [line.partition(": appears")[0] for line in check(text)] == [
        "study.yaml: conditions.sft",
        "study.yaml: conditions.sft.terms.0.weight",
    ]


def test_quotes_make_no_other_key(check):
    assert "in lines 1 and 2" in check('seeds: [0]\n"seeds": [1]\n')[0]


def test_json_is_checked_too_whatever_it_is_indented_with(check):
    text = '{\n\t"a": 1,\n\t"b": {"x": "caf\\u00e9 \\/ 010", "y":2},\n\t"a": 3\n}'
    assert check(text, "study.json") == [
        "study.json: a: appears twice, in lines 2 and 4; remove or rename one"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {x: 1}\n",
        "a: &a {x: 1}\nb: &b {y: 1}\nc: {<<: [*a, *b], x: 2}\n",
        "a: &a [1]\nb: *a\nc: *a\n",
        "\ufeffa: 1\r\nb: 2\r\n",
        "",
        "# nothing\n",
    ],
)
def test_merge_keys_and_anchors_repeat_nothing(check, text):
    assert check(text) == []


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("written", "read"), [("010", 8), ("12:30", 750), ("1:20.5", 80.5)])
def test_a_number_in_another_base_is_refused_with_what_yaml_reads(check, written, read):
    assert check(f"a:\n  b: {written}\n") == [
        f"study.yaml: a.b: YAML reads {written} in line 2 as {read}; write that number, or put "
        "the text in quotes"
    ]


@pytest.mark.parametrize("written", ["0", "0.5", "1e-4", "1_000", '"010"', "'12:30'", "hub:a/b"])
def test_other_numbers_and_text_in_quotes_are_what_they_look_like(check, written):
    assert check(f"a: {written}\n") == []


# --- escapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [r"'a\n{question}'", r"a\n{question}", r"['\n']", r"'\t'"])
def test_an_escape_outside_double_quotes_is_refused(check, written):
    (line,) = check(f"prompt: {written}\n")
    assert "in line 1 as a backslash and a letter; put the text in double quotes" in line


@pytest.mark.parametrize(
    "written",
    [r'"a\n{question}"', r'"a\\n"', r"'$\nu \neq \theta$'", r"'\d+'", "|\n  print('\\n')"],
)
def test_double_quotes_commands_of_tex_and_blocks_of_text_stay(check, written):
    assert check(f"prompt: {written}\n") == []
