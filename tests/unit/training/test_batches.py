"""The order of the examples over a whole run."""

from __future__ import annotations

from itertools import chain

from accelerate.data_loader import SeedableRandomSampler

from workflow_scripts.training.batches import WholeRunSampler


def test_every_example_comes_once_in_each_permutation():
    order = list(WholeRunSampler(11, 33, seed=3))
    assert [sorted(order[start : start + 11]) for start in (0, 11, 22)] == [list(range(11))] * 3


def test_a_longer_run_goes_on_from_a_shorter_one():
    assert list(WholeRunSampler(11, 30, seed=3))[:16] == list(WholeRunSampler(11, 16, seed=3))


def test_the_permutations_of_seed_0_are_those_of_accelerates_epochs():
    epochs = SeedableRandomSampler(range(11), data_seed=0)
    expected = list(chain(epochs, epochs, epochs))
    assert list(WholeRunSampler(11, 33, seed=0)) == expected


def test_no_permutation_of_one_seed_is_one_of_another():
    orders = [list(WholeRunSampler(11, 55, seed)) for seed in (0, 1, 2)]
    drawn = {tuple(order[start : start + 11]) for order in orders for start in range(0, 55, 11)}
    assert len(drawn) == 15
