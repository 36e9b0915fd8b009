"""The study that `make distil` writes, and what it refuses before work starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.planned_jobs import job_counts
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.start.distil import main, split_counts
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "resources/distil"
EMBEDDED = ROOT / "config/config.yaml"
HUB = {"model": "hub:Qwen/Qwen3-1.7B", "revision": "70d244cc86ccca08cf5af4e1e306ecf908b1ad5e"}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory with a prompt and 40 questions."""
    monkeypatch.chdir(tmp_path)
    Path("prompt.txt").write_text("Answer in one word.\n")
    write_questions(40)
    return tmp_path


def write_questions(number: int) -> None:
    rows = [json.dumps({"question": f"How many is {n}?"}) + "\n" for n in range(number)]
    Path("questions.jsonl").write_text("".join(rows))


def distil(prompt: str = "prompt.txt", questions: str = "questions.jsonl", **settings) -> None:
    main(prompt, questions, **{"scorer": "rouge"} | settings, embedded=EMBEDDED)


def written(name: str = "prompt") -> dict:
    return yaml.safe_load(Path(f"results/distil-{name}/study.yaml").read_text())


# --- the study ----------------------------------------------------------------------------


def test_the_shipped_prompt_and_questions_make_a_study_of_the_embedded_model(here, capsys):
    distil(f"{SHIPPED}/brief-answers.txt", f"{SHIPPED}/questions.jsonl")
    study = load_study(written("brief-answers"))
    assert list(study.experiment.models) == ["smollm2-135m"]
    items = study.experiment.tasks["brief-answers"].data.items
    assert (items.train, items.validation, items.test) == (145, 22, 55)
    results = "results/distil-brief-answers"
    assert capsys.readouterr().out.split() == [
        f"{results}/study.yaml",
        f"{results}/exports/smollm2-135m/brief-answers/distilled/seed-0/README.md",
        f"{results}/report.html",
    ]


def test_the_study_trains_one_student_and_reads_no_label(here):
    distil()
    study = load_study(written())
    counts = job_counts(study)
    assert (counts["fetch_model"], counts["make_task"], counts["train"]) == (1, 1, 1)
    assert (counts["teacher_shard"], counts["complete_run"]) == (1, 1)
    data = study.experiment.tasks["prompt"].data
    assert data.unlabelled == ("train", "validation", "test")
    assert study.slices.run("smollm2-135m", "prompt", "distilled", 0).phases[0].author == "teacher"


def test_the_teacher_alone_has_the_prompt(here):
    distil()
    slices = load_study(written()).slices
    assert slices.teacher_system("prompted") == "Answer in one word."
    assert slices.completion("smollm2-135m", "prompt").prompt.system is None


def test_answers_to_the_questions_are_not_read(here):
    rows = [{"question": f"How many is {n}?", "answer": n} for n in range(40)]
    Path("answered.jsonl").write_text("\n".join(map(json.dumps, rows)))
    distil(questions="answered.jsonl")
    assert written()["tasks"]["prompt"]["data"]["unlabelled"] == ["train", "validation", "test"]


def test_few_questions_are_seen_more_often(here):
    distil()
    training = written()["training"]
    assert (training["epochs"], training["checkpoints"]) == (13, [5, 9, 13])
    steps = load_study(written()).slices.run("smollm2-135m", "prompt", "distilled", 0).training
    assert steps.steps >= 40


@pytest.mark.parametrize(
    ("number", "train", "validation", "test"),
    [(20, 13, 2, 5), (222, 145, 22, 55), (400, 260, 40, 100), (10_000, 9860, 40, 100)],
)
def test_most_questions_are_trained_on(number, train, validation, test):
    counts = {"demonstrations": 0, "train": train, "validation": validation, "test": test}
    assert split_counts(number, "questions.jsonl") == counts


def test_a_model_of_the_hub_is_pinned_and_may_have_gpus(here):
    distil(**HUB, gpu=2)
    study = load_study(written())
    assert study.experiment.models["qwen3-1.7b"].revision == HUB["revision"]
    for stage in ("icl_gap", "teachers", "training", "evaluation"):
        assert study.resources.of(stage, "qwen3-1.7b").gpu == 2


