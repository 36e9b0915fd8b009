"""Small random models of every supported family.

    python -m tests.tiny_models FOLDER

writes a random Qwen3 of two layers with a tokenizer into FOLDER, to be a model's `source`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.tiny_tokenizers import QWEN3_TEMPLATE, build_tokenizer
from workflow_scripts.models.description import vocabulary_sha256
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.files import write_json

VOCABULARY = 400
WIDTH = 32
LAYERS = 3
CONTEXT = 512


def _llama() -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=48,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
        )
    )


def _qwen3() -> PreTrainedModel:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=48,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=12,
            max_position_embeddings=CONTEXT,
        )
    )


def _opt() -> PreTrainedModel:
    # as OPT-350M: norms after attention and ffn, embeddings narrower than the residual stream
    return OPTForCausalLM(
        OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            word_embed_proj_dim=16,
            do_layer_norm_before=False,
            ffn_dim=48,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            dropout=0.0,
        )
    )


def _opt_pre_norm() -> PreTrainedModel:
    return OPTForCausalLM(
        OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            word_embed_proj_dim=WIDTH,
            ffn_dim=48,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            dropout=0.0,
        )
    )


def _gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=WIDTH,
            n_layer=LAYERS,
            n_head=4,
            n_positions=CONTEXT,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def _gpt_neox() -> PreTrainedModel:
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=48,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
        )
    )


SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
EXPERTS = {
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
}


def _of_type(model_type: str, **settings: Any) -> PreTrainedModel:
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **SIZES | settings))


def _types_with_a_window() -> dict[str, Callable[[], PreTrainedModel]]:
    """Models whose layers, or some of them, see the last few tokens only."""
    mixed = ["sliding_attention", "full_attention", "full_attention"]
    per_layer_inputs = {"vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8}
    settings: dict[str, dict[str, Any]] = {
        "cohere2": {"layer_types": mixed},
        "exaone4": {"layer_types": mixed},
        "gemma2": {},
        "gemma3_text": {"layer_types": mixed},
        "gemma4_text": per_layer_inputs
        | {
            "layer_types": mixed,
            "num_kv_shared_layers": 1,
            "global_head_dim": 8,
            "num_global_key_value_heads": 2,
        },
        "gpt_oss": EXPERTS | {"layer_types": mixed, "rope_parameters": {"rope_type": "default"}},
        "mistral": {},
        "olmo3": {"layer_types": mixed},
        "phi3": {},
        "qwen2": {"use_sliding_window": True, "max_window_layers": 1},
        "starcoder2": {},
    }
    return {
        name: partial(_of_type, name, sliding_window=8, **own) for name, own in settings.items()
    }


def _types_with_a_state() -> dict[str, Callable[[], PreTrainedModel]]:
    """Models of which some layers keep one state of all tokens: recurrent or convolutional."""
    delta = {
        "layer_types": ["linear_attention", "linear_attention", "full_attention"],
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
    }
    conv = {"layer_types": ["conv", "full_attention", "conv"]}
    mamba = {
        "mamba_d_state": 8,
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
        "mamba_n_groups": 1,
        "mamba_chunk_size": 16,
    }
    settings: dict[str, dict[str, Any]] = {
        "falcon_h1": mamba | {"mamba_d_ssm": 64},
        "granitemoehybrid": mamba
        | EXPERTS
        | {"layer_types": ["mamba", "attention", "mamba"], "shared_intermediate_size": 48},
        "jamba": {
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
        },
        "lfm2": conv,
        "lfm2_moe": conv | EXPERTS | {"num_dense_layers": 1},
        "nemotron_h": EXPERTS
        | {
            "layers_block_type": ["mamba", "attention", "moe"],
            "ssm_state_size": 8,
            "mamba_num_heads": 4,
            "mamba_head_dim": 16,
            "n_groups": 1,
            "chunk_size": 16,
            "moe_shared_expert_intermediate_size": 16,
            "n_group": 1,
            "topk_group": 1,
        },
        "olmo_hybrid": delta,
        "qwen3_5_moe_text": delta | EXPERTS | {"shared_expert_intermediate_size": 16},
        "qwen3_5_text": delta,
        "qwen3_next": delta | EXPERTS | {"shared_expert_intermediate_size": 16},
    }
    return {name: partial(_of_type, name, **own) for name, own in settings.items()}


def _encoder_decoders() -> dict[str, Callable[[], PreTrainedModel]]:
    """Each with the ids of special tokens of its tokenizer, as in the released models."""
    t5: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "d_model": WIDTH,
        "d_kv": WIDTH // 4,
        "d_ff": 48,
        "num_layers": LAYERS,
        "num_heads": 4,
        "dropout_rate": 0.0,
        "decoder_start_token_id": 0,
    }
    bart: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "d_model": WIDTH,
        "encoder_layers": 2,
        "decoder_layers": LAYERS,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "max_position_embeddings": CONTEXT,
        "dropout": 0.0,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    }
    pegasus = bart | {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    decoder = SIZES | {
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention", "full_attention"],
    }
    encoder = decoder | {
        "num_hidden_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    sight = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 28,
        "patch_size": 14,
    }
    settings: dict[str, dict[str, Any]] = {
        "bart": bart,
        "led": bart
        | {
            "attention_window": 4,
            "max_encoder_position_embeddings": 2 * CONTEXT,
            "max_decoder_position_embeddings": CONTEXT,
        },
        "longt5": t5 | {"local_radius": 4},
        "mt5": t5,
        "pegasus": pegasus,
        "t5": t5,
        "t5gemma": {"encoder": encoder, "decoder": decoder, "vocab_size": VOCABULARY},
        "t5gemma2": {
            "encoder": {"text_config": encoder, "vision_config": sight},
            "decoder": decoder,
        },
        "umt5": t5,
    }
    return {name: partial(_encoder_decoder, name, own) for name, own in settings.items()}


def _encoder_decoder(model_type: str, settings: dict[str, Any]) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForSeq2SeqLM.from_config(
        AutoConfig.for_model(model_type, **settings)
    )
    if model_type == "bart":
        model.generation_config.forced_bos_token_id = 0
        model.generation_config.forced_eos_token_id = None
    return model


FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": _llama,
    "qwen3": _qwen3,
    "opt": _opt,
    "opt-pre-norm": _opt_pre_norm,
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
}
# types with nothing that the others lack, each written apart in transformers
PLAIN = {
    name: partial(_of_type, name, **own)
    for name, own in {
        "apertus": {},
        "arcee": {},
        "bitnet": {},
        "ernie4_5": {},
        "glm4": {},
        "granite": {"residual_multiplier": 0.22},
        "helium": {},
        "hunyuan_v1_dense": {},
        "ministral3": {},
        "olmo2": {},
        "phi": {"num_key_value_heads": 4},
        "seed_oss": {"attention_dropout": 0.0, "residual_dropout": 0.0},
        "smollm3": {},
        "stablelm": {},
    }.items()
}
# mixtures of experts: with shared experts, with dense layers before them, with neither
MIXTURES = {
    name: partial(_of_type, name, **EXPERTS | own)
    for name, own in {
        "deepseek_v3": {
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 8,
            "v_head_dim": 8,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "num_key_value_heads": 4,
        },
        "glm4_moe": {"first_k_dense_replace": 1, "n_group": 1, "topk_group": 1},
        "granitemoeshared": {"residual_multiplier": 0.22, "shared_intermediate_size": 16},
        "mixtral": {"sliding_window": None},
        "qwen2_moe": {"shared_expert_intermediate_size": 16},
        "qwen3_moe": {},
    }.items()
}
WINDOWED = _types_with_a_window()
HYBRIDS = _types_with_a_state()
ENCODER_DECODERS = _encoder_decoders()
# without attention: one state of all tokens in every layer, and no positions
RECURRENT = {
    "mamba": partial(_of_type, "mamba", state_size=8),
    "mamba2": partial(_of_type, "mamba2", state_size=8, num_heads=8, n_groups=1, chunk_size=16),
}
VISION: dict[str, dict[str, Any]] = {
    "gemma3": {
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 14,
    },
    "gemma4": {
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 8,
        "patch_size": 4,
    },
    "qwen3_5": {
        "depth": 2,
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_heads": 4,
        "out_hidden_size": WIDTH,
        "num_position_embeddings": 16,
    },
}


def tiny_model(family: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A random model without dropout, the same at every call, in evaluation mode.

    Weights are larger than at initialisation, so that tokens differ clearly in probability.
    """
    torch.manual_seed(0)
    model = (FAMILIES | PLAIN | MIXTURES | WINDOWED | HYBRIDS | RECURRENT | ENCODER_DECODERS)[
        family
    ]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return model.to(dtype).eval()


