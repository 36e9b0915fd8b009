from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.compare import main
from workflow_scripts.results.statistics import (
    paired_difference,
    replicated_difference,
    smallest_detectable,
    wilson,
)
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError


@pytest.fixture
def table(tmp_path):
    """Writes a table of scores: item → score, or rows of (item, seed, score)."""

    def write(name, rows):
        columns = ["item", "score"] if len(rows[0]) == 2 else ["item", "seed", "score"]
        path = tmp_path / f"{name}.csv"
        pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
        return path

    return write


def scores(correct, items=100):
    return [(f"q{number}", int(number < correct)) for number in range(items)]


def compared(tmp_path, *words):
    """The rows of the CSV that a call writes."""
    path = tmp_path / "out.csv"
    call(main, [*map(str, words), "--csv", str(path)])
    return pd.read_csv(path)


def test_two_tables_have_the_paired_statistics(tmp_path, table, capsys):
    first, second = table("tuned", scores(70)), table("base", scores(60))
    (row,) = compared(tmp_path, first, second).to_dict("records")
    one, other = (np.arange(100) < correct for correct in (70, 60))
    expected = paired_difference(one, other, 0.95)
    assert row["difference"] == pytest.approx(0.1)
    assert row["p"] == pytest.approx(expected.p, rel=1e-5)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(
        expected.interval, rel=1e-5
    )
    assert row["detectable"] == pytest.approx(smallest_detectable(expected, 0.05, 0.8), rel=1e-5)
    assert (row["first_accuracy_low"], row["first_accuracy_high"]) == pytest.approx(
        wilson(70, 100, 0.95), rel=1e-5
    )
    assert row["verdict"] == "better"
    told = capsys.readouterr().out
    assert "tuned     70.0 [60.4, 78.1]" in told
    assert "tuned    base      +10.0 [+" in told
    assert "100 common items, matched by id; metric: score" in told


def test_the_harness_logs_disagree_on_six_of_sixteen_items(tmp_path, float32, bfloat16):
    words = [f"float32={float32}", f"bfloat16={bfloat16}", "--metric", "strict-match"]
    (row,) = compared(tmp_path, *words).to_dict("records")
    assert (row["first"], row["second"], row["items"]) == ("float32", "bfloat16", 16)
    assert (row["first_accuracy"], row["second_accuracy"]) == (0.375, 0.25)
    assert (row["discordant"], row["verdict"]) == (2, "not shown")


def test_an_inspect_log_is_compared_with_one_of_the_harness(tmp_path, float32, one_wrong):
    (row,) = compared(tmp_path, float32, one_wrong, "--metric", "match; strict-match").to_dict(
        "records"
    )
    assert (row["items"], row["second"]) == (11, "mockllm/model")


def test_flags_may_stand_between_files(tmp_path, table):
    first, second = table("a", scores(70)), table("b", scores(60))
    words = [first, "--margin", "2", second, "--confidence", "0.9"]
    assert compared(tmp_path, *words)["margin_verdict"].tolist() == ["not worse"]


def test_a_margin_is_tested_both_ways_when_asked(tmp_path, table):
    first, second = table("a", scores(70)), table("b", scores(70))
    words = [first, second, "--margin", "10", "--equivalent"]
    assert compared(tmp_path, *words)["margin_verdict"].tolist() == ["equivalent"]


