"""What of a student is trained, that it changes nothing before, and what a checkpoint holds."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
)

from tests.tiny_models import (
    EXPERTS,
    FAMILIES,
    HYBRIDS,
    LAYERS,
    MIXTURES,
    PLAIN,
    VISION,
    WINDOWED,
    tiny_classifier,
    tiny_composite,
    tiny_model,
)
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.training.adapters import (
    multiply_in_models_dtype,
    save_checkpoint,
    student_of,
    trained_in_words,
)

MLP = {"gate_proj", "up_proj", "down_proj"}
PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj", *MLP}
FULL = FullSettings(kind="full")
BITFIT = BitFitSettings(kind="bitfit")
ATTENTION = LoraSettings(target_modules="attention")
# of Mosbach et al. 2023
LORA_OF_OPT = LoraSettings(rank=8, alpha=32, dropout=0.05, target_modules=("q_proj", "v_proj"))
# those of Llama and Qwen3 have no biases
BIASED = sorted(set(FAMILIES) - {"llama", "qwen3"})
HEAD = "score.weight"
IDS = torch.arange(12)[None]


@pytest.mark.parametrize("adapter", [LoraSettings(), FULL], ids=["lora", "full"])
def test_an_untrained_student_answers_as_the_model(adapter):
    before = tiny_model("qwen3")(IDS).logits
    after = student_of(adapter, tiny_model("qwen3"))(IDS).logits
    torch.testing.assert_close(after, before)


def test_all_linear_is_the_seven_projections_and_not_the_head():
    student = student_of(LoraSettings(), tiny_model("qwen3"))
    adapted = {name.split(".lora_")[0] for name, _ in student.named_parameters() if "lora_" in name}
    assert {name.rsplit(".", 1)[-1] for name in adapted} == PROJECTIONS


@pytest.mark.parametrize(
    ("family", "modules"),
    [
        ("llama", {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"}),
        ("gpt2", {"attn.c_attn", "attn.c_proj"}),
        ("gpt_neox", {"attention.query_key_value", "attention.dense"}),
        ("opt", {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"}),
    ],
)
def test_attention_is_its_projections_in_every_layer_of_any_family(family, modules, tmp_path):
    student = student_of(ATTENTION, tiny_model(family))
    adapted = {name for name, _ in student.named_parameters() if ".lora_A." in name}
    assert len(adapted) == LAYERS * len(modules)
    assert {".".join(name.split(".lora_")[0].split(".")[-2:]) for name in adapted} == modules
    save_checkpoint(ATTENTION, student, tmp_path, torch.float32)
    assert read_json(tmp_path / "adapter_config.json")["target_modules"] == sorted(modules)


# --- LoRA in bfloat16 on a GPU --------------------------------------------------------------


def gradients_of(family: str, in_bfloat16: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits of a bfloat16 student whose adapter is not zero, and its gradients by name."""
    student = student_of(LoraSettings(), tiny_model(family, torch.bfloat16))
    generator = torch.Generator().manual_seed(0)
    for name, weight in student.named_parameters():
        if ".lora_B." in name:
            weight.data.normal_(std=0.1, generator=generator)
    if in_bfloat16:
        multiply_in_models_dtype(student)
    logits = student(IDS).logits
    logits.float().logsumexp(-1).mean().backward()
    return logits, {n: w.grad for n, w in student.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "opt", "qwen3_moe", "lfm2"])
def test_factors_multiplied_in_bfloat16_lead_to_float32_gradients_within_its_rounding(family):
    logits, gradients = gradients_of(family, in_bfloat16=True)
    expected_logits, expected = gradients_of(family, in_bfloat16=False)
    assert logits.dtype == expected_logits.dtype
    assert (logits - expected_logits).norm() < 0.05 * expected_logits.norm()
    assert gradients.keys() == expected.keys()
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
    own, others = (
        torch.cat([g.flatten() for g in every.values()]) for every in (gradients, expected)
    )
    assert torch.cosine_similarity(own, others, dim=0) > 0.98


def test_no_projection_is_multiplied_in_float32():
    student = student_of(LoraSettings(), tiny_model("qwen3", torch.bfloat16))
    multiply_in_models_dtype(student)
    seen = []
    for name, module in student.named_modules():
        if ".lora_A." in name or ".lora_B." in name:
            module.register_forward_hook(lambda _, inputs, output: seen.extend([*inputs, output]))
    student(IDS)
    assert {tensor.dtype for tensor in seen} == {torch.bfloat16}


