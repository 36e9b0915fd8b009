"""Model folders with files that are missing, cut short or not what they are called."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from workflow_scripts.config.models import ModelSource
from workflow_scripts.modeling.loading import load_weights, open_model
from workflow_scripts.models.sources import fetch
from workflow_scripts.runtime.errors import InputError

INDEX = "model.safetensors.index.json"
# as Qwen3.5 is published
OF_QWEN = [f"model.safetensors-0000{n}-of-00002.safetensors" for n in (1, 2)]
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 269060552\n"


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return shutil.copytree(model_folder, tmp_path / "copy")


def shard(folder: Path, names: list[str]) -> None:
    """Spreads the weights of a folder over files of these names, and writes their index."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {tensor: names[n % len(names)] for n, tensor in enumerate(sorted(weights))}
    for name in names:
        own = {tensor: weights[tensor] for tensor, place in places.items() if place == name}
        save_file(own, folder / name, metadata={"format": "pt"})
    write_index(folder, places)


def write_index(folder: Path, places: object) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def refusal(folder: Path, target: Path) -> str:
    with pytest.raises(InputError) as caught:
        fetch(ModelSource(source=str(folder)), target)
    message = str(caught.value)
    assert "\n" not in message
    assert not target.exists()
    return message.removeprefix(f"{folder}: ")


# --- Git LFS ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_refused_by_name(name: str, copy: Path, tmp_path: Path) -> None:
    (copy / name).write_text(POINTER)
    message = refusal(copy, tmp_path / "tiny")
    assert message.startswith(
        f"{name} is a Git LFS pointer, not the file itself; run `git lfs pull`"
    )


def test_an_index_that_is_a_pointer_is_refused_by_name(copy: Path, tmp_path: Path) -> None:
    shard(copy, OF_QWEN)
    (copy / INDEX).write_text(POINTER)
    assert refusal(copy, tmp_path / "tiny").startswith(f"{INDEX} is a Git LFS pointer")


def test_a_shard_that_is_a_pointer_is_refused_by_name(copy: Path, tmp_path: Path) -> None:
    shard(copy, OF_QWEN)
    (copy / OF_QWEN[1]).write_text(POINTER)
    assert refusal(copy, tmp_path / "tiny").startswith(f"{OF_QWEN[1]} is a Git LFS pointer")


def test_pointers_to_files_that_are_not_taken_are_left_alone(copy: Path, tmp_path: Path) -> None:
    (copy / "pytorch_model.bin").write_text(POINTER)
    fetch(ModelSource(source=str(copy)), tmp_path / "tiny")
    assert (tmp_path / "tiny/manifest.json").is_file()


# --- damaged weights ----------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 7, 40, -1])
def test_weights_that_are_cut_short_are_refused_by_name(
    kept: int, copy: Path, tmp_path: Path
) -> None:
    """In the header's length, in the header, in the last tensor."""
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    message = refusal(copy, tmp_path / "tiny")
    assert message.startswith("model.safetensors is truncated or damaged (")
    assert message.endswith(f"; delete {weights} and download it again")


def test_a_shard_that_is_cut_short_is_refused_by_name(copy: Path, tmp_path: Path) -> None:
    shard(copy, OF_QWEN)
    weights = copy / OF_QWEN[1]
    weights.write_bytes(weights.read_bytes()[:-1])
    assert refusal(copy, tmp_path / "tiny").startswith(f"{OF_QWEN[1]} is truncated or damaged (")


def test_a_tensor_that_is_not_where_the_index_says_is_named(copy: Path, tmp_path: Path) -> None:
    shard(copy, OF_QWEN)
    held = load_file(copy / OF_QWEN[0])
    lost = sorted(held)[0]
    save_file({name: held[name] for name in held if name != lost}, copy / OF_QWEN[0])
    message = refusal(copy, tmp_path / "tiny")
    assert message.startswith(f"{OF_QWEN[0]} lacks {lost}, which {INDEX} places there")


