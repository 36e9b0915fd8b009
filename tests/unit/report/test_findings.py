"""Findings say what the verdicts in the tables show, and no more."""

from __future__ import annotations

import pandas as pd
import pytest

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import ComparisonGroup, MarginAsked
from workflow_scripts.report.findings import (
    crossing_step,
    draws_caveat,
    drift_difference,
    gap_finding,
    group_headline,
    headline,
    margin_cells,
    noise_caveat,
    present_groups,
    seeds_caveat,
)
from workflow_scripts.tables.verdicts import MARGIN_COLUMNS

SETTINGS = AnalysisSettings()
BETTER, WORSE, EQUAL = ("better", 0.09, 0.01), ("worse", -0.2, 0.001), ("not shown", 0.03, 0.4)


def row(first, second, shown=EQUAL, seed="0", **changes):
    """A row of comparisons.csv."""
    verdict, difference, p = shown
    interval = {"difference_low": difference - 0.05, "difference_high": difference + 0.05}
    columns = {"model": "tiny", "task": "plural", "group": "own", "items": 130, "note": None}
    for name in ("loss_difference", "bootstrap"):
        columns |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), 0.0)
    return (
        columns
        | {
            "first": first,
            "second": second,
            "seed": seed,
            "draw": None,
            "difference": difference,
            **interval,
        }
        | {"p_holm": p, "verdict": verdict, "detectable": 0.09}
        | dict.fromkeys(MARGIN_COLUMNS)
        | changes
    )


def said(design, members, rows, **settings):
    group = ComparisonGroup(name="own", members=members, design=design)
    return group_headline(pd.DataFrame(rows), group, AnalysisSettings(**settings))


def against_sft(*verdicts, **changes):
    names = ["early", "middle", "late", *"abcd"][: len(verdicts)]
    rows = [row(name, "sft", shown, **changes) for name, shown in zip(names, verdicts, strict=True)]
    return said("first", ["sft", *names], rows).partition("; detectable")[0]


# --- several against one ------------------------------------------------------------------


def test_what_is_shown_has_its_evidence_and_the_rest_is_counted():
    assert against_sft(EQUAL, BETTER, EQUAL, EQUAL) == (
        "Shown: middle > sft (+9.0 points [+4.0, +14.0]); not shown: 3 of 4 pairs"
    )


def test_results_that_differ_in_one_direction_are_reported_together_with_the_range():
    assert against_sft(BETTER, WORSE, ("worse", -0.3, 0.001), EQUAL) == (
        "Shown: early > sft (+9.0 points [+4.0, +14.0]), middle and late < sft "
        "(-30.0 to -20.0 points); not shown: 1 of 4 pairs"
    )


def test_many_results_are_counted_instead_of_named():
    assert against_sft(*[BETTER] * 7) == "Shown: 7 results > sft (+9.0 to +9.0 points)"


def test_when_nothing_is_shown_the_headline_says_so():
    assert against_sft(EQUAL, ("not shown", -0.04, 1)) == "Not shown: 2 of 2 pairs"


def test_a_single_comparison_that_is_not_shown_has_its_interval():
    assert against_sft(EQUAL) == (
        "Not shown: a difference between early and sft (+3.0 points [-2.0, +8.0])"
    )


def test_a_pair_without_a_test_has_the_reason():
    note = "too few seeds: 2 of 3"
    untested = {"p_holm": float("nan"), "note": note}
    assert against_sft(EQUAL, EQUAL, **untested) == f"No test ({note}): 2 of 2 pairs"
    rows = [row("early", "sft", BETTER), row("late", "sft", **untested)]
    told = said("first", ["sft", "early", "late"], rows)
    assert f"); no test ({note}): 1 of 2 pairs; " in told
    assert "not shown" not in told


def test_rows_over_seeds_are_reported_where_there_are_some():
    rows = [row("early", "sft", WORSE, seed) for seed in "012"] + [
        row("early", "sft", BETTER, "all")
    ]
    told = said("first", ["sft", "early"], rows)
    assert told.startswith("Shown: early > sft (")
    assert "130 items, 3 seeds" in told


def test_names_may_be_those_of_a_group():
    group = ComparisonGroup(name="own", members=("sft", "early"), design="first")
    name = {"sft": "fine-tuning", "early": "early third"}.__getitem__
    told = group_headline(pd.DataFrame([row("early", "sft", BETTER)]), group, SETTINGS, name)
    assert told.startswith("Shown: early third > fine-tuning (")