def test_on_a_cpu_the_factors_are_multiplied_in_float32():
    student = student_of(LoraSettings(), tiny_model("qwen3", torch.bfloat16))
    factors = [module for name, module in student.named_modules() if name.endswith(".default")]
    assert {type(factor) for factor in factors if hasattr(factor, "weight")} == {torch.nn.Linear}


def test_a_student_multiplied_in_bfloat16_has_the_same_checkpoint(tmp_path):
    student = student_of(ATTENTION, tiny_model("qwen3", torch.bfloat16))
    save_checkpoint(ATTENTION, student, tmp_path / "before", torch.bfloat16)
    multiply_in_models_dtype(student)
    save_checkpoint(ATTENTION, student, tmp_path / "after", torch.bfloat16)
    name = "adapter_model.safetensors"
    before, after = ((tmp_path / step / name).read_bytes() for step in ("before", "after"))
    assert before == after


# --- mixtures of experts ------------------------------------------------------------------

ATTENTION_OF = {
    "deepseek_v3": {"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"},
    "gpt_oss": {"q_proj", "k_proj", "v_proj", "o_proj"},
    "qwen2_moe": {"q_proj", "k_proj", "v_proj", "o_proj"},
    "qwen3_moe": {"q_proj", "k_proj", "v_proj", "o_proj"},
    "qwen3_next": {"q_proj", "k_proj", "v_proj", "o_proj"}
    | {"in_proj_qkvz", "in_proj_ba", "out_proj"},
}
EXPERTS_OF = {"mlp.experts"}
SHARED = {f"mlp.shared_expert.{name}_proj" for name in ("gate", "up", "down")}
BESIDE_EXPERTS = {
    "deepseek_v3": {name.replace("expert", "experts") for name in SHARED}
    | {f"mlp.{name}_proj" for name in ("gate", "up", "down")},
    "qwen2_moe": SHARED,
    "qwen3_next": SHARED,
}


@pytest.mark.parametrize("family", ATTENTION_OF)
def test_all_linear_of_a_mixture_is_every_map_but_routers(family):
    student = student_of(LoraSettings(rank=4), tiny_model(family))
    named = trained_in_words(LoraSettings(rank=4), student).partition(": ")[0]
    modules = set(named.removeprefix("LoRA of rank 4 on ").split(", "))
    mixed = {name for name in modules if name.split(".")[0] != "mlp"}
    assert {name.split(".")[-1] for name in mixed} == ATTENTION_OF[family]
    assert modules - mixed == EXPERTS_OF | BESIDE_EXPERTS.get(family, set())


@pytest.mark.parametrize("family", ["qwen3_moe", "gpt_oss", "deepseek_v3", "qwen3_next"])
def test_each_map_of_each_expert_has_the_stated_rank(family):
    student = student_of(LoraSettings(rank=4), tiny_model(family))
    rows = {
        weight.shape[0]
        for name, weight in student.named_parameters()
        if ".experts." in name and ".lora_A." in name
    }
    assert rows == {4 * EXPERTS["num_experts"]}


# PEFT adapts no output of their Mamba layers
NOT_ADAPTED = {"falcon_h1", "nemotron_h"}


@pytest.mark.parametrize(
    ("family", "adapter"),
    [
        *((family, ATTENTION) for family in ("gpt_oss", "deepseek_v3", "qwen3_next", "lfm2")),
        *(
            (family, LoraSettings())
            for family in (*FAMILIES, *PLAIN, *MIXTURES, *WINDOWED, *HYBRIDS)
            if family not in NOT_ADAPTED
        ),
    ],
)
def test_a_trained_adapter_answers_the_same_when_read_again(family, adapter, tmp_path):
    student = student_of(adapter, tiny_model(family))
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    untrained = student(IDS).logits.detach()
    student(input_ids=IDS, labels=IDS).loss.backward()
    # an expert that no token chose has no gradient
    named = {id(weight): name for name, weight in student.named_parameters()}
    unused = [named[id(weight)] for weight in trained if weight.grad is None]
    assert all(".experts." in name for name in unused)
    optimizer.step()
    save_checkpoint(adapter, student, tmp_path, torch.float32)
    again = PeftModel.from_pretrained(tiny_model(family), tmp_path)
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, student.eval()(IDS).logits)
    assert not torch.allclose(again(IDS).logits, untrained)