# --- names of weights ---------------------------------------------------------------------


def test_weights_are_called_what_the_index_calls_them(copy: Path, tmp_path: Path) -> None:
    shard(copy, OF_QWEN)
    fetch(ModelSource(source=str(copy)), tmp_path / "tiny")
    model = open_model(tmp_path / "tiny/manifest.json")
    files = json.loads((tmp_path / "tiny/manifest.json").read_text())["files"]
    assert {INDEX, *OF_QWEN} <= set(files)
    loaded = load_weights(model, "cpu")
    assert loaded.num_parameters() == model.parameters


@pytest.mark.parametrize(
    "name",
    [
        *("../model.safetensors", "shards/a.safetensors", "/a.safetensors", r"a\b.safetensors"),
        *("a.bin", "..", "", None, 7, ["a.safetensors"]),
    ],
)
def test_an_index_that_names_anything_else_is_refused(
    name: object, copy: Path, tmp_path: Path
) -> None:
    write_index(copy, {"weight": name})
    message = refusal(copy, tmp_path / "tiny")
    assert message.startswith(f"{INDEX} names {name!r}; weights must be safetensors in the model's")


@pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": {}}', '{"weight_map": []}'])
def test_an_index_without_names_is_refused(content: str, copy: Path, tmp_path: Path) -> None:
    (copy / INDEX).write_text(content)
    assert refusal(copy, tmp_path / "tiny").startswith(f"{INDEX} has no `weight_map`")


def test_a_shard_that_is_missing_is_named(copy: Path, tmp_path: Path) -> None:
    shard(copy, OF_QWEN)
    (copy / OF_QWEN[1]).unlink()
    message = refusal(copy, tmp_path / "tiny")
    assert message.startswith(f"has no {OF_QWEN[1]}, which {INDEX} names")


def test_pickled_weights_are_refused_as_such(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    message = refusal(copy, tmp_path / "tiny")
    assert message.startswith("its weights are pickled (pytorch_model.bin)")
    assert message.endswith("convert them to safetensors (docs/running.md)")


def test_a_folder_without_weights_is_not_blamed_for_pickled_ones(
    copy: Path, tmp_path: Path
) -> None:
    (copy / "model.safetensors").unlink()
    message = refusal(copy, tmp_path / "tiny")
    assert message.startswith(
        f"has no weights in safetensors, neither model.safetensors nor {INDEX}"
    )


# --- links --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tokenizer.json", "chat_template.jinja", "config.json"])
def test_a_link_out_of_a_model_folder_is_refused_by_name(name, copy: Path, tmp_path: Path) -> None:
    elsewhere = (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(elsewhere)
    assert refusal(copy, tmp_path / "tiny") == (
        f"{name} is a link to {elsewhere}, outside the folder; copy that file here if it is of the "
        "model"
    )


def test_links_within_a_folder_and_weights_on_another_disk_are_followed(copy: Path, tmp_path: Path):
    (copy / "tokenizer.json").rename(copy / "own.json")
    (copy / "tokenizer.json").symlink_to("own.json")
    weights = (copy / "model.safetensors").rename(tmp_path / "large.safetensors")
    (copy / "model.safetensors").symlink_to(weights)
    fetch(ModelSource(source=str(copy)), tmp_path / "tiny")
    load_weights(open_model(tmp_path / "tiny/manifest.json"), "cpu")


def test_a_snapshot_in_the_cache_of_the_hub_is_a_model_folder(copy: Path, tmp_path: Path) -> None:
    cached = tmp_path / "models--someone--tiny"
    snapshot = cached / "snapshots/abc"
    snapshot.mkdir(parents=True)
    copy.rename(cached / "blobs")
    for blob in (cached / "blobs").iterdir():
        (snapshot / blob.name).symlink_to(f"../../blobs/{blob.name}")
    fetch(ModelSource(source=str(snapshot)), tmp_path / "tiny")
    load_weights(open_model(tmp_path / "tiny/manifest.json"), "cpu")
