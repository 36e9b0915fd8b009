from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.models.sources import fetch
from workflow_scripts.settings import ModelSettings


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return shutil.copytree(model_folder, tmp_path / "copy")


def from_folder(folder: Path, **settings: object) -> ModelSettings:
    return ModelSettings(source=str(folder), **settings)


def test_the_manifest_describes_the_model(model_folder: Path, tmp_path: Path) -> None:
    fetch(from_folder(model_folder), tmp_path / "tiny")
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    shape = {key: manifest[key] for key in ("layers", "width", "vocabulary", "context_length")}
    assert shape == {"layers": 2, "width": 8, "vocabulary": 16, "context_length": 64}


def test_the_manifest_holds_a_checksum_of_every_file(model_folder: Path, tmp_path: Path) -> None:
    fetch(from_folder(model_folder), tmp_path / "tiny")
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    beside = {path.name for path in (tmp_path / "tiny").iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == beside
    weights = (model_folder / "model.safetensors").read_bytes()
    assert manifest["files"]["model.safetensors"] == hashlib.sha256(weights).hexdigest()


def test_the_manifest_identifies_the_chat_template(model_folder: Path, tmp_path: Path) -> None:
    fetch(from_folder(model_folder), tmp_path / "tiny")
    template = (model_folder / "chat_template.jinja").read_bytes()
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    assert manifest["chat_template_sha256"] == hashlib.sha256(template).hexdigest()


def test_a_base_model_has_no_chat_template(copy: Path, tmp_path: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    fetch(from_folder(copy), tmp_path / "tiny")
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    assert manifest["chat_template_sha256"] is None


def test_a_local_model_is_linked_and_not_copied(model_folder: Path, tmp_path: Path) -> None:
    fetch(from_folder(model_folder), tmp_path / "tiny")
    weights = tmp_path / "tiny" / "model.safetensors"
    assert weights.readlink() == (model_folder / "model.safetensors").resolve()


def test_a_local_source_is_written_as_the_config_gives_it(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_folder.parent)
    fetch(ModelSettings(source="tiny"), tmp_path / "tiny")
    text = (tmp_path / "tiny" / "manifest.json").read_text()
    assert json.loads(text)["source"] == "tiny"
    assert str(model_folder.parent) not in text


def test_pickled_weights_and_code_are_left_behind(copy: Path, tmp_path: Path) -> None:
    (copy / "pytorch_model.bin").write_bytes(b"pickle")
    (copy / "modeling_own.py").write_text("raise SystemExit")
    fetch(from_folder(copy), tmp_path / "tiny")
    assert not {"pytorch_model.bin", "modeling_own.py"} & {
        path.name for path in (tmp_path / "tiny").iterdir()
    }


def test_a_model_that_was_there_is_replaced(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "stale").touch()
    fetch(from_folder(model_folder), tmp_path / "tiny")
    assert not (tmp_path / "tiny" / "stale").exists()


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        fetch(from_folder(tmp_path / "nowhere"), tmp_path / "tiny")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: not a model folder: it has no config\.json"):
        fetch(from_folder(tmp_path / "empty"), tmp_path / "tiny")


def test_a_model_with_pickled_weights_only_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no model\.safetensors; weights must be safetensors"):
        fetch(from_folder(copy), tmp_path / "tiny")


def test_an_incomplete_set_of_shards_is_refused(copy: Path, tmp_path: Path) -> None:
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    (copy / "model.safetensors").rename(copy / shards[0])
    index = {"weight_map": {"a": shards[0], "b": shards[1]}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=f"has no {shards[1]}"):
        fetch(from_folder(copy), tmp_path / "tiny")


def test_a_model_that_brings_its_own_code_is_refused(copy: Path, tmp_path: Path) -> None:
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="models that bring their own code are refused"):
        fetch(from_folder(copy), tmp_path / "tiny")


def test_a_model_without_tokenizer_is_refused(copy: Path, tmp_path: Path) -> None:
    for file in copy.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(InputError, match="tokenizer"):
        fetch(from_folder(copy), tmp_path / "tiny")


def test_another_number_of_layers_than_the_config_says_is_refused(
    model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="has 2 layers, but the config says `layers: 3`"):
        fetch(from_folder(model_folder, layers=3), tmp_path / "tiny")


def test_a_refused_model_leaves_nothing(model_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "models" / "tiny"
    with pytest.raises(InputError):
        fetch(from_folder(model_folder, layers=3), target)
    assert list(target.parent.iterdir()) == []


def test_a_model_is_not_made_from_its_own_folder(copy: Path) -> None:
    with pytest.raises(InputError, match="this is where the model is put"):
        fetch(from_folder(copy), copy)
    assert (copy / "model.safetensors").is_file()


def test_a_hub_model_that_cannot_be_had_is_refused_without_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    settings = ModelSettings(source="hub:nobody/no-such-model", revision="main")
    with pytest.raises(InputError, match="hub:nobody/no-such-model: cannot be dow") as refusal:
        fetch(settings, tmp_path / "tiny")
    assert "hf_secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_impossible_hub_id_is_refused(tmp_path: Path) -> None:
    settings = ModelSettings(source="hub:no such/id", revision="main")
    with pytest.raises(InputError, match="the hub has no such model at revision main"):
        fetch(settings, tmp_path / "tiny")
