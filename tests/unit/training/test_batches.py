"""What a batch holds, and the order of the examples over a whole run."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from accelerate.data_loader import SeedableRandomSampler

from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.training.batches import (
    Collator,
    PhaseSampler,
    PromptCollator,
    RenderedExample,
    Sample,
    refuse_ending_in,
)

# prompts of two and of three tokens
SHORT = RenderedExample("short", Rendering((11, 12, 21, 22), 0, 0, 1), (31, 32), 1)
LONG = RenderedExample("long", Rendering((13, 14, 15, 23), 0, 1, 2), (33, 34), 0)
SAMPLES = [
    Sample(SHORT, {"t/labels": {"logprobs": torch.tensor([[-1.0, -2.0]])}}),
    Sample(LONG, {"t/labels": {"logprobs": torch.tensor([[-3.0, -4.0]])}}),
]


@pytest.mark.parametrize("collator", [Collator(("prompt",)), PromptCollator(padding=9)])
def test_a_batch_of_labels_holds_the_correct_ones_and_the_teachers(collator):
    batch = collator(SAMPLES)
    assert batch["gold"].tolist() == [1, 0]
    assert batch["targets"]["t/labels"]["logprobs"].tolist() == [[-1, -2], [-3, -4]]


def test_the_positions_of_a_target_say_which_example_they_are_of():
    """A teacher with another tokenizer has one for each token of its own answer."""
    sorted_logits = [
        Sample(example, {"t/sorted": {"values": torch.zeros(count, 2)}})
        for example, count in ((SHORT, 3), (LONG, 1))
    ]
    fields = Collator(("answer",))(sorted_logits)["targets"]["t/sorted"]
    assert fields["examples"].tolist() == [0, 0, 0, 1]


def test_boundaries_are_those_of_the_answer_tokens():
    rendering = Rendering((11, 12, 21, 22, 9), 0, 0, 1, boundaries=(0, 2, 5))
    samples = [Sample(RenderedExample(item, rendering), {}) for item in "ab"]
    assert Collator(("answer",))(samples)["boundaries"].tolist() == [0, 2, 5, 0, 2, 5]


def test_each_example_has_label_tokens_of_its_own():
    assert Collator(("prompt",))(SAMPLES)["label_tokens"].tolist() == [[31, 32], [33, 34]]


@pytest.mark.parametrize(
    ("positions", "ids"),
    [
        (("prompt",), [[11, 12, 0], [13, 14, 15]]),
        (("query", "answer"), [[11, 12, 21, 22], [13, 14, 15, 23]]),
    ],
)
def test_what_follows_the_prompt_is_there_only_where_answers_are_read(positions, ids):
    assert Collator(positions)(SAMPLES)["input_ids"].tolist() == ids


def test_a_classifier_reads_prompts_padded_with_its_token():
    batch = PromptCollator(padding=9)(SAMPLES)
    assert batch["input_ids"].tolist() == [[11, 12, 9], [13, 14, 15]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_without_labels_a_batch_holds_none():
    bare = [Sample(RenderedExample("item", SHORT.rendering), {})] * 2
    batch = Collator(("prompt",))(bare)
    assert (batch["label_tokens"].shape, batch["gold"].shape) == ((2, 0), (0,))


def test_a_prompt_that_ends_in_padding_is_refused():
    refuse_ending_in(11, [SHORT, LONG])
    with pytest.raises(InputError, match=r"item short: its prompt ends in .* padding token 12"):
        refuse_ending_in(12, [LONG, SHORT])


def order_of(examples: int, samples: int, seed: int) -> list[int]:
    """The order of one phase of single steps."""
    return list(PhaseSampler([[1] * examples], [samples], batch_size=1, seed=seed))


def test_fewer_examples_than_a_batch_are_drawn_again_for_it():
    order = order_of(2, 8, seed=3)
    assert [sorted(order[start : start + 2]) for start in (0, 2, 4, 6)] == [[0, 1]] * 4


def test_every_example_comes_once_in_each_permutation():
    order = order_of(11, 33, seed=3)
    assert [sorted(order[start : start + 11]) for start in (0, 11, 22)] == [list(range(11))] * 3


def test_a_longer_run_goes_on_from_a_shorter_one():
    assert order_of(11, 30, seed=3)[:16] == order_of(11, 16, seed=3)
    assert lengths_of(15, grouped=4)[:10] == lengths_of(10, grouped=4)


def test_the_permutations_of_seed_0_are_those_of_accelerates_epochs():
    epochs = SeedableRandomSampler(range(11), data_seed=0)
    assert order_of(11, 33, seed=0) == list(chain(epochs, epochs, epochs))


def test_no_permutation_of_one_seed_is_one_of_another():
    orders = [order_of(11, 55, seed) for seed in (0, 1, 2)]
    drawn = {tuple(order[start : start + 11]) for order in orders for start in range(0, 55, 11)}
    assert len(drawn) == 15


def test_a_first_phase_has_the_order_of_a_run_without_others():
    sampler = PhaseSampler([[1] * 11, [1] * 4], [6, 3], batch_size=4, seed=3)
    assert list(sampler)[:24] == order_of(11, 24, seed=3)
    assert len(sampler) == len(list(sampler)) == 36


LENGTHS = [30, 5, 12, 7, 21, 3, 16, 9, 28, 11, 2]


def lengths_of(steps: int, grouped: int | None, batch_size: int = 4) -> list[list[int]]:
    """The lengths of each step's examples."""
    sampler = PhaseSampler([LENGTHS], [steps], batch_size, seed=3, grouped=grouped)
    drawn = [LENGTHS[index] for index in sampler]
    return [drawn[start : start + batch_size] for start in range(0, len(drawn), batch_size)]