def tiny_composite(family: str) -> PreTrainedModel:
    """A random image-text model as it is published: a decoder beside a vision tower."""
    text = tiny_model(f"{family}_text").config.to_dict()
    config = AutoConfig.for_model(family, text_config=text, vision_config=VISION[family])
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return model.eval()


def tiny_classifier(
    family: str, labels: int, dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """A random model with a head over labels, the same at every call, in evaluation mode.

    It takes token 0 for padding.
    """
    config = tiny_model(family).config
    config.num_labels, config.pad_token_id = labels, 0
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(config).to(dtype).eval()


def save_tiny_model(family: str, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """A tiny model in a folder, as the `models` stage leaves it. Returns its manifest."""
    return save_model(tiny_model(family), tokenizer, folder)


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """The model in a folder, as the `models` stage leaves it. Returns its manifest."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    files = sorted({*folder.glob("[!.]*")} - {folder / "manifest.json"})
    manifest, decoder = folder / "manifest.json", model.config.get_text_config(decoder=True)
    write_json(
        manifest,
        {
            "source": "tiny",
            "revision": None,
            "dtype": "float32",
            "architecture": "encoder-decoder" if model.config.is_encoder_decoder else "causal",
            "quantization": None,
            "parameters": model.num_parameters(),
            "layers": decoder.num_hidden_layers,
            "width": decoder.hidden_size,
            "vocabulary": decoder.vocab_size,
            "vocabulary_sha256": vocabulary_sha256(tokenizer),
            "context_length": CONTEXT,
            "chat_template_sha256": "0" * 64,
            "files": {path.name: sha256_of(path) for path in files},
        },
    )
    return manifest


def save_random_qwen3(folder: Path, context: int) -> None:
    """A random Qwen3 of two layers with its chat template, the same at every call.

    context: tokens that it can read.
    """
    tokenizer = build_tokenizer(QWEN3_TEMPLATE)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=context,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_random_opt(folder: Path, width: int, projection: int, context: int) -> None:
    """A random OPT of two layers without a chat template, the same at every call.

    projection: width of the embeddings; where it is not `width` the model has projections between
    the two, as OPT-350M has. context: tokens that it can read.
    """
    tokenizer = build_tokenizer(None)
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        word_embed_proj_dim=projection,
        ffn_dim=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=context,
        dropout=0.0,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    OPTForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a random Qwen3 of two layers.")
    parser.add_argument("folder", type=Path)
    save_random_qwen3(parser.parse_args().folder, context=8192)


if __name__ == "__main__":
    main()
