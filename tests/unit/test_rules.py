"""What the rules give their programs is what the programs take."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "workflow_scripts"
RULES = {file.name: file.read_text() for file in sorted((ROOT / "rules").glob("*.smk"))}


def signature(entry_point: str) -> ast.arguments:
    """Of its `main`."""
    tree = ast.parse(PACKAGE.joinpath(*entry_point.split(".")).with_suffix(".py").read_text())
    (main,) = (
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    return main.args


def programs() -> Iterator[tuple[str, set[str]]]:
    """Every program that a rule names, and its arguments there."""
    for text in RULES.values():
        for start in re.finditer(r"\bprogram\(", text):
            call = ast.parse(balanced(text[start.start() :]), mode="eval").body
            assert isinstance(call, ast.Call)
            entry_point = ast.literal_eval(call.args[0])
            keywords = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
            places = [keywords.get(place, "") for place in PLACES]
            if "{" not in entry_point:
                yield entry_point, {name for place in places for name in place.split()}


# gather parts, record settings, help other modules
MODULES_OF_NO_TABLE = {
    *("gather", "qualify", "record_settings", "learning_curves", "verdicts", "copy_chosen")
}
PLACES = ("params", "input", "output", "wildcards")


def balanced(text: str) -> str:
    """The text up to the bracket that closes its first one."""
    depth = 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == ")" and depth == 0:
            return text[: place + 1]
    raise ValueError("a bracket stays open")


def test_a_rule_gives_its_program_every_argument_and_no_other():
    found = dict(programs())
    assert len(found) > 15
    for entry_point, given in found.items():
        taken = {argument.arg for argument in signature(entry_point).args}
        assert given == taken, entry_point


def test_no_rule_names_a_table():
    """But those of what draws, reports and exports: a table is a row of `study/tables.py`."""
    modules = ["drift_comparisons", *(path.stem for path in (PACKAGE / "tables").glob("[a-z]*.py"))]
    tables = "|".join(name for name in modules if name not in MODULES_OF_NO_TABLE)
    readers = {"figures.smk", "export.smk"}
    named = {
        file: re.findall(rf"\b(?:tables\.)?(?:{tables})\.csv|tables\.(?:{tables})\b", text)
        for file, text in RULES.items()
        if file not in readers
    }
    assert "analysis.smk" in named
    assert {file: names for file, names in named.items() if names} == {}
