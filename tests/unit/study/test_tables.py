"""The tables of a study: which there are, and what the jobs that make them are given."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow_scripts.study.load import load_study
from workflow_scripts.study.tables import CAPTIONS, Index, Table, Tables

PACKAGE = Path(__file__).parents[3] / "workflow_scripts"


def wildcards(table: str, **others: str) -> SimpleNamespace:
    names = {"model": "smollm2-135m", "task": "plural"} | others
    return SimpleNamespace(table=table, **names)


def by_flag(words: Sequence[str]) -> dict[str, str]:
    flags, values = words[::2], words[1::2]
    return dict(zip(flags, values, strict=True))


@pytest.fixture
def whole(mixed, foreign) -> Tables:
    """The tables of a study that has all of them."""
    mixed["representations"] = {}
    mixed["retention"] = ["other"]
    arms = {"conditions": ["sft", "layerwise"], "choose": True}
    mixed["sweeps"] = [arms | {"field": "learning_rate", "values": [0.001]}]
    choice = mixed["tasks"]["plural"]["data"]
    choice |= {"pattern": "minimal", "verbalizers": {"0": "Yes", "1": "No"}}
    mixed["tasks"]["plural"]["scoring"] = {"scorer": "likelihood"}
    mixed["conditions"]["taught"] = {
        "teacher": "few-shot",
        "answers": "teacher",
        "terms": [{"objective": "cross_entropy"}],
    }
    return load_study(mixed).tables


def test_a_study_that_measures_everything_has_every_table(whole):
    assert whole.names == [
        "icl_gap",
        "summary",
        "comparisons",
        "disagreements",
        "crossover",
        "optimisation",
        "drift",
        "drift_comparisons",
        "tuning",
        "noise",
        "domains",
        "retention",
        "labels",
        "calibration",
        "cost",
        "answers",
        "answer_examples",
        "results_from",
        "targets",
    ]
    captions = json.loads(whole.captions)
    assert list(captions) == whole.names
    assert len({caption for caption in captions.values() if len(caption) > 100}) == 19


def test_a_table_is_there_where_something_is_measured(config):
    names = load_study(config).tables.names
    assert not {"drift", "drift_comparisons", "domains", "labels", "answers"} & set(names)
    config["representations"] = {}
    assert {"drift", "drift_comparisons"} <= set(load_study(config).tables.names)


def test_results_made_elsewhere_have_no_steps_labels_or_confidence(whole):
    """Their scores are summarised and compared, and nothing else is known of them."""
    shown = {
        row.name
        for row in whole.rows
        if len(next(iter(row.parts))) == 2 and "theirs" in str(whole.results(wildcards(row.name)))
    }
    assert shown == {"summary", "comparisons", "disagreements", "results_from"}


def test_a_study_that_runs_no_model_has_tables_of_foreign_results(alone):
    assert load_study(alone).tables.names == [
        "summary",
        "comparisons",
        "disagreements",
        "results_from",
    ]


def test_a_table_is_gathered_from_every_model_and_task_that_has_it(whole):
    assert len(whole.parts("summary")) == 4
    assert whole.parts("domains") == ["results/demo/smollm2-135m/domains.csv"]
    assert whole.parts("labels") == ["results/demo/smollm2-135m/plural/labels.csv"]
    assert whole.parts("drift_comparisons")[0].endswith("/plural/drift_comparisons.csv")
    assert whole.gathered_by("icl_gap") == "qualify"
    assert whole.gathered_by("summary") == "gather"


def test_every_table_is_made_by_one_rule(whole):
    made = [*whole.of_pair, *whole.with_comparisons, *whole.of_model, *whole.choosing]
    assert len(made) == len(set(made))
    assert {*made, "drift_comparisons"} == set(whole.names)


def test_a_module_is_given_what_its_main_takes(whole):
    for row in whole.rows:
        tree = ast.parse((PACKAGE / f"tables/{row.name}.py").read_text())
        (main,) = (
            node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"
        )
        outputs = {"table", "comparisons"} if row.comparisons else {"table"}
        given = {*row.slices, *row.indexes, *row.files, *outputs}
        assert given == {argument.arg for argument in main.args.args}, row.name


@pytest.mark.parametrize("prefix", ["", "studies/first/"])
def test_a_job_names_its_files_as_its_rule_does(whole, prefix):
    place = wildcards("labels")
    files = whole.files_read(place)
    assert files[-1] == "results/demo/tasks/plural/test.parquet"
    given = [prefix + file for file in reversed(files)]
    output = {"table": f"{prefix}labels.csv"}
    words = by_flag(whole.arguments(place, given, output))
    assert list(words) == ["--index", "--examples", "--table"]
    assert words["--examples"] == f"{prefix}results/demo/tasks/plural/test.parquet"
    assert words["--table"] == output["table"]
    paths = [entry["predictions"] for entry in json.loads(words["--index"])]
    assert [path.removeprefix(prefix) for path in paths] == files[:-1]


def test_a_job_is_given_its_settings_and_the_names_of_its_results(whole):
    settings = by_flag(whole.settings(wildcards("labels")))
    assert list(settings) == ["--settings", "--labels"]
    assert json.loads(settings["--labels"]) == ["Yes", "No"]
    assert whole.settings(wildcards("cost")) == []
    (results,) = whole.results(wildcards("labels"))
    assert {entry["condition"] for entry in json.loads(results)} >= {"0-shot", "8-shot"}


def test_generated_answers_are_compared_with_the_training_items(whole):
    model, task = whole.parts("answers")[0].split("/")[2:4]
    place = wildcards("answers", model=model, task=task)
    *generated, gold = whole.files_read(place)
    assert gold == f"results/demo/tasks/{task}/train.parquet"
    folder = f"results/demo/{model}/{task}/answers/few-shot/greedy/train"
    assert generated == [f"{folder}/answers.parquet", f"{folder}/all/examples.parquet"]
    assert list(by_flag(whole.settings(place))) == ["--settings", "--scoring"]


def test_a_repeat_is_an_index_of_its_own(config):
    tables = load_study(config).tables
    first, again = tables.files_read(wildcards("noise"))
    assert again == first.replace("predictions", "repeat/predictions")
    assert len(tables.results(wildcards("noise"))) == 2


def test_a_table_by_model_needs_no_task(whole):
    place = SimpleNamespace(table="domains", model="smollm2-135m")
    files = whole.files_read(place)
    # the runs are on the mixture, and answered both tasks in one file each
    assert {path.split("/")[3] for path in files} == {"other", "second", "both"}
    words = by_flag(whole.arguments(place, files, {"table": "domains.csv"}))
    assert {entry["predictions"] for entry in json.loads(words["--index"])} == set(files)
    assert json.loads(by_flag(whole.settings(place))["--domains"])


def test_a_new_table_is_a_module_and_a_row(config, monkeypatch):
    """Every rule and report finds it by its row: no other file names it."""
    rows = Tables._rows

    def with_another(tables: Tables):
        yield from rows(tables)
        predictions = Index(tables.inputs.results, ("predictions",))
        pairs = [("smollm2-135m", "plural")]
        yield Table("longest", "find the longest answers", pairs, {"index": predictions})

    monkeypatch.setattr(Tables, "_rows", with_another)
    monkeypatch.setitem(CAPTIONS, "longest", "Them.")
    tables = load_study(config).tables
    assert tables.gathered[-1] == "results/demo/longest.csv"
    assert tables.parts("longest") == ["results/demo/smollm2-135m/plural/longest.csv"]
    assert "longest" in tables.of_pair
    assert tables.does("longest") == "find the longest answers"
    assert tables.caption("longest") == "Them."
    assert tables.files_read(wildcards("longest")) == tables.files_read(wildcards("summary"))


def test_forgetting_is_measured_where_a_run_is_evaluated_on_what_it_was_not_trained_on(whole):
    assert whole.parts("retention") == ["results/demo/smollm2-135m/both/retention.csv"]
    place = wildcards("retention", task="both")
    (results,) = whole.results(place)
    entries = [(entry["task"], entry["condition"]) for entry in json.loads(results)]
    assert entries[:2] == [("both", "0-shot"), ("both", "sft")]
    assert ("other", "0-shot") in entries
    assert ("other", "sft@both") in entries
    assert not any(condition.endswith("8-shot") for _, condition in entries)


def test_tuned_results_are_in_tables_of_results_and_not_in_the_choice(whole):
    """Nor where runs are evaluated elsewhere, which tuned ones are not."""
    tables = ("summary", "comparisons", "optimisation", "cost", "tuning", "noise", "retention")
    folder = "results/demo/smollm2-135m/both/tuned/sft/seed-0"
    read = {name: whole.files_read(wildcards(name, task="both")) for name in tables}
    has = {name for name, files in read.items() if f"{folder}/predictions.parquet" in files}
    assert has == {"summary", "comparisons", "optimisation"}
    assert {f"{folder}/cost.json", f"{folder}/inference.json"} <= set(read["cost"])
