"""Sentences say what the verdicts in the tables show, and no more."""

from __future__ import annotations

import pandas as pd
import pytest

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.report.findings import (
    crossover_sentence,
    drift_sentences,
    gap_reduction_sentence,
    gap_sentence,
    group_sentences,
    most_drifting_sentences,
    noise_sentence,
    present_groups,
    seeds_sentence,
)
from workflow_scripts.results.formatting import scores_of

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
        | {"first": first, "second": second, "seed": seed, "difference": difference, **interval}
        | {"p_holm": p, "verdict": verdict, "detectable": 0.09}
        | changes
    )


def said(design, members, rows, **settings):
    group = ComparisonGroup(name="own", members=members, design=design)
    return group_sentences(pd.DataFrame(rows), group, AnalysisSettings(**settings))


def against_sft(*verdicts, **changes):
    names = ["early", "middle", "late", "all"][: len(verdicts)]
    rows = [row(name, "sft", shown, **changes) for name, shown in zip(names, verdicts, strict=True)]
    return said("first", ["sft", *names], rows)[0]


# --- several against one ------------------------------------------------------------------


def test_verdicts_are_counted_and_what_is_shown_has_its_evidence():
    assert against_sft(EQUAL, BETTER, EQUAL, EQUAL) == (
        "Of 4 results compared with sft, 1 is better (middle: +9.0 points [+4.0, +14.0], "
        "Holm p = 0.01), none is worse and 3 are not shown to differ."
    )


def test_several_that_are_shown_are_plural():
    told = against_sft(BETTER, WORSE, WORSE, EQUAL)
    assert "2 are worse (middle: " in told
    assert told.endswith("and 1 is not shown to differ.")


def test_when_nothing_is_shown_the_farthest_is_named():
    assert against_sft(EQUAL, ("not shown", -0.04, 1)) == (
        "Of 2 results compared with sft, none is shown to differ from it (farthest: middle, "
        "-4.0 points [-9.0, +1.0], Holm p = 1)."
    )


def test_all_that_are_shown_are_told_with_their_sizes():
    assert against_sft(BETTER, BETTER, BETTER) == (
        "Of 3 results compared with sft, all are better (early +9.0, middle +9.0, late +9.0)."
    )


def test_a_single_comparison_is_a_plain_statement():
    assert against_sft(WORSE).startswith("early is worse than sft (-20.0 points [-25.0, -15.0]")
    assert against_sft(EQUAL).startswith("early is not shown to differ from sft (")


def test_what_was_not_tested_has_its_reason_instead_of_a_p_value():
    note = "too few seeds: 2 of 3"
    told = against_sft(EQUAL, EQUAL, p_holm=float("nan"), note=note, detectable=float("nan"))
    assert "Holm" not in told
    assert "early" in told
    assert note in told


def test_rows_over_seeds_are_told_where_there_are_some():
    rows = [row("early", "sft", WORSE, seed) for seed in "012"] + [
        row("early", "sft", BETTER, "all")
    ]
    told, size = said("first", ["sft", "early"], rows)
    assert told.startswith("early is better than sft")
    assert "130 items and 3 seeds" in size


def test_names_may_be_those_of_a_group():
    group = ComparisonGroup(name="own", members=("sft", "early"), design="first")
    name = {"sft": "fine-tuning", "early": "early third"}.__getitem__
    told = group_sentences(pd.DataFrame([row("early", "sft", BETTER)]), group, SETTINGS, name)
    assert told[0].startswith("Early third is better than fine-tuning (")


# --- what could be shown --------------------------------------------------------------------


def test_the_size_that_would_be_shown_is_told_with_its_power():
    size = said("first", ["sft", "early"], [row("early", "sft")], power=0.9)[1]
    assert size == (
        "With 130 items and 1 seed a true difference of about 9 points would be shown with 90 % "
        "power."
    )


def test_sizes_that_differ_between_pairs_are_a_range_within_100_points():
    rows = [row("early", "sft"), row("late", "sft", detectable=1.4)]
    size = said("first", ["sft", "early", "late"], rows)[1]
    assert "about 9 to 100 points, depending on the pair, would" in size


# --- all pairs ------------------------------------------------------------------------------


def test_trained_members_meet_the_baseline_then_the_base_results():
    rows = [
        row("8-shot", "0-shot", BETTER, None),
        *(row(name, base, BETTER) for name in ("sft", "kl") for base in ("0-shot", "8-shot")),
        row("kl", "sft", WORSE),
    ]
    told = said("pairs", ["0-shot", "8-shot", "sft", "kl"], rows)
    assert [sentence.split(" (")[0] for sentence in told[:3]] == [
        "kl is worse than sft",
        "Of 2 results compared with 8-shot, all are better",
        "Of 2 results compared with 0-shot, all are better",
    ]
    assert len(told) == 4


def test_pairs_without_the_baseline_are_told_when_they_are_shown():
    rows = [row("b", "a", BETTER), row("c", "a"), row("c", "b", WORSE)]
    told = said("pairs", ["a", "b", "c"], rows, baseline="a")
    assert told[1].startswith("Of 1 other pair, 1 is shown to differ: c is worse than b (")


# --- the causal read -----------------------------------------------------------------------

STEPS = ["sft", "soft", "shuffled", "correct"]


