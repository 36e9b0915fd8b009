"""What is exported loads elsewhere and answers as the checkpoint does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_models import tiny_model
from tests.unit.export.conftest import save_model, save_run
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.export.checkpoint import copy_checkpoint
from workflow_scripts.modeling.loading import BIASES
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json

IDS = torch.arange(12)[None]
HUB = ModelSource(source="hub:someone/tiny", revision="abc")


@pytest.fixture
def model(tmp_path: Path, qwen3_tokenizer) -> Path:
    return save_model(tmp_path / "tiny", qwen3_tokenizer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "exported").mkdir()
    return tmp_path / "exported"


def test_an_exported_adapter_answers_as_its_checkpoint(tmp_path, model, folder):
    checkpoints = save_run(tmp_path / "run", LoraSettings(rank=4))
    copy_checkpoint(checkpoints, 4, HUB, model, folder)
    exported = PeftModel.from_pretrained(tiny_model("qwen3"), folder)(IDS).logits
    kept = PeftModel.from_pretrained(tiny_model("qwen3"), tmp_path / "run/step-4")(IDS).logits
    assert torch.equal(exported, kept)
    assert not torch.allclose(exported, tiny_model("qwen3")(IDS).logits)


def test_an_adapter_names_its_base_model_on_the_hub(tmp_path, model, folder):
    copy_checkpoint(save_run(tmp_path / "run", LoraSettings(rank=4)), 4, HUB, model, folder)
    config = read_json(folder / "adapter_config.json")
    assert (config["base_model_name_or_path"], config["revision"]) == ("someone/tiny", "abc")


def test_an_adapter_of_a_local_model_does_not_tell_the_users_home(
    tmp_path, model, folder, monkeypatch
):
    monkeypatch.setenv("HOME", "/home/somebody")
    base = ModelSource(source="/home/somebody/models/tiny")
    copy_checkpoint(save_run(tmp_path / "run", LoraSettings(rank=4)), 4, base, model, folder)
    name = read_json(folder / "adapter_config.json")["base_model_name_or_path"]
    assert name == "~/models/tiny"


def test_a_whole_model_is_exported_with_its_tokenizer(tmp_path, model, folder, qwen3_tokenizer):
    checkpoints = save_run(tmp_path / "run", FullSettings(kind="full"))
    copy_checkpoint(checkpoints, 2, HUB, model, folder)
    exported = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    kept = AutoModelForCausalLM.from_pretrained(tmp_path / "run/step-2", dtype=torch.float32)
    assert torch.equal(exported(IDS).logits, kept(IDS).logits)
    assert AutoTokenizer.from_pretrained(folder).chat_template == qwen3_tokenizer.chat_template


def test_bias_terms_are_exported_as_they_are(tmp_path, qwen3_tokenizer, folder):
    model = save_model(tmp_path / "opt", qwen3_tokenizer, "opt")
    checkpoints = save_run(tmp_path / "run", BitFitSettings(kind="bitfit"), "opt")
    copy_checkpoint(checkpoints, 4, HUB, model, folder)
    assert [file.name for file in folder.iterdir()] == [BIASES]
    assert (folder / BIASES).read_bytes() == (tmp_path / "run/step-4" / BIASES).read_bytes()


def test_a_damaged_checkpoint_is_not_exported(tmp_path, model, folder):
    checkpoints = save_run(tmp_path / "run", LoraSettings(rank=4))
    (tmp_path / "run/step-4/adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match="missing or damaged"):
        copy_checkpoint(checkpoints, 4, HUB, model, folder)


def test_a_link_in_a_checkpoint_is_not_followed(tmp_path, model, folder):
    checkpoints = save_run(tmp_path / "run", LoraSettings(rank=4))
    config = tmp_path / "run/step-4/adapter_config.json"
    config.rename(tmp_path / "elsewhere.json")
    config.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(InputError, match=r"adapter_config\.json: is a link, and training writes"):
        copy_checkpoint(checkpoints, 4, HUB, model, folder)


def test_a_file_that_a_manifest_names_outside_of_the_run_is_not_exported(tmp_path, model, folder):
    checkpoints = save_run(tmp_path / "run", LoraSettings(rank=4))
    other = tmp_path / "other/step-4/notes.txt"
    other.parent.mkdir(parents=True)
    other.write_text("not for others")
    content = read_json(checkpoints)
    content["files"] |= {"../other/step-4/notes.txt": sha256_of(other)}
    write_json(checkpoints, content)
    copy_checkpoint(checkpoints, 4, HUB, model, folder)
    assert not (folder / "notes.txt").exists()
