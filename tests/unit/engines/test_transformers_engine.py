from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from scipy.stats import chisquare
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny_models import (
    FAMILIES,
    HYBRIDS,
    MIXTURES,
    PLAIN,
    RECURRENT,
    VOCABULARY,
    WINDOWED,
    tiny_model,
)
from tests.unit.engines.conftest import bias_trained, fully_trained
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.engines.protocol import Completion, Sampling, in_order
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.modeling import checkpoint_switch, prefix_cache
from workflow_scripts.modeling.loading import LocalModel, weights_in
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.training.adapters import save_checkpoint, student_of

SaveModel = Callable[[str], LocalModel]
SaveCheckpoint = Callable[[str, int], Path]

LONG = GenerationSettings(max_new_tokens=12)
END = 2  # <|im_end|>


def random_ids(length: int, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(5, VOCABULARY, (length,), generator=generator).tolist())


@pytest.fixture
def prompts() -> list[tuple[int, ...]]:
    """Prompts of several lengths after one shared prefix."""
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


def plain_losses(model: PreTrainedModel, rendering: Rendering) -> list[float]:
    """From the logits of every position of the whole sequence."""
    with torch.no_grad():
        logits = model(torch.tensor([rendering.ids])).logits[0, rendering.prompt : -1]
    return cross_entropy(logits, torch.tensor(rendering.answer_ids), reduction="none").tolist()


def complete(
    engine: TransformersEngine,
    prompts: Sequence[Sequence[int]],
    checkpoint: str | None = None,
    stop: Sequence[str] = (),
) -> list[str]:
    generation = GenerationSettings(max_new_tokens=12, stop=tuple(stop))
    return texts(engine.generate(prompts, generation, [checkpoint] * len(prompts)))


def texts(answers: Iterable[tuple[int, Completion]]) -> list[str]:
    return [completion.text for completion in in_order(answers)]


def losses(
    engine: TransformersEngine, renderings: Sequence[Rendering], checkpoint: str | None = None
) -> list[list[float]]:
    return in_order(engine.token_losses(renderings, [checkpoint] * len(renderings)))


def close_to(expected: Sequence[Sequence[float]]) -> list[object]:
    return [pytest.approx(nats, rel=1e-5, abs=1e-6) for nats in expected]


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_generation_after_a_shared_prefix_equals_plain_decoding(
    family, local_model: SaveModel, smollm2_tokenizer, prompts
):
    completions = complete(TransformersEngine(local_model(family), 2, {}), prompts)
    expected = plainly_generated(tiny_model(family), smollm2_tokenizer, prompts, 12)
    assert completions == expected
    assert len(set(completions)) > 1


@pytest.mark.parametrize(
    ("family", "shared"),
    [
        *product([*FAMILIES, *WINDOWED, *HYBRIDS, *RECURRENT], [20, 3]),
        *product([*PLAIN, *MIXTURES], [3]),
    ],
)
def test_no_answer_depends_on_the_batch(family, shared, local_model: SaveModel, smollm2_tokenizer):
    """Suffixes shorter than others by more than the prefix, or a sliding window, is long."""
    prefix = random_ids(shared, seed=0)
    prompts = [prefix + random_ids(length, seed=length) for length in (1, 12, 3, 16, 7, 9, 5, 4)]
    expected = plainly_generated(tiny_model(family), smollm2_tokenizer, prompts, 6)
    assert len(set(expected)) > 1
    model = local_model(family)
    for batch_size in (2, 4, 8):
        answers = TransformersEngine(model, batch_size, {}).generate(
            prompts, GenerationSettings(max_new_tokens=6), [None] * len(prompts)
        )
        assert texts(answers) == expected


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "qwen3_next"])
def test_prompts_with_different_documents_are_completed_as_alone(
    family, local_model: SaveModel, smollm2_tokenizer, monkeypatch
):
    monkeypatch.setattr(prefix_cache, "PAYS", 8)
    monkeypatch.setattr(prefix_cache, "PAYS_PER_STEP", 0)
    shared, documents = random_ids(5, seed=0), [random_ids(30, seed=n) for n in (1, 2, 3)]
    prompts = [
        (*shared, *(documents[n % 3] if n % 4 else ()), *random_ids(3 + n % 5, seed=n))
        for n in range(14)
    ]
    engine = TransformersEngine(local_model(family), 3, {})
    expected = plainly_generated(tiny_model(family), smollm2_tokenizer, prompts, 12)
    assert complete(engine, prompts) == expected
    assert len(set(expected)) > 1


