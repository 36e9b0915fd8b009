"""What rules read: files, and the index that says what each of them is."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow_scripts.results.index import ResultIndex
from workflow_scripts.results.names import without_source
from workflow_scripts.study.inputs import ResultSet, planned_path
from workflow_scripts.study.load import load_study

PAIR = SimpleNamespace(model="smollm2-135m", task="plural")
SETS = [
    "base_results",
    "results",
    "runs",
    "own_results",
    "repeated_runs",
    "repeats",
    "states",
    "targets",
]


@pytest.fixture
def inputs(config):
    """Inputs of the default with a second task, to which its runs are transferred."""
    config["tasks"]["other"] = copy.deepcopy(config["tasks"]["plural"])
    config["tasks"]["other"]["data"]["items"]["train"] = 0
    config["transfer"] = {"plural": ["other"]}
    config["representations"] = {}
    return load_study(config).inputs


@pytest.mark.parametrize("name", SETS)
def test_names_are_the_index_without_its_files(inputs, name):
    results: ResultSet = getattr(inputs, name)
    names = json.loads(results.names(PAIR))
    assert names
    assert json.loads(results.index()(PAIR, [])) == names


@pytest.mark.parametrize("task", ["plural", "other"])
@pytest.mark.parametrize("prefix", ["", "studies/first/"])
def test_an_index_names_each_file_as_the_rule_has_it_in_any_order(inputs, task, prefix):
    pair = SimpleNamespace(model="smollm2-135m", task=task)
    files = inputs.results.files("predictions")(pair)
    given = ["some/source.py", *(prefix + file for file in reversed(files))]
    index = ResultIndex.model_validate_json(inputs.results.index("predictions")(pair, given))
    assert [str(entry.predictions) for entry in index.entries] == [prefix + f for f in files]
    for entry in index.entries:
        own = f"/runs/{without_source(entry.condition)}/seed-{entry.seed}/"
        place = f"/{task}/icl/{entry.condition}/" if entry.seed is None else own
        assert place in str(entry.predictions)


def test_an_index_lists_several_kinds_of_file_where_a_result_has_them(inputs):
    files = inputs.own_results.files("inference")(PAIR) + inputs.runs.files("cost")(PAIR)
    entries = json.loads(inputs.own_results.index("cost", "inference")(PAIR, files))
    kinds = {entry["condition"]: {"cost", "inference"} & entry.keys() for entry in entries}
    assert kinds["0-shot"] == {"inference"}
    assert kinds["sft"] == {"cost", "inference"}


def test_a_file_that_the_rule_does_not_have_cannot_be_in_its_index(inputs):
    with pytest.raises(KeyError, match=r"0-shot/predictions\.parquet"):
        inputs.base_results.index("predictions")(PAIR, [])


def test_a_planned_path_is_found_behind_any_prefix():
    planned = {"results/tiny/summary.csv", "/srv/results/tiny/summary.csv"}
    for prefix in ("", "studies/", "results/tiny/", "/home/someone/"):
        assert planned_path(f"{prefix}results/tiny/summary.csv", planned) == (
            "results/tiny/summary.csv"
        )
    assert planned_path("/srv/results/tiny/summary.csv", planned) == "/srv/results/tiny/summary.csv"
    assert planned_path("results/tiny/comparisons.csv", planned) is None


def test_domains_are_judged_by_the_base_model_and_by_runs_on_mixtures(mixed):
    files = load_study(mixed).inputs.domain_results.files("predictions")
    found = files(SimpleNamespace(model="smollm2-135m"))
    runs = [path for path in found if path.endswith("/transfer/predictions.parquet")]
    assert {path.split("/")[3] for path in runs} == {"both"}
    base = set(found) - set(runs)
    assert {tuple(path.split("/")[3:5]) for path in base} == {("other", "icl"), ("second", "icl")}


def test_transfers_of_a_run_to_all_tasks_and_shots_are_one_file(mixed):
    study = load_study(mixed)
    results = study.matrix.transfers_of("smollm2-135m", "second")
    files = study.inputs.results.files("predictions")
    found = files(SimpleNamespace(model="smollm2-135m", task="second"))
    assert {result.shots for result in results} == {0, 8}
    runs = study.matrix.runs_of("smollm2-135m", "both")
    assert [path for path in found if "/transfer/" in path] == [
        run.file("transfer/predictions.parquet") for run in runs
    ]


def test_a_run_reads_every_shard_of_every_target_of_its_condition(config):
    config["teacher_pass"] = {"shard_size": 50}
    inputs = load_study(config).run_inputs
    place = ("smollm2-135m", "plural", "layerwise")
    folder = "results/demo/smollm2-135m/plural/teachers/few-shot/pass-0"
    assert inputs.targets(*place) == [
        f"{folder}/shard-{shard:04d}/manifest.json" for shard in range(4)
    ]
    assert inputs.teaching_models(*place) == ["resources/models/smollm2-135m/manifest.json"]
    assert inputs.targets("smollm2-135m", "plural", "sft") == []


def test_a_mixture_is_made_of_the_splits_of_its_components(mixed):
    files = load_study(mixed).inputs.examples_of_mixture("both")
    splits = ("demonstrations", "train", "validation", "test")
    assert [path.split("/tasks/")[1] for path in files] == [
        f"{component}/{split}.parquet" for component in ("plural", "second") for split in splits
    ]


def test_a_folder_of_items_is_read_file_by_file(config, tmp_path: Path):
    for name in ("test.jsonl", "train.jsonl"):
        (tmp_path / name).touch()
    config["tasks"]["plural"]["data"]["source"] = str(tmp_path)
    found = load_study(config).inputs.source_files("plural")
    assert found == [str(tmp_path / "test.jsonl"), str(tmp_path / "train.jsonl")]


def test_no_home_folder_is_the_name_of_an_input(config):
    config["tasks"]["plural"]["data"]["source"] = "~/items.jsonl"
    (found,) = load_study(config).inputs.source_files("plural")
    assert Path(found).resolve() == (Path.home() / "items.jsonl").resolve()
    assert not Path(found).is_absolute()
    assert "~" not in found


def test_items_of_the_hub_are_no_files(config):
    config["tasks"]["plural"]["data"] |= {"source": "hub:some/items", "revision": "1"}
    assert load_study(config).inputs.source_files("plural") == []


def test_a_file_of_all_results_is_listed_over_models_and_tasks(mixed):
    study = load_study(mixed)
    found = study.inputs.of_all(study.matrix.runs_of, "checkpoints/manifest.json")
    assert (
        len(found)
        == len(set(found))
        == sum(
            len(study.matrix.runs_of(model, task))
            for model in study.experiment.models
            for task in study.experiment.tasks
        )
    )
    assert all(path.endswith("/seed-0/checkpoints/manifest.json") for path in found)


def test_files_of_a_local_model_are_inputs(config, tmp_path):
    for name in ("config.json", "model.safetensors", "notes.md", ".hidden"):
        (tmp_path / name).touch()
    name, model = next(iter(config["models"].items()))
    config["models"][name] = {"source": str(tmp_path), "layers": model["layers"]}
    files = load_study(config).inputs.model_files(name)
    assert files == [str(tmp_path / "config.json"), str(tmp_path / "model.safetensors")]


def test_a_model_from_elsewhere_has_no_local_files(config):
    assert load_study(config).inputs.model_files("smollm2-135m") == []
