from __future__ import annotations

import pandas as pd

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.config.slices import FigureSlice
from workflow_scripts.figures import icl_gap
from workflow_scripts.figures.data import FigureData, one_value_a_row, subject_of
from workflow_scripts.figures.forest_plot import columns_of
from workflow_scripts.results.index import ResultIndex, read_table
from workflow_scripts.results.metrics import columns_of as interval_of
from workflow_scripts.results.table_rows import chosen_results, over_seeds


def test_a_condition_with_several_seeds_is_shown_over_all_of_them():
    table = pd.DataFrame(
        {
            "model": "m",
            "task": "t",
            "condition": ["0-shot", "sft", "sft", "sft"],
            "seed": pd.array([None, "0", "1", "all"], dtype="string"),
        }
    )
    assert over_seeds(table)["seed"].tolist() == [pd.NA, "all"]


def test_a_single_seed_is_shown_as_it_is():
    table = pd.DataFrame({"model": "m", "task": "t", "first": "a", "second": "b", "seed": ["0"]})
    assert over_seeds(table)["seed"].tolist() == ["0"]


def test_no_comparisons_stay_none():
    columns = ["model", "task", "first", "second", "seed"]
    assert over_seeds(pd.DataFrame(columns=columns)).empty


def test_forest_plot_list_every_condition_once_and_best_first(one_seed):
    table = chosen_results(read_table(one_seed.folder / "comparisons.csv"))
    assert len(table) == table["condition"].nunique() == 7
    assert table["accuracy"].is_monotonic_decreasing


def test_each_measure_has_a_row_with_its_interval():
    wide = pd.DataFrame({"step": [0, 5], "a": [1, 2], "a_low": [0, 1], "a_high": [2, 3]})
    wide = wide.assign(b=7, b_low=6, b_high=8)
    long = one_value_a_row(wide, ["step"], ["a", "b"])
    assert long.columns.tolist() == ["step", "measure", "value", "low", "high"]
    assert long.to_numpy().tolist() == [
        [0, "a", 1, 0, 2],
        [5, "a", 2, 1, 3],
        [0, "b", 7, 6, 8],
        [5, "b", 7, 6, 8],
    ]


# --- contexts of teachers -----------------------------------------------------------------

INDEX = ResultIndex.model_validate(
    [
        {"model": "m", "task": "t", "condition": name, "seed": seed, "shots": shots}
        for name, seed, shots in (("0-shot", None, 0), ("told", None, 0), ("sft", 0, None))
    ]
)
FIGURE = FigureSlice(figure="forest_plot", model="m", task="t", scorer="word", judge="told")


def test_a_teachers_context_is_a_reference_like_the_most_shots():
    subject = subject_of(FIGURE, INDEX)
    assert subject.references == ("0-shot", "told")
    assert subject.conditions == ("sft",)
    assert subject.scores.strict == "agreement with told"


def test_foreign_results_are_neither_conditions_nor_references():
    key = {"model": "m", "task": "t", "shots": None, "foreign": True}
    foreign = [key | {"condition": name, "seed": seed} for name, seed in (("a", None), ("b", 0))]
    subject = subject_of(FIGURE, ResultIndex.model_validate([*INDEX.model_dump(), *foreign]))
    assert subject.references == ("0-shot", "told")
    assert (subject.conditions, subject.foreign) == (("sft",), ("a", "b"))


def test_members_of_all_pairs_are_compared_with_a_teachers_context():
    group = ComparisonGroup(name="g", members=("0-shot", "told", "sft"), design="pairs")
    subject = subject_of(FIGURE.model_copy(update={"group": group}), INDEX)
    assert [column.title for column in columns_of(subject)] == ["against\ntold"]


def test_the_gap_figure_has_a_place_for_each_context():
    metrics = ("accuracy_strict", "accuracy_flexible", "answer_loss", "gap")
    values = {name: 0.5 for metric in metrics for name in interval_of(metric)}
    rows = [
        {"model": "m", "task": "t", "condition": name, "shots": 0, "split": "test"}
        | {"sample": "all", "draw": None}
        | values
        | {"gap": gap}
        for name, gap in (("0-shot", 0.0), ("told", 0.2))
    ]
    tables = {"icl_gap": pd.DataFrame(rows)}
    data = FigureData(subject_of(FIGURE, INDEX), tables, pd.DataFrame())
    table = icl_gap.table(data)
    assert table.loc[table["measure"] == "gap", "value"].tolist() == [0.2]
    accuracy, _ = icl_gap.draw(table, data.subject).axes
    assert [label.get_text() for label in accuracy.get_xticklabels()] == ["0", "told"]
    assert accuracy.get_xlabel() == "shots, or teacher"
