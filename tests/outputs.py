"""Files as a job leaves them, with their checksums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.runtime.files import atomic_file


def visible(folder: Path) -> set[str]:
    """Names in a folder, besides those of checksums and of locks that this process holds."""
    return {path.name for path in folder.iterdir() if path.suffix not in (".sha256", ".lock")}


def save(content: Any, path: Path | str) -> Path:
    """Write a table as parquet or CSV, text as it is, or anything else as JSON."""
    path = Path(path)
    with atomic_file(path) as partial:
        if isinstance(content, pd.DataFrame) and path.suffix == ".csv":
            content.to_csv(partial, index=False)
        elif isinstance(content, pd.DataFrame):
            content.to_parquet(partial)
        else:
            partial.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
