"""Where the question, the query, the prompt and the answer lie, on three kinds of template."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import ByteLevel, TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tests.tiny_models import ENCODER_DECODERS
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    EncoderDecoderRenderer,
    Renderer,
    Rendering,
    needed_tokens,
    refuse_misaligned,
    refuse_too_long,
    teacher_renderer,
)
from workflow_scripts.runtime.errors import InputError

DEMONSTRATIONS = [Demonstration("cat", "cats"), Demonstration("child", "children")]


def render(tokenizer, demonstrations=(), question="mouse", answer="mice", **prompt) -> Rendering:
    renderer = Renderer(tokenizer, PromptSettings(**prompt), demonstrations)
    return renderer.render([question], [answer])[0]


def texts(tokenizer, rendering: Rendering) -> dict[str, str]:
    """The conversation as text, cut at the positions."""
    ids, decode = rendering.ids, tokenizer.decode
    return {
        "context": decode(ids[: rendering.question]),
        "question turn": decode(ids[rendering.question : rendering.query + 1]),
        "header": decode(ids[rendering.query + 1 : rendering.prompt + 1]),
        "answer": decode(ids[rendering.prompt + 1 :]),
    }


def test_smollm2_positions(smollm2_tokenizer):
    rendering = render(smollm2_tokenizer, system="Answer.")
    assert texts(smollm2_tokenizer, rendering) == {
        "context": "<|im_start|>system\nAnswer.<|im_end|>\n<|im_start|>user\n",
        "question turn": "mouse<|im_end|>\n",
        "header": "<|im_start|>assistant\n",
        "answer": "mice<|im_end|>",
    }


def test_smollm2_default_system_turn_is_part_of_the_context(smollm2_tokenizer):
    rendering = render(smollm2_tokenizer)
    assert "named SmolLM" in texts(smollm2_tokenizer, rendering)["context"]


def test_qwen3_thinking_is_off_and_earlier_turns_carry_no_think_block(qwen3_tokenizer):
    rendering = render(qwen3_tokenizer, DEMONSTRATIONS)
    assert texts(qwen3_tokenizer, rendering) == {
        "context": "<|im_start|>user\ncat<|im_end|>\n<|im_start|>assistant\ncats<|im_end|>\n"
        "<|im_start|>user\nchild<|im_end|>\n<|im_start|>assistant\nchildren<|im_end|>\n"
        "<|im_start|>user\n",
        "question turn": "mouse<|im_end|>\n",
        "header": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "answer": "mice<|im_end|>",
    }


def test_base_model_gets_the_plain_format(base_tokenizer):
    rendering = render(base_tokenizer, DEMONSTRATIONS[:1])
    assert texts(base_tokenizer, rendering) == {
        "context": "Question: cat\nAnswer: cats\n\n",
        "question turn": "Question: mouse\n",
        "header": "Answer:",
        "answer": " mice<|im_end|>",
    }


@pytest.fixture
def opt_tokenizer(base_tokenizer) -> PreTrainedTokenizerFast:
    """As OPT's: one token begins and ends every text, and the tokenizer adds it in front."""
    backend = Tokenizer.from_str(base_tokenizer.backend_tokenizer.to_str())
    edge = "<|endoftext|>"
    backend.post_processor = TemplateProcessing(
        single=f"{edge} $A", special_tokens=[(edge, backend.token_to_id(edge))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=edge, eos_token=edge)


def test_plain_format_begins_with_bos_where_the_tokenizer_adds_one(opt_tokenizer):
    rendering = render(opt_tokenizer, DEMONSTRATIONS)
    assert rendering.ids[0] == opt_tokenizer.bos_token_id
    assert rendering.ids.count(opt_tokenizer.bos_token_id) == 2  # the end token is the same


def test_the_plain_format_shows_a_text_before_each_question(base_tokenizer):
    shown = [Demonstration("cat", "cats", "A pet.")]
    renderer = Renderer(base_tokenizer, PromptSettings(system="Answer."), shown)
    (rendering,) = renderer.render(["mouse"], ["mice"], ["A rodent."])
    assert texts(base_tokenizer, rendering) == {
        "context": "Answer.\n\nA pet.\n\nQuestion: cat\nAnswer: cats\n\nA rodent.\n\n",
        "question turn": "Question: mouse\n",
        "header": "Answer:",
        "answer": " mice<|im_end|>",
    }


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_an_encoder_decoder_reads_it_before_the_question(encoder_decoder_tokenizers, family):
    tokenizer = encoder_decoder_tokenizers[family]
    student = EncoderDecoderRenderer(tokenizer, PromptSettings())
    (alone,) = student.render(["mouse"], ["mice"])
    (led,) = student.render(["mouse"], ["mice"], ["A rodent."])
    refuse_misaligned(alone, led, "mouse")
    assert "rodent" in tokenizer.decode(led.ids[: led.question]).replace(" ", "")
    assert led.query - led.question == alone.query - alone.question
    assert led.answer_ids == alone.answer_ids


@pytest.mark.parametrize("architecture", ["causal", "encoder-decoder"])
def test_a_teacher_may_have_a_system_text_of_its_own(base_tokenizer, architecture):
    prompt = PromptSettings(system="Answer.")
    own, task_s = (
        teacher_renderer(architecture, base_tokenizer, prompt, system).render(["cat"], ["cats"])[0]
        for system in ("Be brief.", None)
    )
    assert texts(base_tokenizer, own)["context"] == "Be brief.\n\n"
    assert texts(base_tokenizer, task_s)["context"] == "Answer.\n\n"
    refuse_misaligned(task_s, own, "cat")


PATTERN = {"plain_question": "{question}", "plain_answer": ""}
PAIRS = [Demonstration("A cat. A dog ?", "No"), Demonstration("A child. It is a child ?", "Yes")]
QUESTION = "A mouse. Question: Answer: it is a mouse ?"


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [("base_tokenizer", "", "<|im_end|>"), ("opt_tokenizer", "<|endoftext|>", "<|endoftext|>")],
)
def test_a_base_model_reads_a_pattern_as_it_is(name, begin, end, request):
    tokenizer = request.getfixturevalue(name)
    rendering = render(tokenizer, PAIRS, QUESTION, "Yes", **PATTERN)
    assert texts(tokenizer, rendering) == {
        "context": f"{begin}A cat. A dog ? No\n\nA child. It is a child ? Yes\n\n",
        "question turn": QUESTION,
        "header": "",
        "answer": f" Yes{end}",
    }


