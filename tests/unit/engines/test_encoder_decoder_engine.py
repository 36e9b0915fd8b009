"""A tiny T5 against plain passes of transformers: one sequence at a time, no cache, no padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny_models import tiny_model
from workflow_scripts.config.slices import EngineSettings
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.engines.encoder_decoder_engine import EncoderDecoderEngine
from workflow_scripts.engines.protocol import in_order
from workflow_scripts.engines.select import open_engine
from workflow_scripts.modeling import encoder_decoder_forcing
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.prompts.rendering import EncoderDecoderRenderer, Rendering
from workflow_scripts.runtime.errors import InputError

QUESTIONS = ["cat", "What is the plural of knife?", "a box and a dog", "child", "apple apples box"]
ANSWERS = ["cats", "knives", "boxes dogs", "", "natalia sold 48 clips in may"]
START, END = 0, 1


@pytest.fixture
def renderings(t5_tokenizer: PreTrainedTokenizerBase) -> list[Rendering]:
    return EncoderDecoderRenderer(t5_tokenizer, PromptSettings()).render(QUESTIONS, ANSWERS)


@pytest.fixture
def prompts(renderings: Sequence[Rendering]) -> list[tuple[int, ...]]:
    return [rendering.prompt_ids for rendering in renderings]


@pytest.fixture
def t5(local_model: Callable[[str], LocalModel]) -> LocalModel:
    """In float64, where neither batches nor padding change what can be seen."""
    return replace(local_model("t5"), dtype="float64")


def next_logits(model: PreTrainedModel, prompt: Sequence[int], decoded: Sequence[int]) -> Tensor:
    """Logits after each decoded token."""
    with torch.no_grad():
        return model(
            input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[START, *decoded]])
        ).logits[0]


def greedy_ids(model: PreTrainedModel, prompt: Sequence[int], new_tokens: int) -> list[int]:
    ids: list[int] = []
    while len(ids) < new_tokens and END not in ids:
        ids.append(int(next_logits(model, prompt, ids)[-1].argmax()))
    return ids


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_generation_is_greedy_whatever_the_batch(t5, t5_tokenizer, prompts, batch_size):
    found = in_order(
        EncoderDecoderEngine(t5, batch_size, {}).generate(
            prompts, GenerationSettings(max_new_tokens=9), [None] * len(prompts)
        )
    )
    model = tiny_model("t5", torch.float64)
    assert found == [
        t5_tokenizer.decode(greedy_ids(model, prompt, 9), skip_special_tokens=True)
        for prompt in prompts
    ]
    assert len(set(found)) > 1


def test_generation_ends_before_a_stop_text(t5, prompts):
    engine = EncoderDecoderEngine(t5, 8, {})
    (whole,) = in_order(engine.generate(prompts[:1], GenerationSettings(max_new_tokens=9), [None]))
    mark = whole[-2:]
    stopping = GenerationSettings(max_new_tokens=9, stop=(mark,))
    (cut,) = in_order(engine.generate(prompts[:1], stopping, [None]))
    assert cut == whole[: whole.index(mark)]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_losses_are_those_of_a_plain_pass(t5, renderings, batch_size):
    found = in_order(
        EncoderDecoderEngine(t5, batch_size, {}).token_losses(renderings, [None] * len(renderings))
    )
    model = tiny_model("t5", torch.float64)
    for rendering, nats in zip(renderings, found, strict=True):
        answer = rendering.answer_ids
        logits = next_logits(model, rendering.prompt_ids, answer[:-1])
        expected = cross_entropy(logits, torch.tensor(answer), reduction="none")
        assert nats == pytest.approx(expected.tolist(), rel=1e-5)


def test_a_head_of_its_own_is_scored_as_it_is(t5, renderings):
    """FLAN-T5's: neither tied to the embeddings nor scaled."""
    model = tiny_model("t5", torch.float64)
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) / 8)
    model.config.scale_decoder_outputs = False
    model.save_pretrained(t5.folder)
    (found,) = in_order(EncoderDecoderEngine(t5, 8, {}).token_losses(renderings[1:2], [None]))
    answer = renderings[1].answer_ids
    logits = next_logits(model, renderings[1].prompt_ids, answer[:-1])
    expected = cross_entropy(logits, torch.tensor(answer), reduction="none")
    assert found == pytest.approx(expected.tolist(), rel=1e-5)


def test_a_prompt_that_several_answers_follow_is_encoded_once(
    t5, t5_tokenizer, monkeypatch: pytest.MonkeyPatch
):
    renderer = EncoderDecoderRenderer(t5_tokenizer, PromptSettings())
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
