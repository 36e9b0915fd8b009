"""Accuracy by correct label."""

from __future__ import annotations

import pandas as pd
import pytest

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.statistics import wilson
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.labels import COLUMNS, accuracy_by_label

SETTINGS = AnalysisSettings(bootstrap_samples=200)
LABELS = ("Yes", "No")
# of ten test items the first six are entailed
ANSWERS = {f"test-{i}": "Yes" if i < 6 else "No" for i in range(10)}


def answered(condition, predictions, seed=None, shots=None, step=0, draw=None):
    """A result on the test items, and on validation at its step."""
    rows = [
        {"split": split, "item": f"{split}-{i}", "prediction": word, "answer_loss": 1.0}
        | {"strict": word == ANSWERS[f"test-{i}"], "flexible": True, "step": step}
        for split in ("validation", "test")
        for i, word in enumerate(predictions)
    ]
    return pd.DataFrame(rows).assign(
        model="m",
        task="t",
        condition=condition,
        selection=0.0,
        selection_loss=1.0,
        seed=pd.array([seed] * len(rows), dtype="Int64"),
        draw=pd.array([draw] * len(rows), dtype="Int64"),
        shots=pd.array([shots] * len(rows), dtype="Int64"),
    )


def table_of(*results):
    return accuracy_by_label(pd.concat(results), ANSWERS, LABELS, SETTINGS)


ALWAYS_YES = answered("0-shot", ["Yes"] * 10, shots=0)


def test_who_always_says_one_label_is_right_on_all_its_items_and_on_no_other():
    table = table_of(ALWAYS_YES).set_index("label")
    assert table["items"].to_dict() == {"Yes": 6, "No": 4}
    assert table["accuracy"].to_dict() == {"Yes": 1.0, "No": 0.0}
    assert table["predicted"].to_dict() == {"Yes": 1.0, "No": 0.0}


def test_an_accuracy_has_the_interval_of_the_items_of_its_label():
    row = table_of(answered("0-shot", ["Yes", "No"] * 5, shots=0)).iloc[0]
    interval = wilson(3, 6, SETTINGS.confidence)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(interval)


def test_seeds_have_rows_of_their_own_and_one_over_all_at_their_steps():
    runs = [
        answered("sft", ["Yes"] * (6 + seed) + ["No"] * (4 - seed), seed=seed, step=10 * (1 + seed))
        for seed in (0, 2)
    ]
    rows = table_of(ALWAYS_YES, *runs).query("label == 'No' and condition == 'sft'")
    assert rows["seed"].tolist() == ["0", "2", "all"]
    assert rows["accuracy"].tolist() == [1.0, 0.5, 0.75]
    assert rows["step"].tolist() == ["10", "30", "10/30"]
    over_seeds = rows.iloc[-1]
    assert over_seeds["accuracy_low"] < 0.75 < over_seeds["accuracy_high"]
    assert over_seeds["items"] == 4


def test_a_label_without_items_has_no_row():
    table = accuracy_by_label(ALWAYS_YES, ANSWERS, ("Yes", "Maybe", "No"), SETTINGS)
    assert table["label"].tolist() == ["Yes", "No"]
    assert table.columns.tolist() == COLUMNS


def test_an_item_that_the_task_does_not_have_is_named():
    with pytest.raises(InputError, match="item test-0: predicted, but not among"):
        accuracy_by_label(ALWAYS_YES, {}, LABELS, SETTINGS)


def test_each_draw_has_its_rows_and_all_of_them_their_mean():
    runs = [
        answered("sft", ["Yes"] * 6 + [last] * 4, seed=0, step=5, draw=draw)
        for draw, last in enumerate(("Yes", "No", "No"))
    ]
    table = accuracy_by_label(pd.concat(runs), ANSWERS, ["Yes", "No"], SETTINGS)
    rows = table[table["label"] == "No"]
    assert rows["draw"].tolist() == ["0", "1", "2", "all"]
    assert rows["accuracy"].tolist() == pytest.approx([0, 1, 1, 2 / 3])
