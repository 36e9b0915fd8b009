from __future__ import annotations

import re

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from workflow_scripts.figures import style


def test_a_condition_keeps_its_look_when_others_follow_it():
    few = style.condition_styles(["sft", "layerwise"])
    many = style.condition_styles(["sft", "layerwise", "answer-kl"])
    assert few.items() <= many.items()


def test_variants_and_transferred_results_look_like_their_condition_but_hollow():
    names = ["sft", "layerwise", "layerwise~weight=2", "layerwise@gsm8k", "answer-kl"]
    looks = style.condition_styles(names)
    assert looks["layerwise~weight=2"] == looks["layerwise@gsm8k"]
    assert looks["layerwise"]._replace(filled=False) == looks["layerwise@gsm8k"]
    assert (
        looks["answer-kl"] == style.condition_styles(["sft", "layerwise", "answer-kl"])["answer-kl"]
    )


def test_no_two_of_thirty_conditions_look_alike():
    looks = style.condition_styles([f"c{i}" for i in range(30)]).values()
    assert len(set(looks)) == 30
    assert len({(look.color, look.line) for look in looks}) == 30


def test_in_a_group_no_two_members_look_alike_and_a_main_condition_keeps_its_look():
    conditions = ["sft", "layerwise", "layerwise~layers=early", "layerwise~layers=late", "kl"]
    members = [name for name in conditions if name != "kl"]
    looks = style.member_styles(members, conditions)
    own = style.condition_styles(conditions)
    assert list(looks) == members
    assert len(set(looks.values())) == 4
    assert [looks[name] for name in members[:2]] == [own[name] for name in members[:2]]


def test_a_longer_text_is_wider_and_a_smaller_one_less():
    assert style.width_of(["verdict"], 10) < style.width_of(["verdict", "not shown"], 10)
    assert style.width_of(["verdict"], 5) == pytest.approx(style.width_of(["verdict"], 10) / 2)


def test_a_legend_adds_to_the_height_of_its_figure_what_its_rows_need():
    heights = []
    for count in (1, 2, 12):
        figure = Figure(figsize=(4, 3))
        lines = [figure.subplots().plot([0], label=f"condition-{i}")[0] for i in range(count)]
        style.legend_below(figure, lines)
        heights.append(figure.get_figheight())
    one_row, still_one, six = heights
    assert 3 < one_row == still_one < six
    assert six - 3 == pytest.approx(6 * (one_row - 3))


def ticks(steps: list[int]) -> list[float]:
    axes = Figure().subplots()
    axes.plot(steps, steps)
    style.step_axis(axes, steps)
    return list(axes.get_xticks())


def test_few_steps_all_have_a_tick():
    assert ticks([0, 2, 5, 10, 20, 40]) == [0, 2, 5, 10, 20, 40]


def test_ticks_of_crowded_steps_are_thinned_but_first_and_last_stay():
    kept = ticks(list(range(0, 1001, 10)))
    assert (kept[0], kept[-1]) == (0, 1000)
    assert len(kept) < 12


def test_early_steps_are_as_far_apart_as_late_ones():
    axes = Figure().subplots()
    style.step_axis(axes, [0, 2, 4, 500, 1000])
    places = axes.xaxis.get_transform().transform([2, 4, 500, 1000])
    assert places[1] - places[0] == pytest.approx(places[3] - places[2])


def test_accuracies_are_never_shown_beyond_0_and_100_percent():
    axes = Figure().subplots()
    axes.set_ylim(-0.3, 1.3)
    style.percent_axis(axes)
    assert axes.get_ylim() == (-0.02, 1.02)


def test_the_style_ends_with_its_block():
    before = mpl.rcParams["svg.fonttype"]
    with style.applied():
        assert mpl.rcParams["svg.fonttype"] == "none"
    assert mpl.rcParams["svg.fonttype"] == before


@pytest.mark.parametrize("text", ["costs $5, not $6", r"a\$b", "x_1^2", "_hidden"])
def test_a_text_is_drawn_as_it_is_written(text, tmp_path):
    with style.applied():
        figure = Figure()
        line = figure.subplots().plot([0], label=text)[0]
        figure.suptitle(text)
        style.legend_below(figure, [line])
        style.save(figure, tmp_path / "drawn.png", tmp_path / "drawn.svg")
    drawn = re.sub(r"<!--.*?-->", "", (tmp_path / "drawn.svg").read_text())
    assert drawn.count(f">{text}</text>") == 2