def steps(first, second, third, whole):
    rows = [
        row("soft", "sft", first),
        row("shuffled", "soft", second),
        row("correct", "shuffled", third),
        row("correct", "sft", whole),
    ]
    return said("steps", STEPS, rows)


def test_a_gain_that_is_shown_is_divided_into_its_steps():
    whole, parts, _ = steps(EQUAL, EQUAL, BETTER, ("better", 0.12, 0.001))
    assert whole == (
        "The whole difference from “sft” to “correct”, +12.0 points [+7.0, +17.0], "
        "Holm p = 0.001, is a gain that is shown."
    )
    assert parts.startswith("Of the +12.0 points, a gain is shown of “correct” (+9.0 points [")
    assert ", and nothing is shown of “soft” (+3.0 points [" in parts


def test_a_whole_that_is_not_shown_has_no_effect_to_divide():
    whole, parts, _ = steps(EQUAL, EQUAL, EQUAL, EQUAL)
    assert whole.endswith("is not shown, so there is no effect to divide among its steps.")
    assert parts.startswith("No single step is shown either: “soft” (")


def test_a_step_may_be_shown_within_a_whole_that_is_not():
    _, parts, _ = steps(EQUAL, WORSE, EQUAL, EQUAL)
    assert parts.startswith("Step by step, a loss is shown of “shuffled” (")


# --- seeds and groups -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seeds", "words"),
    [(["4"], "one seed (4)"), (["0", "1"], "two seeds, too few for a test over seeds")],
)
def test_few_seeds_are_said_to_be_few(seeds, words):
    assert words in str(seeds_sentence(seeds))


def test_three_seeds_need_no_caution():
    assert seeds_sentence(["0", "1", "2"]) is None


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


def test_overtaking_is_told_with_intervals():
    assert crossover_sentence(crossing()) == (
        "sft overtakes 8-shot (0.45 nats, 78.0 % correct) by loss at step "
        "20 [15, 30] and by accuracy at step 20 [20, never]."
    )


def test_overtaking_in_a_metric_of_texts_names_it():
    told = crossover_sentence(crossing(), scores=scores_of("rouge"))
    assert "(0.45 nats, 78.0 % ROUGE-L) by loss" in told
    assert "and by score at step 20" in told


def test_a_run_that_never_overtakes_says_so():
    told = crossover_sentence(crossing(accuracy=(None, 30, None)))
    assert told.endswith("and by accuracy never in 40 steps [30, never].")


def test_without_a_gap_nothing_is_overtaken():
    none = (None, None, None)
    told = crossover_sentence(crossing(none, none, note="no gap to cross"))
    assert told.startswith("There is no gap to cross: 8-shot")
    half = crossover_sentence(crossing(accuracy=none, note="accuracy: no gap to cross"))
    assert "accuracy" not in half


def test_gap_reduction_is_a_share_or_a_reason():
    measured = {"gap_reduction": 1.08, "gap_reduction_low": 0.97, "gap_reduction_high": 1.19}
    told = gap_reduction_sentence(pd.Series({"condition": "sft", "note": None, **measured}))
    assert "sft closes 108 [97, 119] % of the gap" in told
    missing = dict.fromkeys(measured, float("nan"))
    reason = pd.Series({"condition": "sft", "note": "in-context gap not shown", **missing})
    assert gap_reduction_sentence(reason).endswith("is not told: in-context gap not shown.")


def test_a_task_that_is_asked_without_demonstrations_only_has_no_gap():
    gaps = pd.DataFrame([{"shots": 0, "accuracy_strict": 0.82, "decided": True}])
    assert gap_sentence(gaps, 0.95) == "Asked without demonstrations only: 82.0 %"


# --- representations and noise --------------------------------------------------------------------


def test_drift_is_compared_at_each_position():
    rows = [
        row("kl", "sft", (verdict, -0.03, p), "all", position=position, layer=layer)
        for position, verdict, p in (("query", "less", 0.01), ("answer", "not shown", 0.3))
        for layer in ("all", "0")
    ]
    query, answer = drift_sentences(pd.DataFrame(rows))
    assert query.startswith(
        "At the last token of the question: kl drifts less than sft (-0.030 [-0.080, +0.020]"
    )
    assert answer.startswith("At the answer tokens: kl is not shown to differ from sft")


def test_the_layers_that_drift_most_are_those_of_the_last_checkpoint():
    rows = [
        {"condition": "sft", "position": "query", "step": step, "layer": layer, "drift": drift}
        for step, drifts in ((5, (0.9, 0, 0, 0)), (40, (0.1, 0.2, 0.4, 0.3)))
        for layer, drift in enumerate(drifts)
    ]
    assert most_drifting_sentences(pd.DataFrame(rows)) == [
        "In sft, at the last token of the question, layers 2, 3 and 1 of 0 to 3 drift most "
        "(0.4, 0.3 and 0.2)."
    ]


def test_one_changed_answer_is_singular():
    noise = {"condition": "sft", "seed": "0", "step": 40, "items": 130, "difference": 0.0}
    changes = {"changed_predictions": 1, "changed_strict": 0, "loss_difference": 2e-7}
    told = noise_sentence(pd.Series(noise | changes))
    assert "1 answer differs, and 0 items are scored otherwise" in told
    assert "accuracy moves by +0.0 points" in told
