from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import RUN_KEYS, ResultIndex
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.optimisation import (
    COLUMNS,
    is_spike,
    log_metrics,
    main,
    optimisation,
    successive_variance,
)

SETTINGS = AnalysisSettings(bootstrap_samples=400)
GAP = ["gap_reduction", "gap_reduction_low", "gap_reduction_high"]


def log(
    losses: list[float],
    grad_norms: list[float] | None = None,
    seed: int = 0,
    draw: int | None = None,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": "m",
            "task": "t",
            "condition": "sft",
            "seed": pd.array([seed] * len(losses), dtype="Int64"),
            "draw": pd.array([draw] * len(losses), dtype="Int64"),
            "step": range(1, len(losses) + 1),
            "loss": losses,
            "grad_norm": grad_norms or [1.0] * len(losses),
            "learning_rate": 1e-4,
        }
    )


LOG = log([2.0, 1.0, 0.5, 0.25])


def measured(*results: pd.DataFrame, logs: pd.DataFrame = LOG) -> pd.Series:
    table = optimisation(pd.concat(results), logs, SETTINGS)
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture
def base(result) -> pd.DataFrame:
    return pd.concat([result("0-shot", {0: 0}, shots=0), result("8-shot", {0: 60}, shots=8)])


def test_conditions_may_have_trained_for_different_numbers_of_steps(result, base):
    """A single step has no variance."""
    short = log([1.0]).assign(condition="short")
    runs = [result("sft", {0: 0, 2: 20, 4: 40}, seed=0), result("short", {0: 0, 1: 40}, seed=0)]
    table = optimisation(pd.concat([base, *runs]), pd.concat([LOG, short]), SETTINGS)
    assert table["area"].tolist() == pytest.approx([0.2, 0.2])
    assert table["loss_variance"].isna().tolist() == [False, True]


# --- of the in-context gap ----------------------------------------------------------------


def test_gap_reduction_is_the_share_of_the_in_context_gain_at_the_chosen_checkpoint(result, base):
    """Step 20 is the best on test, step 10 on validation."""
    run = result("sft", {0: 0, 10: 45, 20: 60}, seed=0, validation={0: 0, 10: 50, 20: 40})
    row = measured(base, run)
    assert row["gap_reduction"] == pytest.approx(0.75)
    assert 0.6 < row["gap_reduction_low"] < 0.75 < row["gap_reduction_high"] < 0.9


def test_a_student_that_is_right_where_the_context_is_closes_the_gap_in_every_draw(result, base):
    row = measured(base, result("sft", {0: 0, 10: 60}, seed=0))
    assert row[GAP].tolist() == [1, 1, 1]


def test_a_gap_within_its_interval_leaves_no_share_of_it(result):
    small = pd.concat([result("0-shot", {0: 50}, shots=0), result("8-shot", {0: 52}, shots=8)])
    row = measured(small, result("sft", {0: 50, 10: 60}, seed=0))
    assert row[GAP].isna().all()
    assert row["note"] == "in-context gap not shown"
    assert row["area"] == pytest.approx(0.55)


def test_over_seeds_each_has_its_own_checkpoint(result, base):
    runs = [
        result("sft", {0: 0, 10: 30, 20: 0}, seed=0),
        result("sft", {0: 0, 10: 0, 20: 60}, seed=1),
    ]
    logs = pd.concat([log([1.0] * 4, seed=0), log([1.0] * 4, seed=1)])
    table = optimisation(pd.concat([base, *runs]), logs, SETTINGS)
    assert table["seed"].tolist() == ["0", "1", "all"]
    assert table["gap_reduction"].tolist() == pytest.approx([0.5, 1, 0.75])
    # whether the one or the other seed is drawn is most of what is not known
    assert table["gap_reduction_low"].iloc[2] < 0.55 < 0.95 < table["gap_reduction_high"].iloc[2]


# --- of the curve of accuracy -------------------------------------------------------------


def test_the_area_is_that_of_trapezoids_over_the_steps(result, base):
    row = measured(base, result("sft", {0: 0, 10: 40, 40: 40}, seed=0))
    assert row["area"] == pytest.approx((0.2 * 10 + 0.4 * 30) / 40)
    assert row["area_low"] < row["area"] < row["area_high"]


def test_checkpoints_vary_in_the_last_half_of_the_steps(result, base):
    row = measured(base, result("sft", {0: 0, 10: 90, 20: 60, 30: 80, 40: 80}, seed=0))
    assert row["checkpoint_variance"] == pytest.approx((0.2**2 + 0) / 2 / 2)


def test_one_checkpoint_in_the_last_half_does_not_vary(result, base):
    assert np.isnan(measured(base, result("sft", {0: 0, 10: 90}, seed=0))["checkpoint_variance"])


# --- of the training log ------------------------------------------------------------------


def test_successive_variance_is_half_the_mean_squared_step():
    assert successive_variance(np.array([1.0, 3.0, 1.0, 3.0])) == 2


