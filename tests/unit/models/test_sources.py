from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from httpx2 import Request, Response
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    IncompleteSnapshotError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import load_file

from tests.outputs import visible
from workflow_scripts.config.models import ModelSource
from workflow_scripts.models import sources
from workflow_scripts.models.sources import fetch
from workflow_scripts.runtime.errors import InputError


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return shutil.copytree(model_folder, tmp_path / "copy")


def from_folder(folder: Path, **settings: object) -> ModelSource:
    return ModelSource(source=str(folder), **settings)


def test_the_manifest_describes_the_model(model_folder: Path, tmp_path: Path) -> None:
    fetch(from_folder(model_folder), tmp_path / "tiny")
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    shape = {key: manifest[key] for key in ("layers", "width", "vocabulary", "context_length")}
    assert shape == {"layers": 2, "width": 8, "vocabulary": 16, "context_length": 64}


def test_tied_weights_are_counted_once_also_where_both_are_stored(
    model_folder: Path, copy: Path, tmp_path: Path
) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    counts = []
    for folder in (model_folder, copy):
        fetch(from_folder(folder), tmp_path / "tiny")
        counts.append(json.loads((tmp_path / "tiny" / "manifest.json").read_text())["parameters"])
    stored = load_file(model_folder / "model.safetensors")
    assert counts[0] == sum(weight.numel() for weight in stored.values())
    assert counts[1] == counts[0] - stored["lm_head.weight"].numel()


def test_the_manifest_holds_a_checksum_of_every_file(model_folder: Path, tmp_path: Path) -> None:
    fetch(from_folder(model_folder), tmp_path / "tiny")
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    beside = visible(tmp_path / "tiny") - {"manifest.json", ".seen.json"}
    assert set(manifest["files"]) == beside
    weights = (model_folder / "model.safetensors").read_bytes()
    assert manifest["files"]["model.safetensors"] == hashlib.sha256(weights).hexdigest()


def test_the_manifest_identifies_the_chat_template(model_folder: Path, tmp_path: Path) -> None:
    fetch(from_folder(model_folder), tmp_path / "tiny")
    template = (model_folder / "chat_template.jinja").read_bytes()
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    assert manifest["chat_template_sha256"] == hashlib.sha256(template).hexdigest()


def test_the_manifest_identifies_the_vocabulary(
    model_folder: Path, copy: Path, tmp_path: Path
) -> None:
    def found(source: Path) -> str:
        fetch(from_folder(source), tmp_path / "tiny")
        return json.loads((tmp_path / "tiny" / "manifest.json").read_text())["vocabulary_sha256"]

    words = {"<end>": 1, "<unk>": 0, "cat": 2, "cats": 3}
    assert found(model_folder) == hashlib.sha256(json.dumps(words).encode()).hexdigest()
    swapped = (copy / "tokenizer.json").read_text().replace('"cat": 2', '"dog": 2')
    (copy / "tokenizer.json").write_text(swapped)
    assert found(copy) != found(model_folder)


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
    fetch(ModelSource(source="tiny"), tmp_path / "tiny")
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


def test_a_model_that_brings_its_own_code_is_refused(copy: Path, tmp_path: Path) -> None:
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="models with their own code are refused"):
        fetch(from_folder(copy), tmp_path / "tiny")


def test_a_model_that_is_no_decoder_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "config.json").write_text(json.dumps({"model_type": "distilbert"}))
    with pytest.raises(InputError, match="no causal language model for distilbert models"):
        fetch(from_folder(copy), tmp_path / "tiny")


def test_a_model_without_tokenizer_is_refused(copy: Path, tmp_path: Path) -> None:
    for file in copy.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(InputError, match="tokenizer"):
        fetch(from_folder(copy), tmp_path / "tiny")


@pytest.mark.parametrize("key", ["layers", "width"])
def test_another_size_than_the_config_says_is_refused(
    key: str, model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"the weights have {key}: \d+, but the config says 3"):
        fetch(from_folder(model_folder, **{key: 3}), tmp_path / "tiny")


