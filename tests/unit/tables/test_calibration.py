"""Calibration of the probabilities of labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from tests.outputs import save
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables import calibration as module
from workflow_scripts.tables.calibration import (
    BINS,
    COLUMNS,
    calibration,
    error_if_calibrated,
    expected_calibration_error,
)

SETTINGS = AnalysisSettings(bootstrap_samples=400)


def answered(probabilities, correct, condition="0-shot", seed=None, step=0):
    """A result on as many test items, and on validation: of the labels, the correct one's place."""
    probabilities, correct = np.asarray(probabilities, float), np.asarray(correct)
    items = len(correct)
    one = pd.DataFrame(
        {
            "item": [str(i) for i in range(items)],
            "strict": (probabilities.argmax(axis=1) == correct).astype(float),
            "answer_loss": -np.log(probabilities[np.arange(items), correct]),
            # nats of labels need not add up to a probability of 1
            "choice_losses": list(3.0 - np.log(probabilities)),
        }
    ).assign(
        model="m",
        task="t",
        condition=condition,
        step=step,
        selection=0.0,
        selection_loss=1.0,
        flexible=1.0,
        prediction="A",
        seed=pd.array([seed] * items, dtype="Int64"),
        draw=pd.array([None] * items, dtype="Int64"),
        shots=pd.array([0 if seed is None else None] * items, dtype="Int64"),
    )
    return pd.concat([one.assign(split=split) for split in ("validation", "test")])


def sure(confidence, right, of):
    """Two labels: the first has this probability and is correct for so many items."""
    return [[confidence, 1 - confidence]] * of, [0] * right + [1] * (of - right)


def test_a_model_that_is_right_less_often_than_it_says_is_wrong_by_the_difference():
    row = calibration(answered(*sure(0.9, right=6, of=10)), SETTINGS).iloc[0]
    assert row["accuracy"] == pytest.approx(0.6)
    assert row["confidence"] == pytest.approx(0.9)
    assert row["calibration_error"] == pytest.approx(0.3)


def test_the_brier_score_is_the_squared_distance_summed_over_labels():
    row = calibration(answered(*sure(0.9, right=6, of=10)), SETTINGS).iloc[0]
    assert row["brier"] == pytest.approx((6 * 2 * 0.1**2 + 4 * 2 * 0.9**2) / 10)
    assert row["brier_low"] < row["brier"] < row["brier_high"]
    wrong = calibration(answered([[1 - 1e-12, 1e-12]], [1]), SETTINGS).iloc[0]
    assert wrong["brier"] == pytest.approx(2)


def test_errors_of_bins_do_not_cancel():
    (over, first), (under, second) = sure(0.9, right=6, of=10), sure(0.6, right=9, of=10)
    row = calibration(answered(over + under, first + second), SETTINGS).iloc[0]
    assert row["accuracy"] == pytest.approx(row["confidence"]) == 0.75
    assert row["calibration_error"] == pytest.approx(0.3)


def test_the_error_is_that_of_torchmetrics():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1.0, 0.5, 0.3], size=500)
    correct = generator.integers(3, size=500)
    theirs = multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(correct), num_classes=3, n_bins=BINS, norm="l1"
    )
    ours = calibration(answered(probabilities, correct), SETTINGS)["calibration_error"].iloc[0]
    assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_chance_alone_gives_a_calibrated_model_the_error_that_is_shown_beside_it():
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, size=200)
    correct = (generator.random((3000, 200)) < confidence).astype(float)
    found = expected_calibration_error(correct, np.broadcast_to(confidence, correct.shape))
    assert error_if_calibrated(confidence) == pytest.approx(found.mean(), rel=0.03)
    assert found.mean() > 0.05


@pytest.mark.parametrize(("excess", "least"), [(0.0, 0.5), (0.1, 0.82), (0.25, 0.85)])
def test_an_interval_covers_the_error_where_percentiles_would_miss_a_calibrated_model(
    excess, least
):
    """Of 15 bins and 200 items; percentiles cover 0 in none of them."""
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(100):
        confidence = generator.uniform(0.5, 1, size=200)
        wrong = (generator.random(200) >= confidence - excess).astype(int)
        probabilities = np.stack([confidence, 1 - confidence], axis=1)
        row = calibration(answered(probabilities, wrong), SETTINGS).iloc[0]
        low, high = row["calibration_error_low"], row["calibration_error_high"]
        assert low <= row["calibration_error"] <= high
        covered.append(low <= excess <= high)
    assert np.mean(covered) >= least


def test_seeds_that_err_in_opposite_ways_are_both_wrong():
    runs = [
        answered(*sure(0.75, right, of=20), condition="sft", seed=seed, step=10 * (seed + 1))
        for seed, right in enumerate((10, 20))
    ]
    rows = calibration(pd.concat([answered(*sure(0.75, 15, 20)), *runs]), SETTINGS)
    own = rows[rows["condition"] == "sft"]
    assert own["seed"].tolist() == ["0", "1", "all"]
    assert own["step"].tolist() == ["10", "20", "10/20"]
    assert own["accuracy"].tolist() == pytest.approx([0.5, 1.0, 0.75])
    assert own["calibration_error"].tolist() == pytest.approx([0.25] * 3)
    assert rows["calibration_error"].iloc[0] == pytest.approx(0)
    assert rows.columns.tolist() == COLUMNS


def on_disk(predictions, path):
    keys = ["model", "task", "condition", "seed", "draw", "shots"]
    save(predictions.drop(columns=keys), path)
    entry = {"model": "m", "task": "t", "condition": "0-shot", "seed": None, "shots": 0}
    return ResultIndex.model_validate([entry | {"predictions": path}])


def test_the_table_is_made_from_the_label_losses_that_predictions_keep(tmp_path):
    index = on_disk(answered(*sure(0.9, right=6, of=10)), tmp_path / "predictions.parquet")
    module.main(SETTINGS, index, tmp_path / "calibration.csv")
    table = pd.read_csv(tmp_path / "calibration.csv")
    assert table["calibration_error"].tolist() == pytest.approx([0.3])


def test_predictions_without_label_losses_are_named(tmp_path):
    predictions = answered(*sure(0.9, 6, 10)).drop(columns="choice_losses")
    index = on_disk(predictions, tmp_path / "predictions.parquet")
    with pytest.raises(InputError, match="no column choice_losses; rerun its evaluation"):
        module.main(SETTINGS, index, tmp_path / "calibration.csv")
