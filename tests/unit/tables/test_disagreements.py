"""Items on which two results disagree, with the answers of both."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.config.slices import MainPair
from workflow_scripts.results.index import ResultIndex, read_table
from workflow_scripts.tables import disagreements as program
from workflow_scripts.tables.disagreements import SHOWN, disagreement_table
from workflow_scripts.tables.gather import main as gather
from workflow_scripts.tasks.examples import Example, write_examples

EXAMPLES = [Example(f"test-{n}", f"question {n}", f"gold {n}") for n in range(100)]
PAIR = MainPair(group="main", first="kl", second="sft")


@pytest.fixture
def two(result) -> pd.DataFrame:
    """`kl` is right on items 0 to 59 at its chosen step 10, `sft` on 45 to 64."""
    kl = result("kl", {0: 0, 10: 60, 20: 90}, seed=0, validation={0: 0, 10: 50, 20: 40})
    sft = result("sft", {10: 20}, seed=0, first=45)
    return pd.concat([kl, sft]).astype({"strict": float}).assign(completion="said")


def test_items_are_the_first_of_each_direction_with_the_number_of_all(two):
    table = disagreement_table(two, [PAIR], EXAMPLES)
    counts = table.groupby("better", sort=False)["disagreements"].first()
    assert counts.to_dict() == {"first": 45, "second": 5}
    items = [f"test-{n}" for n in (*range(SHOWN), *range(60, 65))]
    assert table["item"].tolist() == items
    assert table["question"].tolist()[0] == "question 0"
    assert table["gold"].tolist()[-1] == "gold 64"


def test_results_stand_at_the_steps_chosen_on_validation(two):
    table = disagreement_table(two, [PAIR], EXAMPLES)
    assert set(table["first_step"]) == {10}
    assert (table["first_strict"] != table["second_strict"]).all()


def test_graded_items_are_those_whose_scores_differ_most(two):
    numbers = two["item"].str.removeprefix("test-").where(two["split"] == "test", "0").astype(int)
    graded = two.assign(strict=numbers.where(two["condition"] == "kl", 50) / 100)
    table = disagreement_table(graded, [PAIR], EXAMPLES)
    better, worse = (
        table[table["better"] == side]["item"].tolist() for side in ("first", "second")
    )
    assert better == [f"test-{n}" for n in range(99, 99 - SHOWN, -1)]
    assert worse == [f"test-{n}" for n in range(SHOWN)]


def test_a_base_result_is_shown_beside_a_run_with_its_seed(result):
    base = result("0-shot", {0: 10}, shots=0)
    both = pd.concat([base, result("kl", {10: 0}, seed=3)]).astype({"strict": float})
    pair = MainPair(group="main", first="kl", second="0-shot")
    assert set(disagreement_table(both.assign(completion="said"), [pair], EXAMPLES)["seed"]) == {3}


def test_results_that_agree_have_no_rows(two):
    same = two[two["condition"] == "sft"]
    both = pd.concat([same, same.assign(condition="kl")])
    assert disagreement_table(both, [PAIR], EXAMPLES).empty


def test_an_item_of_free_text_has_all_its_references_as_gold(two):
    examples = [Example(e.item, e.question, None, ("one", "other")) for e in EXAMPLES]
    assert set(disagreement_table(two, [PAIR], examples)["gold"]) == {"one / other"}


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", 'a\nb, "c"\r\nd', "007", "NA", "a\rb", "\u202eab", " x "]
)
def test_whole_texts_of_the_first_seed_survive_the_files(two, tmp_path, text):
    entries = []
    for name, own in two.groupby("condition"):
        save(
            own.assign(completion=text).drop(
                columns=["model", "task", "condition", "seed", "shots"]
            ),
            tmp_path / f"{name}.parquet",
        )
        entry = {"model": "m", "task": "t", "condition": name, "seed": 0, "shots": None}
        entries.append(entry | {"predictions": tmp_path / f"{name}.parquet"})
        # never read: a later seed, and a result that is in no pair
        entries.append(entry | {"seed": 1, "predictions": tmp_path / "no such file"})
        other = {"condition": f"{name}~other", "predictions": tmp_path / "no such file"}
        entries.append(entry | other)
    write_examples(tmp_path / "test.parquet", EXAMPLES)
    program.main(
        [PAIR],
        ResultIndex.model_validate(entries),
        tmp_path / "test.parquet",
        tmp_path / "own.csv",
    )
    gather([tmp_path / "own.csv"], tmp_path / "disagreements.csv")
    table = read_table(tmp_path / "disagreements.csv")
    assert set(table["first_answer"]) == {text}
    assert table["item"].tolist()[0] == "test-0"
    assert table["draw"].isna().all()