@pytest.mark.parametrize("family", [*FAMILIES, *WINDOWED, *HYBRIDS, *RECURRENT])
def test_each_answer_token_s_loss_equals_the_plain_forward(
    family, local_model: SaveModel, renderings
):
    measured = losses(TransformersEngine(local_model(family), 2, {}), renderings)
    model = tiny_model(family)
    assert measured == close_to([plain_losses(model, r) for r in renderings])


def test_prompts_that_share_nothing_are_completed_too(local_model: SaveModel, smollm2_tokenizer):
    prompts = [random_ids(6, seed=1), random_ids(3, seed=2)]
    completions = complete(TransformersEngine(local_model("llama"), 2, {}), prompts)
    assert completions == plainly_generated(tiny_model("llama"), smollm2_tokenizer, prompts, 12)


def test_equal_prompts_get_equal_completions(local_model: SaveModel):
    prompt = random_ids(6, seed=1)
    first, second = complete(TransformersEngine(local_model("llama"), 1, {}), [prompt] * 2)
    assert first == second


def test_no_prompts_give_no_completions(local_model: SaveModel):
    engine = TransformersEngine(local_model("llama"), 2, {})
    assert complete(engine, []) == []
    assert losses(engine, []) == []


def test_a_completion_is_cut_before_the_first_stop_text(local_model: SaveModel, prompts):
    engine = TransformersEngine(local_model("llama"), 2, {})
    whole = complete(engine, prompts)
    stop = whole[0][3:5]
    stopped = complete(engine, prompts, stop=[stop])
    assert stopped == [text.split(stop)[0] for text in whole]
    assert stopped[0] != whole[0]


def test_a_stop_text_ends_the_generation_of_its_row(
    local_model: SaveModel, prompts, monkeypatch: pytest.MonkeyPatch
):
    engine = TransformersEngine(local_model("llama"), 1, {})
    stop = complete(engine, prompts[:1])[0][:2]
    passes = []
    forward = engine._model.forward
    monkeypatch.setattr(
        engine._model, "forward", lambda *a, **k: (passes.append(1), forward(*a, **k))[1]
    )
    complete(engine, prompts[:1], stop=[stop])
    assert len(passes) <= 3


def test_a_stop_text_in_the_prompt_does_not_end_the_completion(
    local_model: SaveModel, smollm2_tokenizer, prompts
):
    engine = TransformersEngine(local_model("llama"), 1, {})
    whole = complete(engine, prompts[:1])[0]
    across = smollm2_tokenizer.decode(prompts[0][-1:]) + whole[0]
    assert across not in whole
    assert complete(engine, prompts[:1], stop=[across]) == [whole]


def test_a_completion_ends_at_the_models_own_end_token(
    local_model: SaveModel, smollm2_tokenizer, prompts
):
    generated = greedy_ids(tiny_model("llama"), prompts[0], 4)
    model = local_model("llama")
    (model.folder / "generation_config.json").write_text(f'{{"eos_token_id": {generated[3]}}}')
    ended = complete(TransformersEngine(model, 2, {}), prompts[:1])
    assert ended == [smollm2_tokenizer.decode(generated[:3])]


