"""Tables of models and tasks put together, every number as it was written."""

from __future__ import annotations

from pathlib import Path

from tests.outputs import save
from workflow_scripts.tables.gather import main


def gathered(folder: Path, *tables: str) -> str:
    paths = [folder / f"{place}.csv" for place in range(len(tables))]
    for path, text in zip(paths, tables, strict=True):
        save(text, path)
    main(paths, folder / "all.csv")
    return (folder / "all.csv").read_text()


def test_rows_follow_one_another_unchanged(tmp_path):
    text = gathered(tmp_path, "model,value,step\nx,0.10,\n", "model,value,step\ny,1e-05,20\n")
    assert text == "model,value,step\nx,0.10,\ny,1e-05,20\n"


def test_tables_without_rows_add_nothing(tmp_path):
    """A pair without runs knows the keys of a cost only."""
    rows = "model,task,seconds\nx,t,1.50\n"
    assert gathered(tmp_path, "model,task\n", rows, "model,task\n") == rows


def test_tables_that_all_lack_rows_leave_their_header(tmp_path):
    assert gathered(tmp_path, "model,task\n", "model,task\n") == "model,task\n"
