from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.answers import choose_answers as program
from workflow_scripts.answers.choose_answers import choose_answers
from workflow_scripts.answers.records import Answer, write_answers
from workflow_scripts.config.slices import KeptSlice
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.tasks.examples import Example, read_examples

TEXTS = ("cats", "mice", "boxes", "knives", "", "apples and")
LOGPROBS = (-4.0, -1.0, -3.0, -2.0)  # of two tokens each


def answer(n: int, text: str, sample: int = 1, agreement: float = 1.0) -> Answer:
    finished = " and" not in text
    logprob = LOGPROBS[n] if n < len(LOGPROBS) else float("nan")
    question = Example(f"q{n}", f"question {n}", None, (), {"hint": f"hint {n}"})
    return Answer(question, sample, text, finished, 2 if text else 0, logprob, agreement)


@pytest.fixture
def answers() -> list[Answer]:
    return [answer(n, text) for n, text in enumerate(TEXTS)]


def kept(answers: list[Answer], **settings: float) -> list[str]:
    chosen = choose_answers(answers, KeptSlice(**{"max_unusable": 1, "least": 1} | settings))[0]
    return [one.text for one in chosen]


def test_empty_and_cut_answers_are_never_kept(answers):
    assert kept(answers) == ["cats", "mice", "boxes", "knives"]


def test_answers_below_a_mean_log_probability_of_a_token_are_left_out(answers):
    assert kept(answers, min_logprob=-1.5) == ["mice", "boxes", "knives"]


def test_the_surest_share_of_what_is_left_is_kept_in_the_order_of_the_items(answers):
    assert kept(answers, surest=0.5) == ["mice", "knives"]
    assert kept(answers, min_logprob=-1.5, surest=0.34) == ["mice"]


def test_answers_with_which_too_few_samples_agree_are_left_out():
    shares = [1 / 3, 2 / 3, 2 / 3, 1.0]
    answers = [answer(n, TEXTS[n], agreement=share) for n, share in enumerate(shares)]
    assert kept(answers, min_agreement=2 / 3) == ["mice", "boxes", "knives"]


def test_every_answer_is_counted_once(answers):
    settings = KeptSlice(min_logprob=-1.6, surest=0.67, max_unusable=1, least=1)
    assert choose_answers(answers, settings)[1] == {
        "answered": 6,
        "empty": 1,
        "cut": 1,
        "markup": 0,
        "min_agreement": 0,
        "min_logprob": 1,
        "surest": 1,
        "kept": 2,
    }


def test_too_many_unusable_answers_are_refused_with_what_to_change(answers):
    message = (
        r"2 of 6 answers are unusable \(1 of 6 empty, 1 cut by max_new_tokens\), more than 10%; "
        r"raise `generation.max_new_tokens` of the task or, for answers that are trained on, "
        r"`answers.keep.max_unusable`"
    )
    with pytest.raises(InputError, match=message):
        kept(answers, max_unusable=0.1)
    assert len(kept(answers, max_unusable=2 / 6)) == 4


def test_fewer_answers_than_a_batch_are_refused_with_the_reasons(answers):
    message = (
        r"2 of 6 answers are left \(1 empty, 1 cut by max_new_tokens, 2 by `surest`\), but "
        "training needs 3; loosen"
    )
    with pytest.raises(InputError, match=message):
        kept(answers, surest=0.5, least=3)


def choose(tmp_path: Path, answers: list[Answer]) -> list[Example]:
    write_answers(tmp_path / "answers.parquet", answers)
    program.main(
        KeptSlice(max_unusable=0.5, least=1),
        tmp_path / "answers.parquet",
        tmp_path / "examples.parquet",
        tmp_path / "counts.json",
    )
    return read_examples(tmp_path / "examples.parquet")


def test_kept_answers_are_examples_with_the_columns_of_their_items(
    answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    examples = choose(tmp_path, answers)
    assert examples[1] == Example("q1", "question 1", "mice", (), {"hint": "hint 1"})
    assert len(examples) == read_json(tmp_path / "counts.json")["kept"] == 4
    assert capsys.readouterr().out == ("answers: 1 of 6 empty, 1 cut by max_new_tokens; 4 kept\n")


def test_several_samples_of_an_item_are_examples_of_their_own(tmp_path: Path):
    answers = [answer(n, TEXTS[n], sample) for n in (0, 1) for sample in (1, 2)]
    assert [e.item for e in choose(tmp_path, answers)] == ["q0#1", "q0#2", "q1#1", "q1#2"]


def test_a_refusal_names_the_file(answers, tmp_path: Path):
    with pytest.raises(InputError, match=r"answers\.parquet: 2 of 2 answers are unusable"):
        choose(tmp_path, answers[4:])


def test_a_students_cut_answers_are_trained_on_and_a_teachers_are_not():
    cut = Answer(Example("a", "q", None), 1, "so", finished=False, tokens=2, logprob=-1.0)
    whole = Answer(Example("b", "q", None), 1, "so", finished=True, tokens=2, logprob=-1.0)
    for keep_cut, expected in ((True, [cut, whole]), (False, [whole])):
        settings = KeptSlice(max_unusable=0.5, least=1, keep_cut=keep_cut)
        kept, counts = choose_answers([cut, whole], settings)
        assert kept == expected
        assert counts["cut"] == 2 - len(expected)