def test_pairs_of_several_results_are_corrected(tmp_path, table):
    files = [table(name, scores(n)) for name, n in (("a", 70), ("b", 64), ("c", 50))]
    rows = compared(tmp_path, *files)
    assert rows[["first", "second"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert rows["p_holm"].tolist() == pytest.approx((rows["p"] * [1, 3, 2]).tolist(), rel=1e-4)
    assert rows["verdict"].tolist() == ["better", "better", "better"]


def replicates(shift, seeds=(0, 1, 2)):
    generator = np.random.default_rng(shift)
    return [
        (f"q{item}", seed, int(generator.random() < 0.5 + shift / 10))
        for seed in seeds
        for item in range(80)
    ]


def cube(rows):
    return np.array([score for *_, score in rows], dtype=float).reshape(1, 3, 80)


def test_seeds_are_crossed_with_items(tmp_path, table):
    one, other = replicates(3), replicates(1)
    rows = compared(tmp_path, table("a", one), table("b", other))
    pooled = rows[rows["seed"] == "all"].iloc[0]
    # the pair is its whole group
    alone = replicated_difference(cube(one), cube(other), 0.95)
    assert pooled["difference"] == pytest.approx(alone.estimate, rel=1e-4)
    assert 0 < pooled["p"] < 1
    assert len(rows) == 4


def test_files_of_one_result_are_its_seeds(tmp_path, table):
    own = {seed: [row for row in replicates(3) if row[1] == seed] for seed in (0, 1, 2)}
    files = [table(f"s{seed}", [(item, score) for item, _, score in own[seed]]) for seed in own]
    given = f"tuned={','.join(map(str, files))}"
    rows = compared(tmp_path, given, table("base", scores(40, 80)))
    whole = compared(tmp_path, table("tuned", replicates(3)), table("base", scores(40, 80)))
    pd.testing.assert_frame_equal(rows, whole)
    assert rows["seed"].tolist() == ["0", "1", "2", "all"]


def test_the_names_of_seeds_need_not_agree(tmp_path, table):
    first = table("a", replicates(3))
    second = table("b", replicates(1, seeds=(7, 8, 9)))
    assert compared(tmp_path, first, second)["seed"].tolist() == ["0", "1", "2", "all"]


def test_epochs_of_inspect_are_crossed_with_items(tmp_path, seven_wrong, three_epochs):
    rows = compared(tmp_path, f"once={seven_wrong}", f"thrice={three_epochs}")
    assert rows["seed"].tolist() == ["0", "1", "2", "all"]


def test_different_numbers_of_seeds_are_refused(tmp_path, table):
    first, second = table("a", replicates(3)), table("b", replicates(1)[:160])
    with pytest.raises(InputError, match=r"a.csv has 3, .*b.csv has 2 seeds or epochs; give each"):
        compared(tmp_path, first, second)


def test_an_item_that_a_seed_lacks_is_refused(tmp_path, table):
    first, second = table("a", replicates(3)[1:]), table("b", replicates(1))
    with pytest.raises(InputError, match="item q0 has 2 of 3 seeds or epochs; give each item the"):
        compared(tmp_path, first, second)


@pytest.mark.parametrize(("items", "pairs", "least"), [(5, 1, 6), (6, 3, 7)])
def test_fewer_common_items_than_a_test_needs_are_refused(tmp_path, table, items, pairs, least):
    count = {1: 2, 3: 3}[pairs]
    files = [table(f"t{n}", [*scores(2, items), (f"own{n}", 1)]) for n in range(count)]
    with pytest.raises(InputError) as refused:
        compared(tmp_path, *files)
    assert f"have {items} common items, but a test needs {least} to show anything" in str(
        refused.value
    )
    assert "not in every result, but in t0: 1 item (own0)" in str(refused.value)


def test_one_result_is_refused(tmp_path, table):
    with pytest.raises(InputError, match=r"^1 result given; give two or more"):
        compared(tmp_path, table("a", scores(1)))


def test_two_results_of_one_table_need_no_second_file(tmp_path):
    path = tmp_path / "both.jsonl"
    rows = [
        {"item": n, "result": name, "score": int(n < k)}
        for name, k in (("a", 9), ("b", 2))
        for n in range(10)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert compared(tmp_path, path)[["first", "second"]].iloc[0].tolist() == ["a", "b"]


def test_results_of_one_name_are_numbered(tmp_path, seven_wrong, one_wrong):
    rows = compared(tmp_path, seven_wrong, one_wrong)
    assert rows[["first", "second"]].iloc[0].tolist() == ["mockllm/model (1)", "mockllm/model (2)"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--margin", "0"], "--margin: 0 must lie between 0 and 100 points"),
        (["--equivalent"], "--equivalent: needs --margin"),
        (["--confidence", "95"], "--confidence: must lie between 0 and 1"),
    ],
)
def test_impossible_flags_are_refused(tmp_path, table, words, problem):
    with pytest.raises(InputError, match=problem):
        compared(tmp_path, table("a", scores(7)), table("b", scores(6)), *words)


def test_graded_scores_have_the_t_test(tmp_path, table):
    one = [(f"q{n}", 0.5 + n / 100) for n in range(20)]
    other = [(f"q{n}", 0.4 + n / 90) for n in range(20)]
    (row,) = compared(tmp_path, table("a", one), table("b", other)).to_dict("records")
    differences = np.array([a[1] - b[1] for a, b in zip(one, other, strict=True)])
    assert row["difference"] == pytest.approx(differences.mean(), rel=1e-4)
    from scipy.stats import ttest_1samp

    assert row["p"] == pytest.approx(ttest_1samp(differences, 0).pvalue, rel=1e-4)