def test_a_step_has_the_same_examples_sorted_by_length():
    as_drawn = lengths_of(11, grouped=None)
    assert lengths_of(11, grouped=1) == [sorted(step) for step in as_drawn] != as_drawn


def test_steps_that_are_grouped_have_the_examples_of_all_of_them():
    drawn = lengths_of(11, grouped=None)
    for start, stop in ((0, 4), (4, 8)):
        together = sorted(chain.from_iterable(drawn[start:stop]))
        steps = lengths_of(11, grouped=4)[start:stop]
        assert sorted(steps) == [together[n : n + 4] for n in range(0, len(together), 4)]
        assert steps != sorted(steps)


def test_grouping_is_the_same_for_the_same_seed_and_a_phase_has_its_own():
    both = list(PhaseSampler([LENGTHS, LENGTHS], [8, 8], 4, seed=3, grouped=4))
    assert both == list(PhaseSampler([LENGTHS, LENGTHS], [8, 8], 4, seed=3, grouped=4))
    assert both[:32] != [index - len(LENGTHS) for index in both[32:]]
    alone = list(PhaseSampler([[], LENGTHS], [8, 8], 4, seed=3, grouped=4))
    assert alone[32:] == [index - len(LENGTHS) for index in both[32:]]


def test_a_phase_takes_permutations_of_its_own_examples():
    order = list(PhaseSampler([[1] * 11, [1] * 4], [6, 3], batch_size=4, seed=3))[24:]
    assert [sorted(order[start : start + 4]) for start in (0, 4, 8)] == [[11, 12, 13, 14]] * 3


def test_two_phases_of_the_same_examples_have_different_orders():
    order = list(PhaseSampler([[1] * 11, [1] * 11], [11, 11], batch_size=1, seed=3))
    assert order[:11] != [index - 11 for index in order[11:]]


def test_a_phase_has_the_same_order_where_the_earlier_ones_have_no_examples_left():
    both = list(PhaseSampler([[1] * 11, [1] * 4], [6, 3], batch_size=4, seed=3))
    alone = list(PhaseSampler([[], [1] * 4], [6, 3], batch_size=4, seed=3))
    assert alone[:24] == [0] * 24
    assert alone[24:] == [index - 11 for index in both[24:]]
