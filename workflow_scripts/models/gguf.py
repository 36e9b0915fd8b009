"""Converts a GGUF file into a model folder."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from workflow_scripts.modeling.loading import quiet_transformers


def convert_gguf(gguf: Path, dtype: str, folder: Path) -> None:
    """Writes config, safetensors in `dtype`, tokenizer and chat template into `folder`.

    Quantized blocks are dequantized in float32, then rounded to `dtype`.
    """
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=getattr(torch, dtype),
            quantization_config=GgufConfig(dequantize=True),
            local_files_only=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, local_files_only=True
        )
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