def in_margin(*verdicts, asks="not worse"):
    names = [f"m{number}" for number in range(len(verdicts))]
    asked = {"margin_asks": asks, "margin": 0.02, "margin_p_holm": 0.01, "margin_detectable": 0.031}
    rows = [
        row(name, "sft", margin_verdict=verdict, **asked)
        for name, verdict in zip(names, verdicts, strict=True)
    ]
    margin = MarginAsked(margin=0.02, both_ways=asks == "equivalent")
    group = ComparisonGroup(name="own", members=["sft", *names], design="first", margin=margin)
    return group_headline(pd.DataFrame(rows), group, SETTINGS).split("; ")[1]


def test_what_is_not_worse_is_named_with_the_margin_that_could_be_shown():
    assert in_margin("not worse", "not shown") == (
        "within 2 points: m0 not worse than sft, not worse not shown: 1 of 2 pairs "
        "(detectable margin about 3.1 points)"
    )
    assert in_margin("not shown").startswith("within 2 points: not worse not shown: 1 of 1 pair (")
    assert in_margin("equivalent", asks="equivalent").startswith(
        "within 2 points: m0 equivalent to sft ("
    )


def test_many_that_are_not_worse_are_counted():
    told = in_margin(*["not worse"] * 7, "not shown")
    assert told.startswith("within 2 points: not worse: 7 of 8 pairs (")


def test_a_row_has_what_is_shown_about_its_margin():
    asked = row("a", "sft", margin=0.02, margin_p_holm=0.0123, margin_verdict="not worse")
    assert margin_cells(pd.Series(asked)) == {
        "within 2 points": "not worse",
        "one-sided Holm p": "0.012",
    }
    untested = asked | {"margin_p_holm": float("nan")}
    assert margin_cells(pd.Series(untested))["within 2 points"] == "no test"
    assert margin_cells(pd.Series(row("a", "sft"))) == {}


# --- what could be shown --------------------------------------------------------------------


def test_the_detectable_difference_is_reported_with_its_power():
    told = said("first", ["sft", "early"], [row("early", "sft")], power=0.9)
    assert told.endswith("; detectable difference about 9 points (130 items, 1 seed, 90 % power)")


def test_sizes_that_differ_between_pairs_are_a_range_within_100_points():
    rows = [row("early", "sft"), row("late", "sft", detectable=1.4)]
    told = said("first", ["sft", "early", "late"], rows)
    assert "detectable difference about 9 to 100 points (" in told


# --- all pairs ------------------------------------------------------------------------------


def test_trained_members_meet_the_baseline_then_the_base_results():
    rows = [
        row("8-shot", "0-shot", BETTER, None),
        *(row(name, base, BETTER) for name in ("sft", "kl") for base in ("0-shot", "8-shot")),
        row("kl", "sft", WORSE),
    ]
    told = said("pairs", ["0-shot", "8-shot", "sft", "kl"], rows)
    assert told.startswith(
        "Shown: kl < sft (-20.0 points [-25.0, -15.0]), sft and kl > 8-shot (+9.0 to +9.0 points), "
        "sft and kl > 0-shot (+9.0 to +9.0 points); detectable"
    )


def test_pairs_without_a_rival_are_reported_when_they_are_shown():
    rows = [row("b", "a", BETTER), row("c", "a"), row("c", "b", WORSE)]
    told = said("pairs", ["a", "b", "c"], rows, baseline="a")
    assert told.startswith(
        "Shown: b > a (+9.0 points [+4.0, +14.0]), c < b (-20.0 points [-25.0, -15.0]); "
        "not shown: 1 of 3 pairs; "
    )


def test_one_result_that_differs_from_several_is_reported_once():
    rows = [row("b", "a"), row("c", "a", WORSE), row("c", "b", ("worse", -0.3, 0.001))]
    assert said("pairs", ["a", "b", "c"], rows).startswith(
        "Shown: c < a and b (-30.0 to -20.0 points); not shown: 1 of 3 pairs; "
    )


# --- the causal read -----------------------------------------------------------------------

STEPS = ["sft", "soft", "shuffled", "correct"]


def steps(first, second, third, whole):
    rows = [
        row("soft", "sft", first),
        row("shuffled", "soft", second),
        row("correct", "shuffled", third),
        row("correct", "sft", whole),
    ]
    return said("steps", STEPS, rows).partition("; detectable")[0]


def test_a_gain_that_is_shown_is_divided_into_its_steps():
    assert steps(EQUAL, EQUAL, BETTER, ("better", 0.12, 0.001)) == (
        "Whole effect: shown: correct > sft (+12.0 points [+7.0, +17.0]). Steps: shown: "
        "correct > shuffled (+9.0 points [+4.0, +14.0]); not shown: 2 of 3 pairs"
    )


def test_a_whole_that_is_not_shown_has_no_effect_to_divide():
    assert steps(EQUAL, EQUAL, EQUAL, EQUAL) == (
        "Whole effect: not shown: a difference between correct and sft (+3.0 points [-2.0, +8.0]), "
        "so there is no effect to divide among the steps. Steps: not shown: 3 of 3 pairs"
    )


