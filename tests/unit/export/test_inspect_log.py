"""Results as a log of Inspect, read back by the reader of Inspect's own logs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.unit.export.conftest import make_recipe
from tests.unit.export.test_harness import items
from workflow_scripts.export.inspect_log import write_inspect_log
from workflow_scripts.foreign.readers import read_results

LOGS = Path(__file__).parents[1] / "foreign/logs/inspect"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "inspect_step-4.eval"
    write_inspect_log(path, make_recipe(), items())
    return path


def test_both_scores_of_each_item_can_be_read_back(log):
    for scorer, scores in (("strict", [1, 1, 0]), ("flexible", [1, 1, 1])):
        (result,) = read_results(log, [scorer])
        assert result.task == "plural"
        assert result.rows["item"].tolist() == ["a", "b", "c"]
        assert result.rows["score"].tolist() == scores


def test_the_accuracy_is_in_the_header(log):
    with zipfile.ZipFile(log) as archive:
        scores = json.loads(archive.read("header.json"))["results"]["scores"]
    assert [score["name"] for score in scores] == ["strict", "flexible"]
    assert scores[0]["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)


def samples_of(path):
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("samples/")]
        return [json.loads(archive.read(name)) for name in names]


def test_each_answer_is_a_call_of_the_model_as_inspect_writes_it(log):
    """Its `messages_df` and `events_df` read events alone."""
    own = json.loads((LOGS / "one-wrong.json").read_text())["samples"][0]["events"]
    theirs = next(event for event in own if event["event"] == "model")
    for sample in samples_of(log):
        (call,) = sample["events"]
        assert set(call) <= set(theirs)
        assert {"model", "input", "tools", "tool_choice", "config", "output"} <= set(call)
        answer = call["output"]["choices"][0]["message"]
        assert [*call["input"], answer] == sample["messages"]
        assert [message["source"] for message in sample["messages"]] == ["input", "generate"]


def test_messages_of_two_experiments_have_different_ids(log, tmp_path):
    """A data frame of several logs keeps the first row of each id."""
    other = tmp_path / "other.eval"
    write_inspect_log(other, make_recipe(experiment="other"), items())
    ids = [
        message["id"]
        for path in (log, other)
        for sample in samples_of(path)
        for message in sample["messages"]
    ]
    assert len(set(ids)) == len(ids) == 12


def test_the_same_results_make_the_same_bytes(log, tmp_path):
    again = tmp_path / "again.eval"
    write_inspect_log(again, make_recipe(), items())
    assert again.read_bytes() == log.read_bytes()