def test_successive_variance_does_not_count_a_slow_fall():
    noise = np.random.default_rng(0).normal(scale=0.1, size=2000)
    falling = np.linspace(5, 0, 2000) + noise
    assert successive_variance(falling) == pytest.approx(0.01, rel=0.1)


def test_the_loss_varies_in_the_last_half_of_the_steps():
    assert log_metrics(log([9, 1, 9, 2, 2, 2]))["loss_variance"] == pytest.approx(7**2 / 3 / 2)


def test_a_change_of_terms_between_phases_is_no_variation_of_the_loss():
    """The loss of the second phase is on another scale."""
    table = log([9, 1, 9, 9, 9, 2, 2, 2])
    table["hidden-block-query"] = [1.0] * 5 + [np.nan] * 3
    table["cross_entropy"] = [np.nan] * 5 + [1.0] * 3
    assert log_metrics(table)["loss_variance"] == 0


def test_gradient_norms_are_of_all_steps():
    found = log_metrics(log([1.0] * 101, grad_norms=[float(n) for n in range(101)]))
    assert [found[f"grad_norm_{name}"] for name in ("median", "p95", "max")] == [50, 95, 100]


def test_a_loss_far_above_its_neighbours_is_a_spike():
    losses = 1 + 0.1 * np.random.default_rng(1).normal(size=40)
    losses[25] = 2.5
    assert np.flatnonzero(is_spike(pd.Series(losses))).tolist() == [25]


def test_a_fall_and_a_loss_far_below_are_no_spikes():
    losses = np.concatenate([np.linspace(5, 1, 20), 1 + 0.1 * np.cos(np.arange(20))])
    losses[30] = 0
    assert not is_spike(pd.Series(losses)).any()


def test_over_seeds_the_logs_measures_are_means(result, base):
    runs = [result("sft", {0: 0, 10: 60}, seed=seed) for seed in (0, 1)]
    logs = pd.concat([log([1.0] * 3, [2.0] * 3, seed=0), log([1.0] * 3, [5.0] * 3, seed=1)])
    table = optimisation(pd.concat([base, *runs]), logs, SETTINGS)
    assert table["grad_norm_max"].tolist() == [2, 5, 3.5]


def test_a_run_without_a_log_is_refused_by_name(result, base):
    run = result("sft", {0: 0, 10: 60}, seed=1)
    with pytest.raises(InputError, match="m t sft seed 1: no training log"):
        optimisation(pd.concat([base, run]), LOG, SETTINGS)


# --- none, and from files -----------------------------------------------------------------


def test_without_runs_there_are_columns_and_no_rows(base):
    table = optimisation(base, pd.DataFrame(columns=[*RUN_KEYS, "shots"]), SETTINGS)
    assert table.empty
    assert list(table.columns) == COLUMNS


def test_the_entry_point_writes_the_table_of_base_results_and_runs(result, base, tmp_path: Path):
    predictions = pd.concat([base, result("sft", {0: 0, 10: 60}, seed=0)])
    entries = []
    for (name, seed, shots), table in predictions.groupby(
        ["condition", "seed", "shots"], dropna=False
    ):
        save(table.drop(columns=[*RUN_KEYS, "shots"]), tmp_path / f"{name}.parquet")
        entry = {"model": "m", "task": "t", "condition": name, "seed": None, "shots": None}
        entry |= {"predictions": str(tmp_path / f"{name}.parquet")}
        kind = {"shots": shots} if pd.isna(seed) else {"seed": seed}
        entries.append(entry | {key: int(value) for key, value in kind.items()})
    save(LOG.drop(columns=RUN_KEYS), tmp_path / "log.csv")
    entries[-1]["training_log"] = str(tmp_path / "log.csv")
    main(SETTINGS, ResultIndex.model_validate(entries), tmp_path / "optimisation.csv")
    assert pd.read_csv(tmp_path / "optimisation.csv")["gap_reduction"].tolist() == [1]


def test_each_run_of_a_draw_has_its_own_checkpoint_log_and_gap(result):
    base = [result("0-shot", {0: 0}, shots=0)]
    base += [result("8-shot", {0: 50 + 10 * draw}, shots=8, draw=draw) for draw in range(3)]
    runs = [result("sft", {0: 0, 10: 30, 20: 20}, seed=0, draw=draw) for draw in range(3)]
    logs = pd.concat([log([1.0, 3.0], [draw, draw], draw=draw) for draw in range(3)])
    table = optimisation(pd.concat([*base, *runs]), logs, SETTINGS)
    assert table["draw"].tolist() == ["0", "1", "2", "all"]
    assert table["gap_reduction"].tolist() == pytest.approx([3 / 5, 3 / 6, 3 / 7, 3 / 6])
    assert table["grad_norm_max"].tolist() == [0, 1, 2, 1]


def test_a_run_of_a_draw_without_a_log_is_named_with_it(result, base):
    run = result("sft", {0: 0, 10: 40}, seed=0, draw=1)
    with pytest.raises(InputError, match="m t sft seed 0 draw 1: no training log"):
        optimisation(pd.concat([base, run]), log([1.0], draw=0), SETTINGS)
