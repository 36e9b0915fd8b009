"""The embedded model in float32, random adapters of it, prompts, and the engines that are compared.

Run by `make test-vllm`, in the environment that has vLLM for the CPU.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.engines.protocol import Completion, in_order
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.engines.vllm_engine import VLLMEngine
from workflow_scripts.modeling.loading import (
    LocalModel,
    load_tokenizer,
    load_weights,
    open_model,
)
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    Renderer,
    Rendering,
)
from workflow_scripts.runtime.files import read_json, write_json

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "resources/models/smollm2-135m"
TASK = ROOT / "resources/tasks/plural.jsonl"
QUESTIONS = 64
SHOTS = 20
CHECKPOINTS = [None, "step-0", "step-1"]
GENERATION = GenerationSettings(max_new_tokens=12, stop=("\n",))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """In float32: in bfloat16, two correct engines differ in every third long answer."""
    if not (EMBEDDED / "manifest.json").is_file():
        pytest.fail(f"{EMBEDDED} is missing: `make demo` fetches it", pytrace=False)
    folder = tmp_path_factory.mktemp("models") / "smollm2-float32"
    shutil.copytree(EMBEDDED, folder)
    manifest = folder / "manifest.json"
    write_json(manifest, read_json(manifest) | {"dtype": "float32"})
    return open_model(manifest)


@pytest.fixture(scope="session")
def adapters(model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four random adapters of different ranks and modules, each of which changes the answers."""
    folders = {}
    for number, (rank, modules) in enumerate(
        [(8, "all-linear"), (4, ["q_proj", "v_proj"]), (8, "all-linear"), (8, "all-linear")]
    ):
        adapted = get_peft_model(
            load_weights(model),
            LoraConfig(r=rank, lora_alpha=rank, target_modules=modules, task_type="CAUSAL_LM"),
        )
        torch.manual_seed(number)
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.06 if modules == "all-linear" else 0.3)
        folder = tmp_path_factory.mktemp("runs") / f"sft~rank={rank}/checkpoints/step-{number}"
        adapted.save_pretrained(folder)
        folders[f"step-{number}"] = folder
    return folders


def render(model: LocalModel, questions: int, shots: int) -> list[Rendering]:
    """Real questions, after demonstrations that they share."""
    lines = [json.loads(line) for line in TASK.read_text().splitlines()]
    shown = [Demonstration(line["question"], line["answer"]) for line in lines[:shots]]
    asked = lines[shots : shots + questions]
    renderer = Renderer(load_tokenizer(model), PromptSettings(system="Answer."), shown)
    return renderer.render([a["question"] for a in asked], [a["answer"] for a in asked])


@pytest.fixture(scope="session")
def requests(model: LocalModel) -> list[tuple[Rendering, str | None]]:
    """Every question for the base model and two adapters, mixed."""
    renderings = render(model, QUESTIONS, shots=0)
    return [(rendering, name) for rendering in renderings for name in CHECKPOINTS]


@pytest.fixture(scope="session")
def expected(model, adapters, requests) -> tuple[list[Completion], list[list[float]]]:
    """Completions and losses by transformers."""
    engine = TransformersEngine(model, 32, adapters)
    prompts, renderings, names = split(requests)
    return (
        in_order(engine.generate(prompts, GENERATION, names)),
        in_order(engine.token_losses(renderings, names)),
    )


@pytest.fixture(scope="session")
def engine(model, adapters) -> Iterator[VLLMEngine]:
    with closing(VLLMEngine(model, adapters)) as engine:
        yield engine


@pytest.fixture(scope="session")
def answers(engine, requests) -> tuple[list[Completion], list[list[float]]]:
    """Completions and losses by vLLM in this process."""
    prompts, renderings, names = split(requests)
    return (
        in_order(engine.generate(prompts, GENERATION, names)),
        in_order(engine.token_losses(renderings, names)),
    )


def split(requests):
    """Prompts, renderings and checkpoints."""
    renderings, names = zip(*requests, strict=True)
    return [rendering.prompt_ids for rendering in renderings], list(renderings), list(names)
