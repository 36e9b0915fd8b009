"""Tiny encoder-decoders against plain passes of transformers: one by one, no cache, no padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny_models import ENCODER_DECODERS, tiny_model
from workflow_scripts.config.slices import EngineSettings
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.engines.encoder_decoder_engine import EncoderDecoderEngine
from workflow_scripts.engines.protocol import Completion, Sampling, in_order
from workflow_scripts.engines.select import open_engine
from workflow_scripts.modeling import encoder_decoder_forcing
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.prompts.rendering import EncoderDecoderRenderer, Rendering
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json

QUESTIONS = ["cat", "What is the plural of knife?", "a box and a dog", "child", "apple apples box"]
ANSWERS = ["cats", "knives", "boxes dogs", "", "natalia sold 48 clips in may"]
# what the decoder reads before an answer
PREFIXES = {
    "bart": (2, 0),
    "led": (2,),
    "longt5": (0,),
    "mt5": (0,),
    "pegasus": (0,),
    "t5": (0,),
    "t5gemma": (2,),
    "t5gemma2": (2,),
    "umt5": (0,),
}


def of_each_type(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("family", ENCODER_DECODERS)(test)


@pytest.fixture
def family() -> str:
    """Of a test that names none."""
    return "t5"


@pytest.fixture
def tokenizer(
    family: str, encoder_decoder_tokenizers: dict[str, PreTrainedTokenizerBase]
) -> PreTrainedTokenizerBase:
    return encoder_decoder_tokenizers[family]


@pytest.fixture
def renderings(tokenizer: PreTrainedTokenizerBase) -> list[Rendering]:
    return EncoderDecoderRenderer(tokenizer, PromptSettings()).render(QUESTIONS, ANSWERS)


@pytest.fixture
def prompts(renderings: Sequence[Rendering]) -> list[tuple[int, ...]]:
    return [rendering.prompt_ids for rendering in renderings]


@pytest.fixture
def saved(local_model: Callable[[str], LocalModel], family: str) -> LocalModel:
    """In float64, where neither batches nor padding change what can be seen."""
    return replace(local_model(family), dtype="float64")


@pytest.fixture
def t5(saved: LocalModel) -> LocalModel:
    return saved


def next_logits(model: PreTrainedModel, prompt: Sequence[int], decoded: Sequence[int]) -> Tensor:
    """Logits before each decoded token, and after the last, in float32 as the engine's."""
    prefix = PREFIXES[model.config.model_type]
    with torch.no_grad():
        return (
            model(
                input_ids=torch.tensor([prompt]),
                decoder_input_ids=torch.tensor([[*prefix, *decoded]]),
                use_cache=False,
            )
            .logits[0, len(prefix) - 1 :]
            .float()
        )


def greedy_ids(
    model: PreTrainedModel, prompt: Sequence[int], new_tokens: int, end: int
) -> list[int]:
    ids: list[int] = []
    while len(ids) < new_tokens and end not in ids:
        ids.append(int(next_logits(model, prompt, ids)[-1].argmax()))
    return ids


def texts(answers: Iterable[tuple[int, Completion]]) -> list[str]:
    return [completion.text for completion in in_order(answers)]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@of_each_type
def test_generation_is_greedy_whatever_the_batch(saved, family, tokenizer, prompts, batch_size):
    found = texts(
        EncoderDecoderEngine(saved, batch_size, {}).generate(
            prompts, GenerationSettings(max_new_tokens=9), [None] * len(prompts)
        )
    )
    model = tiny_model(family, torch.float64)
    assert found == [
        tokenizer.decode(
            greedy_ids(model, prompt, 9, tokenizer.eos_token_id), skip_special_tokens=True
        )
        for prompt in prompts
    ]
    assert len(set(found)) > 1


@of_each_type
def test_generation_is_that_of_transformers_with_the_models_own_config(
    saved, family, tokenizer, prompts
):
    engine = EncoderDecoderEngine(saved, 3, {})
    found = texts(
        engine.generate(prompts, GenerationSettings(max_new_tokens=9), [None] * len(prompts))
    )
    model, forced = tiny_model(family, torch.float64), len(PREFIXES[family]) - 1
    for prompt, text in zip(prompts, found, strict=True):
        row = model.generate(torch.tensor([prompt]), max_new_tokens=9 + forced, do_sample=False)[0]
        assert tuple(row[: forced + 1].tolist()) == PREFIXES[family]
        assert text == tokenizer.decode(row[forced + 1 :], skip_special_tokens=True)


def test_every_end_token_of_the_generation_config_ends_an_answer(saved, tokenizer, prompts):
    engine = EncoderDecoderEngine(saved, 8, {})
    (whole,) = texts(engine.generate(prompts[:1], GenerationSettings(max_new_tokens=9), [None]))
    ids = greedy_ids(tiny_model("t5", torch.float64), prompts[0], 9, tokenizer.eos_token_id)
    file = saved.folder / "generation_config.json"
    write_json(file, read_json(file) | {"eos_token_id": [tokenizer.eos_token_id, ids[4]]})
    engine = EncoderDecoderEngine(saved, 8, {})
    (cut,) = texts(engine.generate(prompts[:1], GenerationSettings(max_new_tokens=9), [None]))
    assert cut == tokenizer.decode(ids[: ids.index(ids[4])], skip_special_tokens=True) != whole