def test_generation_is_greedy_whatever_the_models_own_config_says(local_model: SaveModel, prompts):
    model = local_model("llama")
    whole = complete(TransformersEngine(model, 2, {}), prompts)
    (model.folder / "generation_config.json").write_text(
        '{"do_sample": true, "temperature": 5.0, "repetition_penalty": 9.0, "eos_token_id": 2}'
    )
    assert complete(TransformersEngine(model, 2, {}), prompts) == whole


def test_each_adapter_answers_as_peft_alone_would(
    local_model: SaveModel, adapter: SaveCheckpoint, smollm2_tokenizer, prompts, renderings
):
    folders = {"one": adapter("llama", 1), "two": adapter("llama", 2)}
    engine = TransformersEngine(local_model("llama"), 2, folders)
    for name, folder in folders.items():
        alone = PeftModel.from_pretrained(tiny_model("llama"), folder).eval()
        assert complete(engine, prompts, name) == plainly_generated(
            alone, smollm2_tokenizer, prompts, 12
        )
        expected = [plain_losses(alone, r) for r in renderings]
        assert losses(engine, renderings, name) == close_to(expected)


@pytest.mark.parametrize("family", ["gpt_oss", "deepseek_v3"])
def test_adapters_of_a_mixture_answer_side_by_side_as_each_alone(
    family, local_model: SaveModel, smollm2_tokenizer, prompts, renderings, tmp_path: Path
):
    """Those of experts lie in `target_parameters`, those of attention alone do not."""
    folders = {}
    for seed, modules in enumerate(("all-linear", "all-linear", "attention")):
        adapter = LoraSettings(rank=4, target_modules=modules)
        student = student_of(adapter, tiny_model(family))
        torch.manual_seed(seed)
        with torch.no_grad():
            for name, weight in student.named_parameters():
                if ".lora_B." in name:
                    weight.normal_(std=0.5)
        folders[f"{modules}-{seed}"] = tmp_path / f"{modules}-{seed}"
        save_checkpoint(adapter, student, folders[f"{modules}-{seed}"], torch.float32)
    model = local_model(family)
    engine = TransformersEngine(model, 2, folders)
    alone: dict[str | None, Any] = {None: tiny_model(family)} | {
        name: PeftModel.from_pretrained(tiny_model(family), folder).eval()
        for name, folder in folders.items()
    }
    expected = {None: losses(TransformersEngine(model, 2, {}), renderings)} | {
        name: losses(TransformersEngine(model, 2, {name: folder}), renderings, name)
        for name, folder in folders.items()
    }
    # each is asked again after the others
    for name in [*folders, None, *reversed(folders), None]:
        assert losses(engine, renderings, name) == expected[name]
    mixed = [*folders, None, "attention-2"]
    answers = texts(engine.generate(prompts, GenerationSettings(max_new_tokens=4), mixed))
    assert answers == [
        plainly_generated(alone[name], smollm2_tokenizer, [prompt], 4)[0]
        for name, prompt in zip(mixed, prompts, strict=True)
    ]


def test_answers_come_batch_by_batch_the_longest_first(
    local_model: SaveModel, prompts, monkeypatch: pytest.MonkeyPatch
):
    engine = TransformersEngine(local_model("llama"), 2, {})
    batches = []
    run = engine._continue
    monkeypatch.setattr(engine, "_continue", lambda *a: (batches.append(1), run(*a))[1])
    answers = engine.generate(prompts, LONG, [None] * len(prompts))
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    assert [next(answers)[0] for _ in range(3)] == order[:3]
    assert len(batches) == 2


def test_reading_answers_leaves_torch_as_it_was(local_model: SaveModel, prompts):
    answers = TransformersEngine(local_model("llama"), 2, {}).generate(prompts, LONG, [None] * 5)
    next(answers)
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("family", ["llama", "opt"])  # tied and untied output heads
def test_a_whole_model_answers_as_it_would_alone(
    family,
    local_model: SaveModel,
    whole_model: SaveCheckpoint,
    smollm2_tokenizer,
    prompts,
    renderings,
):
    engine = TransformersEngine(local_model(family), 2, {"full": whole_model(family, 1)})
    alone = fully_trained(family, 1)
    assert complete(engine, prompts, "full") == plainly_generated(
        alone, smollm2_tokenizer, prompts, 12
    )
    expected = [plain_losses(alone, r) for r in renderings]
    assert losses(engine, renderings, "full") == close_to(expected)


