"""What a turn is, by the chat templates of many families: rendered right, or refused by name."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tests.chat_templates import TEMPLATES, chat_tokenizer, tokenizer_with
from tests.tiny_tokenizers import build_sentencepiece
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.prompts.formats import (
    ChatFormat,
    Demonstration,
    Pieces,
    PlainFormat,
    end_tokens,
    refused_features,
)
from workflow_scripts.prompts.rendering import Renderer, Rendering, refuse_misaligned
from workflow_scripts.runtime.errors import InputError

SHOWN = [Demonstration("cat", "cats"), Demonstration("child", "children")]


def pieces(family: str, shown=(), asked="mouse", answer="mice", before=None, **prompt) -> Pieces:
    made = ChatFormat(chat_tokenizer(family), PromptSettings(**prompt), shown)
    return made.pieces(asked, answer, before)


# family → question turn, header, answer
TURNS = {
    "gemma2": ("mouse<end_of_turn>\n", "<start_of_turn>model\n", "mice<end_of_turn>"),
    "gemma3": ("mouse<end_of_turn>\n", "<start_of_turn>model\n", "mice<end_of_turn>"),
    "phi3": ("mouse<|end|>\n", "<|assistant|>\n", "mice<|end|>"),
    "glm4": ("mouse/nothink", "<|assistant|>\n<think></think>\n", "mice<|user|>"),
    "gpt-oss": (
        "mouse<|end|>",
        "<|start|>assistant<|channel|>final<|message|>",
        "mice<|return|>",
    ),
    "deepseek-r1": ("mouse", "<|Assistant|>", "mice<eos>"),
    "closed-thought": (
        "mouse<|im_end|>\n",
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "mice<|im_end|>",
    ),
    "cohere2": ("mouse<|TURN_END|>", "<|CHATBOT|><|START|>", "mice<|STOP|><|TURN_END|>"),
    "llama2": ("mouse[/INST]", " ", "mice <eos>"),
    "smollm3": (
        "mouse<|im_end|>\n",
        "<|im_start|>assistant\n<think>\n\n</think>\n",
        "mice<|im_end|>",
    ),
    "olmo3": ("mouse<|im_end|>\n", "<|im_start|>assistant\n", "mice<eos>"),
    "mistral": ("mouse[/INST]", "", "mice<eos>"),
    "llama3.2": ("mouse<|eot|>", "<|assistant|>", "mice<|eot|>"),
    "words": ("mouse\n", "### assistant: ", "mice<eos>"),
    "strips-thoughts": ("mouse<|eot|>", "<|assistant|>", "mice<|eot|>"),
}


@pytest.mark.parametrize("shown", [[], SHOWN])
@pytest.mark.parametrize("family", TURNS)
def test_an_answer_is_written_and_ended_as_the_template_does(family, shown):
    found = pieces(family, shown)
    assert (found.question_turn, found.header, found.answer) == TURNS[family]


@pytest.mark.parametrize("family", sorted(set(TURNS) - {"closed-thought", "words", "glm4"}))
def test_the_conversation_is_what_the_template_writes_of_it(family):
    tokenizer = chat_tokenizer(family)
    turns = [
        {"role": role, "content": text}
        for shown in [*SHOWN, Demonstration("mouse", "mice")]
        for role, text in (("user", shown.question), ("assistant", shown.answer))
    ]
    written = tokenizer.apply_chat_template(
        turns, tokenize=False, strftime_now=datetime.date(2025, 1, 1).strftime
    )
    whole = pieces(family, SHOWN).whole
    assert written.startswith(whole)
    assert written.removeprefix(whole) in ("", "\n", "\n<eos>")


def test_a_generation_stops_at_every_token_that_ends_a_turn():
    tokenizer = chat_tokenizer("cohere2")
    assert tokenizer.convert_ids_to_tokens(end_tokens(tokenizer)) == ["<|STOP|>", "<|TURN_END|>"]


@pytest.mark.parametrize(
    ("family", "ends"),
    [("olmo3", ["<eos>", "<|im_end|>"]), ("gpt-oss", ["<|return|>", "<|end|>"])],
)
def test_a_generation_also_stops_where_demonstrations_end_their_answers(family, ends):
    tokenizer = chat_tokenizer(family)
    assert tokenizer.convert_ids_to_tokens(end_tokens(tokenizer)) == ends


def test_a_template_of_a_single_question_refuses_demonstrations_alone():
    template = (
        "{% if messages|length > 2 %}{{ raise_exception('one question') }}{% endif %}"
        "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|eot|>' }}{% endfor %}"
    )
    tokenizer = tokenizer_with(template, ["<|user|>", "<|assistant|>", "<|eot|>"])
    assert list(refused_features(tokenizer)) == ["system", "demonstrations", "unanswered"]
    assert tokenizer.convert_ids_to_tokens(end_tokens(tokenizer)) == ["<|eot|>"]


@pytest.mark.parametrize(
    ("family", "end"), [("llama2", "<eos>"), ("glm4", "<|user|>"), ("words", "<eos>")]
)
def test_the_end_is_one_token_whatever_is_around_it(family, end):
    tokenizer = chat_tokenizer(family)
    assert tokenizer.convert_ids_to_tokens(end_tokens(tokenizer)) == [end]


def test_an_end_token_that_no_template_writes_ends_no_turn(smollm2_tokenizer):
    """The shape of base models that ship a chat template: their end token ends documents."""
    base = PreTrainedTokenizerFast(
        tokenizer_object=smollm2_tokenizer.backend_tokenizer, eos_token="<|endoftext|>"
    )
    base.chat_template = smollm2_tokenizer.chat_template
    ours, theirs = (
        Renderer(tokenizer, PromptSettings(system="Answer."), SHOWN).render(["mouse"], ["mice"])
        for tokenizer in (smollm2_tokenizer, base)
    )
    assert theirs == ours
    assert end_tokens(base) == [smollm2_tokenizer.convert_tokens_to_ids("<|im_end|>")]


def test_a_base_model_ends_in_its_end_token(base_tokenizer):
    assert end_tokens(base_tokenizer) == [base_tokenizer.eos_token_id]


# --- the date -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "written"),
    [
        ("llama3.2", "Date: 01 Jan 2025"),
        ("gpt-oss", "date: 2025-01-01"),
        ("smollm3", "Date: 01 January 2025\nReasoning Mode: /no_think"),
    ],
)
def test_a_template_writes_the_same_date_on_any_day(family, written):
    assert written in pieces(family).context


def test_the_date_is_a_setting():
    assert "Date: 24 Dec 2026" in pieces("llama3.2", date="2026-12-24").context


# --- a text before the question -------------------------------------------------------------

BEFORE = "Nouns are {odd}.\n\nSome are <irregular>."


@pytest.mark.parametrize("shown", [[], SHOWN])
@pytest.mark.parametrize("family", sorted(TURNS))
def test_a_text_before_the_question_belongs_to_the_context(family, shown):
    plain, led = pieces(family, shown), pieces(family, shown, before=BEFORE)
    assert led == replace(plain, context=f"{plain.context}{BEFORE}\n\n")


# they write a space before the question, which becomes a part of its first token
JOINING = ("llama2", "words")


def led(family: str) -> tuple[Rendering, Rendering]:
    """A conversation without context, and after texts before every question."""
    shown = [replace(one, before=f"{one.question}: a noun") for one in SHOWN]
    tokenizer, prompt = chat_tokenizer(family), PromptSettings()
    return (
        Renderer(tokenizer, prompt).render(["mouse"], ["mice"])[0],
        Renderer(tokenizer, prompt, shown).render(["mouse"], ["mice"], [BEFORE])[0],
    )


@pytest.mark.parametrize("family", JOINING)
def test_a_text_that_changes_the_question_s_tokens_is_refused_beside_a_student(family):
    with pytest.raises(InputError, match="differently, because of the teacher's `system` or"):
        refuse_misaligned(*led(family), "mouse")


@pytest.mark.parametrize("family", sorted(set(TURNS) - set(JOINING)))
def test_it_leaves_the_tokens_from_the_question_on_as_they_are(family):
    student, teacher = led(family)
    refuse_misaligned(student, teacher, "mouse")
    distance = teacher.question - student.question
    assert distance > 0
    assert teacher.query - student.query == teacher.prompt - student.prompt == distance
    context = chat_tokenizer(family).decode(teacher.ids[: teacher.question])
    assert context.endswith(BEFORE + "\n\n")


@pytest.mark.parametrize("family", sorted(TURNS))
def test_demonstrations_show_theirs(family):
    context = pieces(family, [Demonstration("cat", "cats", "A pet.")]).context
    assert "A pet.\n\ncat" in context
    assert context.count("A pet.") == 1


def test_a_text_that_the_template_changes_is_refused():
    with pytest.raises(InputError, match="changes the text before the question, 'a</think>b'"):
        pieces("strips-thoughts", before="a</think>b")
    with pytest.raises(InputError, match="leaves out the question of demonstration 1, 'a</think>"):
        pieces("strips-thoughts", [Demonstration("cat", "cats", "a</think>b")])


# --- refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "shown", "prompt", "said"),
    [
        (
            "gemma2",
            [],
            {"system": "Answer."},
            "refuses the conversation (System role not supported",
        ),
        ("gemma2", [Demonstration("cat", None)], {}, "roles must alternate"),
        ("llama2", [], {"system": "Answer."}, "leaves out the system text 'Answer.'; put it into"),
        ("last-message", SHOWN, {}, "leaves out the question of demonstration 1, 'cat'"),
        ("last-message", [], {"system": "Answer."}, "leaves out the system text"),
        (
            "strips-thoughts",
            [Demonstration("cat", "<think>s</think>cats")],
            {},
            "leaves out the answer of demonstration 1, '<think>s</think>cats'",
        ),
        ("parts", [], {}, "does not show what the user says"),
    ],
)
def test_what_a_template_cannot_show_is_refused_in_a_line_that_names_it(
    family, shown, prompt, said
):
    with pytest.raises(InputError) as error:
        pieces(family, shown, **prompt)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_answer_that_the_template_changes_is_refused():
    with pytest.raises(InputError, match="changes the answer '<think>s</think>mice'"):
        pieces("strips-thoughts", answer="<think>s</think>mice")


def test_a_question_that_the_template_changes_is_refused():
    with pytest.raises(InputError, match="changes the question 'a</think>mouse'"):
        pieces("strips-thoughts", asked="a</think>mouse")


def test_white_space_that_a_template_trims_is_no_change():
    assert pieces("gemma3", question="{question} \n") == pieces("gemma3")


@pytest.mark.parametrize(
    ("family", "refused"),
    [
        ("gemma2", ["system", "unanswered"]),
        ("gemma3", []),
        ("llama2", ["system"]),
        ("mistral", ["unanswered"]),
        ("smollm3", []),
        ("olmo3", []),
    ],
)
def test_a_template_s_limits_are_found_without_a_study(family, refused):
    assert list(refused_features(chat_tokenizer(family))) == refused


@pytest.mark.parametrize(
    ("family", "said"),
    [("parts", "does not show what the user says"), ("last-message", "once it is answered")],
)
def test_a_template_that_shows_no_conversation_at_all_is_refused(family, said):
    with pytest.raises(InputError, match=said):
        refused_features(chat_tokenizer(family))


@pytest.mark.parametrize("family", sorted(TEMPLATES))
def test_every_shape_is_tested(family):
    assert family in TURNS or family in ("last-message", "parts")


# --- tokens that hold white space of two places --------------------------------------------


@pytest.fixture
def joining() -> PreTrainedTokenizerFast:
    """As Llama 2's: a space is a part of the word after it."""
    backend = Tokenizer.from_str(build_sentencepiece().backend_tokenizer.to_str())
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}"
        "{% if m.role == 'user' %}{{ 'Question: ' + m.content + '\nAnswer:' }}"
        "{% else %}{{ ' ' + m.content + ' </s>' }}{% endif %}{% endfor %}"
    )
    return tokenizer