@pytest.mark.parametrize("demonstrations", [[], PAIRS])
@pytest.mark.parametrize("name", ["base_tokenizer", "opt_tokenizer"])
def test_query_and_prompt_of_a_pattern_are_its_last_token(name, demonstrations, request):
    tokenizer = request.getfixturevalue(name)
    rendering = render(tokenizer, demonstrations, QUESTION, "Yes", **PATTERN)
    assert rendering.query == rendering.prompt
    assert tokenizer.decode([rendering.ids[rendering.prompt]]) == "?"


@pytest.mark.parametrize("question", ["A cat. \nIt is a cat ?\nAnswer:", "{premise} A dog ?"])
@pytest.mark.parametrize("name", ["base_tokenizer", "opt_tokenizer"])
def test_teacher_and_student_share_the_tokens_of_a_pattern(name, question, request):
    tokenizer = request.getfixturevalue(name)
    student, teacher = (render(tokenizer, d, question, "No", **PATTERN) for d in ([], PAIRS))
    refuse_misaligned(student, teacher, "pair")


def test_the_labels_of_a_pattern_follow_the_same_prompt(opt_tokenizer):
    yes, no = Renderer(opt_tokenizer, PromptSettings(**PATTERN), PAIRS).render(
        [QUESTION] * 2, ["Yes", "No"]
    )
    assert yes.prompt_ids == no.prompt_ids


def test_demonstrations_of_a_pattern_without_answers_are_set_apart_too(base_tokenizer):
    shown = [Demonstration("A cat ?", None), Demonstration("A dog ?", None)]
    rendering = render(base_tokenizer, shown, QUESTION, "Yes", **PATTERN)
    assert texts(base_tokenizer, rendering)["context"] == "A cat ?\n\nA dog ?\n\n"