@pytest.mark.parametrize("family", ["opt", "gpt2"])
def test_bias_terms_answer_as_the_model_that_has_them(
    family, local_model: SaveModel, biases: SaveCheckpoint, smollm2_tokenizer, prompts, renderings
):
    folders = {"one": biases(family, 1), "two": biases(family, 2)}
    engine = TransformersEngine(local_model(family), 2, folders)
    for seed, name in enumerate(folders, start=1):
        alone = bias_trained(family, seed)
        assert complete(engine, prompts, name) == plainly_generated(
            alone, smollm2_tokenizer, prompts, 12
        )
        expected = [plain_losses(alone, r) for r in renderings]
        assert losses(engine, renderings, name) == close_to(expected)


def test_checkpoints_of_every_kind_mixed_in_one_call_answer_as_each_alone(
    local_model: SaveModel,
    adapter: SaveCheckpoint,
    biases: SaveCheckpoint,
    whole_model: SaveCheckpoint,
    prompts,
    renderings,
):
    folders = {
        "adapter": adapter("opt", 1),
        "full": whole_model("opt", 2),
        "other": whole_model("opt", 3),
        "biases": biases("opt", 4),
    }
    names = ["full", None, "adapter", "biases", "other", None, "adapter", "full"]
    engine = TransformersEngine(local_model("opt"), 2, folders)
    mixed = in_order(engine.token_losses([renderings[0]] * 8, names))
    said = texts(engine.generate([prompts[0]] * 8, LONG, names))
    for name, nats, text in zip(names, mixed, said, strict=True):
        own = {} if name is None else {name: folders[name]}
        alone = TransformersEngine(local_model("opt"), 2, own)
        assert nats == pytest.approx(losses(alone, renderings[:1], name)[0], rel=1e-5)
        assert text == complete(alone, prompts[:1], name)[0]


def test_a_whole_model_is_read_once_for_all_that_it_answers(
    local_model: SaveModel,
    whole_model: SaveCheckpoint,
    renderings,
    monkeypatch: pytest.MonkeyPatch,
):
    engine = TransformersEngine(local_model("llama"), 2, {"full": whole_model("llama", 1)})
    read = []

    def counted(folder: Path, auto_class: Any, dtype: str) -> Any:
        read.append(folder.name)
        return weights_in(folder, auto_class, dtype)

    monkeypatch.setattr(checkpoint_switch, "weights_in", counted)
    in_order(engine.token_losses(renderings[:4], ["full", None, "full", None]))
    assert read == ["llama-whole-1", "llama"]


def test_the_untouched_model_is_restored_after_every_checkpoint(
    local_model: SaveModel,
    adapter: SaveCheckpoint,
    biases: SaveCheckpoint,
    whole_model: SaveCheckpoint,
    prompts,
    renderings,
):
    base = TransformersEngine(local_model("opt"), 2, {})
    before = complete(base, prompts), losses(base, renderings)
    folders = {
        "adapter": adapter("opt", 1),
        "biases": biases("opt", 1),
        "full": whole_model("opt", 1),
    }
    engine = TransformersEngine(local_model("opt"), 2, folders)
    for name in folders:
        assert losses(engine, renderings, name) != before[1]
        assert (complete(engine, prompts), losses(engine, renderings)) == before


def test_the_untouched_model_is_restored_when_nobody_reads_on(
    local_model: SaveModel, biases: SaveCheckpoint, renderings
):
    engine = TransformersEngine(local_model("opt"), 2, {"biases": biases("opt", 1)})
    before = losses(engine, renderings)
    answers = engine.token_losses(renderings, ["biases"] * len(renderings))
    next(answers)
    answers.close()
    assert losses(engine, renderings) == before


