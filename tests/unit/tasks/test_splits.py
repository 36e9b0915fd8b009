from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example
from workflow_scripts.tasks.shares import SPLITS
from workflow_scripts.tasks.splits import draw_splits

ITEMS = {"demonstrations": 2, "train": 8, "validation": 3, "test": 5}


def examples(name: str, count: int) -> list[Example]:
    return [Example(f"{name}-{n}", f"{name} {n}?", f"answer {n}") for n in range(count)]


def settings(items: dict[str, int] | None = None, **more: Any) -> DataSettings:
    return DataSettings(source="task.jsonl", items=items or ITEMS, **more)


def test_each_split_has_the_size_that_is_asked_for() -> None:
    drawn = draw_splits({"all": examples("all", 30)}, settings())
    assert {name: len(split) for name, split in drawn.items()} == ITEMS


def test_splits_carved_from_one_share_nothing() -> None:
    drawn = draw_splits({"all": examples("all", 18)}, settings())
    assert not any(set(drawn[a]) & set(drawn[b]) for a, b in combinations(SPLITS, 2))


def test_named_splits_are_kept_apart() -> None:
    source = {name: examples(name, 10) for name in SPLITS}
    drawn = draw_splits(source, settings())
    assert all(set(drawn[name]) <= set(source[name]) for name in SPLITS)


def test_the_config_says_which_source_split_ours_come_from() -> None:
    source = {"train": examples("train", 20), "test": examples("test", 10)}
    data = settings(splits={"demonstrations": "train", "validation": "train"})
    drawn = draw_splits(source, data)
    assert set(drawn["demonstrations"] + drawn["validation"]) <= set(source["train"])
    assert not set(drawn["demonstrations"] + drawn["validation"]) & set(drawn["train"])


def test_an_only_split_is_carved_into_all_four() -> None:
    drawn = draw_splits({"train": examples("train", 18)}, settings())
    assert sum(len(split) for split in drawn.values()) == 18


