from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.results.index import (
    ResultIndex,
    by_item,
    by_replicate,
    cube_of,
    for_each_replicate,
    read_costs,
    read_predictions,
    read_table,
    read_training_logs,
    write_table,
)
from workflow_scripts.results.names import is_main, is_transferred, recipe_of
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError

SETUP = {"processor": "AMD EPYC", "threads": "2", "processes": 1, "dtype": "float32"}


@pytest.fixture
def entry(tmp_path: Path) -> dict[str, object]:
    """A base result on disk and its entry in an index."""
    path = tmp_path / "predictions.parquet"
    save(predictions(), path)
    return {
        "model": "m",
        "task": "t",
        "condition": "0-shot",
        "seed": None,
        "shots": 0,
        "predictions": str(path),
        "training_log": None,
        "cost": None,
    }


@pytest.fixture
def run_entry(entry: dict[str, object], tmp_path: Path) -> dict[str, object]:
    """A run on disk and its entry in an index."""
    log = "step,loss,cross_entropy,grad_norm,learning_rate\n1,2.5,2.5,1,0.1\n"
    save(log, tmp_path / "training_log.csv")
    save(SETUP | {"wall_seconds": 3.5, "peak_gpu_mb": None}, tmp_path / "cost.json")
    return entry | {
        "condition": "sft",
        "seed": 3,
        "shots": None,
        "training_log": str(tmp_path / "training_log.csv"),
        "cost": str(tmp_path / "cost.json"),
    }


def predictions(**columns: object) -> pd.DataFrame:
    table = {
        "split": "test",
        "item": ["a", "b"],
        "step": 0,
        "completion": "text",
        "answer_loss": [1.0, 2.0],
        "prediction": "word",
        "strict": [True, False],
        "flexible": True,
        "selection": [True, False],
        "selection_loss": [1.0, 2.0],
    }
    return pd.DataFrame(table | columns)


def index_of(*entries: dict[str, object]) -> ResultIndex:
    return given(json.dumps(entries))


def given(text: str) -> ResultIndex:
    """The index that an entry point has of this argument."""
    found = []

    def main(index: ResultIndex) -> None:
        found.append(index)

    call(main, ["--index", text])
    return found[0]


# --- names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition", ["sft", "sft~weight=2", "sft~a~b", "sft@gsm8k", "sft~a@gsm8k", "sft@bbh~logic"]
)
def test_variants_and_transferred_results_belong_to_their_recipe(condition):
    assert recipe_of(condition) == "sft"
    assert is_main(condition) == (condition == "sft")


def test_a_transferred_result_names_its_source_task():
    assert is_transferred("sft~a@gsm8k")
    assert not is_transferred("sft~a")


# --- the index ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shots": None}, "give `shots`"),
        ({"seed": 1}, "give `shots`"),
        ({"condition": "8-shot"}, "is named 0-shot"),
        ({"sed": 1}, "unknown key 'sed'"),
        ({"condition": "sft@", "seed": 1, "shots": None}, "0.condition: "),
    ],
)
def test_an_inconsistent_entry_is_refused(entry, change, message):
    with pytest.raises(InputError, match=message):
        index_of(entry | change)


def test_an_index_that_is_not_json_is_refused():
    with pytest.raises(InputError, match=r"--index: .*JSON"):
        given("[{")


def test_a_result_listed_twice_is_refused(run_entry):
    with pytest.raises(InputError, match="--index: m t sft seed 3: listed more than once"):
        index_of(run_entry, run_entry)


def test_conditions_keep_the_order_of_the_index(entry, run_entry):
    index = index_of(run_entry | {"condition": "z"}, entry, run_entry | {"condition": "a"})
    assert index.conditions == ("z", "a")


def test_the_part_about_a_model_and_task_leaves_out_the_others(entry):
    index = index_of(entry, entry | {"model": "other"}, entry | {"task": "other"})
    assert len(index.of("m", "t").entries) == 1


# --- reading ------------------------------------------------------------------------------


def test_predictions_carry_the_key_of_their_result(entry, run_entry):
    table = read_predictions(index_of(entry, run_entry))
    keys = table[["condition", "seed", "shots"]].drop_duplicates()
    assert keys.astype(object).where(keys.notna(), None).values.tolist() == [
        ["0-shot", None, 0],
        ["sft", 3, None],
    ]


