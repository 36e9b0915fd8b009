from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, OFTConfig, get_peft_model

from tests.tiny_models import tiny_model
from workflow_scripts.config.slices import EngineSettings
from workflow_scripts.engines.select import choose_engine, open_engine
from workflow_scripts.modeling.lora_adapters import is_plain_lora, lora_options
from workflow_scripts.runtime.errors import InputError


@pytest.mark.parametrize(
    ("asked", "whole", "installed", "gpu", "kind", "reason"),
    [
        ("auto", None, True, True, "vllm", "there is a GPU"),
        ("auto", None, False, True, "transformers", "vllm is not installed"),
        ("auto", None, True, False, "transformers", "there is no GPU"),
        ("auto", "step-5", True, True, "transformers", "step-5 is not a LoRA adapter"),
        ("transformers", None, True, True, "transformers", "as configured"),
        ("vllm", None, True, False, "vllm", "as configured"),
        ("vllm", "step-5", True, True, "transformers", "step-5 is not a LoRA adapter"),
        ("server", None, False, False, "server", "as configured"),
        ("server", "step-5", False, False, "transformers", "step-5 is not a LoRA adapter"),
    ],
)
def test_the_engine_is_chosen_by_what_is_there(asked, whole, installed, gpu, kind, reason):
    chosen, why = choose_engine(asked, whole, installed=installed, gpu=gpu)
    assert chosen == kind
    assert reason in why


def test_vllm_that_is_not_installed_is_refused_with_the_command():
    with pytest.raises(InputError, match="run `make setup-vllm`"):
        choose_engine("vllm", None, installed=False, gpu=True)


def test_a_job_says_which_engine_it_uses(
    local_model, adapter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    settings = EngineSettings(kind="transformers", batch_size=2, server=None)
    folders = {"step-1": adapter("llama", 1)}
    with open_engine(local_model("llama"), settings, folders, tmp_path) as engine:
        assert capsys.readouterr().out == "engine: transformers (as configured)\n"
        assert list(engine.token_losses([], [])) == []


def test_a_quantized_model_is_for_transformers(
    local_model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = replace(local_model("llama"), quantization="nf4")
    settings = EngineSettings(kind="vllm", batch_size=2, server=None)
    with pytest.raises(InputError, match="CUDA"), open_engine(model, settings, {}, tmp_path):
        pass
    assert capsys.readouterr().out == "engine: transformers (quantized to nf4)\n"


def save_adapter(folder: Path, config) -> Path:
    get_peft_model(tiny_model("qwen3"), config).save_pretrained(folder)
    return folder


def lora(**options) -> LoraConfig:
    return LoraConfig(
        **({"r": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | options)
    )


def test_a_lora_adapter_is_plain(tmp_path: Path):
    assert is_plain_lora(save_adapter(tmp_path, lora(target_modules="all-linear")))


@pytest.mark.parametrize(
    "config",
    [
        lora(use_dora=True),
        lora(modules_to_save=["lm_head"]),
        lora(target_modules=["q_proj", "lm_head"]),
        lora(target_modules=["embed_tokens"]),
        OFTConfig(oft_block_size=4, target_modules=["q_proj"], task_type="CAUSAL_LM"),
    ],
    ids=["dora", "a whole module", "the output head", "embeddings", "oft"],
)
def test_other_adapters_are_not_plain(tmp_path: Path, config):
    assert not is_plain_lora(save_adapter(tmp_path, config))


def test_a_whole_model_is_no_adapter(local_model):
    assert not is_plain_lora(local_model("llama").folder)


def test_bias_terms_are_no_adapter(biases):
    assert not is_plain_lora(biases("opt", 1))


def test_vllm_holds_every_adapter_and_a_spare_one(tmp_path: Path):
    folders = {
        "one": save_adapter(tmp_path / "one", lora(r=4)),
        "two": save_adapter(tmp_path / "two", lora(r=12, target_modules=["up_proj"])),
    }
    assert lora_options(folders) == {
        "enable_lora": True,
        "max_loras": 3,
        "max_cpu_loras": 3,
        "max_lora_rank": 16,
        "lora_target_modules": ["q_proj", "up_proj"],
    }


def test_the_untouched_model_alone_needs_no_adapters():
    assert lora_options({}) == {}


def test_a_rank_that_vllm_cannot_hold_is_refused(tmp_path: Path):
    folder = save_adapter(tmp_path, lora(r=513))
    with pytest.raises(InputError, match="rank 513, but vLLM accepts at most 512"):
        lora_options({"one": folder})
