"""The files of a model: their names, and whether each is complete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json

# files of a model besides its weights; never code
BESIDE_WEIGHTS = (
    "config.json",
    "generation_config.json",
    SAFE_WEIGHTS_INDEX_NAME,
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
)
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_POINTER = b"version https://git-lfs.github.com/spec/v1"


def model_files(source: str, folder: Path) -> list[str]:
    """Names of the files of the model in `folder`; reads only the headers of the weights.

    source: the model's name in messages.
    Raises InputError if the config or weights are missing, or a file is a Git LFS pointer,
    truncated, or lacks tensors that the index places in it, or is a link to another folder. Weights
    may be links: no other file is read as safetensors.
    """
    beside = [name for name in BESIDE_WEIGHTS if (folder / name).is_file()]
    _refuse_links(source, folder, beside)
    if "config.json" not in beside:
        raise InputError(f"{source}: not a model folder: it has no config.json")
    _refuse_pointers(source, folder, beside)
    weights = weight_files(source, folder)
    _refuse_missing_weights(source, folder, weights)
    _refuse_pointers(source, folder, weights)
    for name, tensors in weights.items():
        _refuse_damaged(source, folder / name, tensors)
    return [*beside, *weights]


def weight_files(source: str, folder: Path) -> dict[str, list[str]]:
    """Safetensors file that the model in `folder` needs → tensors it must hold.

    The files may be missing. Without an index there is one file with any tensors.
    Raises InputError if the index is damaged or names other files than safetensors in its folder.
    """
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    if not index.is_file():
        return {SAFE_WEIGHTS_NAME: []}
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise InputError(f"{source}: {index.name} has no `weight_map`; download this file again")
    tensors = defaultdict(list)
    for tensor, name in places.items():
        if not _is_weight_file(name):
            raise InputError(
                f"{source}: {index.name} names {name!r}; weights must be safetensors in the "
                "model's own folder"
            )
        tensors[name].append(tensor)
    return dict(sorted(tensors.items()))


def _is_weight_file(name: object) -> bool:
    return (
        isinstance(name, str)
        and name.endswith(".safetensors")
        and not any(separator in name for separator in "/\\")
    )


def _refuse_links(source: str, folder: Path, names: Iterable[str]) -> None:
    """A link could lead to any text of the user's, and exports copy what lies beside weights."""
    here = folder.resolve()
    # a snapshot in the hub's cache consists of links to the model's `blobs`
    blobs = here.parent.parent / "blobs" if here.parent.name == "snapshots" else here
    for name in names:
        target = (folder / name).resolve()
        if not (target.is_relative_to(here) or target.is_relative_to(blobs)):
            raise InputError(
                f"{source}: {name} is a link to {target}, outside the folder; copy that file here "
                "if it is of the model"
            )


def _refuse_pointers(source: str, folder: Path, names: Iterable[str]) -> None:
    for name in names:
        with (folder / name).open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise InputError(
                    f"{source}: {name} is a Git LFS pointer, not the file itself; run "
                    "`git lfs pull` in the repository that it was cloned from"
                )


def _refuse_missing_weights(source: str, folder: Path, weights: Iterable[str]) -> None:
    absent = [name for name in weights if not (folder / name).is_file()]
    if not absent:
        return
    if (folder / SAFE_WEIGHTS_INDEX_NAME).is_file():
        raise InputError(
            f"{source}: has no {absent[0]}, which {SAFE_WEIGHTS_INDEX_NAME} names; download it too"
        )
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        raise InputError(
            f"{source}: its weights are pickled ({pickled[0]}), and loading a pickle can run any "
            "code; convert them to safetensors (docs/running.md)"
        )
    raise InputError(
        f"{source}: has no weights in safetensors, neither {SAFE_WEIGHTS_NAME} nor "
        f"{SAFE_WEIGHTS_INDEX_NAME}; pickled ones are refused"
    )


def _refuse_damaged(source: str, file: Path, tensors: Iterable[str]) -> None:
    """Raises InputError if the file is truncated or lacks one of the tensors."""
    again = f"delete {file.resolve()} and download it again"
    try:
        with safe_open(file, framework="numpy") as content:
            held = set(content.keys())
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise InputError(
            f"{source}: {file.name} is truncated or damaged ({reason}); {again}"
        ) from None
    absent = [tensor for tensor in tensors if tensor not in held]
    if absent:
        raise InputError(
            f"{source}: {file.name} lacks {absent[0]}, which {SAFE_WEIGHTS_INDEX_NAME} places "
            f"there; {again}"
        )
