"""Where files lie: one definition for a rule's pattern and for the path of one file."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from pathlib import PurePath

import pytest

from workflow_scripts.study.layout import DATA, PAGES, RESULT, Layout, is_taken_from_models

LAYOUT = Layout.of("out", "tiny")
NAMES = {
    "model": "m",
    "task": "t",
    "shots": 4,
    "draw": "-draw-1",
    "data": "answers/few-shot/greedy/train/all/",
    "generated": "greedy",
    "split": "train",
    "round": 0,
    "condition": "sft",
    "seed": 1,
    "teacher": "few-shot",
    "number": 1,
    "shard": "0002",
    "figure": "drift",
}
SCORED = (
    LAYOUT.answers("predictions.parquet")
    .replace("{result}", f"(?:{RESULT})")
    .format(model="m", task="t")
)
OF_RESULTS = ("base", "teacher", "run", "repeat", "transfer", "targets", "teacher_answers")


def given(method: str) -> dict[str, object]:
    pattern = getattr(LAYOUT, method)("file")
    return {name: NAMES[name] for name in re.findall(r"\{(\w+)\}", pattern)}


@pytest.mark.parametrize("method", [*OF_RESULTS, "shard", "task", "pair", "figure"])
def test_a_filled_path_is_the_pattern_with_its_wildcards_replaced(method):
    names = given(method)
    pattern = getattr(LAYOUT, method)("file")
    assert names
    assert getattr(LAYOUT, method)("file", **names) == pattern.format(**names)


def test_every_result_has_a_folder_of_its_own():
    folders = sorted(getattr(LAYOUT, method)("", **given(method)) for method in OF_RESULTS)
    assert len(set(folders)) == len(OF_RESULTS)
    # but for a run's repeat and its evaluation on other tasks, which lie in the run's
    run = LAYOUT.run("", "m", "t", "sft", 1, 1)
    inside = [later for earlier, later in pairwise(folders) if later.startswith(earlier)]
    assert [f for f in folders if f.startswith(run) and f != run] == [
        LAYOUT.repeat("", "m", "t", "sft", 1, 1),
        LAYOUT.transfer("", "m", "t", "sft", 1, 1),
    ]
    assert inside == [LAYOUT.repeat("", "m", "t", "sft", 1, 1)]


@pytest.mark.parametrize("method", ["base", "teacher", "run", "repeat"])
def test_whatever_answers_its_own_task_is_scored(method):
    path = getattr(LAYOUT, method)("predictions.parquet", **given(method))
    assert re.fullmatch(SCORED, path)


def test_the_answers_to_other_tasks_are_scored_apart():
    assert not re.fullmatch(SCORED, LAYOUT.transfer("predictions.parquet", **given("transfer")))


@pytest.mark.parametrize("method", ["teacher_answers", "round"])
def test_kept_answers_are_data_that_targets_are_of(method):
    path = getattr(LAYOUT, method)("all/", **given(method))
    assert re.fullmatch(DATA, path.removeprefix(LAYOUT.pair("", "m", "t")))
    assert re.fullmatch(DATA, "")
    assert not re.fullmatch(DATA, "teachers/few-shot/")


def test_a_teachers_target_is_no_answer():
    assert not re.fullmatch(RESULT, "teachers/few-shot/labels")


def test_models_are_shared_by_experiments():
    assert LAYOUT.model("m") == Layout.of("out", "other").model("m")


@pytest.mark.parametrize("results", ["out", "out/", "./out"])
def test_a_folder_of_results_is_written_in_one_way(results):
    assert Layout.of(results, "tiny").result("summary.csv") == "out/tiny/summary.csv"


def test_results_may_lie_elsewhere():
    assert Layout.of("/srv/out", "tiny").result("x.csv") == "/srv/out/tiny/x.csv"
    assert Layout.of("../out", "tiny").result("x.csv") == "../out/tiny/x.csv"


def test_a_job_has_its_log_and_its_benchmark():
    assert LAYOUT.log("train", "model", "seed") == "out/tiny/logs/train/{model}/{seed}.log"
    assert LAYOUT.benchmark("train", "model") == "out/tiny/benchmarks/train/{model}.tsv"


def test_no_model_is_named_as_what_lies_beside_its_folder():
    """Whatever the layout puts into the folder of the results, now or later."""
    beside = set()
    for name, method in inspect.getmembers(LAYOUT, inspect.ismethod):
        parameters = inspect.signature(method).parameters.values()
        required = [
            p.name for p in parameters if p.default is p.empty and p.kind != p.VAR_POSITIONAL
        ]
        if not name.startswith("_") and required and name not in ("of", "result"):
            path = PurePath(method(*required))
            beside.add(path.relative_to(LAYOUT.folder).parts[0])
    beside.discard("{model}")
    assert len(beside) > 4
    for name in [*beside, *PAGES, "Tasks", "icl_gap.csv"]:
        assert is_taken_from_models(name), name
    assert not is_taken_from_models("qwen3-1.7b")


def test_a_file_about_the_experiment_is_listed():
    with pytest.raises(ValueError, match=r"notes\.txt"):
        LAYOUT.result("notes.txt")
