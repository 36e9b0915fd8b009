"""What each kind of result has on disk, and what an index says of it."""

from __future__ import annotations

import pytest

from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.results.index import ResultEntry
from workflow_scripts.study.layout import Layout
from workflow_scripts.study.results import (
    FILES,
    BaseResult,
    Foreign,
    PlannedTarget,
    Repeat,
    Run,
    RunStates,
    TargetShard,
    Transfer,
    Tuned,
)
from workflow_scripts.tables.drift import RepresentationEntry
from workflow_scripts.tables.targets import TargetEntry

LAYOUT = Layout.of("results", "tiny")
BASE = BaseResult(LAYOUT, "m", "t", 4)
RUN = Run(LAYOUT, "m", "t", "sft", 1, 160)
REPEAT = Repeat(LAYOUT, "m", "t", "sft", 1, 160)
STATES = RunStates(LAYOUT, "m", "t", "sft", 1, 160)
TRANSFER = Transfer(LAYOUT, "m", "t", "source", "sft", 4, 1, 160)
TUNED = Tuned(LAYOUT, "m", "t", "sft", 1, 160)
FOREIGN = Foreign(LAYOUT, "m", "t", "theirs", 1, 5)
LABELS = TargetSettings(kind="labels", position="prompt")
TARGET = PlannedTarget(LAYOUT, "m", "t", "few-shot", LABELS, "m", 160)
SHARD = TargetShard(LAYOUT, "m", "t", TARGET, 0, "0001")


@pytest.mark.parametrize(
    ("result", "entry"),
    [
        (BASE, ResultEntry),
        (RUN, ResultEntry),
        (REPEAT, ResultEntry),
        (TRANSFER, ResultEntry),
        (TUNED, ResultEntry),
        (FOREIGN, ResultEntry),
        (STATES, RepresentationEntry),
        (SHARD, TargetEntry),
    ],
)
def test_an_entry_is_what_the_jobs_read(result, entry):
    read = entry.model_validate(result.entry(*FILES)).model_dump(mode="json", exclude_none=True)
    for kind in result.kinds:
        assert read[kind] == result.file(FILES[kind])


def test_a_result_is_named_as_tables_name_it():
    assert (BASE.name, RUN.name, TRANSFER.name) == ("4-shot", "sft", "sft@source@4-shot")
    assert TUNED.name == "sft~tuned"


def test_only_its_own_run_has_a_training_log():
    assert RUN.files("training_log", "predictions").keys() == {"training_log", "predictions"}
    assert TRANSFER.files("training_log", "predictions").keys() == {"predictions"}
    assert BASE.files("training_log") == {}


def test_a_repeat_is_its_run_with_other_predictions():
    assert REPEAT.key == RUN.key
    assert REPEAT.file("predictions.parquet") != RUN.file("predictions.parquet")


def test_demonstrations_of_a_base_result_are_its_support():
    assert BASE.entry()["support"] == 4
    assert TRANSFER.entry()["support"] == 160


def test_results_of_two_layouts_are_the_same_result():
    assert BaseResult(Layout.of("elsewhere", "tiny"), "m", "t", 4) == BASE


def test_results_of_two_draws_lie_apart_and_the_first_as_without_draws():
    drawn = [BaseResult(LAYOUT, "m", "t", 4, draw) for draw in (None, 0, 1)]
    none, first, second = (result.file("x") for result in drawn)
    assert none == first == "results/tiny/m/t/icl/4-shot/x"
    assert second == "results/tiny/m/t/icl/4-shot-draw-1/x"
    assert [result.key["draw"] for result in drawn] == [None, 0, 1]
