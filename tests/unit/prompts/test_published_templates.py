"""The chat templates that TRL keeps of published models, rendered as the models read them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.chat_templates import tokenizer_with
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.prompts.formats import (
    ChatFormat,
    Demonstration,
    end_tokens,
    refused_features,
)
from workflow_scripts.runtime.errors import InputError

# not imported: TRL looks for vLLM and others when it is
FOLDER = Path(str(find_spec("trl").origin)).parent / "chat_templates"
# TRL's variants for training mark the tokens that are trained and write the same text
PUBLISHED = {
    file.stem: file.read_text()
    for file in sorted(FOLDER.glob("*.jinja"))
    if not file.stem.endswith("_training")
}
# text is expected in parts; transformers loads no causal language model from these types
IMAGES_ALONE = {"idefics3", "llava_next", "smolvlm"}
# template → header before an answer, where the generation prompt is another one
OWN_HEADERS = {
    # a thought is open behind the generation prompt, and gone once the turn is history
    "deepseek_r1_distill": "<｜Assistant｜>",
    "deepseekv3": "<｜Assistant｜>",
    # an answer has a newline that the generation prompt lacks
    "glm4moe": "<|assistant|>\n<think></think>\n",
    # the channel or recipient of an answer is chosen by the model
    "gptoss": "<|start|>assistant<|channel|>final<|message|>",
    "muse_glimmer": "<|start|>assistant to=user<|message|>",
}
ENDS = {
    "cohere": "<|END_OF_TURN_TOKEN|>",
    "cohere2": "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
    "deepseek": "<｜end▁of▁sentence｜>",
    "diffusion_gemma": "<turn|>",
    "gemma": "<end_of_turn>",
    "gemma3": "<end_of_turn>",
    "gemma4": "<turn|>",
    "glm4moe": "<|user|>",
    "gptoss": "<|return|><|end|>",
    "lfm2": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "muse_glimmer": "<|eot|>",
    "nemotron": "<|im_end|>",
    "phi3": "<|end|>",
    "qwen": "<|im_end|>",
}
ALTERNATES = {"unanswered"}
REFUSED = {
    "cohere": ALTERNATES,
    "cohere2": ALTERNATES,
    "gemma": {"system", *ALTERNATES},
    "gemma3": ALTERNATES,
}
SHOWN = [Demonstration("cat", "cats"), Demonstration("child", "children")]
CHAT = sorted(PUBLISHED.keys() - IMAGES_ALONE)


def rendered(template: str, *, prompted: bool) -> str:
    """By the template itself, with thinking off."""
    turns = [
        {"role": role, "content": text}
        for shown in [*SHOWN, Demonstration("mouse", "mice")]
        for role, text in (("user", shown.question), ("assistant", shown.answer))
    ]
    return tokenizer_with(template).apply_chat_template(
        turns[:-1] if prompted else turns,
        tokenize=False,
        add_generation_prompt=prompted,
        enable_thinking=False,
        thinking=False,
        strftime_now=PromptSettings().date.strftime,
    )


def pieces(template: str):
    chat = ChatFormat(tokenizer_with(template), PromptSettings(), SHOWN)
    return chat.pieces("mouse", "mice")


@pytest.mark.parametrize("name", sorted(CHAT - OWN_HEADERS.keys()))
def test_a_prompt_is_the_template_s_generation_prompt_with_thinking_off(name):
    assert pieces(PUBLISHED[name]).prompt == rendered(PUBLISHED[name], prompted=True)


@pytest.mark.parametrize("name", OWN_HEADERS)
def test_an_answer_has_the_header_of_a_written_one_where_the_generation_prompt_has_another(name):
    found = pieces(PUBLISHED[name])
    assert found.header == OWN_HEADERS[name]
    assert found.prompt != rendered(PUBLISHED[name], prompted=True)


@pytest.mark.parametrize("name", CHAT)
def test_a_conversation_is_what_the_template_writes(name):
    """GLM-4 ends an answer only by the next turn."""
    written = rendered(PUBLISHED[name], prompted=False)
    assert written.startswith(pieces(PUBLISHED[name]).whole.removesuffix("<|user|>"))


@pytest.mark.parametrize("name", CHAT)
def test_a_generation_stops_at_the_end_of_a_turn(name):
    (family,) = sorted((key for key in ENDS if name.startswith(key)), key=len)[-1:]
    tokenizer = tokenizer_with(PUBLISHED[name])
    assert "".join(tokenizer.convert_ids_to_tokens(end_tokens(tokenizer))) == ENDS[family]
    assert f"mice{ENDS[family]}".startswith(pieces(PUBLISHED[name]).answer.strip())


@pytest.mark.parametrize("name", CHAT)
def test_what_a_template_cannot_show_is_known(name):
    assert refused_features(tokenizer_with(PUBLISHED[name])).keys() == REFUSED.get(name, set())


@pytest.mark.parametrize("name", sorted(IMAGES_ALONE))
def test_a_template_of_parts_is_refused(name):
    with pytest.raises(InputError, match="does not show what the user says"):
        refused_features(tokenizer_with(PUBLISHED[name]))
