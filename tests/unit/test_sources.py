"""Which files a rule depends on."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.sources import source_files

ROOT = Path(__file__).parents[2]


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
        "rendering.py",
    } <= names("training.train")


def test_the_teacher_pass_does_not_depend_on_the_objectives():
    assert not [name for name in names("teachers.teacher_part") if name.startswith("training/")]


def test_generation_does_not_depend_on_the_scorers():
    assert "tasks/scorers.py" not in names("evaluation.complete")
    assert "tasks/scorers.py" in names("tasks.score")


def test_a_scorer_is_no_source_of_a_task() -> None:
    assert "tasks/scorers.py" not in names("tasks.make_task")
    assert "tasks/scorers.py" in names("tasks.check_answers")


def test_what_draws_in_a_process_of_its_own_is_a_source() -> None:
    assert "tasks/generators.py" in names("tasks.make_task")


def test_settings_are_left_to_the_params():
    assert "settings.py" not in names("training.train")
