"""The smallest model that qualifies, among the in-context gaps of all of them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.tables.qualify import main, with_smallest


def gap(model: str, parameters: int, qualifies: bool, **other: object) -> dict[str, object]:
    row = {"model": model, "task": "t", "parameters": parameters, "sample": "all", "shots": 8}
    return row | {"gap": 0.123457, "qualifies": qualifies} | other


def smallest(*rows: dict[str, object]) -> list[bool]:
    return with_smallest(pd.DataFrame(rows))["smallest_qualifying"].tolist()


def test_the_smallest_of_the_models_that_qualify_is_marked():
    models = [gap("large", 8, True), gap("small", 1, False), gap("middle", 4, True)]
    assert smallest(*models) == [False, False, True]


def test_it_is_marked_in_all_its_rows():
    assert smallest(gap("small", 1, True, shots=0), gap("small", 1, True)) == [True, True]


@pytest.mark.parametrize("key", ["task", "sample"])
def test_each_task_and_sample_has_its_own(key):
    other = [gap("small", 1, True, **{key: "other"}), gap("large", 8, True, **{key: "other"})]
    assert smallest(gap("small", 1, False), gap("large", 8, True), *other) == [
        *(False, True),
        *(True, False),
    ]


def test_where_none_qualifies_none_is_marked():
    assert smallest(gap("small", 1, False), gap("large", 8, False)) == [False, False]


def test_the_entry_point_adds_the_column_and_changes_nothing_else(tmp_path: Path):
    tables = []
    for row in (gap("large", 8_190_735_360, True), gap("small", 1_720_574_976, True)):
        tables.append(tmp_path / f"{row['model']}.csv")
        save(pd.DataFrame([row]), tables[-1])
    main(tables, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text() == (
        "model,task,parameters,sample,shots,gap,qualifies,smallest_qualifying\n"
        "large,t,8190735360,all,8,0.123457,True,False\n"
        "small,t,1720574976,all,8,0.123457,True,True\n"
    )
