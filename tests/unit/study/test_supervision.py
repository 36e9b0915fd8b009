"""What runs are trained on, and where it lies."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.study.test_answer_checks import CROSS_ENTROPY, KL
from workflow_scripts.study.load import load_study

PAIR = ("smollm2-135m", "plural")
FOLDER = "results/demo/smollm2-135m/plural"


@pytest.fixture
def drawn(config: dict[str, Any]) -> dict[str, Any]:
    """Two draws; conditions that depend on them in every way, and one that does not."""
    config["draws"] = 2
    config["conditions"] = {
        "gold": {"terms": [CROSS_ENTROPY]},
        "labels": {"train_on": "demonstrations", "terms": [CROSS_ENTROPY]},
        "answers": {"teacher": "few-shot", "answers": "teacher", "terms": [CROSS_ENTROPY, KL]},
        "own": {
            "teacher": "few-shot",
            "answers": {"by": "student", "rounds": 2},
            "terms": [KL],
        },
        "without": {"teacher": "zero-shot", "answers": "teacher", "terms": [CROSS_ENTROPY]},
    }
    return config


def test_only_what_sees_demonstrations_is_repeated_for_each_draw(drawn):
    matrix = load_study(drawn).matrix
    draws = {r.name: [] for r in matrix.results_of(*PAIR)}
    for result in matrix.results_of(*PAIR):
        draws[result.name].append(result.draw)
    assert draws == {
        "0-shot": [None],
        "8-shot": [0, 1],
        "gold": [None],
        "labels": [0, 1],
        "answers": [0, 1],
        "own": [0, 1],
        "without": [None],
    }


def test_one_draw_is_none(config):
    assert {r.draw for r in load_study(config).matrix.results_of(*PAIR)} == {None}


def test_labels_are_those_that_are_used(drawn):
    matrix = load_study(drawn).matrix
    used = {name: matrix.labels_used("plural", name) for name in drawn["conditions"]}
    assert used == {"gold": 160, "labels": 8, "answers": 8, "own": 8, "without": 0}


def test_draws_are_disjoint(drawn):
    slices = load_study(drawn).slices
    contexts = [slices.context("plural", 4, draw) for draw in (0, 1)]
    assert [context.skip for context in contexts] == [0, 8]


def test_each_run_reads_the_answers_of_its_draw(drawn):
    study = load_study(drawn)
    examples = {
        (run.condition, run.draw): study.run_inputs.examples(
            *PAIR, run.condition, run.seed, run.draw or 0
        )
        for run in study.matrix.runs_of(*PAIR)
    }
    tasks = "results/demo/tasks/plural"
    own = "seed-0{}/rounds/1/all/examples.parquet"
    assert examples == {
        ("gold", None): [f"{tasks}/train.parquet"],
        ("labels", 0): [f"{tasks}/demonstrations.parquet"],
        ("labels", 1): [f"{tasks}/demonstrations.parquet"],
        ("answers", 0): [f"{FOLDER}/answers/few-shot/greedy/train/all/examples.parquet"],
        ("answers", 1): [f"{FOLDER}/answers/few-shot-draw-1/greedy/train/all/examples.parquet"],
        ("own", 0): [f"{FOLDER}/runs/own/{own.format('')}"],
        ("own", 1): [f"{FOLDER}/runs/own/{own.format('-draw-1')}"],
        ("without", None): [f"{FOLDER}/answers/zero-shot/greedy/train/all/examples.parquet"],
    }


def test_a_target_lies_beside_the_answers_that_it_is_of(drawn):
    study = load_study(drawn)
    (own,) = study.run_inputs.targets(*PAIR, "own", 0, 1, "0")
    (answers,) = study.run_inputs.targets(*PAIR, "answers", 0, 0)
    name = "pass-0/shard-0000/manifest.json"
    assert own == (f"{FOLDER}/runs/own/seed-0-draw-1/rounds/0/all/teachers/few-shot-draw-1/{name}")
    assert answers == f"{FOLDER}/answers/few-shot/greedy/train/all/teachers/few-shot/{name}"


def test_a_round_goes_on_from_the_one_before(drawn):
    inputs = load_study(drawn).run_inputs
    checkpoints = f"{FOLDER}/runs/own/seed-0/rounds/0/checkpoints/manifest.json"
    assert inputs.earlier(*PAIR, "own", 0, 0, "0") == []
    assert inputs.earlier(*PAIR, "own", 0, 0, "1") == [checkpoints]
    assert inputs.earlier(*PAIR, "own") == [checkpoints]


def test_a_round_answers_the_items_of_its_steps(drawn):
    drawn["training"] |= {"steps": 10, "checkpoints": [10]}
    assert load_study(drawn).supervision.items_of_round("plural", "own") == 5 * 8


def test_a_reference_answers_what_has_no_labels(drawn):
    del drawn["conditions"]["gold"]
    drawn["tasks"]["plural"] |= {"reference": "few-shot"}
    drawn["tasks"]["plural"]["data"]["unlabelled"] = ["train", "test"]
    inputs = load_study(drawn).inputs
    assert inputs.validation(*PAIR) == "results/demo/tasks/plural/validation.parquet"
    assert inputs.test(*PAIR) == (
        f"{FOLDER}/answers/few-shot/greedy/test/reference/examples.parquet"
    )


def test_a_teacher_with_more_than_demonstrations_has_a_result(drawn):
    drawn["teachers"]["told"] = {"system": "Write the plural."}
    matrix = load_study(drawn).matrix
    (told,) = [result for result in matrix.results_of(*PAIR) if result.name == "told"]
    assert (told.shots, told.draw, told.file("x")) == (0, None, f"{FOLDER}/icl/told/x")


def test_generated_answers_name_their_author_and_how_they_were_made(drawn):
    generated = load_study(drawn).supervision.generated_of(*PAIR)
    taught = generated[0]
    names = {"model": PAIR[0], "task": PAIR[1]}
    assert taught.entry("answers", "kept") == names | {
        "teacher": "few-shot",
        "kind": "greedy",
        "draw": 0,
        "seed": None,
        "round": None,
        "answers": f"{FOLDER}/answers/few-shot/greedy/train/answers.parquet",
        "kept": f"{FOLDER}/answers/few-shot/greedy/train/all/examples.parquet",
    }
    folder = f"{FOLDER}/runs/own/seed-0/rounds"
    of_student = next(answers for answers in generated if answers.round == 1)
    assert of_student.entry("answers", "kept") == names | {
        "condition": "own",
        "kind": "1-samples-t1",
        "draw": 0,
        "seed": 0,
        "round": 1,
        "answers": f"{folder}/1/answers.parquet",
        "kept": f"{folder}/1/all/examples.parquet",
    }


def test_the_report_shows_answers_of_each_teacher_once(drawn):
    shown = load_study(drawn).supervision.exemplary_of(*PAIR)
    assert [(answers.author, answers.draw) for answers in shown] == [
        ("few-shot", 0),
        ("zero-shot", None),
    ]


def test_a_target_says_whose_answers_it_is_of_and_those_of_rounds_are_not_described(drawn):
    drawn["conditions"]["gold"] |= {"teacher": "few-shot", "terms": [KL]}
    supervision = load_study(drawn).supervision
    described = [target.key for target in supervision.described_targets_of(*PAIR)]
    assert [(key["draw"], key["author"]) for key in described] == [
        (0, "gold"),
        (1, "gold"),
        (0, "few-shot (greedy)"),
        (1, "few-shot (greedy)"),
    ]
    # two rounds, two draws, and the seeds of the study
    rounds = {t.data for t in supervision.targets_of(*PAIR)} - {
        t.data for t in supervision.described_targets_of(*PAIR)
    }
    assert rounds
    assert all("/rounds/" in folder for folder in rounds)


def test_rounds_are_drawn_from_the_first_train_items(drawn):
    drawn["conditions"]["own"]["train_items"] = 60
    slices = load_study(drawn).slices
    assert slices.items_of_student("plural", "own") == 60


def test_demonstrations_without_answers_are_no_labels(drawn):
    drawn["teachers"]["few-shot"]["answers"] = "none"
    matrix = load_study(drawn).matrix
    used = {name: matrix.labels_used("plural", name) for name in drawn["conditions"]}
    assert used == {"gold": 160, "labels": 8, "answers": 0, "own": 0, "without": 0}


def test_a_transfer_is_compared_with_the_base_model_after_the_same_demonstrations(drawn):
    drawn["tasks"]["other"] = copy.deepcopy(drawn["tasks"]["plural"])
    drawn["tasks"]["other"]["data"]["items"]["train"] = 0
    drawn["transfer"] = {"plural": ["other"]}
    drawn["evaluation"] = drawn.get("evaluation", {}) | {"transfer_shots": [0, 8]}
    without, after = load_study(drawn).inputs.base_elsewhere(*PAIR, 1)
    assert without.endswith("/other/icl/0-shot/completions.parquet")
    assert after.endswith("/other/icl/8-shot-draw-1/completions.parquet")


def test_targets_at_temperatures_that_are_equal_in_six_digits_are_two(config):
    config["conditions"] = {
        name: {"teacher": "few-shot", "terms": [KL | {"temperature": temperature}]}
        for name, temperature in [("one", 1.2345678), ("other", 1.2345679)]
    }
    targets = load_study(config).supervision.targets_of(*PAIR)
    assert len({target.name for target in targets}) == 2
