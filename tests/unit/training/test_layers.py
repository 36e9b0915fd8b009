"""Layers that a term names."""

from __future__ import annotations

from itertools import chain

import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.training.layers import resolve_layers


@pytest.mark.parametrize("depth", [3, 12, 28, 29, 30])
def test_the_thirds_cover_every_layer_once(depth):
    thirds = [resolve_layers(name, depth) for name in ("early", "middle", "late")]
    assert list(chain(*thirds)) == resolve_layers("all", depth) == list(range(depth))


def test_the_earlier_thirds_are_the_longer_ones():
    assert [len(resolve_layers(third, 28)) for third in ("early", "middle", "late")] == [10, 9, 9]


def test_listed_layers_keep_their_order():
    assert resolve_layers((5, 0, 2), 6) == [5, 0, 2]


def test_a_layer_beyond_the_model_is_refused():
    with pytest.raises(InputError, match="layer 6 does not exist; the model has layers 0 to 5"):
        resolve_layers((0, 6), 6)


def test_a_third_without_layers_is_refused():
    with pytest.raises(InputError, match="`late` is empty in a model of 2 layers"):
        resolve_layers("late", 2)