def test_dropout_on_experts_is_refused():
    with pytest.raises(InputError, match=r"no dropout for adapters of experts; set .*`dropout: 0`"):
        student_of(LoraSettings(dropout=0.1), tiny_model("qwen3_moe"))


def test_what_peft_cannot_adapt_is_refused_with_its_reason():
    with pytest.raises(InputError, match=r"PEFT refuses .*out_proj.*name other `target_modules`"):
        student_of(LoraSettings(), tiny_model("falcon_h1"))


def test_attention_without_projections_is_refused():
    with pytest.raises(InputError, match="no attention of nemotron_h models is known"):
        student_of(ATTENTION, tiny_model("nemotron_h"))


@pytest.mark.parametrize("family", VISION)
@pytest.mark.parametrize("modules", ["all-linear", "attention", ("q_proj", "up_proj")])
def test_a_vision_tower_is_never_adapted(family, modules):
    """Gemma 3's and Gemma 4's towers have modules of these names."""
    student = student_of(LoraSettings(target_modules=modules), tiny_composite(family))
    adapted = [name for name, _ in student.named_parameters() if ".lora_A." in name]
    assert adapted
    assert all(".language_model.layers." in name for name in adapted)


def test_the_head_can_be_named_beside_a_vision_tower():
    adapter = LoraSettings(target_modules=("lm_head", "q_proj"))
    student = student_of(adapter, tiny_composite("gemma3"))
    adapted = [name for name, _ in student.named_parameters() if ".lora_A." in name]
    assert "base_model.model.lm_head.lora_A.default.weight" in adapted


# --- names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "names", "reason"),
    [
        ("qwen3", ("q_proj", "qproj"), "no module is named `qproj`; it has down_proj"),
        ("opt", ("q_proj", "embed"), "no module is named `embed`; "),
        ("qwen3_moe", ("gate",), "`gate` is the router"),
        ("gpt_oss", ("router",), "`router` is the router"),
        ("jamba", ("q_proj", "feed_forward.router"), "`feed_forward.router` is the router"),
        ("qwen2_moe", ("shared_expert_gate",), "`shared_expert_gate` is the router"),
    ],
)
def test_a_name_of_nothing_or_of_a_router_is_refused(family, names, reason):
    """PEFT adapts what the other names match, and some routers."""
    with pytest.raises(InputError, match=f": {reason}.*; name other `target_modules`"):
        student_of(LoraSettings(target_modules=names), tiny_model(family))


@pytest.mark.parametrize("name", ["q_proj", "self_attn.q_proj", "layers.1.self_attn.q_proj"])
def test_a_name_may_begin_anywhere_in_the_path(name):
    student = student_of(LoraSettings(target_modules=(name,)), tiny_model("qwen3"))
    adapted = [name for name, _ in student.named_parameters() if ".lora_A." in name]
    assert len(adapted) == (1 if "layers" in name else LAYERS)


@pytest.mark.parametrize(
    ("family", "module", "adapted"),
    [("jamba", "router", False), ("gemma4_text", "per_layer_input_gate", True)],
)
def test_all_linear_tells_routers_from_other_gates(family, module, adapted):
    student = student_of(LoraSettings(), tiny_model(family))
    trained = {name for name, weight in student.named_parameters() if weight.requires_grad}
    assert any(f".{module}." in name for name in trained) == adapted


# --- every adapter ------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", [LoraSettings(), ATTENTION], ids=["all-linear", "attention"])
@pytest.mark.parametrize("family", FAMILIES)
def test_peft_adapts_every_family_without_a_warning(family, adapter, recwarn):
    """GPT-2 stores its projections transposed, which PEFT wants to be told."""
    student_of(adapter, tiny_model(family))
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize(
    ("family", "adapter", "told"),
    [
        ("gpt2", ATTENTION, "LoRA of rank 16 on attn.c_attn, attn.c_proj: 9,216 weights"),
        (
            "gpt_neox",
            LoraSettings(target_modules=("dense_h_to_4h",), rank=2),
            "LoRA of rank 2 on mlp.dense_h_to_4h: 480 weights",
        ),
        ("opt", BITFIT, "bias terms: 816 weights"),
        ("llama", FULL, "every weight: 36,064 weights"),
    ],
)
def test_what_is_trained_is_reported_with_its_size(family, adapter, told):
    assert trained_in_words(adapter, student_of(adapter, tiny_model(family))) == told