def test_bias_terms_take_the_dtype_of_the_model(
    local_model: SaveModel, biases: SaveCheckpoint, renderings
):
    model = replace(local_model("opt"), dtype="bfloat16")
    engine = TransformersEngine(model, 2, {"biases": biases("opt", 1)})
    alone = bias_trained("opt", 1).to(torch.bfloat16)
    expected = [pytest.approx(plain_losses(alone, r), rel=0.05, abs=0.2) for r in renderings]
    assert losses(engine, renderings, "biases") == expected


def test_a_folder_without_a_checkpoint_is_refused(local_model: SaveModel, tmp_path: Path):
    with pytest.raises(InputError, match="nothing-here: not a checkpoint"):
        TransformersEngine(local_model("llama"), 2, {"x": tmp_path / "nothing-here"})


def test_an_adapter_of_another_model_is_refused(local_model: SaveModel, adapter: SaveCheckpoint):
    with pytest.raises(InputError, match="not a checkpoint of this model"):
        TransformersEngine(local_model("llama"), 2, {"x": adapter("gpt2", 1)})


def test_a_whole_model_of_another_kind_is_refused(
    local_model: SaveModel, whole_model: SaveCheckpoint, renderings
):
    engine = TransformersEngine(local_model("llama"), 2, {"x": whole_model("gpt2", 1)})
    with pytest.raises(InputError, match="not a checkpoint of this model"):
        losses(engine, renderings, "x")


def test_bias_terms_of_another_model_are_refused(local_model: SaveModel, biases: SaveCheckpoint):
    with pytest.raises(InputError, match=r"not a checkpoint of this model \(it has no transformer"):
        TransformersEngine(local_model("opt"), 2, {"x": biases("gpt2", 1)})


# --- completions and losses from one reading ----------------------------------------------


def asked_about(prompts: Sequence[tuple[int, ...]], said: Sequence[Sequence[int]]) -> list[Any]:
    """Questions with an answer of several tokens, an empty one, and one as greedy decoding says."""
    answers = [(random_ids(1 + n % 5, seed=90 + n), (), tuple(ids)) for n, ids in enumerate(said)]
    return [
        [
            Rendering(
                ids=(*prompt, *answer, END),
                question=1,
                query=len(prompt) - 2,
                prompt=len(prompt) - 1,
            )
            for answer in of_prompt
        ]
        for prompt, of_prompt in zip(prompts, answers, strict=True)
    ]


def both_ways(
    engine: TransformersEngine, questions: Sequence[Any], generation: GenerationSettings, name: Any
) -> tuple[Any, Any]:
    """Completions and losses from `complete`, and from the calls for each."""
    names = [name] * len(questions)
    together = in_order(engine.complete(questions, generation, names))
    prompts = [question[0].prompt_ids for question in questions]
    apart = in_order(engine.generate(prompts, generation, names))
    nats = [losses(engine, question, name) for question in questions]
    return together, list(zip(apart, nats, strict=True))


@pytest.mark.parametrize(
    ("family", "shared"),
    [*product([*FAMILIES, *WINDOWED], [20, 3]), *product([*PLAIN, *MIXTURES], [3])],
)
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_one_reading_completes_and_scores_as_apart(
    family, shared, batch_size, local_model: SaveModel
):
    prefix = random_ids(shared, seed=0)
    prompts = [prefix + random_ids(length, seed=length) for length in (1, 12, 3, 16, 7, 9, 5, 4)]
    engine = TransformersEngine(local_model(family), batch_size, {})
    if not engine.reads_prompts_once:
        pytest.skip("it caches other states too")
    said = [greedy_ids(tiny_model(family), prompt, 4) for prompt in prompts]
    questions = asked_about(prompts, said)
    together, apart = both_ways(engine, questions, GenerationSettings(max_new_tokens=6), None)
    for (completion, nats), (alone, plainly) in zip(together, apart, strict=True):
        assert completion == alone
        assert nats == close_to(plainly)
    assert len({completion.text for completion, _ in together}) > 1