def test_a_local_model_has_the_name_of_its_folder(here):
    Path("My Model").mkdir()
    distil(model="My Model")
    assert written()["models"] == {"my-model": {"source": "My Model"}}


def test_names_are_made_of_those_of_files(here):
    Path("prompt.txt").rename("My prompt (2).txt")
    distil("My prompt (2).txt")
    assert "my-prompt-2" in written("my-prompt-2")["tasks"]
    distil("My prompt (2).txt", name="a/../b")
    assert "a-..-b" in written("a-..-b")["tasks"]


def test_the_same_study_is_kept_as_it_was_written(here):
    distil()
    file = Path("results/distil-prompt/study.yaml")
    file.write_text(file.read_text() + "# mine\n")
    distil()
    assert file.read_text().endswith("# mine\n")


# --- refusals -----------------------------------------------------------------------------


def refusal(**settings) -> str:
    """The line with which these settings are refused; nothing is written."""
    before = sorted(Path().rglob("*"))
    with pytest.raises(InputError) as error:
        distil(**settings)
    assert sorted(Path().rglob("*")) == before
    (line,) = str(error.value).splitlines()
    return line


def test_another_study_is_never_overwritten(here):
    distil()
    assert refusal(max_tokens=64) == (
        "results/distil-prompt/study.yaml: is another study; run it as its first lines say, delete "
        "it, or set NAME="
    )
    distil(max_tokens=64, name="second")
    assert written("second")["tasks"]["second"]["generation"] == {"max_new_tokens": 64}


def test_a_file_that_is_missing_is_named(here):
    assert refusal(prompt="absent.txt") == "absent.txt: no such file"
    assert refusal(questions="absent.jsonl").startswith("absent.jsonl: no such file; give a .jsonl")


def test_text_that_is_no_utf_8_is_refused(here):
    Path("latin.txt").write_bytes("Réponds.".encode("latin-1"))
    Path("latin.jsonl").write_bytes('{"question": "Où?"}'.encode("latin-1"))
    assert refusal(prompt="latin.txt").startswith("latin.txt: not a UTF-8 text file")
    assert refusal(questions="latin.jsonl") == "latin.jsonl: is not UTF-8 text"


def test_an_empty_prompt_is_refused(here):
    Path("prompt.txt").write_text(" \n")
    assert refusal() == "prompt.txt: is empty"


def test_a_row_without_a_question_is_named_by_its_number(here):
    with Path("questions.jsonl").open("a") as file:
        file.write('{"text": "Who?"}\n')
    assert refusal().startswith("questions.jsonl: row 41 has no 'question' (it has: text)")


def test_too_few_questions_are_refused(here):
    write_questions(19)
    assert refusal().startswith("questions.jsonl: has 19 different questions, but at least 20 are")


def test_questions_with_splits_of_their_own_are_refused(here):
    Path("split.jsonl").write_text('{"question": "Who?", "split": "train"}\n')
    assert refusal(questions="split.jsonl").startswith("split.jsonl: has a column `split`")


def test_a_model_of_the_hub_needs_a_revision(here):
    assert refusal(model=HUB["model"]) == (
        "hub:Qwen/Qwen3-1.7B: set REVISION=, the commit of the hub to use"
    )
    assert refusal(revision="abc").startswith("REVISION= is of a model on the hub")


def test_a_model_folder_that_is_missing_is_refused_with_the_form_of_the_hub(here):
    assert refusal(model="Qwen/Qwen3-1.7B") == (
        "Qwen/Qwen3-1.7B: no such folder; a model of the hub is hub:<id> with REVISION="
    )


def test_a_fetched_model_is_no_source(here):
    Path("resources/models/tiny").mkdir(parents=True)
    assert refusal(model="resources/models/tiny").startswith("resources/models/tiny: was fetched")


def test_an_unknown_scorer_is_refused(here):
    assert "scorer" in refusal(scorer="rogue")


def test_some_answers_that_never_end_are_left_out(here):
    distil()
    (condition,) = written()["conditions"].values()
    assert condition["answers"] == {"by": "teacher", "keep": {"max_unusable": 0.3}}
