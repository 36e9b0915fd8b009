"""Results as a log of Inspect, read back by the reader of Inspect's own logs."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.unit.export.conftest import make_recipe
from tests.unit.export.test_harness import items
from workflow_scripts.export.inspect_log import write_inspect_log
from workflow_scripts.foreign.readers import read_results


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


def test_the_same_results_make_the_same_bytes(log, tmp_path):
    again = tmp_path / "again.eval"
    write_inspect_log(again, make_recipe(), items())
    assert again.read_bytes() == log.read_bytes()