@pytest.mark.parametrize("scores", [[True, False], [1.0, 0.0], [0.25, 0.5]])
def test_scores_are_read_as_numbers_whichever_version_wrote_them(entry, scores):
    save(predictions(strict=scores), entry["predictions"])
    table = read_predictions(index_of(entry))
    assert table["strict"].dtype == float
    assert table["strict"].tolist() == [float(score) for score in scores]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (predictions().drop(columns="strict"), "no column strict"),
        (predictions(answer_loss=[1.0, None]), "item b has no answer_loss"),
        (predictions(item=["a", "a"]), "item a is there twice"),
        (predictions(split="validation"), "no test items"),
        (predictions(step=[0, 1]), "test item a is missing at a step"),
    ],
)
def test_incomplete_predictions_are_refused_by_name(entry, table, message):
    save(table, str(entry["predictions"]))
    with pytest.raises(InputError, match=f"predictions.parquet: .*{message}"):
        read_predictions(index_of(entry))


def test_every_missing_result_is_named(entry, run_entry):
    missing = [
        entry | {"condition": "8-shot", "shots": 8, "predictions": "nowhere.parquet"},
        run_entry | {"predictions": "nowhere.parquet"},
    ]
    message = (
        "^2 of 3 results have no predictions: m t 8-shot, m t sft seed 3; "
        "run snakemake again, which makes them$"
    )
    with pytest.raises(InputError, match=message):
        read_predictions(index_of(entry, *missing))


def test_of_many_missing_results_the_first_are_named_and_all_are_counted(run_entry):
    missing = [run_entry | {"seed": seed, "cost": "nowhere.json"} for seed in range(25)]
    with pytest.raises(InputError, match=r"^25 of 25 .* m t sft seed 19 and 5 more; run"):
        read_costs(index_of(*missing))


def test_a_run_without_a_training_log_is_named(run_entry):
    with pytest.raises(InputError, match="no training log: m t sft seed 3"):
        read_training_logs(index_of(run_entry | {"training_log": "nowhere.csv"}))


def test_a_file_that_is_not_parquet_is_refused_by_name(entry):
    save("text", str(entry["predictions"]))
    with pytest.raises(InputError, match=r"predictions\.parquet: not a parquet file"):
        read_predictions(index_of(entry))


def test_a_term_that_a_condition_lacks_is_missing_in_its_log(run_entry, tmp_path):
    other = tmp_path / "other.csv"
    save("step,loss,hidden,grad_norm,learning_rate\n1,9,9,1,0.1\n", other)
    logs = read_training_logs(
        index_of(run_entry, run_entry | {"condition": "layerwise", "training_log": str(other)})
    )
    assert logs["hidden"].isna().tolist() == [True, False]


def test_a_training_log_without_a_step_is_refused_by_name(run_entry, tmp_path):
    save("loss\n1\n", tmp_path / "training_log.csv")
    with pytest.raises(InputError, match=r"training_log\.csv: no column step"):
        read_training_logs(index_of(run_entry))


def test_costs_are_one_row_for_each_result_and_phase(entry, run_entry, tmp_path):
    save(SETUP | {"wall_seconds": 1.5, "answers": 6}, tmp_path / "inference.json")
    inference = {"inference": str(tmp_path / "inference.json"), "support": 8}
    costs = read_costs(index_of(entry | inference, run_entry | inference))
    assert costs[["condition", "phase", "wall_seconds", "support"]].values.tolist() == [
        ["0-shot", "inference", 1.5, 8],
        ["sft", "training", 3.5, 8],
        ["sft", "inference", 1.5, 8],
    ]


def test_a_cost_that_does_not_name_its_processor_is_refused(run_entry, tmp_path):
    save({"wall_seconds": 3.5}, tmp_path / "cost.json")
    with pytest.raises(InputError, match=r"cost\.json: no field processor; delete it and rerun"):
        read_costs(index_of(run_entry))


@pytest.fixture
def elsewhere(run_entry, tmp_path) -> dict[str, object]:
    """The entry of a run on GSM8K that was evaluated on two tasks, on one after demonstrations."""
    places = [("t", 0), ("t", 4), ("other", 0)]
    tables = [
        predictions(task=task, shots=shots, answer_loss=float(number))
        for number, (task, shots) in enumerate(places)
    ]
    save(pd.concat(tables, ignore_index=True), tmp_path / "elsewhere.parquet")
    files = {"training_log": None, "cost": None}
    files["predictions"] = str(tmp_path / "elsewhere.parquet")
    return run_entry | files | {"condition": "sft@gsm8k"}


@pytest.mark.parametrize(
    ("task", "condition", "loss"),
    [("t", "sft@gsm8k", 0), ("t", "sft@gsm8k@4-shot", 1), ("other", "sft@gsm8k", 2)],
)
def test_a_transferred_result_is_its_task_and_shots_in_the_file_of_its_run(
    task, condition, loss, elsewhere
):
    read = read_predictions(index_of(elsewhere | {"task": task, "condition": condition}))
    assert read["task"].tolist() == [task, task]
    assert read["answer_loss"].tolist() == [loss, loss]


