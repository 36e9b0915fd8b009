from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import CONTEXT, save_tiny_model
from workflow_scripts.config.data import ItemCounts
from workflow_scripts.config.slices import OverflowSlice
from workflow_scripts.modeling.loading import LocalModel, load_tokenizer, open_model
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.prompts.rendering import RENDERERS, needed_tokens
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks import find_overflow as entry_point
from workflow_scripts.tasks.examples import Example, draw_demonstrations
from workflow_scripts.tasks.overflow import find_overflow
from workflow_scripts.tasks.splits import draw_splits

SHOTS = 3
ITEMS_WITHOUT_POOL = ItemCounts(demonstrations=0, train=6, validation=4, test=6)
ITEMS = {"demonstrations": 4, "train": 6, "validation": 4, "test": 6}


def examples(prefix: str = "row") -> list[Example]:
    """Questions of growing length."""
    return [
        Example(f"{prefix}-{n}", f"{prefix} {n}: " + "cat " * n + "?", "Yes" if n % 2 else "No")
        for n in range(40)
    ]


def settings(shots: int = SHOTS, new_tokens: int = 1, **data: Any) -> OverflowSlice:
    return OverflowSlice.model_validate(
        {
            "data": {
                "source": "task.jsonl",
                "items": ITEMS,
                "choices": ["No", "Yes", "No idea"],
                "overflow": "exclude",
            }
            | data,
            "prompt": {"plain_question": "{question}", "plain_answer": ""},
            "context": {"shots": shots, "answers": "correct", "seed": 0},
            "max_new_tokens": new_tokens,
        }
    )


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory,
    base_tokenizer: PreTrainedTokenizerBase,
    smollm2_tokenizer: PreTrainedTokenizerBase,
    t5_tokenizer: PreTrainedTokenizerBase,
) -> Mapping[str, LocalModel]:
    folder = tmp_path_factory.mktemp("models")
    return {
        name: open_model(save_tiny_model(family, tokenizer, folder / name))
        for name, family, tokenizer in (
            ("base", "opt", base_tokenizer),
            ("chat", "opt", smollm2_tokenizer),
            ("t5", "t5", t5_tokenizer),
        )
    }


@pytest.fixture
def model(opened: Mapping[str, LocalModel]) -> Callable[..., LocalModel]:
    """A model with a context of this number of tokens."""

    def with_context(length: int, kind: str = "base") -> LocalModel:
        return replace(opened[kind], context_length=length)

    return with_context


def longest(source: Sequence[Example], model: LocalModel, slice_: OverflowSlice) -> dict[str, int]:
    """Item → tokens of the whole conversation with its longest label, each rendered plainly."""
    pool = draw_splits({"all": source}, slice_.data)["demonstrations"]
    renderer = RENDERERS[model.architecture](
        load_tokenizer(model), slice_.prompt, draw_demonstrations(pool, slice_.context)
    )
    labels = labels_of(slice_.data)
    return {
        e.item: max(
            needed_tokens(rendering, slice_.max_new_tokens)
            for answer in labels or (e.answer,)
            for rendering in renderer.render([e.question], [answer])
        )
        for e in source
        if e not in pool
    }


@pytest.mark.parametrize("kind", ["base", "chat", "t5"])
@pytest.mark.parametrize("shots", [0, 1, SHOTS])
@pytest.mark.parametrize("new_tokens", [1, 40])
def test_items_whose_whole_conversation_is_longer_than_the_context_overflow(
    model: Callable[..., LocalModel], kind: str, shots: int, new_tokens: int
) -> None:
    slice_ = settings(shots, new_tokens)
    source = examples()
    lengths = longest(source, model(0, kind), slice_)
    limit = sorted(lengths.values())[20]
    found = find_overflow({"all": source}, slice_, [model(limit, kind)])
    assert found["items"] == [item for item, length in lengths.items() if length > limit]


def test_items_of_a_task_without_labels_are_measured_with_their_own_answers(
    model: Callable[..., LocalModel],
) -> None:
    source = [replace(e, answer="dogs " * (n % 3) + "dog") for n, e in enumerate(examples())]
    slice_ = settings(choices=None)
    lengths = longest(source, model(0), slice_)
    limit = sorted(lengths.values())[20]
    found = find_overflow({"all": source}, slice_, [model(limit)])
    assert found["items"] == [item for item, length in lengths.items() if length > limit]


