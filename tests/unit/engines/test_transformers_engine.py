from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny_models import FAMILIES, VOCABULARY, tiny_model
from workflow_scripts.engines.loading import LocalModel
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.errors import InputError
from workflow_scripts.rendering import Rendering
from workflow_scripts.settings import GenerationSettings

SaveModel = Callable[[str], LocalModel]
SaveAdapter = Callable[[str, int], Path]

LONG = GenerationSettings(max_new_tokens=12)
END = 2  # <|im_end|>


def random_ids(length: int, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(5, VOCABULARY, (length,), generator=generator).tolist())


@pytest.fixture
def prompts() -> list[tuple[int, ...]]:
    """Of several lengths, after one shared prefix."""
    shared = random_ids(20, seed=0)
    return [shared + random_ids(length, seed=length) for length in (4, 9, 2, 7, 5)]


@pytest.fixture
def renderings(prompts: Sequence[tuple[int, ...]]) -> list[Rendering]:
    return [
        Rendering(
            ids=(*prompt, *random_ids(length, seed=90 + length), END),
            question=20,
            query=len(prompt) - 2,
            prompt=len(prompt) - 1,
        )
        for prompt, length in zip(prompts, (3, 1, 6, 2, 4), strict=True)
    ]


def greedy_ids(model: PreTrainedModel, prompt: Sequence[int], new_tokens: int) -> list[int]:
    """Token by token over the whole sequence: no cache, no batch, no padding."""
    ids = list(prompt)
    while len(ids) < len(prompt) + new_tokens and END not in ids[len(prompt) :]:
        with torch.no_grad():
            ids.append(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax().item())
    return ids[len(prompt) :]


def plainly_generated(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
) -> list[str]:
    completions = [greedy_ids(model, prompt, new_tokens) for prompt in prompts]
    return tokenizer.batch_decode(completions, skip_special_tokens=True)


def plain_loss(model: PreTrainedModel, rendering: Rendering) -> float:
    with torch.no_grad():
        logits = model(torch.tensor([rendering.ids])).logits[0, rendering.prompt : -1]
    return cross_entropy(logits, torch.tensor(rendering.answer_ids)).item()


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_generation_after_a_shared_prefix_equals_plain_decoding(
    family, local_model: SaveModel, smollm2_tokenizer, prompts
):
    completions = TransformersEngine(local_model(family), batch_size=2).generate(
        prompts, LONG, adapter=None
    )
    expected = plainly_generated(tiny_model(family), smollm2_tokenizer, prompts, 12)
    assert completions == expected
    assert len(set(completions)) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_answer_loss_equals_the_plain_forward(family, local_model: SaveModel, renderings):
    losses = TransformersEngine(local_model(family), batch_size=2).answer_loss(renderings, None)
    model = tiny_model(family)
    assert losses == pytest.approx([plain_loss(model, r) for r in renderings], rel=1e-5)


def test_prompts_that_share_nothing_are_completed_too(local_model: SaveModel, smollm2_tokenizer):
    prompts = [random_ids(6, seed=1), random_ids(3, seed=2)]
    completions = TransformersEngine(local_model("llama"), 2).generate(prompts, LONG, None)
    assert completions == plainly_generated(tiny_model("llama"), smollm2_tokenizer, prompts, 12)


def test_equal_prompts_get_equal_completions(local_model: SaveModel):
    prompt = random_ids(6, seed=1)
    first, second = TransformersEngine(local_model("llama"), 1).generate([prompt] * 2, LONG, None)
    assert first == second


def test_no_prompts_give_no_completions(local_model: SaveModel):
    engine = TransformersEngine(local_model("llama"), 2)
    assert engine.generate([], LONG, None) == []
    assert engine.answer_loss([], None) == []


def test_a_completion_is_cut_before_the_first_stop_text(local_model: SaveModel, prompts):
    engine = TransformersEngine(local_model("llama"), 2)
    whole = engine.generate(prompts, LONG, None)
    stop = whole[0][3:5]
    stopped = engine.generate(
        prompts, GenerationSettings(max_new_tokens=12, stop=(stop,)), adapter=None
    )
    assert stopped == [text.split(stop)[0] for text in whole]
    assert stopped[0] != whole[0]