def test_a_task_on_which_a_run_was_not_evaluated_is_refused(elsewhere):
    with pytest.raises(InputError, match=r"elsewhere\.parquet: holds no test items of m third"):
        read_predictions(index_of(elsewhere | {"task": "third"}))


def test_a_transferred_result_has_predictions_but_no_log_or_cost(run_entry, elsewhere):
    index = index_of(run_entry, elsewhere)
    assert index.conditions == ("sft", "sft@gsm8k")
    assert set(read_predictions(index)["condition"]) == {"sft", "sft@gsm8k"}
    for read in (read_training_logs, read_costs):
        assert read(index)["condition"].tolist() == ["sft"]


# --- tables and arrangement ---------------------------------------------------------------


def test_a_target_may_keep_all_logits(tmp_path):
    write_table(pd.DataFrame({"top_k": ["256", "all"]}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv")["top_k"].tolist() == ["256", "all"]


def test_a_table_keeps_the_seed_as_text(tmp_path):
    write_table(pd.DataFrame({"seed": ["0", "all", None]}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv")["seed"].tolist() == ["0", "all", pd.NA]


# spellings that pandas would read as missing, as numbers or as truth values
ODD = ["None", "NA", "null", "nan", "N/A", "-nan", "True", "1", "007", "1e5", "inf", "1_000"]


@pytest.mark.parametrize("column", ["model", "task", "condition", "group", "first", "label"])
def test_text_stays_text_whatever_it_looks_like(column, tmp_path):
    write_table(pd.DataFrame({column: ODD, "accuracy": 0.5}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv")[column].tolist() == ODD
    for name in ODD:
        write_table(pd.DataFrame({column: [name]}), tmp_path / "t.csv")
        assert read_table(tmp_path / "t.csv")[column].tolist() == [name]


def test_numbers_and_truth_values_stay_what_they_are(tmp_path):
    table = pd.DataFrame({"condition": ["a", "b"], "p": [0.25, None], "qualifies": [True, False]})
    table["steps"] = pd.array([1, None], dtype="Int64")
    write_table(table, tmp_path / "t.csv")
    again = read_table(tmp_path / "t.csv")
    assert again["p"].dtype == again["steps"].dtype == float
    assert again["qualifies"].tolist() == [True, False]
    assert again["p"].isna().tolist() == again["steps"].isna().tolist() == [False, True]


def test_text_in_a_column_of_numbers_is_refused_by_name(tmp_path):
    """A new column of text has to be declared, or it would be read by its looks."""
    save("condition,accuracy\nsft,0.5\nkl,NA\n", tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"t\.csv: column accuracy holds 'NA', which is no number"):
        read_table(tmp_path / "t.csv")


def test_a_note_is_text_or_missing(tmp_path):
    write_table(pd.DataFrame({"p": [None, 0.2], "note": ["too few", ""]}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv")["note"].tolist() == ["too few", pd.NA]


def test_an_empty_file_is_no_table(tmp_path):
    save("", tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"t\.csv: not a CSV table"):
        read_table(tmp_path / "t.csv")


def test_values_are_paired_by_item_and_not_by_row_order():
    table = pd.DataFrame(
        {
            "condition": ["x", "x", "y", "y"],
            "seed": 0,
            "draw": 0,
            "item": ["a", "b", "b", "a"],
            "strict": [True, False, False, True],
        }
    )
    paired = by_item(table, "strict", ["condition"])
    assert (paired["x"] == paired["y"]).all()


def test_unequal_item_sets_are_refused_by_name():
    table = pd.DataFrame(
        {
            "model": "m",
            "task": "t",
            "condition": ["x", "x", "y"],
            "seed": 0,
            "draw": 0,
            "item": ["a", "b", "a"],
            "strict": True,
        }
    )
    with pytest.raises(InputError, match="m t: item b has no result in y, seed 0"):
        by_item(table, "strict", ["condition"])


# --- draws of demonstrations --------------------------------------------------------------


def test_a_result_of_a_draw_is_named_with_it_and_read_with_it(entry, run_entry):
    index = index_of(entry | {"draw": 1}, run_entry | {"draw": 2}, run_entry)
    assert [own.name for own in index.entries] == [
        "m t 0-shot draw 1",
        "m t sft seed 3 draw 2",
        "m t sft seed 3",
    ]
    table = read_predictions(index)
    assert table["draw"].dtype == "Int64"
    assert table["draw"].drop_duplicates().tolist() == [1, 2, pd.NA]
    for read in (read_training_logs, read_costs):
        assert read(index)["draw"].tolist() == [2, pd.NA]


def test_the_same_run_in_another_draw_is_another_result(run_entry):
    index_of(run_entry | {"draw": 0}, run_entry | {"draw": 1})
    with pytest.raises(InputError, match="m t sft seed 3 draw 1: listed more than once"):
        index_of(run_entry | {"draw": 1}, run_entry | {"draw": 1})


def test_a_base_result_may_be_named_like_the_teacher_whose_context_it_has(entry):
    (own,) = index_of(entry | {"condition": "instructed", "shots": 8}).entries
    assert (own.condition, own.shots, own.seed) == ("instructed", 8, None)


def of_draws() -> pd.DataFrame:
    """A base result in two draws, a run in two seeds and both, and one that no draw reaches."""
    keys = [("8-shot", None, 0), ("8-shot", None, 1), ("sft", 0, None), ("sft", 1, None)]
    keys += [("answers", seed, draw) for seed in (0, 1) for draw in (0, 1)]
    rows = [
        {"model": "m", "task": "t", "condition": name, "seed": seed, "draw": draw, "item": item}
        | {"strict": float(place)}
        for place, (name, seed, draw) in enumerate(keys)
        for item in "ab"
    ]
    return pd.DataFrame(rows).astype({"seed": "Int64", "draw": "Int64"})


def test_a_result_is_repeated_over_the_seeds_and_draws_that_it_does_not_depend_on():
    cube = cube_of(by_item(for_each_replicate(of_draws()), "strict", ["condition"]))
    assert cube.shape == (2, 2, 2, 3)
    few_shot, answers, sft = (cube[:, :, 0, place] for place in (0, 1, 2))
    assert few_shot.tolist() == [[0, 0], [1, 1]]
    assert answers.tolist() == [[4, 6], [5, 7]]
    assert sft.tolist() == [[2, 3], [2, 3]]


def test_each_seed_and_draw_has_its_rows_and_then_all_of_them():
    keys = [(keys["seed"], keys["draw"]) for keys, _ in by_replicate(of_draws())]
    assert keys == [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1"), ("all", "all")]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("8-shot", [(None, "0"), (None, "1"), (None, "all")]),
        ("sft", [("0", None), ("1", None), ("all", None)]),
    ],
)
def test_what_depends_on_one_of_the_two_has_no_other(name, keys):
    own = of_draws()
    own = own[own["condition"] == name]
    assert [(found["seed"], found["draw"]) for found, _ in by_replicate(own)] == keys


def test_a_result_that_one_draw_lacks_is_refused_by_name():
    table = for_each_replicate(of_draws())
    lacking = table[~((table["condition"] == "answers") & (table["draw"] == 1))]
    with pytest.raises(InputError, match="item a has no result in answers, seed 0, draw 1"):
        by_item(lacking, "strict", ["condition"])


def test_nothing_needs_to_choose_on_an_item(entry):
    """By agreement, test items and those without an answer of the reference have no selection."""
    save(predictions().assign(selection=float("nan")), str(entry["predictions"]))
    assert read_predictions(index_of(entry))["selection"].isna().all()


def test_predictions_that_say_no_choice_are_refused_with_what_to_do(entry):
    save(predictions().drop(columns="selection"), str(entry["predictions"]))
    with pytest.raises(InputError, match="no column selection; rerun its evaluation"):
        read_predictions(index_of(entry))


# --- foreign results ----------------------------------------------------------------------


@pytest.fixture
def foreign_entry(entry: dict[str, object], tmp_path: Path) -> dict[str, object]:
    path = tmp_path / "foreign.parquet"
    save(predictions(answer_loss=math.nan), path)
    key = {"condition": "theirs", "shots": None, "foreign": True}
    return entry | key | {"predictions": str(path)}


def test_a_foreign_result_has_neither_shots_nor_losses(foreign_entry):
    assert read_predictions(index_of(foreign_entry))["answer_loss"].isna().all()
    with pytest.raises(InputError, match="a foreign result has no `shots`"):
        index_of(foreign_entry | {"shots": 0})


def test_a_result_made_here_needs_its_losses(foreign_entry):
    with pytest.raises(InputError, match="item a has no answer_loss"):
        read_predictions(
            index_of(foreign_entry | {"condition": "0-shot", "shots": 0, "foreign": False})
        )


def test_a_foreign_result_has_the_items_of_all_its_seeds(foreign_entry, entry, tmp_path):
    one = save(predictions(answer_loss=math.nan).head(1), tmp_path / "one.parquet")
    seeds = [foreign_entry | {"seed": 0}, foreign_entry | {"seed": 1, "predictions": str(one)}]
    items = read_predictions(index_of(entry, *seeds)).groupby("condition")["item"].unique()
    assert {name: own.tolist() for name, own in items.items()} == {
        "0-shot": ["a", "b"],
        "theirs": ["a"],
    }


def test_a_foreign_result_with_seeds_is_no_condition(foreign_entry, run_entry):
    index = index_of(run_entry, foreign_entry | {"seed": 0})
    assert index.conditions == ("sft",)
    assert index.foreign == ("theirs",)