def test_generation_ends_before_a_stop_text(t5, prompts):
    engine = EncoderDecoderEngine(t5, 8, {})
    (whole,) = texts(engine.generate(prompts[:1], GenerationSettings(max_new_tokens=9), [None]))
    mark = whole[-2:]
    stopping = GenerationSettings(max_new_tokens=9, stop=(mark,))
    (cut,) = texts(engine.generate(prompts[:1], stopping, [None]))
    assert cut == whole[: whole.index(mark)]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@of_each_type
def test_losses_are_those_of_a_plain_pass(saved, family, renderings, batch_size):
    engine = EncoderDecoderEngine(saved, batch_size, {})
    found = in_order(engine.token_losses(renderings, [None] * len(renderings)))
    model = tiny_model(family, torch.float64)
    for rendering, nats in zip(renderings, found, strict=True):
        answer = rendering.answer_ids
        logits = next_logits(model, rendering.prompt_ids, answer[:-1])
        expected = cross_entropy(logits, torch.tensor(answer), reduction="none")
        assert nats == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("family", ["bart"])
def test_a_first_token_that_the_model_says_unforced_is_given_too(saved, tokenizer, renderings):
    """The `<s>` that a BART writes by itself is no part of an answer."""
    model, said = tiny_model("bart", torch.float64), tokenizer.bos_token_id
    model.generation_config.forced_bos_token_id = None
    model.final_logits_bias[0, said] = 1000
    model.save_pretrained(saved.folder)
    (found,) = in_order(EncoderDecoderEngine(saved, 8, {}).token_losses(renderings[1:2], [None]))
    answer = renderings[1].answer_ids
    logits = next_logits(model, renderings[1].prompt_ids, answer[:-1])
    expected = cross_entropy(logits, torch.tensor(answer), reduction="none")
    assert found == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("family", ["t5", "mt5", "umt5"])
def test_a_head_of_its_own_is_scored_as_it_is(saved, family, renderings):
    """FLAN-T5's: neither tied to the embeddings nor are its inputs scaled."""
    model = tiny_model(family, torch.float64)
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) / 8)
    model.config.scale_decoder_outputs = False
    model.save_pretrained(saved.folder)
    (found,) = in_order(EncoderDecoderEngine(saved, 8, {}).token_losses(renderings[1:2], [None]))
    answer = renderings[1].answer_ids
    with torch.no_grad():
        prompt = model.encoder(torch.tensor([renderings[1].prompt_ids])).last_hidden_state
        decoded = torch.tensor([[0, *answer[:-1]]])
        states = model.decoder(input_ids=decoded, encoder_hidden_states=prompt).last_hidden_state[0]
        logits = (states @ model.lm_head.weight.T).float()
    expected = cross_entropy(logits, torch.tensor(answer), reduction="none")
    assert found == pytest.approx(expected.tolist(), rel=1e-5)


def test_a_prompt_that_several_answers_follow_is_encoded_once(
    t5, tokenizer, monkeypatch: pytest.MonkeyPatch
):
    renderer = EncoderDecoderRenderer(tokenizer, PromptSettings())
    asked = ["cat", "dog or box"]
    labels = ["cats", "dogs", "children of natalia"]
    renderings = [one for q in asked for one in renderer.render([q] * 3, labels)]
    encoded = []
    padded = encoder_decoder_forcing.padded

    def counted(ids, device):
        encoded.extend(row for row in ids if row in {r.prompt_ids for r in renderings})
        return padded(ids, device)

    monkeypatch.setattr(encoder_decoder_forcing, "padded", counted)
    engine = EncoderDecoderEngine(t5, 2, {})
    together = in_order(engine.token_losses(renderings, [None] * 6))
    assert sorted(encoded) == sorted({rendering.prompt_ids for rendering in renderings})
    apart = [in_order(engine.token_losses([one], [None]))[0] for one in renderings]
    for found, expected in zip(together, apart, strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_checkpoints_of_an_encoder_decoder_are_refused(t5, tmp_path: Path):
    with pytest.raises(InputError, match="t5: an encoder-decoder only teaches"):
        EncoderDecoderEngine(t5, 2, {"step-1": tmp_path})


@pytest.mark.parametrize("kind", ["auto", "vllm"])
def test_an_encoder_decoder_gets_its_engine_whatever_is_asked_for(
    t5, tmp_path: Path, capsys: pytest.CaptureFixture[str], prompts, kind
):
    settings = EngineSettings(kind=kind, batch_size=2, server=None)
    with open_engine(t5, settings, {}, tmp_path) as engine:
        assert capsys.readouterr().out == "engine: transformers (an encoder-decoder)\n"
        generation = GenerationSettings(max_new_tokens=2)
        assert len(in_order(engine.generate(prompts[:1], generation, [None]))) == 1


def test_equal_seeds_sample_equal_answers_whatever_the_batch(t5, prompts):
    drawn, generation = Sampling(1.0, (3, 4, 5, 6, 7)), GenerationSettings(max_new_tokens=9)
    found = [
        in_order(
            EncoderDecoderEngine(t5, size, {}).generate(prompts, generation, [None] * 5, drawn)
        )
        for size in (1, 2, 5)
    ]
    assert found[0] == found[1] == found[2]
    greedy = in_order(EncoderDecoderEngine(t5, 5, {}).generate(prompts, generation, [None] * 5))
    assert found[0] != greedy