def test_the_draw_depends_on_the_seed_only() -> None:
    source = {"all": examples("all", 30)}
    first, again, other = (draw_splits(source, settings(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_larger_training_set_leaves_the_other_splits_as_they_were() -> None:
    source = {"all": examples("all", 30)}
    small, large = (
        draw_splits(source, settings()),
        draw_splits(source, settings({**ITEMS, "train": 20})),
    )
    assert {**large, "train": large["train"][:8]} == small


def test_too_few_items_are_refused_with_the_numbers() -> None:
    with pytest.raises(
        InputError,
        match=r"task\.jsonl: split 'all' has 17 different items, but `data\.items` asks for 18",
    ):
        draw_splits({"all": examples("all", 17)}, settings())


def test_a_split_that_the_source_lacks_is_refused_naming_valid_ones() -> None:
    source = {"train": examples("train", 20), "test": examples("test", 10)}
    with pytest.raises(
        InputError, match=r"no split 'demonstrations'; set `data\.splits\..*: train, test"
    ):
        draw_splits(source, settings())


def test_a_misspelt_split_is_refused_even_where_there_is_only_one() -> None:
    with pytest.raises(InputError, match="no split 'trian'"):
        draw_splits({"train": examples("train", 30)}, settings(splits={"train": "trian"}))


def test_an_item_that_occurs_twice_is_refused() -> None:
    source = {
        name: [Example(f"same-{n}", f"{name} {n}?", "answer") for n in range(10)] for name in SPLITS
    }
    with pytest.raises(InputError, match=r"task\.jsonl: item same-\d appears twice"):
        draw_splits(source, settings())


def test_a_question_that_the_test_split_holds_is_not_trained_on() -> None:
    source = {name: examples(name, 10) for name in SPLITS}
    source["test"] = [Example(f"leak-{n}", f"train {n}?", "answer") for n in range(5)]
    drawn = draw_splits(source, settings({**ITEMS, "train": 5}))
    questions = {name: {example.question for example in split} for name, split in drawn.items()}
    assert len(questions["train"]) == 5
    assert not questions["train"] & questions["test"]


def test_repeated_questions_do_not_make_up_for_missing_ones() -> None:
    source = {"all": [Example(f"row-{n}", f"question {n % 16}?", "answer") for n in range(18)]}
    with pytest.raises(InputError, match=r"split 'all' has 1[67] different items.* asks for 18"):
        draw_splits(source, settings())


def test_a_question_may_repeat_within_one_split() -> None:
    twice = [Example(f"row-{n}", "the same?", "answer") for n in range(2)]
    source = {"test": twice, "rest": examples("rest", 20)}
    others = {name: "rest" for name in SPLITS if name != "test"}
    drawn = draw_splits(source, settings({**ITEMS, "test": 2}, splits=others))
    assert sorted(example.item for example in drawn["test"]) == ["row-0", "row-1"]


# --- balanced draws -----------------------------------------------------------------------


def labelled(**counts: int) -> list[Example]:
    return [
        Example(f"{label}-{n}", f"{label} {n}?", label)
        for label, count in counts.items()
        for n in range(count)
    ]


def balanced(items: dict[str, int] | None = None, **more: Any) -> DataSettings:
    return settings(items, balanced=True, choices=("Yes", "No", "Maybe"), **more)


def numbers(examples: list[Example]) -> list[int]:
    """How often each label occurs, the rarest first."""
    answers = [example.answer for example in examples]
    return sorted(answers.count(label) for label in ("Yes", "No", "Maybe"))


@pytest.mark.parametrize("split", ["demonstrations", "train"])
def test_the_first_of_a_balanced_draw_hold_each_label_as_often_as_they_can(split: str) -> None:
    items = ITEMS | {"demonstrations": 7, "train": 23}
    drawn = draw_splits({"all": labelled(Yes=60, No=15, Maybe=40)}, balanced(items))[split]
    counts = [numbers(drawn[:n]) for n in range(1, len(drawn) + 1)]
    assert all(most - least <= 1 for least, _, most in counts)


def test_test_and_validation_stay_as_they_are_drawn() -> None:
    source = {"all": labelled(Yes=60, No=15, Maybe=40)}
    plain, even = (
        draw_splits(source, settings(choices=("Yes", "No", "Maybe"), balanced=balanced))
        for balanced in (False, True)
    )
    assert (even["test"], even["validation"]) == (plain["test"], plain["validation"])


def test_the_labels_of_a_round_come_in_random_order() -> None:
    train = draw_splits({"all": labelled(Yes=60, No=60, Maybe=60)}, balanced(ITEMS | {"train": 60}))
    answers = [example.answer for example in train["train"]]
    assert len({tuple(answers[n : n + 3]) for n in range(0, 60, 3)}) == 6


def test_a_larger_balanced_draw_begins_with_a_smaller_one() -> None:
    source = {"all": labelled(Yes=60, No=30, Maybe=40)}
    small, large = (draw_splits(source, balanced(ITEMS | {"train": train})) for train in (8, 25))
    assert {**large, "train": large["train"][:8]} == small


def test_balanced_splits_carved_from_one_share_nothing() -> None:
    drawn = draw_splits({"all": labelled(Yes=20, No=20, Maybe=20)}, balanced())
    assert not any(set(drawn[a]) & set(drawn[b]) for a, b in combinations(SPLITS, 2))


@pytest.mark.parametrize("maybe", [0, 1])
def test_too_few_items_of_a_label_are_refused_with_their_number(maybe: int) -> None:
    source = {name: labelled(Yes=9, No=9, Maybe=3) for name in SPLITS}
    source = {
        name: [Example(f"{name}-{e.item}", f"{name} {e.question}", e.answer) for e in split]
        for name, split in source.items()
    }
    source["train"] = labelled(Yes=9, No=9, Maybe=maybe)
    with pytest.raises(
        InputError,
        match=rf"split 'train' has {maybe} items of the label 'Maybe' left for train, but 8 "
        "balanced items need 3 of each",
    ):
        draw_splits(source, balanced())


# --- items that overflow ------------------------------------------------------------------


def test_items_that_overflow_are_passed_over_and_the_others_stay() -> None:
    source = {"all": examples("all", 30)}
    plain = draw_splits(source, settings())
    over = {plain[split][0].item for split in ("test", "validation", "train")}
    drawn = draw_splits(source, settings(), over)
    for split in ("test", "validation", "train"):
        assert not over & {example.item for example in drawn[split]}
        assert len(drawn[split]) == ITEMS[split]
    assert drawn["test"][:4] == plain["test"][1:]


def test_the_demonstrations_are_those_that_decided_what_overflows() -> None:
    source = {"all": examples("all", 30)}
    plain = draw_splits(source, settings())
    over = {example.item for example in plain["test"] + plain["validation"]}
    drawn = draw_splits(source, settings(), over)
    assert drawn["demonstrations"] == plain["demonstrations"]
    assert not any(set(drawn[a]) & set(drawn[b]) for a, b in combinations(SPLITS, 2))


def test_items_that_overflow_and_are_not_drawn_change_nothing() -> None:
    source = {"all": examples("all", 30)}
    plain = draw_splits(source, settings())
    others = {e.item for e in source["all"]} - {e.item for split in plain.values() for e in split}
    assert draw_splits(source, settings(), others) == plain


def test_balanced_items_that_overflow_are_replaced_by_others_of_their_label() -> None:
    source = {"all": labelled(Yes=20, No=20, Maybe=20)}
    over = {example.item for example in draw_splits(source, balanced())["train"][:3]}
    train = draw_splits(source, balanced(), over)["train"]
    assert not over & {example.item for example in train}
    assert numbers(train) == [2, 3, 3]


def test_too_few_items_that_fit_are_refused_with_the_number_that_does_not() -> None:
    source = {"all": examples("all", 20)}
    over = {example.item for example in draw_splits(source, settings())["train"]}
    with pytest.raises(
        InputError,
        match=r"has 10 different items, but .* asks for 16 \(.*\); 8 items exceed a model's "
        "context window: use fewer shots",
    ):
        draw_splits(source, settings(), over)


def test_a_split_without_items_need_not_exist() -> None:
    source = {name: examples(name, 10) for name in ("dev", "validation", "test")}
    data = settings({**ITEMS, "train": 0}, splits={"demonstrations": "dev"})
    assert draw_splits(source, data)["train"] == []