def test_named_modules_alone_are_adapted():
    student = student_of(LoraSettings(target_modules=("q_proj",)), tiny_model("qwen3"))
    trained = [name for name, p in student.named_parameters() if p.requires_grad]
    assert trained
    assert all("q_proj.lora_" in name for name in trained)


def test_full_fine_tuning_trains_every_weight():
    student = student_of(FULL, tiny_model("qwen3"))
    trained = [p for p in student.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == tiny_model("qwen3").num_parameters()


@pytest.mark.parametrize("adapter", [LoraSettings(), FULL], ids=["lora", "full"])
def test_what_is_trained_is_float32_in_a_bfloat16_model(adapter):
    student = student_of(adapter, tiny_model("qwen3", torch.bfloat16))
    dtypes = {p.dtype for p in student.parameters() if p.requires_grad}
    assert dtypes == {torch.float32}


@pytest.mark.parametrize("family", BIASED)
def test_bitfit_trains_the_biases_alone(family):
    student = student_of(BITFIT, tiny_model(family))
    trained = {name for name, p in student.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in student.named_parameters() if name.endswith("bias")}
    layer = [name for name in trained if ".1." in name]
    assert len(trained) >= LAYERS * len(layer) > 0


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@pytest.mark.parametrize("build", [tiny_model, lambda family: tiny_classifier(family, 2)])
def test_bitfit_of_a_model_without_biases_is_refused_naming_it(family, build):
    model = build(family)
    model.config.name_or_path = model.name_or_path = f"resources/models/{family}-1b"
    with pytest.raises(InputError) as caught:
        student_of(BITFIT, model)
    assert str(caught.value) == (
        f"{family}-1b: has no bias terms to train (BitFit); use adapter kind lora or full"
    )


@pytest.mark.parametrize("family", BIASED)
def test_the_biases_of_an_untrained_student_change_no_answer(family):
    before = tiny_model(family)(IDS).logits
    torch.testing.assert_close(student_of(BITFIT, tiny_model(family))(IDS).logits, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("adapter", [LORA_OF_OPT, BITFIT], ids=["lora", "bitfit"])
def test_a_classifiers_new_head_is_trained_in_float32(adapter, dtype):
    student = student_of(adapter, tiny_classifier("opt", 3, dtype))
    trained = {name: p for name, p in student.named_parameters() if p.requires_grad}
    assert any("score" in name for name in trained)
    assert {p.dtype for p in trained.values()} == {torch.float32}
    assert student(IDS).logits.dtype == torch.float32


@pytest.mark.parametrize("adapter", [LoraSettings(), BITFIT, FULL], ids=["lora", "bitfit", "full"])
@pytest.mark.parametrize("family", BIASED)
def test_an_untrained_classifier_answers_as_the_model(family, adapter):
    before = tiny_classifier(family, 3)(IDS).logits
    after = student_of(adapter, tiny_classifier(family, 3)).eval()(IDS).logits
    torch.testing.assert_close(after, before)


def test_a_classifiers_adapter_holds_its_head_and_says_so(tmp_path):
    student = student_of(LORA_OF_OPT, tiny_classifier("opt", 3, torch.bfloat16))
    save_checkpoint(LORA_OF_OPT, student, tmp_path, torch.bfloat16)
    assert read_json(tmp_path / "adapter_config.json")["task_type"] == "SEQ_CLS"
    stored = load_file(tmp_path / "adapter_model.safetensors")
    beside = {name for name in stored if "_proj.lora_" not in name}
    assert beside == {f"base_model.model.{HEAD}"}
    assert stored[f"base_model.model.{HEAD}"].dtype == torch.float32


def test_a_classifiers_adapter_is_read_by_peft(tmp_path):
    student = student_of(LORA_OF_OPT, tiny_classifier("opt", 3))
    nudge(student)
    save_checkpoint(LORA_OF_OPT, student, tmp_path, torch.float32)
    again = PeftModel.from_pretrained(tiny_classifier("opt", 3), tmp_path)
    torch.testing.assert_close(again(IDS).logits, student.eval()(IDS).logits)


@pytest.mark.parametrize(
    "build", [tiny_model, lambda *given: tiny_classifier(given[0], 3, given[1])]
)
def test_a_checkpoint_of_biases_holds_what_was_trained_in_float32(tmp_path, build):
    student = student_of(BITFIT, build("opt", torch.bfloat16))
    nudge(student)
    save_checkpoint(BITFIT, student, tmp_path, torch.bfloat16)
    assert [path.name for path in tmp_path.iterdir()] == ["biases.safetensors"]
    stored = load_file(tmp_path / "biases.safetensors")
    trained = {name: p for name, p in student.named_parameters() if p.requires_grad}
    assert stored.keys() == trained.keys()
    assert (HEAD in stored) == hasattr(student, "score")
    for name, weight in stored.items():
        assert torch.equal(weight, trained[name]), name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_classifier_is_read_by_transformers(family, tmp_path):
    student = student_of(FULL, tiny_classifier(family, 3, torch.bfloat16))
    nudge(student)
    save_checkpoint(FULL, student, tmp_path, torch.bfloat16)
    config = read_json(tmp_path / "config.json")
    assert config["architectures"][0].endswith("ForSequenceClassification")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype="auto")
    assert again.num_labels == 3
    for name, weight in again.named_parameters():
        assert torch.equal(weight, student.get_parameter(name).to(torch.bfloat16)), name


def nudge(student: torch.nn.Module) -> None:
    """Changes what is trained, by what bfloat16 does not hold."""
    with torch.no_grad():
        for weight in student.parameters():
            if weight.requires_grad:
                weight.add_(1e-3)


def test_an_adapters_config_names_its_modules_in_one_order(tmp_path):
    student = student_of(LoraSettings(), tiny_model("qwen3"))
    save_checkpoint(LoraSettings(), student, tmp_path, torch.float32)
    modules = read_json(tmp_path / "adapter_config.json")["target_modules"]
    assert modules == sorted(
        f"{'mlp' if name in MLP else 'self_attn'}.{name}" for name in PROJECTIONS
    )


@pytest.mark.parametrize("adapter", [LoraSettings(), ATTENTION], ids=["all-linear", "attention"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_checkpoint_is_read_by_peft(family, adapter, tmp_path):
    student = student_of(adapter, tiny_model(family))
    with torch.no_grad():
        for name, weight in student.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.1)
    save_checkpoint(adapter, student, tmp_path, torch.float32)
    again = PeftModel.from_pretrained(tiny_model(family), tmp_path)
    torch.testing.assert_close(again(IDS).logits, student.eval()(IDS).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_checkpoint_is_a_model_in_the_dtype_that_was_fetched(family, tmp_path):
    student = student_of(FULL, tiny_model(family, torch.bfloat16))
    nudge(student)
    save_checkpoint(FULL, student, tmp_path, torch.bfloat16)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert again.dtype == torch.bfloat16
    for name, weight in again.named_parameters():
        assert torch.equal(weight, student.get_parameter(name).to(torch.bfloat16)), name


def test_a_whole_checkpoint_says_its_dtype(tmp_path):
    student = student_of(FULL, tiny_model("qwen3", torch.bfloat16))
    save_checkpoint(FULL, student, tmp_path, torch.bfloat16)
    assert read_json(tmp_path / "config.json")["dtype"] == "bfloat16"


def test_saving_leaves_the_training_weights_alone(tmp_path):
    student = student_of(FULL, tiny_model("qwen3", torch.bfloat16))
    save_checkpoint(FULL, student, tmp_path, torch.bfloat16)
    assert {p.dtype for p in student.parameters()} == {torch.float32}


def test_tied_weights_are_stored_once(tmp_path):
    save_checkpoint(FULL, student_of(FULL, tiny_model("llama")), tmp_path, torch.bfloat16)
    stored = load_file(tmp_path / "model.safetensors")
    numbers = sum(weight.numel() for weight in stored.values())
    assert numbers == tiny_model("llama").num_parameters()
