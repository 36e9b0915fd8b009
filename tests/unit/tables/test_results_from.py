from __future__ import annotations

import json

from tests.outputs import save
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.cli import call
from workflow_scripts.tables import results_from


def test_each_file_of_a_foreign_result_has_a_row(tmp_path):
    origin = {"file": "a.eval", "format": "inspect", "metric": "match", "items": 20}
    origin |= {"matched": 18, "by": "question", "note": ""}
    key = {"model": "m", "task": "t", "condition": "theirs", "shots": None, "foreign": True}
    index = [
        key | {"seed": seed, "origin": str(save(origin, tmp_path / f"{seed}.json"))}
        for seed in (3, 5)
    ]
    words = ["--index", json.dumps(index), "--table", str(tmp_path / "results_from.csv")]
    call(results_from.main, words)
    table = read_table(tmp_path / "results_from.csv")
    assert table["seed"].tolist() == ["3", "5"]
    assert table[["file", "matched", "items"]].iloc[0].tolist() == ["a.eval", 18, 20]
