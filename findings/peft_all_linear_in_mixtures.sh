#!/usr/bin/env bash
# PEFT: `target_modules="all-linear"` is another method in each mixture of experts.
#
# Versions: peft 0.21.2, transformers 5.19.0, torch 2.13.0 (CPU), Python 3.11.
#
# Expected: "all linear/Conv1D modules (if the model is a PreTrainedModel, the output layer
# excluded)" (LoraConfig), at rank r. In transformers 5 experts are fused parameters and routers
# are modules of their own, so: attention, shared experts and dense layers; no router, no expert.
#
# Seen, at r = 4, beside attention:
# - Qwen3-MoE: the fused experts too (gate and up projection at rank 2r), and the router.
# - gpt-oss: nothing; its experts and router are left alone.
# - DeepSeek-V3: the fused experts and the router; its shared experts and its dense first layer,
#   which are linear modules, are left out: names such as `gate_proj` are taken for those of experts
#   and moved from `target_modules` to `target_parameters`.
# So the same setting trains routers in one family and no feed-forward network in another. The only
# sign is a RuntimeWarning about `rank_pattern` in DeepSeek-V3's dense first layer.
#
# Documented? In part: huggingface/peft#3232 says that experts and routers, linear modules in
# transformers 4, shall stay targets. Nothing was found on shared experts and dense layers.
#
# Output: modules with an adapter beside attention
#   qwen3_moe    mlp.experts.base_layer (rank 8), mlp.experts (rank 4), mlp.gate (rank 4)
#   gpt_oss      nothing
#   deepseek_v3  mlp.experts.base_layer (rank 8), mlp.experts (rank 4), mlp.gate (rank 4)
#
# Exits with status 1 when the behaviour is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.19.0 peft==0.21.2

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

SIZE = dict(
    vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=4, head_dim=8, moe_intermediate_size=16,
    num_experts=4, num_local_experts=4, n_routed_experts=4, num_experts_per_tok=2,
)
OWN = {
    "qwen3_moe": {},
    "gpt_oss": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
    "deepseek_v3": dict(
        q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8,
        n_group=1, topk_group=1, first_k_dense_replace=1,
    ),
}
RANK = 4


def adapted(kind):
    """Ending of a module's name in a layer → rank of its adapter (of each expert, for experts)."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZE | OWN[kind]))
    lora = LoraConfig(r=RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    found = {}
    for name, weight in get_peft_model(model, lora).named_parameters():
        if ".lora_A." in name:
            module = name.partition(".layers.")[2].partition(".")[2].partition(".lora_A")[0]
            found[module] = weight.shape[0] // (4 if "experts" in module.split(".") else 1)
    return found


# in a mixture that PEFT knows, `mlp.experts.base_layer` is the fused gate and up projection
found = {kind: {m: r for m, r in adapted(kind).items() if not m.startswith("self_attn")} for kind in OWN}
for kind, modules in found.items():
    print(f"  {kind:12}", ", ".join(f"{module} (rank {rank})" for module, rank in modules.items()) or "nothing")
sys.exit(
    found
    != {
        "qwen3_moe": {"mlp.experts.base_layer": 8, "mlp.experts": 4, "mlp.gate": 4},
        "gpt_oss": {},
        "deepseek_v3": {"mlp.experts.base_layer": 8, "mlp.experts": 4, "mlp.gate": 4},
    }
)
PYTHON