@pytest.mark.parametrize("name", ["smollm2_tokenizer", "qwen3_tokenizer"])
def test_query_ends_the_rendering_without_a_generation_prompt(name, request):
    tokenizer = request.getfixturevalue(name)
    rendering = render(tokenizer, DEMONSTRATIONS)
    turns = [
        {"role": role, "content": text}
        for d in DEMONSTRATIONS
        for role, text in (("user", d.question), ("assistant", d.answer))
    ] + [{"role": "user", "content": "mouse"}]
    asked, prompted = (
        tokenizer.apply_chat_template(
            turns, add_generation_prompt=header, enable_thinking=False, return_dict=False
        )
        for header in (False, True)
    )
    assert rendering.ids[: rendering.query + 1] == tuple(asked)
    assert rendering.prompt_ids == tuple(prompted)


@pytest.mark.parametrize("name", ["smollm2_tokenizer", "qwen3_tokenizer", "base_tokenizer"])
def test_teacher_and_student_share_the_tokens_from_the_question_on(name, request):
    tokenizer = request.getfixturevalue(name)
    student, teacher = render(tokenizer), render(tokenizer, DEMONSTRATIONS)
    assert len(teacher.ids) > len(student.ids)
    refuse_misaligned(student, teacher, "mouse")


def test_different_questions_are_refused_as_misaligned(smollm2_tokenizer):
    with pytest.raises(InputError, match="item mouse"):
        refuse_misaligned(
            render(smollm2_tokenizer), render(smollm2_tokenizer, question="dog"), "mouse"
        )


def test_answer_positions_predict_the_answer_tokens(smollm2_tokenizer):
    rendering = render(smollm2_tokenizer, answer="children")
    predicted = [rendering.ids[position + 1] for position in rendering.positions("answer")]
    assert predicted == list(rendering.answer_ids)
    assert rendering.positions("answer")[0] == rendering.positions("prompt")[0]
    assert rendering.answer_ids[-1] == smollm2_tokenizer.eos_token_id


def test_demonstrations_without_answers_show_their_questions_only(smollm2_tokenizer):
    rendering = render(smollm2_tokenizer, [Demonstration("cat", None)], system="Answer.")
    assert texts(smollm2_tokenizer, rendering)["context"].endswith(
        "<|im_start|>user\ncat<|im_end|>\n<|im_start|>user\n"
    )


def test_other_braces_of_the_prompt_are_kept(smollm2_tokenizer):
    renderer = Renderer(smollm2_tokenizer, PromptSettings(question="{n}: {question}"))
    rendering = renderer.render(["{cat}"], ["cats"])[0]
    assert texts(smollm2_tokenizer, rendering)["question turn"] == "{n}: {cat}<|im_end|>\n"


def test_a_boundary_inside_a_token_is_refused(base_tokenizer):
    prompt = PromptSettings(plain_question="Question: {question} ")
    with pytest.raises(InputError, match="header does not begin a new token"):
        Renderer(base_tokenizer, prompt).render(["cat"], ["cats"])


def test_conversations_longer_than_the_context_are_counted_and_named(smollm2_tokenizer):
    renderings = Renderer(smollm2_tokenizer, PromptSettings()).render(
        ["cat", "mouse " * 50 + "x"], ["cats", "mice"]
    )
    with pytest.raises(InputError, match=r"1 of 2 items .* item long"):
        refuse_too_long(renderings, ["short", "long"], len(renderings[0].ids))


def test_room_for_generated_tokens_counts(smollm2_tokenizer):
    rendering = render(smollm2_tokenizer)
    with pytest.raises(InputError, match="use fewer shots"):
        refuse_too_long([rendering], ["mouse"], len(rendering.ids), new_tokens=100)


def test_a_conversation_needs_its_answer_or_what_is_generated_whichever_is_more(base_tokenizer):
    rendering = render(base_tokenizer)
    answer = len(rendering.answer_ids)
    needed = [needed_tokens(rendering, new) - len(rendering.prompt_ids) for new in (0, answer + 9)]
    assert needed == [answer, answer + 9]