@pytest.mark.parametrize("new_tokens", [1, 4, 12])
def test_ends_stop_texts_and_cuts_are_the_same_in_one_reading(
    new_tokens, local_model: SaveModel, prompts
):
    model = local_model("llama")
    fourth = greedy_ids(tiny_model("llama"), prompts[0], 4)[3]
    (model.folder / "generation_config.json").write_text(f'{{"eos_token_id": {fourth}}}')
    engine = TransformersEngine(model, 2, {})
    stop = complete(engine, prompts)[1][2:4]
    said = [greedy_ids(tiny_model("llama"), prompt, 12) for prompt in prompts]
    generation = GenerationSettings(max_new_tokens=new_tokens, stop=(stop,))
    together, apart = both_ways(engine, asked_about(prompts, said), generation, None)
    assert [one.completion for one in together] == [completion for completion, _ in apart]


def test_every_kind_of_checkpoint_completes_and_scores_as_apart(
    local_model: SaveModel,
    adapter: SaveCheckpoint,
    biases: SaveCheckpoint,
    whole_model: SaveCheckpoint,
    prompts,
):
    folders = {
        "adapter": adapter("opt", 1),
        "other": adapter("opt", 2),
        "full": whole_model("opt", 2),
        "biases": biases("opt", 4),
    }
    engine = TransformersEngine(local_model("opt"), 2, folders)
    questions = asked_about(prompts, [greedy_ids(tiny_model("opt"), ids, 4) for ids in prompts])
    found = {}
    for name in [None, *folders]:
        together, apart = both_ways(engine, questions, LONG, name)
        assert [one.completion for one in together] == [completion for completion, _ in apart]
        found[name] = together
    mixed = [None, *folders]
    answers = in_order(engine.complete(questions, LONG, mixed))
    for place, (name, one) in enumerate(zip(mixed, answers, strict=True)):
        assert one.completion == found[name][place].completion
        assert one.losses == close_to(found[name][place].losses)


