from __future__ import annotations

import subprocess
import sys

import pytest
from peft import LoraConfig, get_peft_model

from tests.model_support import served_by_vllm
from tests.tiny_models import save_tiny_model, tiny_model
from tests.tiny_tokenizers import build_tokenizer
from tests.vllm.conftest import CHECKPOINTS, GENERATION, ROOT, SHOTS, render, split
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.protocol import Sampling, in_order
from workflow_scripts.engines.select import _engine_for
from workflow_scripts.engines.vllm_engine import serves_adapters
from workflow_scripts.modeling.loading import open_model


def of(checkpoint, values, requests):
    return [value for value, (_, name) in zip(values, requests, strict=True) if name == checkpoint]


@pytest.mark.parametrize(("family", "served"), [("llama", True), ("gpt2", False), ("bitnet", True)])
def test_adapters_are_served_where_vllm_has_them_for_the_type(family, served, tmp_path):
    manifest = save_tiny_model(family, build_tokenizer(None), tmp_path)
    assert serves_adapters(open_model(manifest)) == served


def test_the_documented_types_are_those_that_vllm_serves():
    assert served_by_vllm() in (ROOT / "docs/models.md").read_text()


def test_a_type_whose_adapters_vllm_cannot_serve_is_for_transformers(tmp_path):
    manifest = save_tiny_model("gpt2", build_tokenizer(None), tmp_path / "gpt2")
    lora = LoraConfig(target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM")
    get_peft_model(tiny_model("gpt2"), lora).save_pretrained(tmp_path / "step-1")
    chosen = _engine_for(open_model(manifest), "vllm", {"step-1": tmp_path / "step-1"})
    assert chosen == ("transformers", "vllm serves no LoRA adapters of this type of model")


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_answers_of_a_mixed_batch_are_those_of_transformers(
    checkpoint, answers, expected, requests
):
    found = of(checkpoint, answers[0], requests)
    right = of(checkpoint, expected[0], requests)
    equal = sum(a == b for a, b in zip(found, right, strict=True))
    print(f"{checkpoint}: {equal} of {len(right)} answers are identical")
    assert equal >= 0.98 * len(right)


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_losses_of_a_mixed_batch_are_those_of_transformers(checkpoint, answers, expected, requests):
    found = of(checkpoint, answers[1], requests)
    right = of(checkpoint, expected[1], requests)
    assert [len(nats) for nats in found] == [len(nats) for nats in right]
    flat = [pair for a, b in zip(found, right, strict=True) for pair in zip(a, b, strict=True)]
    print(f"{checkpoint}: losses differ by {max(abs(a - b) for a, b in flat):.1e} at most")
    assert [a for a, _ in flat] == pytest.approx([b for _, b in flat], abs=1e-3)


def test_every_adapter_answers_in_its_own_way(expected, requests):
    """Without this, engines that ignore the adapters would agree."""
    ways = [tuple(of(checkpoint, expected[0], requests)) for checkpoint in CHECKPOINTS]
    for index, way in enumerate(ways):
        for other in ways[index + 1 :]:
            assert sum(a != b for a, b in zip(way, other, strict=True)) >= len(way) / 4


def test_answers_are_the_same_in_other_company(engine, answers, requests):
    prompts, _, names = split(requests)
    few = slice(5, 29)
    assert in_order(engine.generate(prompts[few], GENERATION, names[few])) == answers[0][few]


def test_shared_demonstrations_are_read_once(engine, model, monkeypatch):
    outputs = []
    run = engine._run
    monkeypatch.setattr(engine, "_run", lambda *a: outputs.extend(run(*a)) or iter(outputs))
    renderings = render(model, 16, SHOTS)
    in_order(engine.generate([r.prompt_ids for r in renderings], GENERATION, [None] * 16))
    # whole blocks are kept: 128 tokens each on a CPU
    block = engine._llm.llm_engine.vllm_config.cache_config.block_size
    shared = renderings[0].question // block * block
    found = sum(output.num_cached_tokens >= shared for _, output in outputs)
    print(f"{found} of 16 prompts found the {shared} tokens of {SHOTS} demonstrations")
    assert shared > 0
    assert found == 15


def test_a_completion_is_cut_before_the_first_stop_text(engine, requests):
    prompts = [rendering.prompt_ids for rendering, _ in requests[:4]]
    plain = GenerationSettings(max_new_tokens=12)
    whole = [answer.text for answer in in_order(engine.generate(prompts, plain, [None] * 4))]
    stop = whole[0][1:3]
    stopping = plain.model_copy(update={"stop": (stop,)})
    stopped = in_order(engine.generate(prompts, stopping, [None] * 4))
    assert [answer.text for answer in stopped] == [text.split(stop)[0] for text in whole]
    assert stopped[0].text != whole[0]
    assert stopped[0].finished


def test_an_answer_is_finished_in_the_same_cases_as_with_transformers(answers, expected):
    flags = [[answer.finished for answer in found[0]] for found in (answers, expected)]
    same = sum(a == b for a, b in zip(*flags, strict=True))
    print(
        f"{same} of {len(flags[0])} are finished in both or cut in both, {sum(flags[1])} finished"
    )
    assert same >= 0.98 * len(flags[0])
    assert 0 < sum(flags[1]) < len(flags[1])


def test_equal_seeds_sample_equal_answers_in_other_company(engine, requests):
    prompts, _, names = split(requests[:12])
    drawn = Sampling(1.0, tuple(range(12)))
    whole = in_order(engine.generate(prompts, GENERATION, names, drawn))
    few = in_order(engine.generate(prompts[4:7], GENERATION, names[4:7], drawn.of(range(4, 7))))
    assert few == whole[4:7]
    other = Sampling(1.0, tuple(range(100, 112)))
    assert in_order(engine.generate(prompts, GENERATION, names, other)) != whole


def test_no_prompts_give_no_completions(engine):
    assert in_order(engine.generate([], GENERATION, [])) == []
    assert in_order(engine.token_losses([], [])) == []


def test_an_answer_comes_before_the_others_are_there(engine, requests):
    prompts, _, names = split(requests[: len(CHECKPOINTS)])
    plain = GenerationSettings(max_new_tokens=12)
    whole = [answer.text for answer in in_order(engine.generate(prompts, plain, names))]
    # ends one answer before the others
    beginnings = sorted(
        ((number, text[:length]) for number, text in enumerate(whole) for length in range(1, 9)),
        key=lambda beginning: len(beginning[1]),
    )
    number, stop = next(
        (number, text)
        for number, text in beginnings
        if not any(text in other for other in whole[:number] + whole[number + 1 :])
    )
    answers = engine.generate(prompts, plain.model_copy(update={"stop": (stop,)}), names)
    first = next(answers)
    unfinished = engine._llm.llm_engine.get_num_unfinished_requests()
    assert first == (number, ("", True))
    assert len(list(answers)) == unfinished == len(whole) - 1


# in processes of their own, where an engine starts as it does in a job
TIMED = """
import sys, time
from contextlib import closing
from pathlib import Path
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.engines.vllm_engine import VLLMEngine
import vllm
model = open_model(Path(sys.argv[1]))
folders = {f"step-{n}": Path(folder) for n, folder in enumerate(sys.argv[2:])}
names = [None, *folders]
generation = GenerationSettings(max_new_tokens=4)
prompts = [[7, 8, 9, 10 + n] for n in range(8)]

def once(checkpoints, asked):
    with closing(VLLMEngine(model, checkpoints)) as engine:
        list(
            engine.generate(
                [ids for _ in asked for ids in prompts],
                generation,
                [name for name in asked for _ in prompts],
            )
        )

start = time.perf_counter()
once(folders, names)
together = time.perf_counter() - start
start = time.perf_counter()
for name in names:
    once({} if name is None else {name: folders[name]}, [name])
apart = time.perf_counter() - start
print(f"TIMES {together} {apart}")
"""


def test_one_engine_for_five_is_twice_as_fast_as_five(model, adapters):
    run = subprocess.run(
        [sys.executable, "-c", TIMED, model.folder / "manifest.json", *adapters.values()],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("TIMES")]
    together, apart = map(float, line.split()[1:])
    print(f"one engine {together:.1f} s, five engines {apart:.1f} s: {apart / together:.1f} times")
    assert apart >= 2 * together
