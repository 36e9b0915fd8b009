"""The folder that the entry point makes."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_models import tiny_model
from tests.unit.export.conftest import (
    LABELS,
    make_recipe,
    save_classifier_run,
    save_model,
    save_run,
)
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.engines.classifier import Classifier
from workflow_scripts.modeling.loading import BIASES, open_model
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json

LOCAL = ModelSource(source="tiny")


def code_of(folder: Path) -> str:
    return re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[1]


def printed(code: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, {})
    return output.getvalue()


def answer_of(model: Any, tokenizer_folder: Path) -> str:
    """To the first test item, as training asks it."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    prompt = tokenizer.apply_chat_template(
        [{"role": "system", "content": "Answer."}, {"role": "user", "content": "cat"}],
        add_generation_prompt=True,
        enable_thinking=False,
        return_tensors="pt",
        return_dict=True,
    )
    output = model.generate(**prompt, do_sample=False, max_new_tokens=3)
    answer = output[0, prompt["input_ids"].shape[1] :]
    return tokenizer.decode(answer, skip_special_tokens=True) + "\n"


def test_the_folder_holds_the_adapter_its_card_and_its_results(run_export):
    assert sorted(file.name for file in run_export(make_recipe()).iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "inspect_step-4.eval",
        "results_step-4.json",
        "samples_plural_step-4.jsonl",
    ]


def test_the_card_names_every_file_of_results(run_export):
    folder = run_export(make_recipe())
    named = (folder / "README.md").read_text().partition("## Files")[2]
    assert all(f"`{file.name}`" in named for file in folder.glob("*_step-4*"))


def test_the_checkpoint_is_the_one_that_validation_chose(run_export, files):
    exported = (run_export(make_recipe()) / "adapter_model.safetensors").read_bytes()
    chosen = files["checkpoints"].parent / "step-4" / "adapter_model.safetensors"
    assert exported == chosen.read_bytes()


def test_the_same_inputs_make_the_same_bytes(run_export):
    first, second = (
        {file.name: file.read_bytes() for file in run_export(make_recipe()).iterdir()}
        for _ in range(2)
    )
    assert first == second


def test_samples_add_up_to_the_results(run_export):
    folder = run_export(make_recipe())
    lines = (folder / "samples_plural_step-4.jsonl").read_text().splitlines()
    strict = [row["exact_match"] for row in map(json.loads, lines) if row["filter"][0] == "s"]
    found = read_json(folder / "results_step-4.json")["results"]["plural"]
    assert found["exact_match,strict-match"] == sum(strict) / 3


def test_the_cards_code_answers_with_the_adapter(run_export, files):
    base = files["model"].parent
    model = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
    model = PeftModel.from_pretrained(model, files["checkpoints"].parent / "step-4")
    code = code_of(run_export(make_recipe(base=LOCAL)))
    assert printed(code) == answer_of(model, base)


def test_the_cards_code_answers_with_a_whole_model(run_export, files, tmp_path, monkeypatch):
    full = FullSettings(kind="full")
    files["checkpoints"] = save_run(tmp_path / "full", full)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "full/step-4", dtype="float32")
    folder = run_export(make_recipe(full))
    monkeypatch.chdir(folder)
    assert printed(code_of(folder)) == answer_of(model, files["model"].parent)


def test_the_cards_code_answers_with_bias_terms(run_export, files, tmp_path, qwen3_tokenizer):
    bitfit = BitFitSettings(kind="bitfit")
    files["model"] = save_model(tmp_path / "opt", qwen3_tokenizer, "opt")
    files["checkpoints"] = save_run(tmp_path / "biases", bitfit, "opt")
    model = tiny_model("opt")
    weights = load_file(tmp_path / "biases/step-4" / BIASES)
    for name, weight in model.named_parameters():
        weight.data = weights.get(name, weight.data)
    code = code_of(run_export(make_recipe(bitfit, base=LOCAL)))
    assert printed(code) == answer_of(model, files["model"].parent)


@pytest.mark.parametrize(
    "adapter",
    [LoraSettings(rank=4), BitFitSettings(kind="bitfit"), FullSettings(kind="full")],
    ids=["lora", "bitfit", "full"],
)
def test_the_cards_code_chooses_with_a_classification_head(
    adapter, run_export, files, tmp_path, monkeypatch, qwen3_tokenizer
):
    files["model"] = save_model(tmp_path / "opt", qwen3_tokenizer, "opt")
    files["checkpoints"] = save_classifier_run(tmp_path / "heads", adapter, files["model"])
    folder = run_export(make_recipe(adapter, "classification", base=LOCAL))
    if adapter.kind == "full":
        monkeypatch.chdir(folder)
    model = open_model(files["model"])
    classifier = Classifier(model, LABELS, 1, {"step-4": tmp_path / "heads/step-4"})
    rendering = Renderer(qwen3_tokenizer, PromptSettings(system="Answer.")).render(
        ["cat"], ["cats"]
    )[0]
    losses = classifier.label_losses([rendering.prompt_ids], "step-4")[0]
    assert printed(code_of(folder)) == LABELS[losses.argmin()] + "\n"


def test_a_refused_export_leaves_nothing(run_export, files, tmp_path):
    (files["checkpoints"].parent / "step-4/adapter_model.safetensors").unlink()
    with pytest.raises(InputError):
        run_export(make_recipe())
    assert not (tmp_path / "exported").exists()