def test_unlabelled_items_are_measured_by_their_prompts_and_new_tokens(
    model: Callable[..., LocalModel],
) -> None:
    source = [replace(e, answer=None) for e in examples()]
    slice_ = settings(0, 9, choices=None, unlabelled=["train", "validation", "test"])
    slice_ = slice_.model_copy(
        update={"data": slice_.data.model_copy(update={"items": ITEMS_WITHOUT_POOL})}
    )
    small = model(0)
    rendered = RENDERERS[small.architecture](load_tokenizer(small), slice_.prompt).render(
        [e.question for e in source], ["cat"] * len(source)
    )
    lengths = {e.item: len(r.prompt_ids) + 9 for e, r in zip(source, rendered, strict=True)}
    limit = sorted(lengths.values())[20]
    found = find_overflow({"all": source}, slice_, [model(limit)])
    assert found["items"] == [item for item, length in lengths.items() if length > limit]


def test_a_text_before_the_question_counts(model: Callable[..., LocalModel]) -> None:
    source = [
        replace(e, question=f"{n}?", columns={"hint": "cat " * n + "."})
        for n, e in enumerate(examples())
    ]
    slice_ = settings(columns=["hint"])
    context = slice_.context.model_copy(update={"item": "hint"})
    shown = slice_.model_copy(update={"context": context})
    pool = draw_splits({"all": source}, slice_.data)["demonstrations"]
    renderer = RENDERERS["causal"](
        load_tokenizer(model(0)), slice_.prompt, draw_demonstrations(pool, context)
    )
    lengths = {
        e.item: len(renderer.render([e.question], ["No idea"], [e.columns["hint"]])[0].ids)
        for e in source
        if e.item not in {shown.item for shown in pool}
    }
    limit = sorted(lengths.values())[20]
    found = find_overflow({"all": source}, shown, [model(limit)])
    assert found["items"] == [item for item, length in lengths.items() if length > limit]
    assert find_overflow({"all": source}, slice_, [model(limit)])["items"] == []


def test_an_item_that_one_model_has_no_room_for_is_left_out_for_all(
    model: Callable[..., LocalModel],
) -> None:
    source = examples()
    models = []
    for kind, fitting in (("base", 31), ("chat", 34)):
        lengths = longest(source, model(0, kind), settings())
        models.append(model(sorted(lengths.values())[fitting - 1], kind))
    found = find_overflow({"all": source}, settings(), models)
    assert {name: of["items"] for name, of in found["models"].items()} == {"base": 5, "chat": 2}
    assert len(found["items"]) == 5


def test_models_that_all_items_fit_change_nothing(model: Callable[..., LocalModel]) -> None:
    source = examples()
    limit = sorted(longest(source, model(0), settings()).values())[30]
    small, large = model(limit), model(CONTEXT, "chat")
    alone, both = (find_overflow({"all": source}, settings(), m) for m in ([small], [small, large]))
    assert alone == both
    assert alone["shots"] == SHOTS
    assert alone["models"]["base"] == {"context_length": limit, "items": len(alone["items"])}


def test_only_splits_that_items_are_asked_of_are_looked_at(
    model: Callable[..., LocalModel],
) -> None:
    source = {name: examples(name) for name in ("dev", "train", "test", "unused")}
    slice_ = settings(splits={"demonstrations": "dev", "validation": "train"})
    found = find_overflow(source, slice_, [model(120)])
    assert {item.partition("-")[0] for item in found["items"]} == {"train", "test"}


def test_a_context_without_room_for_any_item_is_refused(model: Callable[..., LocalModel]) -> None:
    with pytest.raises(
        InputError,
        match=r"task\.jsonl: 36 of 36 items exceed the context window of 20 tokens of base after 3 "
        "demonstrations; use fewer shots",
    ):
        find_overflow({"all": examples()}, settings(), [model(20)])


def test_more_items_than_are_tokenized_together_are_all_measured(
    model: Callable[..., LocalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = find_overflow({"all": examples()}, settings(), [model(150)])
    monkeypatch.setattr("workflow_scripts.tasks.overflow._BATCH", 7)
    assert find_overflow({"all": examples()}, settings(), [model(150)]) == whole
    assert whole["items"]


def test_the_program_writes_what_overflows(
    opened: Mapping[str, LocalModel], tmp_path: Path
) -> None:
    rows = [{"id": e.item, "question": e.question, "answer": e.answer} for e in examples()]
    rows[7]["question"] = "cat " * 2 * CONTEXT
    source = tmp_path / "task.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "overflow.json"
    manifests = [model.folder / "manifest.json" for model in opened.values()]
    entry_point.main(settings(source=str(source)), manifests, output)
    assert json.loads(output.read_text())["items"] == ["row-7"]