def shapes_read(engine: TransformersEngine) -> list[tuple[int, ...]]:
    """Grows by the shape of the tokens, (rows, columns), at every pass from now on."""
    shapes: list[tuple[int, ...]] = []
    engine._model.register_forward_pre_hook(
        lambda _, __, inputs: shapes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    return shapes


def test_a_prompt_is_read_once_and_an_answer_that_is_said_is_not_generated(
    local_model: SaveModel, prompts
):
    engine = TransformersEngine(local_model("llama"), 8, {})
    prompt = prompts[0]
    said = greedy_ids(tiny_model("llama"), prompt, 12)
    question = Rendering((*prompt, *said, END), 1, len(prompt) - 2, len(prompt) - 1)
    read = shapes_read(engine)
    in_order(engine.complete([[question]], LONG, [None]))
    assert read == [(1, len(prompt)), (1, len(said))]


def test_rows_that_are_finished_leave_the_batch(local_model: SaveModel, prompts):
    model = local_model("llama")
    ids = [greedy_ids(tiny_model("llama"), prompt, 12) for prompt in prompts]
    ends = {ids[0][1], END}
    (model.folder / "generation_config.json").write_text(f'{{"eos_token_id": {ids[0][1]}}}')
    engine = TransformersEngine(model, 8, {})
    read = shapes_read(engine)
    complete(engine, prompts)
    steps = [next((n for n, t in enumerate(row) if t in ends), 11) + 1 for row in ids]
    assert [rows for rows, _ in read] == [
        sum(step > n for step in steps) for n in range(max(steps))
    ]
    assert len({rows for rows, _ in read}) > 1


@pytest.mark.parametrize("family", [*HYBRIDS, *RECURRENT])
def test_models_with_other_states_are_read_for_each(family, local_model: SaveModel):
    assert not TransformersEngine(local_model(family), 2, {}).reads_prompts_once


# --- sampling -----------------------------------------------------------------------------


def sample(
    engine: TransformersEngine,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    new_tokens: int = 12,
) -> list[Completion]:
    generation = GenerationSettings(max_new_tokens=new_tokens)
    return in_order(engine.generate(prompts, generation, [None] * len(prompts), sampling))


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_sampled_tokens_have_the_probabilities_of_the_softmax(
    temperature, local_model: SaveModel, smollm2_tokenizer, prompts, monkeypatch: pytest.MonkeyPatch
):
    """Chi-square of 4000 first tokens; those that are too rare for it are one class."""
    engine = TransformersEngine(local_model("llama"), 500, {})
    drawn: list[int] = []
    decode = engine._decoder.completion
    monkeypatch.setattr(
        engine._decoder,
        "completion",
        lambda ids, stop: (drawn.append(ids[0]), decode(ids, stop))[1],
    )
    sample(engine, [prompts[0]] * 4000, Sampling(temperature, tuple(range(4000))), new_tokens=1)
    with torch.no_grad():
        logits = tiny_model("llama")(torch.tensor([prompts[0]])).logits[0, -1].double()
    expected = 4000 * torch.softmax(logits / temperature, -1).numpy()
    observed = np.bincount(drawn, minlength=len(expected))
    common = expected >= 5
    assert common.sum() > 5
    classes = [np.append(n[common], n[~common].sum()) for n in (observed, expected)]
    assert chisquare(*classes).pvalue > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_seeds_sample_equal_answers_whatever_the_batch(
    family, local_model: SaveModel, prompts
):
    model, drawn = local_model(family), Sampling(1.0, (3, 4, 5, 6, 7))
    found = [sample(TransformersEngine(model, size, {}), prompts, drawn) for size in (1, 2, 5)]
    assert found[0] == found[1] == found[2]
    other = sample(TransformersEngine(model, 5, {}), prompts, Sampling(1.0, (8, 9, 10, 11, 12)))
    assert all(one.text != two.text for one, two in zip(found[0], other, strict=True))


def test_one_prompt_with_several_seeds_has_several_answers(local_model: SaveModel, prompts):
    engine = TransformersEngine(local_model("llama"), 2, {})
    one, two, again = sample(engine, [prompts[0]] * 3, Sampling(1.0, (1, 2, 1)))
    assert one == again != two


def test_sampling_at_a_temperature_near_zero_is_greedy(local_model: SaveModel, prompts):
    engine = TransformersEngine(local_model("llama"), 2, {})
    found = sample(engine, prompts, Sampling(1e-6, (1, 2, 3, 4, 5)))
    assert [completion.text for completion in found] == complete(engine, prompts)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_an_answer_is_finished_if_an_end_token_or_a_stop_text_came(
    batch_size, local_model: SaveModel, prompts
):
    model = local_model("llama")
    third = greedy_ids(tiny_model("llama"), prompts[0], 4)[3]
    (model.folder / "generation_config.json").write_text(f'{{"eos_token_id": {third}}}')
    engine = TransformersEngine(model, batch_size, {})

    def finished(new_tokens: int, stop: Sequence[str] = ()) -> list[bool]:
        generation = GenerationSettings(max_new_tokens=new_tokens, stop=tuple(stop))
        found = in_order(engine.generate(prompts, generation, [None] * len(prompts)))
        return [completion.finished for completion in found]

    assert finished(3)[0] is False
    assert finished(4)[0] is True
    whole = [greedy_ids(tiny_model("llama"), prompt, 4) for prompt in prompts]
    assert finished(4) == [third in ids or END in ids for ids in whole]
    assert finished(3, stop=[complete(engine, prompts)[0][:2]])[0] is True
