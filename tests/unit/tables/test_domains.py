"""Means over the tasks in and out of a mixture's domain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import Domain
from workflow_scripts.results.statistics import bootstrap_means, percentile_interval
from workflow_scripts.tables.domains import COLUMNS, domain_scores, resampled_means

SETTINGS = AnalysisSettings(bootstrap_samples=2000, baseline="sft")
IN = Domain(source="mix", name="in", tasks=("a", "b"))
OUT = Domain(source="mix", name="out", tasks=("c",))


def answered(
    task: str,
    condition: str,
    scores: Sequence[float],
    seed: int | None = None,
    step: int = 0,
    draw: int | None = None,
) -> pd.DataFrame:
    """A result on the test items of a task, and on validation at its step."""
    shots = int(condition.removesuffix("-shot")) if seed is None else None
    rows = [
        {"split": split, "item": f"{task}-{split}-{i}", "strict": score, "flexible": score}
        for split in ("validation", "test")
        for i, score in enumerate(scores)
    ]
    return pd.DataFrame(rows).assign(
        model="m",
        task=task,
        condition=condition,
        step=step,
        answer_loss=1.0,
        prediction="word",
        selection=0.0,
        selection_loss=1.0,
        seed=pd.array([seed] * len(rows), dtype="Int64"),
        draw=pd.array([draw] * len(rows), dtype="Int64"),
        shots=pd.array([shots] * len(rows), dtype="Int64"),
    )


def study(
    task: str, items: int, base: float, sft: float, uld: float, shown: float
) -> list[pd.DataFrame]:
    """Shares of right items: of the model and two conditions at 0 shots, of all at 4."""

    def right(share: float) -> list[float]:
        return [float(i < share * items) for i in range(items)]

    return [
        answered(task, "0-shot", right(base)),
        answered(task, "4-shot", right(shown)),
        answered(task, "8-shot", right(1)),
        *(
            answered(task, name, right(share), seed=0, step=10)
            for name, share in (
                ("sft@mix", sft),
                ("sft@mix@4-shot", shown),
                ("uld@mix", uld),
                ("uld@mix@4-shot", shown),
            )
        ),
        # trained on one task alone
        answered(task, "sft@a", right(1), seed=0, step=10),
    ]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    results = [
        *study("a", 40, base=0.1, sft=0.5, uld=0.7, shown=0.8),
        *study("b", 20, base=0.2, sft=0.5, uld=0.6, shown=0.8),
        *study("c", 10, base=0.3, sft=0.3, uld=0.3, shown=0.4),
    ]
    return domain_scores(pd.concat(results), (IN, OUT), SETTINGS)


def row_of(table: pd.DataFrame, domain: str, condition: str, shots: int = 0) -> pd.Series:
    own = table[(table["domain"] == domain) & (table["shots"] == shots)]
    return own.set_index("condition").loc[condition]


def test_every_domain_number_of_shots_and_result_has_a_row(table):
    assert table.columns.tolist() == COLUMNS
    results = [(0, "0-shot"), (0, "sft"), (0, "uld"), (4, "4-shot"), (4, "sft"), (4, "uld")]
    rows = table[["domain", "shots", "condition"]].itertuples(index=False, name=None)
    assert list(rows) == [(domain, *own) for domain in ("in", "out") for own in results]
    assert set(table["task"]) == {"mix"}
    assert dict(zip(table["domain"], table["answered"], strict=True)) == {"in": "a, b", "out": "c"}


def test_each_task_weighs_the_same_whatever_its_items(table):
    assert row_of(table, "in", "0-shot")["score"] == pytest.approx(0.15)
    assert row_of(table, "in", "uld")["score"] == pytest.approx(0.65)


def test_a_difference_is_from_the_baseline_after_as_many_demonstrations(table):
    differences = row_of(table, "in", "uld"), row_of(table, "in", "uld", shots=4)
    assert [row["difference"] for row in differences] == pytest.approx([0.15, 0])
    assert row_of(table, "in", "0-shot")["difference"] == pytest.approx(-0.35)


def test_the_baseline_is_not_held_against_itself(table):
    assert pd.isna(row_of(table, "in", "sft")["difference"])


def test_a_gain_is_what_demonstrations_add_to_the_same_result(table):
    gains = {name: row_of(table, "in", name, shots=4)["gain"] for name in ("4-shot", "uld")}
    assert gains == pytest.approx({"4-shot": 0.65, "uld": 0.15})
    assert table.loc[table["shots"] == 0, "gain"].isna().all()


def test_differences_are_paired(table):
    """Both results are right on the same items, so no draw of items tells them apart."""
    row = row_of(table, "in", "uld", shots=4)
    assert (row["difference_low"], row["difference_high"]) == (0, 0)
    assert row["score_low"] < row["score"] < row["score_high"]


def test_a_mean_after_demonstrations_is_over_the_tasks_that_are_shown_them():
    few_shot = study("a", 40, base=0.1, sft=0.5, uld=0.7, shown=0.8)
    plain = study("b", 20, base=0.2, sft=0.7, uld=0.6, shown=0.8)
    plain = [result for result in plain if "4-shot" not in result["condition"].iloc[0]]
    table = domain_scores(pd.concat([*few_shot, *plain]), (IN,), SETTINGS)
    asked = table.drop_duplicates("shots").set_index("shots")["answered"]
    assert asked.to_dict() == {0: "a, b", 4: "a"}
    assert row_of(table, "in", "sft")["score"] == pytest.approx(0.6)
    shown = row_of(table, "in", "sft", shots=4)
    assert (shown["score"], shown["gain"]) == pytest.approx((0.8, 0.3))


def test_without_the_baseline_there_are_scores_and_no_differences():
    results = pd.concat(study("c", 10, 0.3, 0.3, 0.3, 0.4))
    table = domain_scores(results, (OUT,), SETTINGS.model_copy(update={"baseline": "kl"}))
    assert table["difference"].isna().all()
    assert table["score"].notna().all()


def test_scores_need_not_be_right_or_wrong():
    results = [
        answered("c", "0-shot", [0.25, 0.75]),
        answered("c", "sft@mix", [0.5, 1.0], seed=0, step=10),
    ]
    table = domain_scores(pd.concat(results), (OUT,), SETTINGS)
    assert table["score"].tolist() == [0.5, 0.75]


def test_the_mean_of_seeds_is_one_row():
    runs = [answered("c", "sft@mix", [float(seed)] * 4, seed, 10 + seed) for seed in (0, 1)]
    table = domain_scores(pd.concat([answered("c", "0-shot", [0.0] * 4), *runs]), (OUT,), SETTINGS)
    row = row_of(table, "out", "sft")
    assert (row["seeds"], row["score"]) == (2, 0.5)


# --- the bootstrap ------------------------------------------------------------------------


def test_of_one_task_it_is_the_crossed_bootstrap():
    cube = np.random.default_rng(0).random((3, 50, 1))
    several = percentile_interval(resampled_means([cube], SETTINGS)[:, 0], 0.95)
    one = percentile_interval(bootstrap_means(cube, 2000, 0)[:, 0], 0.95)
    assert several == pytest.approx(one, abs=0.01)


def test_seeds_are_resampled_together_in_all_tasks():
    """One seed is right everywhere and one nowhere, so a draw may well hold one of them alone."""
    cube = np.stack([np.zeros((5, 1)), np.ones((5, 1))])
    draws = resampled_means([cube] * 8, SETTINGS)
    assert set(np.unique(draws.round(9))) == {0.0, 0.5, 1.0}


def test_items_are_resampled_in_each_task_for_itself():
    """Where one task is right the other is wrong: with the same places every mean would be ½."""
    right = (np.arange(20) % 2.0).reshape(1, 20, 1)
    draws = resampled_means([right, 1 - right], SETTINGS)
    # of the mean of two independent shares of 20 items
    assert draws.std() == pytest.approx(np.sqrt(0.25 / 20 / 2), rel=0.1)


# --- draws of demonstrations --------------------------------------------------------------


def test_a_mean_is_over_seeds_and_draws_and_counts_them():
    runs = [
        answered("c", "answers@mix", [float(seed == draw)] * 4, seed, 10, draw=draw)
        for seed in (0, 1)
        for draw in (0, 1, 2)
    ]
    base = answered("c", "0-shot", [0.0] * 4)
    row = row_of(domain_scores(pd.concat([base, *runs]), (OUT,), SETTINGS), "out", "answers")
    assert (row["seeds"], row["draws"], row["score"]) == (2, 3, pytest.approx(2 / 6))


def test_draws_are_resampled_together_in_all_tasks():
    """One draw is right everywhere and one nowhere."""
    cube = np.stack([np.zeros((3, 5, 1)), np.ones((3, 5, 1))])
    means = resampled_means([cube] * 8, SETTINGS)
    assert set(np.unique(means.round(9))) == {0.0, 0.5, 1.0}