def test_a_refused_model_leaves_nothing(model_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "models" / "tiny"
    with pytest.raises(InputError):
        fetch(from_folder(model_folder, layers=3), target)
    assert list(target.parent.iterdir()) == []


def test_a_model_is_not_made_from_its_own_folder(copy: Path) -> None:
    with pytest.raises(InputError, match="the fetched model is written here"):
        fetch(from_folder(copy), copy)
    assert (copy / "model.safetensors").is_file()


# --- the hub ------------------------------------------------------------------------------

HUB = ModelSource(source="hub:nobody/model", revision="v1")
TOKEN = "hf_secret"
COMMIT = "0" * 40


@pytest.fixture
def refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], str]:
    """The message for an error of the hub's client."""

    def refuse(error: Exception) -> str:
        def raise_it(*arguments: object, **options: object) -> None:
            raise error

        monkeypatch.setattr(sources, "snapshot_download", raise_it)
        with pytest.raises(InputError) as caught:
            fetch(HUB, tmp_path / "tiny")
        assert "\n" not in str(caught.value)
        assert TOKEN not in str(caught.value)
        return str(caught.value)

    return refuse


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, with an empty snapshot of the model, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = tmp_path / "hub" / "models--nobody--model"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "v1").write_text(COMMIT)
    snapshot = model / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    return snapshot


def answer(status: int) -> Response:
    """What the hub answers; its text may quote what was asked."""
    asked = Request("GET", "https://hub/api/models", headers={"authorization": TOKEN})
    return Response(status, request=asked)


def test_an_unknown_hub_id_is_named(refusal: Callable[[Exception], str]) -> None:
    message = refusal(RepositoryNotFoundError(f"401 {TOKEN}\n", response=answer(401)))
    assert message.startswith("hub:nobody/model: the hub has no such model; check the id")


def test_an_unknown_revision_is_named(refusal: Callable[[Exception], str]) -> None:
    message = refusal(RevisionNotFoundError(f"404 {TOKEN}\n", response=answer(404)))
    assert message.startswith("hub:nobody/model: the hub has no revision v1 of it")


def test_a_gated_model_asks_for_licence_and_token(refusal: Callable[[Exception], str]) -> None:
    message = refusal(GatedRepoError(f"403 {TOKEN}\n", response=answer(403)))
    assert message.startswith("hub:nobody/model: is gated; accept its licence")
    assert "HF_TOKEN" in message


def test_another_failure_is_named_by_its_kind(refusal: Callable[[Exception], str]) -> None:
    message = refusal(HfHubHTTPError(f"500 {TOKEN}\n", response=answer(500)))
    assert message.startswith("hub:nobody/model: cannot be downloaded (HfHubHTTPError)")


def test_an_impossible_hub_id_is_refused(tmp_path: Path) -> None:
    settings = ModelSource(source="hub:no such/id", revision="main")
    with pytest.raises(InputError, match="hub:no such/id: not the id of a hub model"):
        fetch(settings, tmp_path / "tiny")


def test_offline_a_model_that_was_never_fetched_lacks_everything(
    tmp_path: Path, cache: Path
) -> None:
    shutil.rmtree(cache)
    with pytest.raises(
        InputError,
        match=r"hub:nobody/model: the hub cannot be reached, and its cache lacks config\.json, "
        r"tokenizer\.json, \*\.safetensors of revision v1; .*set `source: <folder>`",
    ):
        fetch(HUB, tmp_path / "tiny")


def test_offline_the_shards_that_the_cache_lacks_are_named(
    cache: Path, refusal: Callable[[Exception], str]
) -> None:
    for name in ("config.json", "tokenizer.json", "model-00001-of-00002.safetensors"):
        (cache / name).touch()
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (cache / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    message = refusal(IncompleteSnapshotError("1 file is missing", snapshot_path=str(cache)))
    assert "lacks model-00002-of-00002.safetensors of revision " in message


def test_offline_a_model_in_the_cache_is_used(copy: Path, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(copy, cache, dirs_exist_ok=True)
    fetch(HUB, tmp_path / "tiny")
    assert (tmp_path / "tiny" / "model.safetensors").is_file()


def test_the_hub_is_asked_for_the_weights_that_the_index_names(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = ["model.safetensors-00001-of-00001.safetensors"]
    (cache / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"weight": shards[0]}})
    )
    asked = []

    def download(model: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append((model, revision, allow_patterns))
        return str(cache)

    monkeypatch.setattr(sources, "snapshot_download", download)
    with pytest.raises(InputError, match=r"has no config\.json"):
        fetch(HUB, tmp_path / "tiny")
    (_, first, beside), (model, second, weights) = asked
    assert not any(name.endswith(".safetensors") for name in beside)
    assert "model.safetensors.index.json" in beside
    assert (model, weights) == ("nobody/model", shards)
    assert (first, second) == ("v1", COMMIT), "a branch may move in between"
