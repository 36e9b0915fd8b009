"""Chat templates in the shapes that model families publish, each a few lines, and a tokenizer for
each: what they write between, before and after the turns is what differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from tests.tiny_tokenizers import build_tokenizer

_TURNS = "{% for m in messages %}"
_END = "{% endfor %}"


def _generation_prompt(text: str) -> str:
    return f"{{% if add_generation_prompt %}}{text}{{% endif %}}"


_GEMMA_TURN = (
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else 'user') + '\n' }}"
    "{{ m.content | trim }}{{ '<end_of_turn>\n' }}"
)
_ALTERNATE = (
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
)

TEMPLATES = {
    # no system role, strict alternation, another end than the tokenizer's
    "gemma2": "{{ '<bos>' }}"
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}"
    + _TURNS
    + _ALTERNATE
    + _GEMMA_TURN
    + _END
    + _generation_prompt("{{ '<start_of_turn>model\n' }}"),
    # the system text opens the first user turn
    "gemma3": "{{ '<bos>' }}{% set ns = namespace(system='') %}"
    + _TURNS
    + "{% if m.role == 'system' %}{% set ns.system = m.content + '\n\n' %}{% else %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else 'user') + '\n' }}"
    "{{ ns.system + m.content | trim + '<end_of_turn>\n' }}{% set ns.system = '' %}{% endif %}"
    + _END
    + _generation_prompt("{{ '<start_of_turn>model\n' }}"),
    # ends every conversation in the end token, whoever spoke last
    "phi3": _TURNS
    + "{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}"
    + _END
    + "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    # an answer is ended by the next turn; the generation prompt lacks the newline of an answer
    "glm4": "{{ '[gMASK]<sop>' }}"
    + _TURNS
    + "{{ '<|' + m.role + '|>\n' }}{% if m.role == 'assistant' %}{{ '<think></think>\n' }}"
    "{% endif %}{{ m.content }}{% if m.role == 'user' %}{{ '/nothink' }}{% endif %}"
    + _END
    + _generation_prompt("{{ '<|assistant|>\n<think></think>' }}"),
    # the answer stands in a channel that the generation prompt does not open; writes the date
    "gpt-oss": "{{ '<|start|>system<|message|>Current date: ' + strftime_now('%Y-%m-%d') }}"
    "{{ '<|end|>' }}"
    + _TURNS
    + "{{ '<|start|>' + m.role }}{% if m.role == 'assistant' %}{{ '<|channel|>final' }}{% endif %}"
    "{{ '<|message|>' + m.content }}"
    "{{ '<|return|>' if m.role == 'assistant' and loop.last else '<|end|>' }}"
    + _END
    + _generation_prompt("{{ '<|start|>assistant' }}"),
    # the generation prompt opens a thought that a written answer does not have
    "deepseek-r1": "{{ '<bos>' }}"
    + _TURNS
    + "{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}{{ '<|User|>' }}"
    "{{ m.content }}{% else %}{{ '<|Assistant|>' + m.content + '<eos>' }}{% endif %}"
    + _END
    + _generation_prompt("{{ '<|Assistant|><think>\n' }}"),
    # the generation prompt closes a thought that a written answer does not have
    "closed-thought": _TURNS
    + "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    + _END
    + _generation_prompt("{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n' }}"),
    # two tokens end an answer
    "cohere2": _TURNS
    + "{% if m.role == 'assistant' %}{{ '<|CHATBOT|><|START|>' + m.content + '<|STOP|>' }}"
    "{% else %}{{ '<|USER|>' + m.content }}{% endif %}{{ '<|TURN_END|>' }}"
    + _END
    + _generation_prompt("{{ '<|CHATBOT|><|START|>' }}"),
    # white space around both, and no system role, without saying so
    "llama2": _TURNS + "{% if m.role == 'user' %}{{ '<bos>[INST] ' + m.content + '[/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content + ' <eos>' }}{% endif %}" + _END,
    # a date and a switch for thoughts in the system turn; answers keep an empty thought
    "smollm3": "{% set own = messages[0].role == 'system' %}"
    "{{ '<|im_start|>system\nToday Date: ' + strftime_now('%d %B %Y') + '\nReasoning Mode: ' }}"
    "{{ '/think' if enable_thinking else '/no_think' }}"
    "{{ '\n' + (messages[0].content if own else 'You are SmolLM.') + '<|im_end|>\n' }}"
    "{% for m in messages[(1 if own else 0):] %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and not enable_thinking %}{{ '<think>\n\n</think>\n' }}"
    "{% endif %}{{ m.content + '<|im_end|>\n' }}"
    + _END
    + _generation_prompt(
        "{{ '<|im_start|>assistant\n' }}{% if not enable_thinking %}"
        "{{ '<think>\n\n</think>\n' }}{% endif %}"
    ),
    # a system turn of its own; the last answer ends in another token than those before it
    "olmo3": "{% if messages[0].role != 'system' %}"
    "{{ '<|im_start|>system\nYou have no functions.<|im_end|>\n' }}{% endif %}"
    + _TURNS
    + "{{ '<|im_start|>' + m.role + '\n' + m.content }}"
    "{% if m.role == 'assistant' and loop.last %}{{ eos_token }}"
    "{% else %}{{ '<|im_end|>\n' }}{% endif %}"
    + _END
    + _generation_prompt("{{ '<|im_start|>assistant\n' }}"),
    # strict alternation after a system turn in brackets; no generation prompt
    "mistral": "{{ bos_token }}{% set own = messages[0].role == 'system' %}"
    "{% if own %}{{ '[SYSTEM_PROMPT]' + messages[0].content + '[/SYSTEM_PROMPT]' }}{% endif %}"
    "{% for m in messages[(1 if own else 0):] %}"
    + _ALTERNATE
    + "{% if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}"
    "{% else %}{{ m.content + eos_token }}{% endif %}" + _END,
    # today's date in the system turn
    "llama3.2": "{{ '<bos><|system|>Today Date: ' + strftime_now('%d %b %Y') + '<|eot|>' }}"
    + _TURNS
    + "{{ '<|' + m.role + '|>' + m.content + '<|eot|>' }}"
    + _END
    + _generation_prompt("{{ '<|assistant|>' }}"),
    # shows the last message alone
    "last-message": "{{ '<|' + messages[-1].role + '|>' + messages[-1].content + '<|eot|>' }}"
    + _generation_prompt("{{ '<|assistant|>' }}"),
    # text is expected in parts, as of image-text models
    "parts": _TURNS
    + "{{ '<|' + m.role + '|>' }}{% for part in m.content %}{{ part.text }}{% endfor %}"
    "{{ '<|eot|>' }}" + _END,
    # ends turns with words alone
    "words": _TURNS
    + "{{ '### ' + m.role + ': ' + m.content + '\n' }}"
    + _END
    + _generation_prompt("{{ '### assistant: ' }}"),
    # takes markup out of an answer
    "strips-thoughts": _TURNS
    + "{{ '<|' + m.role + '|>' + m.content.split('</think>')[-1] + '<|eot|>' }}"
    + _END
    + _generation_prompt("{{ '<|assistant|>' }}"),
}


def chat_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with the template of a family and the special tokens it writes.

    The end token is `<eos>`, which need not end a turn.
    """
    roles = ["<|system|>", "<|user|>", "<|assistant|>"] if "'<|' + m" in TEMPLATES[family] else []
    return tokenizer_with(TEMPLATES[family], roles)


def tokenizer_with(template: str, special: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a template and the special tokens that it writes.

    special: those that the template puts together.
    """
    tokenizer = build_tokenizer(None)
    written = re.findall(
        r"<[a-z_]+>|<[|｜][\w▁]+[|｜]?>|<\w+[|｜]>|\[/?[A-Z_]+\]|\[gMASK\]", template
    )
    names = sorted({*special, *written, "<bos>", "<eos>"} - {"<think>"})
    tokenizer.add_tokens(
        [AddedToken(name, special=True, normalized=False) for name in names], special_tokens=True
    )
    tokenizer.bos_token, tokenizer.eos_token = "<bos>", "<eos>"
    tokenizer.chat_template = template
    return tokenizer
