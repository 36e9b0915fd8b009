"""The first token of each label, in the conversation that it ends."""

from __future__ import annotations

import pytest

from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.label_tokens import first_tokens, label_tokens
from workflow_scripts.prompts.rendering import (
    Renderer,
)
from workflow_scripts.runtime.errors import InputError


def test_a_labels_first_token_is_the_one_that_its_answer_begins_with(base_tokenizer):
    renderer = Renderer(base_tokenizer, PromptSettings())
    (tokens,) = label_tokens(renderer, ["cat"], ["i"], ["cats", "mice"])
    answers = [
        rendering.answer_ids[0] for rendering in renderer.render(["cat"] * 2, ["cats", "mice"])
    ]
    assert list(tokens) == answers
    assert base_tokenizer.decode(list(tokens[:1])).startswith(" ")


def test_after_a_chat_template_a_label_begins_without_a_space(smollm2_tokenizer):
    renderer = Renderer(smollm2_tokenizer, PromptSettings())
    (tokens,) = label_tokens(renderer, ["cat"], ["i"], ["cats", "mice"])
    assert not any(smollm2_tokenizer.decode([token]).startswith(" ") for token in tokens)


def test_every_question_has_its_labels_tokens_in_the_order_of_the_labels(smollm2_tokenizer):
    renderer = Renderer(smollm2_tokenizer, PromptSettings(), [Demonstration("dog", "dogs")])
    there = label_tokens(renderer, ["cat", "box"], ["i", "j"], ["A", "B", "C"])
    back = label_tokens(renderer, ["cat", "box"], ["i", "j"], ["C", "B", "A"])
    assert there == [tokens[::-1] for tokens in back]
    assert [smollm2_tokenizer.decode([token]) for token in there[1]] == ["A", "B", "C"]


def test_labels_that_begin_with_one_token_are_refused_naming_both(smollm2_tokenizer):
    renderer = Renderer(smollm2_tokenizer, PromptSettings())
    labels = ["24", "dog one", "dog two"]
    renderings = renderer.render(["cat"] * 3, labels)
    with pytest.raises(InputError) as caught:
        first_tokens(renderings, labels, "item-7", smollm2_tokenizer)
    first = smollm2_tokenizer.decode([renderings[1].answer_ids[0]])
    assert str(caught.value) == (
        f"item item-7: labels 'dog one' and 'dog two' begin with the same token '{first}'; choose "
        "labels that differ in their first token under `data.verbalizers`"
    )
