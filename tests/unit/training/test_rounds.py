"""Which items a student answers in each round."""

from __future__ import annotations

import pytest

from workflow_scripts.training.rounds import round_items

ITEMS = [f"item-{number}" for number in range(10)]


def test_rounds_go_on_through_one_permutation():
    rounds = [round_items(ITEMS, 3, number, 4) for number in range(5)]
    order = [index for drawn in rounds for index in drawn]
    assert sorted(order[:10]) == list(range(10))
    assert order[10:] == order[:10]


@pytest.mark.parametrize("count", [1, 3, 7, 9, 10])
def test_no_item_comes_twice_in_a_round(count):
    for number in range(6):
        drawn = round_items(ITEMS, 0, number, count)
        assert len(drawn) == len(set(drawn)) == count


def test_a_round_of_more_steps_than_items_answers_each_once():
    assert sorted(round_items(ITEMS, 0, 2, 25)) == list(range(10))


def test_equal_seeds_draw_equal_rounds_and_others_do_not():
    assert round_items(ITEMS, 1, 1, 4) == round_items(ITEMS, 1, 1, 4)
    assert round_items(ITEMS, 1, 1, 4) != round_items(ITEMS, 2, 1, 4)


def test_without_items_nothing_is_answered():
    assert round_items([], 0, 1, 4) == []
