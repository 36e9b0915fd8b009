"""Generation and scoring with vLLM in this process: one engine for a model and its adapters."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from tqdm import tqdm

from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.decoding import Decoder
from workflow_scripts.engines.protocol import Completion, Sampling
from workflow_scripts.modeling.loading import LocalModel, read_config
from workflow_scripts.modeling.lora_adapters import lora_options
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.errors import InputError


def serves_adapters(model: LocalModel) -> bool:
    """Whether vLLM serves LoRA adapters of this type of model; what it lacks, transformers runs."""
    names = read_config(model.folder).architectures or ()
    return all(adapters_of(name) is not False for name in names)


def adapters_of(architecture: str) -> bool | None:
    """Whether vLLM serves LoRA adapters of a class of transformers.

    None where it has no class of its own for it, and runs that of transformers, which takes
    adapters; and where its class needs a package that is missing, which loading the model reports.
    """
    from vllm import ModelRegistry
    from vllm.model_executor.models.interfaces import supports_lora

    registered = ModelRegistry.models.get(architecture)
    try:
        return None if registered is None else bool(supports_lora(registered.load_model_cls()))
    except ImportError:
        return None


class VLLMEngine:
    """An `Engine` that handles requests for all checkpoints in one stream."""

    def __init__(self, model: LocalModel, checkpoints: Mapping[str, Path]) -> None:
        """checkpoints: LoRA adapters (`is_plain_lora`).

        Raises InputError when vLLM cannot load the model or an adapter.
        """
        for name, value in vllm_environment().items():
            os.environ.setdefault(name, value)
        # an engine in its own process would outlive a killed job
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        from vllm import LLM
        from vllm.lora.request import LoRARequest

        self._decoder = Decoder.of(model)
        options = vllm_options(model) | lora_options(checkpoints)
        try:
            self._llm = LLM(model=str(model.folder), **options)
        # vLLM raises many kinds of errors for models that it does not support
        except Exception as error:
            raise InputError(
                f"{model.folder}: vLLM cannot load the model ({_reason(error)}); "
                "set `engine: transformers`"
            ) from error
        self._adapters: dict[str | None, Any] = {None: None}
        for number, (name, folder) in enumerate(checkpoints.items(), start=1):
            request = LoRARequest(name, number, str(folder))
            try:
                self._llm.llm_engine.add_lora(request)
            except Exception as error:
                raise InputError(
                    f"{folder}: vLLM cannot load the adapter ({_reason(error)})"
                ) from error
            self._adapters[name] = request

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        options = {
            "max_tokens": generation.max_new_tokens,
            "stop": list(generation.stop),
            "stop_token_ids": self._decoder.ends,
        }
        for index, output in self._run("generation", prompts, options, checkpoints, sampling):
            (found,) = output.outputs
            text = self._decoder.completion(found.token_ids, generation.stop).text
            yield index, Completion(text, found.finish_reason == "stop")

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        # vLLM scores only prompts, and generates at least one token
        options = {"max_tokens": 1, "prompt_logprobs": 0, "detokenize": False}
        prompts = [rendering.ids for rendering in renderings]
        for index, output in self._run("answer loss", prompts, options, checkpoints):
            rendering = renderings[index]
            yield (
                index,
                [
                    -output.prompt_logprobs[place][rendering.ids[place]].logprob
                    for place in range(rendering.prompt + 1, len(rendering.ids))
                ],
            )

    def close(self) -> None:
        """Frees the memory; the engine cannot be used afterwards."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        gc.collect()
        cleanup_dist_env_and_memory()

    def _run(
        self,
        description: str,
        prompts: Sequence[Sequence[int]],
        options: Mapping[str, Any],
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """vLLM's outputs as they finish; `LLM.generate` returns only when all are done.

        options: of `SamplingParams`.
        """
        from vllm import SamplingParams
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind

        engine = self._llm.llm_engine
        for index, (ids, name) in enumerate(zip(prompts, checkpoints, strict=True)):
            parameters = SamplingParams(
                temperature=0 if sampling is None else sampling.temperature,
                seed=None if sampling is None else sampling.seeds[index],
                output_kind=RequestOutputKind.FINAL_ONLY,
                **options,
            )
            engine.add_request(
                str(index), tokens_input(list(ids)), parameters, lora_request=self._adapters[name]
            )
        with tqdm(total=len(prompts), desc=description, mininterval=2) as progress:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    yield int(output.request_id), output
                    progress.update()


def vllm_options(model: LocalModel) -> dict[str, Any]:
    """Options of `vllm.LLM` for this model."""
    return {
        "dtype": model.dtype,
        # the model's own length, or as much as fits into memory
        "max_model_len": -1,
        "enable_prefix_caching": True,
        # ignores sampling settings in the model's generation_config.json
        "generation_config": "vllm",
        # compiling takes longer than it saves on a CPU
        "enforce_eager": not torch.cuda.is_available(),
    }


def vllm_environment() -> dict[str, str]:
    """Environment variables for vLLM, where the user did not set them."""
    variables = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    if not torch.cuda.is_available():
        # GiB for keys and values; reserves no cores, since other jobs run beside this one
        variables |= {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return variables


def _reason(error: Exception) -> str:
    """The first informative line; pydantic's errors begin with a count."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if "validation error" not in line]
    return shorten((reasons or [type(error).__name__])[0], width=200, placeholder="…")