# lm-evaluation-harness, tasks/mmlu/default and tasks/bbh/fewshot: description, shots and question
HARNESS = {
    "mmlu": (
        PromptSettings(
            system="The following are multiple choice questions (with answers) about logic.",
            plain_question="{question}\n",
        ),
        "The following are multiple choice questions (with answers) about logic.\n\n"
        "cat\nA. cats\nB. cat\nAnswer: A\n\n"
        "mouse\nA. mouses\nB. mice\nAnswer:",
    ),
    "bbh": (
        PromptSettings(
            system="Answer questions.", plain_question="Q: {question}\n", plain_answer="A:"
        ),
        "Answer questions.\n\nQ: cat\nA. cats\nB. cat\nA: A\n\nQ: mouse\nA. mouses\nB. mice\nA:",
    ),
}


@pytest.mark.parametrize("benchmark", HARNESS)
def test_a_base_model_is_asked_as_the_evaluation_harness_asks(base_tokenizer, benchmark):
    prompt, expected = HARNESS[benchmark]
    shown = [Demonstration("cat\nA. cats\nB. cat", "A")]
    (rendering,) = Renderer(base_tokenizer, prompt, shown).render(
        ["mouse\nA. mouses\nB. mice"], ["B"]
    )
    assert base_tokenizer.decode(rendering.prompt_ids) == expected
    assert base_tokenizer.decode(rendering.answer_ids) == " B<|im_end|>"


# --- boundaries ---------------------------------------------------------------------------


def read_before(tokenizer, answer: str, renderer=Renderer) -> list[tuple[str, int]]:
    """The answer's tokens, each with the number of characters before it."""
    (rendering,) = renderer(tokenizer, PromptSettings()).render(["cat"], [answer])
    tokens = tokenizer.convert_ids_to_tokens(rendering.answer_ids)
    return list(zip(tokens, rendering.boundaries, strict=True))


def test_boundaries_count_the_characters_before_each_token(smollm2_tokenizer):
    assert read_before(smollm2_tokenizer, "cats boxes") == [
        ("c", 0),
        ("at", 1),
        ("s", 3),
        ("Ġboxes", 4),
        ("<|im_end|>", 9),
    ]


def test_the_space_before_a_plain_answer_is_not_counted(base_tokenizer):
    assert read_before(base_tokenizer, "cats") == [("Ġcats", 0), ("<|im_end|>", 4)]


def test_white_space_of_every_kind_is_not_counted(base_tokenizer, t5_tokenizer):
    for tokenizer in (base_tokenizer, t5_tokenizer):
        tokens = read_before(tokenizer, "cat \n\n\u00a0 dogs\tbox")
        assert tokens[-1] == (tokenizer.eos_token, 10)


def test_tokens_of_one_character_are_all_before_it(base_tokenizer):
    tokens = read_before(base_tokenizer, "日a")
    assert [boundary for _, boundary in tokens] == [0, 0, 0, 0, 1, 2]  # a space and three bytes


@pytest.mark.parametrize("renderer", [Renderer, EncoderDecoderRenderer])
@pytest.mark.parametrize(
    "answer", ["cats boxes", "two cats,  one box\n(1/2)", "a日本 cat é½ ok", ""]
)
def test_tokenizers_agree_on_how_much_they_have_read(
    base_tokenizer, t5_tokenizer, answer, renderer
):
    """Where a word begins both begin a token, whatever they make of the word."""
    bytes_read = {boundary for _, boundary in read_before(base_tokenizer, answer)}
    pieces_read = {boundary for _, boundary in read_before(t5_tokenizer, answer, renderer)}
    words = {len("".join(answer.split()[:count])) for count in range(len(answer.split()) + 1)}
    assert words <= bytes_read & pieces_read


def test_an_end_token_within_an_answer_is_a_part_of_its_text(t5_tokenizer):
    tokens = read_before(t5_tokenizer, "cat </s> dogs", EncoderDecoderRenderer)
    assert [place for place in tokens if place[0] == "</s>"] == [("</s>", 3), ("</s>", 11)]


def test_a_very_long_answer_is_read_to_its_end(base_tokenizer, t5_tokenizer):
    answer = "cats and boxes " * 2000
    ends = [
        read_before(tokenizer, answer.strip(), renderer)[-1][1]
        for tokenizer, renderer in (
            (base_tokenizer, Renderer),
            (t5_tokenizer, EncoderDecoderRenderer),
        )
    ]
    assert ends == [24000, 24000]


