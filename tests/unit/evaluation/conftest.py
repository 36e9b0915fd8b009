"""A model, two checkpoints of a run, a task, and the entry points that complete its items."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch
from peft import LoraConfig, get_peft_model

from tests.outputs import visible
from tests.tiny_models import save_tiny_model, tiny_model
from workflow_scripts.config.slices import CompletionSlice, ContextSettings, EngineSettings
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.evaluation import complete_base, complete_run, complete_transfers
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.files import write_json
from workflow_scripts.tasks.examples import Example, write_examples

SETTINGS = CompletionSlice(
    prompt=PromptSettings(),
    generation=GenerationSettings(max_new_tokens=3),
    labels=("cats", "mice"),
    context=ContextSettings(shots=0, answers="correct", seed=0),
    engine=EngineSettings(kind="transformers", batch_size=4, server=None),
)

# programs that also say what answering cost
MEASURED = (complete_base, complete_run)


@pytest.fixture
def files(tmp_path: Path, smollm2_tokenizer) -> dict[str, Path]:
    """A model, two checkpoints of a run, and a task of one item in each split."""
    splits = {
        "validation": Example("a", "cat", "cats"),
        "test": Example("b", "mouse", "mice"),
        "demonstrations": Example("c", "dog", "dogs"),
    }
    for split, example in splits.items():
        write_examples(tmp_path / f"{split}.parquet", [example])
    for step in (2, 10):
        save_adapter(tmp_path / "checkpoints" / f"step-{step}", seed=step)
    adapters = [file for file in (tmp_path / "checkpoints").rglob("*") if file.is_file()]
    checksums = {str(f.relative_to(tmp_path / "checkpoints")): sha256_of(f) for f in adapters}
    write_json(tmp_path / "checkpoints" / "manifest.json", {"steps": [2, 10], "files": checksums})
    return {
        "model": save_tiny_model("llama", smollm2_tokenizer, tmp_path / "tiny"),
        "checkpoints": tmp_path / "checkpoints" / "manifest.json",
        **{split: tmp_path / f"{split}.parquet" for split in splits},
    }


def save_adapter(folder: Path, seed: int) -> None:
    model = get_peft_model(
        tiny_model("llama"), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    model.save_pretrained(folder)


@pytest.fixture
def call(tmp_path: Path):
    """Runs an entry point; returns the table it wrote."""

    def run(entry_point: ModuleType, name: str, **arguments: object) -> pd.DataFrame:
        output = tmp_path / name / "completions.parquet"
        written = ["completions.parquet"]
        if entry_point in MEASURED:
            arguments["cost"] = output.with_name("inference.json")
            written.append("inference.json")
        if entry_point is complete_transfers:
            # its answers stay, for another task
            written.insert(0, ".completing")
        entry_point.main(**({"settings": SETTINGS} | arguments), completions=output)
        assert sorted(visible(output.parent)) == written
        return pd.read_parquet(output)

    return run


@pytest.fixture
def base(call, files, tmp_path: Path) -> Path:
    call(complete_base, "0-shot", **{k: v for k, v in files.items() if k != "checkpoints"})
    return tmp_path / "0-shot" / "completions.parquet"


@pytest.fixture
def run_files(files, base: Path) -> dict[str, Path]:
    """What is read to evaluate the run."""
    return {key: path for key, path in files.items() if key != "demonstrations"} | {"base": base}
