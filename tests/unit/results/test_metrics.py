from __future__ import annotations

import math

import pandas as pd
import pytest

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.metrics import metrics_of, metrics_over_replicates
from workflow_scripts.results.statistics import mean_interval, wilson


@pytest.fixture
def predictions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strict": [True, False, False, False],
            "flexible": [True, True, True, False],
            "answer_loss": [1.0, 2.0, 3.0, 4.0],
        }
    )


def test_strict_and_flexible_accuracy_are_counted_apart(predictions):
    found = metrics_of(predictions, 0.95)
    assert (found["accuracy_strict"], found["accuracy_flexible"]) == (0.25, 0.75)


def test_accuracies_have_wilson_intervals(predictions):
    found = metrics_of(predictions, 0.9)
    assert (found["accuracy_flexible_low"], found["accuracy_flexible_high"]) == wilson(3, 4, 0.9)


def test_graded_scores_have_student_s_interval_within_0_and_1(predictions):
    graded = predictions.assign(strict=[0.0, 0.3, 0.25, 0.4], flexible=[0.9, 1.0, 1.0, 0.95])
    found = metrics_of(graded, 0.95)
    low, high = mean_interval([0.0, 0.3, 0.25, 0.4], 0.95)
    expected = (max(low, 0), min(high, 1))
    assert (found["accuracy_strict_low"], found["accuracy_strict_high"]) == expected
    assert found["accuracy_flexible_high"] == 1


def test_the_answer_loss_has_the_interval_of_its_mean(predictions):
    found = metrics_of(predictions, 0.9)
    interval = mean_interval([1.0, 2.0, 3.0, 4.0], 0.9)
    assert (found["answer_loss_low"], found["answer_loss_high"]) == interval


def test_losses_that_were_not_measured_stay_missing_over_seeds(predictions):
    seeds = [
        predictions.assign(item=list("abcd"), seed=seed, draw=0, step=0, answer_loss=math.nan)
        for seed in (0, 1)
    ]
    settings = AnalysisSettings(bootstrap_samples=100)
    found = metrics_over_replicates(pd.concat(seeds).assign(model="m", task="t"), "step", settings)
    assert found[0]["accuracy_strict"] == 0.25
    assert math.isnan(found[0]["answer_loss"])
    assert math.isnan(found[0]["answer_loss_high"])
