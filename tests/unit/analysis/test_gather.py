"""Tables of models and tasks put together, every number as it was written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_rows_follow_one_another_unchanged(tmp_path: Path):
    (tmp_path / "a.csv").write_text("model,value,step\nx,0.10,\n")
    (tmp_path / "b.csv").write_text("model,value,step\ny,1e-05,20\n")
    command = [sys.executable, "-m", "workflow_scripts.analysis.gather", "--tables"]
    tables = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    subprocess.run([*command, *tables, "--output", str(tmp_path / "all.csv")], check=True)
    assert (tmp_path / "all.csv").read_text() == "model,value,step\nx,0.10,\ny,1e-05,20\n"