def test_tokens_that_leave_out_the_space_before_them_keep_their_place(base_tokenizer):
    backend = Tokenizer.from_str(base_tokenizer.backend_tokenizer.to_str())
    backend.post_processor = ByteLevel(add_prefix_space=False, trim_offsets=True)
    trimmed = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>")
    assert trimmed("a cats", return_offsets_mapping=True)["offset_mapping"][-1] == (2, 6)
    whole, cut = (render(tokenizer, DEMONSTRATIONS) for tokenizer in (base_tokenizer, trimmed))
    assert whole == cut


# --- encoder-decoders ---------------------------------------------------------------------


def encoded(tokenizer, demonstrations=(), question="mouse", answer="mice") -> Rendering:
    renderer = EncoderDecoderRenderer(tokenizer, PromptSettings(system="Answer."), demonstrations)
    return renderer.render([question], [answer])[0]


def test_an_encoder_reads_the_plain_prompt_and_the_end_token(t5_tokenizer):
    rendering = encoded(t5_tokenizer, DEMONSTRATIONS[:1])
    text = "Answer. Question: cat Answer: cats Question: mouse Answer:</s>"
    assert t5_tokenizer.decode(rendering.prompt_ids) == text


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_an_encoder_reads_the_prompt_as_its_tokenizer_writes_a_text(
    encoder_decoder_tokenizers, family
):
    tokenizer = encoder_decoder_tokenizers[family]
    text = "Answer.\n\nQuestion: cat\nAnswer: cats\n\nQuestion: mouse\nAnswer:"
    rendering = encoded(tokenizer, DEMONSTRATIONS[:1])
    assert list(rendering.prompt_ids) == tokenizer(text)["input_ids"]
    asked = tokenizer.decode(rendering.ids[rendering.question : rendering.query + 1])
    assert asked.strip() == "Question: mouse"
    assert rendering.answer_ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(rendering.answer_ids[:-1]) == "mice"


def test_a_decoder_reads_the_answer_alone(t5_tokenizer):
    rendering = encoded(t5_tokenizer, answer="mice")
    assert rendering.answer_ids == (
        *t5_tokenizer("mice", add_special_tokens=False)["input_ids"],
        t5_tokenizer.eos_token_id,
    )
    assert rendering.boundaries[0] == 0
    assert rendering.boundaries[-1] == 4


def test_of_an_empty_answer_a_decoder_says_the_end_token(t5_tokenizer):
    rendering = encoded(t5_tokenizer, answer="")
    assert rendering.answer_ids == (t5_tokenizer.eos_token_id,)
    assert rendering.boundaries == (0,)


def test_positions_of_an_encoder_decoder_are_those_of_its_pieces(t5_tokenizer):
    rendering = encoded(t5_tokenizer, DEMONSTRATIONS)
    ids, tokenizer = rendering.ids, t5_tokenizer
    asked = tokenizer.decode(ids[rendering.question : rendering.query + 1])
    assert asked == "Question: mouse"
    assert ids[rendering.prompt] == tokenizer.eos_token_id
    assert len(rendering.positions("answer")) == len(rendering.answer_ids)
    assert rendering.positions("answer")[0] == rendering.positions("prompt")[0] == rendering.prompt


def test_an_encoder_decoder_shares_the_tokens_from_the_question_on(t5_tokenizer):
    refuse_misaligned(encoded(t5_tokenizer), encoded(t5_tokenizer, DEMONSTRATIONS), "mouse")


def test_a_chat_template_is_nothing_to_an_encoder_decoder(smollm2_tokenizer, base_tokenizer):
    assert encoded(smollm2_tokenizer) == encoded(base_tokenizer)


def test_encoder_and_decoder_are_bounded_apart(t5_tokenizer):
    rendering = encoded(t5_tokenizer)
    prompt = len(rendering.prompt_ids)
    assert needed_tokens(rendering, new_tokens=5) == prompt
    assert needed_tokens(rendering, new_tokens=prompt + 3) == prompt + 3
    assert needed_tokens(rendering, new_tokens=prompt + 3, context=7) == prompt + 7
