"""How many tokens of a prompt a student does without."""

from __future__ import annotations

import pytest

from tests.unit.export.conftest import EXAMPLES, POOL
from workflow_scripts.config.slices import ContextSettings
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.export.recipe import Taught
from workflow_scripts.export.tokens_saved import tokens_saved
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.tasks.examples import Example

PROMPT = PromptSettings(system="Answer.")
TEXT = "Answer the question in one word."
NOTHING = ContextSettings(shots=0, answers="correct", seed=0)


@pytest.fixture
def saved(qwen3_tokenizer):
    """Tokens that a student of a teacher with this system text and context does without."""

    def of(system: str | None = None, examples=EXAMPLES, **context: object) -> float:
        taught = Taught(system=system, context=NOTHING.model_copy(update=context))
        return tokens_saved(Renderer(qwen3_tokenizer, PROMPT), PROMPT, taught, examples, POOL)

    return of


@pytest.fixture
def tokens_of(qwen3_tokenizer):
    return lambda text: len(qwen3_tokenizer(text, add_special_tokens=False)["input_ids"])


def test_a_longer_system_text_is_saved_up_to_the_students_own(saved, tokens_of):
    assert saved(TEXT) == tokens_of(TEXT) - tokens_of("Answer.")


def test_a_teacher_that_sees_what_the_student_sees_saves_nothing(saved):
    assert saved() == 0


def test_demonstrations_are_saved_whole(saved, qwen3_tokenizer):
    def prompt_after(shown: list[Example]) -> int:
        turns = [("system", "Answer.")]
        turns += [turn for e in shown for turn in (("user", e.question), ("assistant", e.answer))]
        turns += [("user", "cat")]
        text = qwen3_tokenizer.apply_chat_template(
            [{"role": role, "content": content} for role, content in turns],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        return len(qwen3_tokenizer(text, add_special_tokens=False)["input_ids"])

    assert saved(shots=2) == prompt_after(POOL) - prompt_after([])


def test_a_text_of_the_item_counts_as_the_mean_over_items(saved):
    examples = [
        Example("a", "cat", "cats", columns={"hint": "box"}),
        Example("b", "cat", "cats", columns={"hint": "box box box"}),
    ]
    lengths = [saved(item="hint", examples=[example]) for example in examples]
    assert lengths[0] < lengths[1]
    assert saved(item="hint", examples=examples) == sum(lengths) / 2