def test_a_stop_text_ends_the_generation_of_its_row(
    local_model: SaveModel, prompts, monkeypatch: pytest.MonkeyPatch
):
    engine = TransformersEngine(local_model("llama"), 1)
    stop = engine.generate(prompts[:1], LONG, None)[0][:2]
    passes = []
    forward = engine._model.forward
    monkeypatch.setattr(
        engine._model, "forward", lambda *a, **k: (passes.append(1), forward(*a, **k))[1]
    )
    engine.generate(prompts[:1], GenerationSettings(max_new_tokens=12, stop=(stop,)), None)
    assert len(passes) <= 3


def test_a_stop_text_in_the_prompt_does_not_end_the_completion(
    local_model: SaveModel, smollm2_tokenizer, prompts
):
    engine = TransformersEngine(local_model("llama"), 1)
    whole = engine.generate(prompts[:1], LONG, None)[0]
    across = smollm2_tokenizer.decode(prompts[0][-1:]) + whole[0]
    assert across not in whole
    stopped = engine.generate(
        prompts[:1], GenerationSettings(max_new_tokens=12, stop=(across,)), None
    )
    assert stopped == [whole]


def test_a_completion_ends_at_the_models_own_end_token(
    local_model: SaveModel, smollm2_tokenizer, prompts
):
    generated = greedy_ids(tiny_model("llama"), prompts[0], 4)
    model = local_model("llama")
    (model.folder / "generation_config.json").write_text(f'{{"eos_token_id": {generated[3]}}}')
    ended = TransformersEngine(model, 2).generate(prompts[:1], LONG, None)
    assert ended == [smollm2_tokenizer.decode(generated[:3])]


def test_generation_is_greedy_whatever_the_models_own_config_says(local_model: SaveModel, prompts):
    model = local_model("llama")
    whole = TransformersEngine(model, 2).generate(prompts, LONG, None)
    (model.folder / "generation_config.json").write_text(
        '{"do_sample": true, "temperature": 5.0, "repetition_penalty": 9.0, "eos_token_id": 2}'
    )
    assert TransformersEngine(model, 2).generate(prompts, LONG, None) == whole


def test_each_adapter_answers_as_peft_alone_would(
    local_model: SaveModel, adapter: SaveAdapter, smollm2_tokenizer, prompts, renderings
):
    folders = {"one": adapter("llama", 1), "two": adapter("llama", 2)}
    engine = TransformersEngine(local_model("llama"), 2)
    for name, folder in folders.items():
        engine.add_adapter(name, folder)
    for name, folder in folders.items():
        alone = PeftModel.from_pretrained(tiny_model("llama"), folder).eval()
        assert engine.generate(prompts, LONG, name) == plainly_generated(
            alone, smollm2_tokenizer, prompts, 12
        )
        assert engine.answer_loss(renderings, name) == pytest.approx(
            [plain_loss(alone, r) for r in renderings], rel=1e-5
        )


def test_the_base_stays_untouched_after_adapters_are_added(
    local_model: SaveModel, adapter: SaveAdapter, prompts, renderings
):
    engine = TransformersEngine(local_model("llama"), 2)
    before = engine.generate(prompts, LONG, None), engine.answer_loss(renderings, None)
    engine.add_adapter("one", adapter("llama", 1))
    changed = engine.answer_loss(renderings, "one")
    after = engine.generate(prompts, LONG, None), engine.answer_loss(renderings, None)
    assert after == before
    assert changed != before[1]


def test_a_folder_without_an_adapter_is_refused(local_model: SaveModel, tmp_path: Path):
    with pytest.raises(InputError, match="nothing-here: not an adapter of this model"):
        TransformersEngine(local_model("llama"), 2).add_adapter("x", tmp_path / "nothing-here")


def test_an_adapter_of_another_model_is_refused(local_model: SaveModel, adapter: SaveAdapter):
    with pytest.raises(InputError, match="not an adapter of this model"):
        TransformersEngine(local_model("llama"), 2).add_adapter("x", adapter("gpt2", 1))
