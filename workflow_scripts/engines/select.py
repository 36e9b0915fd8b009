"""The choice of a job's engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

from workflow_scripts.config.models import EngineKind, ServerSettings
from workflow_scripts.config.slices import EngineSettings
from workflow_scripts.engines.journal import AnswerJournal
from workflow_scripts.engines.journaled_engine import JournaledEngine, identities_of
from workflow_scripts.engines.protocol import Engine
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.modeling.lora_adapters import is_plain_lora
from workflow_scripts.runtime.errors import InputError


@contextmanager
def open_engine(
    model: LocalModel, settings: EngineSettings, checkpoints: Mapping[str, Path], scratch: Path
) -> Iterator[JournaledEngine]:
    """The engine for a model and its checkpoints, name → folder; closed after the block.

    Prints its name and why it was chosen. scratch: a folder that keeps answers, so that a
    restarted job asks only for missing ones.
    Raises InputError when the configured engine is not installed or cannot load them.
    """
    kind, reason = _engine_for(model, settings.kind, checkpoints)
    print(f"engine: {kind} ({reason})", flush=True)
    with (
        closing(AnswerJournal(scratch / "answers.jsonl")) as journal,
        _open(kind, model, settings, checkpoints, scratch) as engine,
    ):
        yield JournaledEngine(engine, journal, identities_of(kind, model, checkpoints))


def _engine_for(
    model: LocalModel, asked: EngineKind, checkpoints: Mapping[str, Path]
) -> tuple[EngineKind, str]:
    """The engine and the reason; transformers runs models that only teach, whatever the config."""
    if model.architecture == "encoder-decoder":
        return "transformers", "an encoder-decoder"
    if model.quantization is not None:
        return "transformers", f"quantized to {model.quantization}"
    whole = next((name for name, folder in checkpoints.items() if not is_plain_lora(folder)), None)
    kind, reason = choose_engine(
        asked, whole, installed=find_spec("vllm") is not None, gpu=torch.cuda.is_available()
    )
    if kind == "vllm" and checkpoints:
        from workflow_scripts.engines.vllm_engine import serves_adapters

        if not serves_adapters(model):
            return "transformers", "vllm serves no LoRA adapters of this type of model"
    return kind, reason


@contextmanager
def _open(
    kind: EngineKind,
    model: LocalModel,
    settings: EngineSettings,
    checkpoints: Mapping[str, Path],
    scratch: Path,
) -> Iterator[Engine]:
    if kind == "vllm":
        from workflow_scripts.engines.vllm_engine import VLLMEngine

        with closing(VLLMEngine(model, checkpoints)) as engine:
            yield engine
    elif kind == "server":
        from workflow_scripts.engines.server_engine import open_server

        server = settings.server or ServerSettings()
        with open_server(model, server, checkpoints, scratch) as server_engine:
            yield server_engine
    elif model.architecture == "encoder-decoder":
        from workflow_scripts.engines.encoder_decoder_engine import EncoderDecoderEngine

        yield EncoderDecoderEngine(model, settings.batch_size, checkpoints)
    else:
        from workflow_scripts.engines.transformers_engine import TransformersEngine

        yield TransformersEngine(model, settings.batch_size, checkpoints)


def choose_engine(
    asked: EngineKind, whole: str | None, *, installed: bool, gpu: bool
) -> tuple[EngineKind, str]:
    """The engine and the reason, in a few words.

    whole: a checkpoint that only transformers can load, if any. installed: whether vLLM is.
    Raises InputError when the config asks for vLLM and it is not installed.
    """
    if asked == "vllm" and not installed:
        raise InputError(
            "engine: vllm, but vLLM is not installed: run `make setup-vllm`, "
            "or set `engine: transformers`"
        )
    if asked == "transformers":
        return "transformers", "as configured"
    if asked == "auto" and not installed:
        return "transformers", "vllm is not installed"
    if asked == "auto" and not gpu:
        return "transformers", "there is no GPU"
    if whole is not None:
        return "transformers", f"{whole} is not a LoRA adapter, or one that vllm cannot serve"
    if asked == "auto":
        return "vllm", "it is installed and there is a GPU"
    return asked, "as configured"
