"""Teachers and students answer questions: from files to files, also when they are killed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.outputs import visible
from tests.tiny_classifiers import save_classifier
from tests.unit.answers.conftest import QUESTIONS, SETTINGS
from tests.unit.evaluation.test_interruptions import command_line
from tests.warm_python import WarmPython
from workflow_scripts.answers import student_answers, teacher_answers
from workflow_scripts.answers.records import Answer, read_answers
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.tasks.examples import Example, write_examples

SAMPLED = SETTINGS.model_copy(
    update={
        "temperature": 1.0,
        "samples": 2,
        "context": SETTINGS.context.model_copy(update={"shots": 1}),
    }
)
STUDENT = SAMPLED.model_copy(update={"context": SETTINGS.context})


def outputs(folder: Path) -> dict[str, Path]:
    return {"answers": folder / "answers.parquet", "cost": folder / "answers.json"}


@pytest.fixture
def teach(files, questions: Path, tmp_path: Path):
    def run(name: str, settings=SAMPLED, examples: Path = questions) -> list[Answer]:
        paths = {key: files[key] for key in ("model", "demonstrations")}
        teacher_answers.main(settings, **paths, examples=examples, **outputs(tmp_path / name))
        return read_answers(tmp_path / name / "answers.parquet")

    return run


@pytest.fixture
def study(files, questions: Path, tmp_path: Path):
    def run(
        name: str,
        round: int = 0,
        seed: int = 0,
        settings=STUDENT,
        step: int = 0,
        items: int = 5,
        **given,
    ) -> list[Answer]:
        student_answers.main(
            settings,
            round,
            3,
            seed,
            step,
            items,
            files["model"],
            questions,
            **outputs(tmp_path / name),
            **given,
        )
        return read_answers(tmp_path / name / "answers.parquet")

    return run


def texts(answers: list[Answer]) -> list[str]:
    return [answer.text for answer in answers]


def test_a_teacher_answers_every_question_and_says_what_that_cost(
    teach, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    answers = teach("teacher")
    assert [(a.question.item, a.sample) for a in answers] == [
        (question.item, sample) for question in QUESTIONS for sample in (1, 2)
    ]
    assert re.search(
        r"^teacher answers: \d+ of 10 empty, \d+ cut by max_new_tokens",
        capsys.readouterr().out,
        re.M,
    )
    cost = read_json(tmp_path / "teacher" / "answers.json")
    assert cost["answers"] == 10
    assert cost["wall_seconds"] > 0
    written = sorted(visible(tmp_path / "teacher"))
    assert written == ["answers.json", "answers.parquet"]


def test_gold_reaches_no_byte_of_a_teachers_answers(teach, tmp_path: Path):
    teach("gold")
    write_examples(
        tmp_path / "scrambled.parquet",
        [
            Example(q.item, q.question, q.question[::-1], (q.question[::-1],), q.columns)
            for q in QUESTIONS
        ],
    )
    teach("scrambled", examples=tmp_path / "scrambled.parquet")
    files = [tmp_path / name / "answers.parquet" for name in ("gold", "scrambled")]
    assert sha256_of(files[0]) == sha256_of(files[1])


def test_demonstrations_change_what_a_teacher_says(teach):
    without = SAMPLED.model_copy(update={"context": SETTINGS.context})
    assert texts(teach("shown")) != texts(teach("bare", without))


def test_each_round_of_a_student_answers_other_questions_with_other_seeds(study):
    rounds = [study(f"round-{round}", round) for round in range(5)]
    items = [[answer.question.item for answer in answers] for answers in rounds]
    assert all(len(set(own)) == 3 for own in items)
    assert set(items[0]) | set(items[1]) == {question.item for question in QUESTIONS}
    # 5 rounds of 3 of 5 items: the windows begin again at the same place
    again = study("again", 0)
    assert texts(again) == texts(rounds[0])
    both = set(items[0]) & set(items[2])
    assert both
    for item in both:
        first, later = ([a.text for a in rounds[n] if a.question.item == item] for n in (0, 2))
        assert first != later


def test_rounds_are_drawn_from_the_items_that_a_student_trains_on(study):
    rounds = [study(f"round-{round}", round, items=3) for round in range(3)]
    asked = {answer.question.item for answers in rounds for answer in answers}
    assert asked == {question.item for question in QUESTIONS[:3]}


def test_runs_with_other_seeds_answer_differently(study):
    assert texts(study("zero", seed=0)) != texts(study("one", seed=1))


def test_a_student_answers_with_the_checkpoint_of_the_step(study, files):
    base = study("base")
    first, last = (
        study(f"step-{step}", checkpoints=files["checkpoints"], step=step) for step in (2, 10)
    )
    assert len({tuple(texts(answers)) for answers in (base, first, last)}) == 3
    assert {a.question.item for a in last} == {a.question.item for a in base}
    (files["checkpoints"].parent / "step-10" / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"step-10/adapter_model\.safetensors: missing or damaged"):
        study("damaged", checkpoints=files["checkpoints"], step=10)


def test_a_student_with_a_head_over_labels_answers_with_a_label(study, files, tmp_path: Path):
    folder = tmp_path / "head"
    save_classifier(open_model(files["model"]), LoraSettings(rank=4), 2, folder / "step-2", seed=1)
    checksums = {
        str(file.relative_to(folder)): sha256_of(file)
        for file in folder.rglob("*")
        if file.is_file()
    }
    write_json(folder / "manifest.json", {"steps": [2], "files": checksums})
    settings = STUDENT.model_copy(update={"labels": ("cats", "mice"), "scorer": "likelihood"})
    answers = study("head", settings=settings, checkpoints=folder / "manifest.json", step=2)
    assert set(texts(answers)) <= {"cats", "mice"}
    assert all(answer.logprob < 0 and answer.unusable is None for answer in answers)


def test_a_killed_teacher_goes_on_and_says_the_same(
    teach, files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    examples = tmp_path / "many.parquet"
    write_examples(examples, [Example(f"q{n}", f"cat {n}", None) for n in range(12)])
    settings = SAMPLED.model_copy(
        update={
            "generation": GenerationSettings(max_new_tokens=60),
            "engine": SAMPLED.engine.model_copy(update={"batch_size": 2}),
        }
    )
    uninterrupted = teach("uninterrupted", settings, examples)
    paths = {key: files[key] for key in ("model", "demonstrations")}
    command = command_line(
        {"settings": settings, **paths, "examples": examples, **outputs(tmp_path / "killed")}
    )
    process = WarmPython(["-m", teacher_answers.__name__, *command])
    kept = 0
    while kept < 7:
        assert process.poll() is None
        journals = (tmp_path / "killed").rglob("answers.jsonl")
        kept = sum(path.read_text().count("\n") for path in journals)
    process.kill()
    process.wait()
    capsys.readouterr()
    resumed = teach("killed", settings, examples)
    asked = re.search(r"generation: (\d+) of 24 answers are kept", capsys.readouterr().out)
    assert asked is not None
    assert 7 <= int(asked[1]) < 24
    assert texts(resumed) == texts(uninterrupted)
    assert [a.logprob for a in resumed] == pytest.approx(
        [a.logprob for a in uninterrupted], rel=1e-5, nan_ok=True
    )
