"""The source files that an entry point depends on, from the import graph."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import grimp

# a job depends on the slice in the rule's params, so an edit of the schema reruns nothing itself
CONFIG = "workflow_scripts.config"


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("workflow_scripts", cache_dir=None)


def source_files(root: Path, module: str) -> list[Path]:
    """Files of the module and of all it imports within the package, without the schema."""
    graph = import_graph()
    modules = {module, *graph.find_upstream_modules(module)}
    schema = {CONFIG, *graph.find_descendants(CONFIG)}
    return sorted(_file_of(root, name) for name in modules - schema)


def _file_of(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
