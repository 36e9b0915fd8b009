"""Generated files and documents are up to date."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from tests.outputs import save
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator, gallery = script("generate"), script("gallery")


@pytest.mark.parametrize("name", generator.GENERATED)
def test_a_generated_file_equals_its_source(name):
    assert (ROOT / name).read_text() == generator.GENERATED[name](), "run `make docs`"


def test_the_picture_plans_with_every_rule():
    rules = {rule for of_stage in generator.rules_by_stage().values() for rule in of_stage}
    planned = {rule for edge in generator.rule_edges() for rule in edge}
    assert rules - planned == {"record_settings"}, "only this one needs and feeds no other rule"


def test_what_follows_from_other_edges_is_not_drawn():
    chain = [("a", "b"), ("b", "c")]
    assert generator.without_shortcuts([*chain, ("a", "c")]) == chain


def test_two_rules_that_need_each_other_are_both_drawn():
    cycle = [("score", "transfer"), ("transfer", "score")]
    assert generator.without_shortcuts(cycle) == cycle


def test_the_study_of_the_readme_is_the_demo_with_fewer_conditions():
    study, demo = (
        load_study(yaml.safe_load((ROOT / name).read_text())).experiment
        for name in (generator.FIRST_STUDY, "config/config.yaml")
    )
    assert study.conditions.items() < demo.conditions.items()
    assert study.teachers.items() < demo.teachers.items()
    assert study.tasks["plural"].data == demo.tasks["plural"].data


COMPARISONS = """\
first,second,seed,draw,first_accuracy,first_accuracy_low,first_accuracy_high,second_accuracy,\
second_accuracy_low,second_accuracy_high,difference,difference_low,difference_high,verdict
sft,8-shot,0,,0.85,0.767,0.907,0.79,0.7,0.858,0.06,-0.034,0.155,not shown
kl,8-shot,0,,0.5,0.4,0.6,0.79,0.7,0.858,-0.29,-0.4,-0.2,worse
kl,sft,0,,0.5,0.4,0.6,0.85,0.767,0.907,-0.35,-0.45,-0.25,worse
"""


@pytest.fixture
def documents(tmp_path):
    """A project whose results are those of one experiment."""
    (tmp_path / "docs/images").mkdir(parents=True)
    (tmp_path / "results/tiny").mkdir(parents=True)
    (tmp_path / "results/tiny/summary.md").write_text("new summary\n")
    save(COMPARISONS, tmp_path / "results/tiny/comparisons.csv")
    (tmp_path / "README.md").write_text("<!-- table: tiny -->\nold\n<!-- /table -->\n")
    (tmp_path / "docs/results.md").write_text(
        "<!-- results: tiny -->\nold\n<!-- /results -->\n"
        "<!-- results: elsewhere -->\nkept\n<!-- /results -->\n"
    )
    gallery.main(tmp_path)
    return tmp_path


def test_the_table_of_the_readme_has_a_verdict_against_each_reference(documents):
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (documents / "README.md").read_text().splitlines()[3:-1]
    ]
    assert rows == [
        ["8-shot", "79.0 [70.0, 85.8]", "", ""],
        ["sft", "85.0 [76.7, 90.7]", "", "not shown: +6.0 [-3.4, +15.5]"],
        ["kl", "50.0 [40.0, 60.0]", "worse: -35.0 [-45.0, -25.0]", "worse: -29.0 [-40.0, -20.0]"],
    ]


def test_a_summary_is_replaced_only_where_its_results_are(documents):
    assert (documents / "docs/results.md").read_text() == (
        "<!-- results: tiny -->\nnew summary\n<!-- /results -->\n"
        "<!-- results: elsewhere -->\nkept\n<!-- /results -->\n"
    )


def test_the_documents_have_the_blocks_of_the_demo():
    blocks = {
        (kind, name)
        for document in gallery.DOCUMENTS
        for _, kind, name, _ in gallery.BLOCK.findall((ROOT / document).read_text())
    }
    assert {("table", "demo"), ("results", "demo")} <= blocks
