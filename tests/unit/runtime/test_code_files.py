"""Which files a rule depends on."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path
from typing import get_origin

import pytest

from workflow_scripts.runtime.code_files import source_files

ROOT = Path(__file__).parents[3]
SCHEMA = [
    node
    for file in sorted((ROOT / "workflow_scripts/config").glob("*.py"))
    for node in ast.walk(ast.parse(file.read_text()))
]
# what writes a study before Snakemake reads it is no job
ENTRY_POINTS = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in sorted((ROOT / "workflow_scripts").glob("*/*.py"))
    if "run_program(main)" in file.read_text() and file.parent.name != "start"
]


def names(entry_point: str) -> set[str]:
    files = source_files(ROOT, f"workflow_scripts.{entry_point}")
    return {str(path.relative_to(ROOT / "workflow_scripts")) for path in files}


def test_every_source_file_exists():
    assert all(path.is_file() for path in source_files(ROOT, "workflow_scripts.training.train"))


def test_training_depends_on_the_objectives_and_on_rendering():
    assert {
        "training/objectives/logit_kl.py",
        "training/train.py",
        "teachers/store.py",
        "prompts/rendering.py",
    } <= names("training.train")


def test_the_teacher_pass_does_not_depend_on_the_objectives():
    assert not [name for name in names("teachers.teacher_shard") if name.startswith("training/")]


def test_generation_does_not_depend_on_the_scorers():
    assert "scoring/answers.py" not in names("evaluation.complete_run")
    assert "scoring/answers.py" in names("scoring.score")


def test_a_scorer_is_no_source_of_a_task() -> None:
    assert "scoring/answers.py" not in names("tasks.make_task")
    assert "scoring/answers.py" in names("scoring.check_answers")


def test_what_draws_in_a_process_of_its_own_is_a_source() -> None:
    assert "tasks/generators.py" in names("tasks.make_task")


def test_the_schema_is_left_to_the_params():
    assert not [name for name in names("training.train") if name.startswith("config/")]


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_no_job_imports_the_plan(entry_point):
    plan = ROOT / "workflow_scripts/study"
    assert plan.is_dir()
    assert not [path for path in source_files(ROOT, entry_point) if path.is_relative_to(plan)]


# no module of config/ is a source of any rule, so nothing that shapes a result may be in one


def test_classes_of_the_schema_hold_fields_and_refusals_alone():
    """A method or a property could shape what a job does; a validator only refuses."""
    classes = [node for node in SCHEMA if isinstance(node, ast.ClassDef)]
    behaviour = [
        f"{owner.name}.{function.name}"
        for owner in classes
        for function in owner.body
        if isinstance(function, ast.FunctionDef)
        and not any("validator" in ast.unparse(decorator) for decorator in function.decorator_list)
    ]
    assert len(classes) > 40
    assert behaviour == []


def test_the_schema_is_made_with_pydantic_alone():
    modules = [node.module or "" for node in SCHEMA if isinstance(node, ast.ImportFrom)]
    for node in SCHEMA:
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    packages = {module.partition(".")[0] for module in modules}
    assert packages - sys.stdlib_module_names == {"pydantic", "pydantic_core", "workflow_scripts"}


def test_jobs_take_types_from_the_schema_and_no_values():
    taken = {
        (file.name, node.module, alias.name)
        for entry_point in ENTRY_POINTS
        for file in source_files(ROOT, entry_point)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        and f"{node.module}.".startswith("workflow_scripts.config.")
        for alias in node.names
    }
    values = [
        (file, name)
        for file, module, name in taken
        if not isinstance(found := getattr(import_module(module), name), type)
        and get_origin(found) is None
    ]
    assert len(taken) > 50
    assert values == []


def test_how_a_step_is_shared_and_what_a_term_reads_are_sources_of_training():
    assert {"training/micro_batches.py", "training/terms.py"} <= names("training.train")


def test_how_a_condition_becomes_a_run_is_a_source_of_the_search_that_does_so():
    assert "training/recipes.py" in names("search.search")