def test_question_and_answer_begin_at_the_tokens_that_hold_their_first_letters(joining):
    renderer = Renderer(joining, PromptSettings(), SHOWN)
    (rendering,) = renderer.render(["cat"], ["cats"])
    tokens = joining.convert_ids_to_tokens(rendering.ids)
    assert tokens[rendering.question].startswith("▁c")
    assert tokens[rendering.prompt + 1].startswith("▁c")
    assert tokens[rendering.prompt].endswith(":")
    assert rendering.boundaries[0] == 0
    assert rendering.boundaries[-1] == len("cats")


# --- the plain format -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("front", "behind"),
    [
        (["<|im_start|>"], ["<|im_end|>"]),
        (["<|im_start|>", "<|endoftext|>"], []),
        ([], ["<|im_end|>"]),
    ],
)
def test_a_plain_conversation_begins_with_what_the_tokenizer_puts_in_front(
    base_tokenizer, front, behind
):
    backend = Tokenizer.from_str(base_tokenizer.backend_tokenizer.to_str())
    backend.post_processor = TemplateProcessing(
        single=" ".join([*front, "$A", *behind]),
        special_tokens=[(name, backend.token_to_id(name)) for name in {*front, *behind}],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )
    assert PlainFormat(tokenizer, PromptSettings(), ()).pieces("a", "b").context == "".join(front)
    (rendering,) = Renderer(tokenizer, PromptSettings()).render(["cat"], ["cats"])
    assert tokenizer.convert_ids_to_tokens(rendering.ids[: len(front)]) == front
    assert tokenizer.decode(rendering.ids[len(front) :]).startswith("Question: cat")
