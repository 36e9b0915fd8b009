"""What an addition takes: an objective three files, a kind of target two."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.unit.training.conftest import TERMS, run_slice
from workflow_scripts.config import terms as schema
from workflow_scripts.config.base import Strict
from workflow_scripts.config.terms import GoldTerm, objectives_of
from workflow_scripts.runtime.code_files import source_files
from workflow_scripts.study.load import load_study
from workflow_scripts.tasks.examples import write_examples
from workflow_scripts.teachers.targets import KINDS, teacher_target_name
from workflow_scripts.teachers.teacher_pass import READERS
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.terms import reads_of

ROOT = Path(__file__).parents[4]
PACKAGE = ROOT / "workflow_scripts"

CLASS = '''class LogitMAETerm(Strict):
    """Distance of logits on the teacher's top k tokens."""

    objective: Literal["logit_mae"]
    wording: ClassVar[str] = "distance to {{ top_k }} logits"
    weight: Weight
    position: Position
    top_k: int


'''
FUNCTION = """from workflow_scripts.training.objectives.objective import Objective, reads_of_logits


def logit_mae(term, student, teacher):
    def distances(logits, rows):
        own = teacher[rows]
        return (logits.gather(-1, own.indices) - own.values).abs().mean(-1)

    return student.logit_loss(term.position, distances)


OBJECTIVE = Objective(
    reads=lambda term: reads_of_logits(term.position, term.top_k, 2.0),
    loss=logit_mae,
)
"""
USE = """import json
import sys
from pathlib import Path

import yaml

from workflow_scripts.report.setup import condition_in_words
from workflow_scripts.study.load import load_study
from workflow_scripts.teachers.targets import target_name

given = json.loads(Path("given.json").read_text())
study = load_study(yaml.safe_load(Path("config.yaml").read_text()))
assert "torch" not in sys.modules
condition = study.experiment.conditions["mae~weight=2"]
run = ("smollm2-135m", "plural", "mae~weight=2", 0, None)
((target,),) = study.supervision.read_by(*run)
print(f"{condition_in_words(condition, study.slices.wordings())} | {target_name(target.target)}")

from workflow_scripts.config.slices import RunSlice
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.tasks.examples import read_examples
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState
from workflow_scripts.training.targets import open_targets

settings, model = RunSlice.model_validate(given["settings"]), Path(given["model"])
targets = open_targets(settings, model, [Path(given["target"])], [model])
train_run(
    settings,
    open_model(model),
    [read_examples(Path("examples.parquet"))],
    targets,
    ResumeState.open(Path(".resume"), "a"),
    Path("run"),
)
"""


def insert(file: Path, new: str, before: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1
    file.write_text(text.replace(before, new + before))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package with one more objective: a class, a function file and a row."""
    copy = shutil.copytree(
        PACKAGE, tmp_path / "workflow_scripts", ignore=shutil.ignore_patterns("__pycache__")
    )
    terms = copy / "config/terms.py"
    insert(terms, CLASS, before="Term = Annotated[\n")
    insert(terms, "    | LogitMAETerm", before=",\n    Field(discriminator=")
    objectives = copy / "training/objectives"
    (objectives / "logit_mae.py").write_text(FUNCTION)
    insert(objectives / "__init__.py", "    logit_mae,\n", before="    logit_mse,\n")
    row = '    "logit_mae": logit_mae.OBJECTIVE,\n'
    insert(objectives / "__init__.py", row, before='    "logit_mse":')
    return tmp_path


def test_an_objective_is_a_class_a_function_file_and_a_row(
    package, model_manifest, manifests, examples
):
    """With those three it is planned, swept, described, and trained for two steps."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    term = {"objective": "logit_mae", "position": "answer", "top_k": 8}
    teacher = next(iter(config["teachers"]))
    config["conditions"]["mae"] = {"teacher": teacher, "terms": [{**term, "weight": 1}]}
    config["sweeps"] = [{"condition": "mae", "field": "weight", "values": [2]}]
    run = run_slice(TERMS[2:3], steps=2, checkpoints=[2])
    settings = run.model_dump(mode="json")
    settings["phases"][0]["terms"] = [{**term, "weight": 1}]
    target = manifests[teacher_target_name(run.phases[0].reads[0])]
    given = {"settings": settings, "model": str(model_manifest), "target": str(target)}
    (package / "given.json").write_text(json.dumps(given))
    (package / "config.yaml").write_text(yaml.safe_dump(config))
    write_examples(package / "examples.parquet", examples)
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=package, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    planned = done.stdout.splitlines()[0]
    assert planned == f"2 × distance to 8 logits; teacher: {teacher} | logits-answer-top8-t2"
    log = pd.read_csv(package / "run/training_log.csv")
    assert len(log) == 2
    assert (log["logit_mae-answer"] > 0).all()
    assert log["loss"].to_numpy() == pytest.approx(log["logit_mae-answer"].to_numpy(), rel=1e-4)


def test_a_changed_wording_rewrites_the_report_and_retrains_nothing(monkeypatch):
    """It is in no source of the rule `train` and in no parameter of it."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())

    def parameters():
        slices = load_study(config).slices
        return slices.run("smollm2-135m", "plural", "sft", 0), slices.wordings()

    before = parameters()
    monkeypatch.setattr(schema.CrossEntropyTerm, "wording", "the correct answer's loss")
    after = parameters()
    sources = source_files(ROOT, "workflow_scripts.training.train")
    assert Path(schema.__file__) not in sources
    assert not any("likeliest tokens" in file.read_text() for file in sources)
    assert after[0] == before[0]
    assert after[1] == before[1] | {"cross_entropy": "the correct answer's loss"}


def test_every_objective_of_the_schema_has_a_row():
    assert set(OBJECTIVES) == set(objectives_of(Strict))


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.objective)
def test_terms_on_the_correct_answer_read_no_teacher(term):
    assert isinstance(term, GoldTerm) == (reads_of(term).target is None)


def test_only_an_objective_knows_the_class_of_its_term():
    """Others ask what a term reads. A field of a condition is sought in all classes."""
    classes = {cls.__name__ for cls in vars(schema).values() if isinstance(cls, type)}
    known = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "workflow_scripts.config.terms"
        if classes & {alias.name for alias in node.names}
    }
    others = {file for file in known if not file.startswith("training/objectives/")}
    assert others == {"config/conditions.py", "training/fields.py"}


def test_a_kind_of_target_is_a_row_and_a_reader():
    """Objectives name the kinds that they read."""
    named = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("sorted", "logits")
    }
    others = {file for file in named if not file.startswith("training/objectives/")}
    assert set(KINDS) == set(READERS)
    assert others <= {"teachers/targets.py", "teachers/teacher_pass.py"}