def test_a_step_may_be_shown_within_a_whole_that_is_not():
    assert "Steps: shown: shuffled < soft (" in steps(EQUAL, WORSE, EQUAL, EQUAL)


# --- seeds and groups -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seeds", "words"),
    [(["4"], "one seed (4)"), (["0", "1"], "two seeds, too few for a test over seeds")],
)
def test_few_seeds_are_reported_as_few(seeds, words):
    assert words in str(seeds_caveat(seeds))


def test_three_seeds_need_no_caution():
    assert seeds_caveat(["0", "1", "2"]) is None


def test_a_group_keeps_the_members_that_were_compared():
    groups = [
        ComparisonGroup(name="own", members=("sft", "early", "late"), design="first"),
        ComparisonGroup(name="other", members=("sft", "late"), design="first"),
    ]
    kept = present_groups(groups, pd.DataFrame([row("late", "sft")]))
    assert [(group.name, group.members) for group in kept] == [("own", ("sft", "late"))]


# --- training -----------------------------------------------------------------------------------


def crossing(loss=(20, 15, 30), accuracy=(20, 20, None), note=None):
    steps = {"loss": loss, "accuracy": accuracy}
    cells = {
        f"{measure}_step{end}": step
        for measure, own in steps.items()
        for end, step in zip(("", "_low", "_high"), own, strict=True)
    }
    reference = {"reference": "8-shot", "reference_loss": 0.45, "reference_accuracy": 0.78}
    return pd.Series(
        {"condition": "sft", **reference, **cells, "last_step": 40, "note": note}, dtype=object
    )


def test_a_crossing_has_its_interval():
    assert crossing_step(crossing(), "loss") == "20 [15, 30]"
    assert crossing_step(crossing(), "accuracy") == "20 [20, never]"


def test_a_run_that_never_overtakes_says_so():
    assert crossing_step(crossing(accuracy=(None, None, None)), "accuracy") == "never"
    assert crossing_step(crossing(accuracy=(None, 30, None)), "accuracy") == "never [30, never]"


def test_without_a_gap_nothing_is_overtaken():
    none = (None, None, None)
    nothing = crossing(none, none, note="no gap to cross")
    assert crossing_step(nothing, "loss") == crossing_step(nothing, "accuracy") == "no gap"
    half = crossing(accuracy=none, note="accuracy: no gap to cross")
    assert crossing_step(half, "accuracy") == "no gap"
    assert crossing_step(half, "loss") == "20 [15, 30]"


def test_a_task_that_is_asked_without_demonstrations_only_has_no_gap():
    gaps = pd.DataFrame([{"shots": 0, "accuracy_strict": 0.82, "decided": True}])
    assert gap_finding(gaps, gaps.head(0), 0.95) == "Asked without demonstrations only: 82.0 %"


# --- representations and noise --------------------------------------------------------------------


def test_less_drift_is_below():
    rows = pd.DataFrame([row("kl", "sft", ("less", -0.03, 0.01), "all")])
    assert headline(rows, write=drift_difference) == "Shown: kl < sft (-0.030 [-0.080, +0.020])"


def test_noise_is_reported_in_counts():
    noise = {
        "condition": "sft",
        "seed": "0",
        "draw": None,
        "step": 40,
        "items": 130,
        "difference": 0.0,
    }
    changes = {"changed_predictions": 1, "changed_strict": 0, "loss_difference": 2e-7}
    told = noise_caveat(pd.Series(noise | changes))
    assert "changes 1 of 130 answers, the score of 0 items, accuracy by +0.0 points" in told


# --- draws of demonstrations ----------------------------------------------------------------------


def test_a_headline_counts_seeds_and_draws():
    each = [row("b", "a", seed=seed, draw=draw) for seed in "012" for draw in "012"]
    told = said("first", ["a", "b"], [*each, row("b", "a", seed="all", draw="all")])
    assert told.endswith("(130 items, 3 seeds × 3 draws of demonstrations, 80 % power)")


def test_two_draws_are_a_caveat_and_one_or_three_are_none():
    assert "drawn twice, too few for a test over draws" in draws_caveat(["0", "1"])
    assert [draws_caveat(draws) for draws in ([], ["0", "1", "2"])] == [None, None]


def test_noise_of_a_run_of_a_draw_says_which():
    noise = {"condition": "sft", "seed": "0", "draw": "1", "step": 40, "items": 130}
    noise |= {"difference": 0.0, "changed_predictions": 1, "changed_strict": 0}
    told = noise_caveat(pd.Series(noise | {"loss_difference": 0.0}))
    assert "sft (seed 0, draw 1, step 40)" in told
