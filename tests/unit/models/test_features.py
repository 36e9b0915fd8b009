"""What a study asks of a model that lacks it, found when the model is fetched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.chat_templates import chat_tokenizer
from tests.tiny_models import tiny_model
from workflow_scripts.config.models import ModelSource
from workflow_scripts.models.features import fetched_manifest, refuse_features
from workflow_scripts.models.sources import fetch
from workflow_scripts.runtime.errors import InputError

ASKED = {"system": "tasks.plural.prompt.system", "unanswered": "teachers.questions.answers"}


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose template takes neither a system turn nor two user turns in a row."""
    folder = tmp_path_factory.mktemp("sources") / "gemma"
    tiny_model("llama").save_pretrained(folder)
    chat_tokenizer("gemma2").save_pretrained(folder)
    return folder


def source_of(folder: Path) -> ModelSource:
    return ModelSource(source=str(folder), dtype="float32")


@pytest.mark.parametrize("feature", ASKED)
def test_a_template_that_cannot_show_what_is_asked_is_refused_at_the_fetch(
    gemma: Path, tmp_path: Path, feature: str
) -> None:
    with pytest.raises(InputError) as error:
        fetch(source_of(gemma), tmp_path / "gemma", {feature: ASKED[feature]})
    assert str(error.value).startswith(f"{ASKED[feature]}: does not fit model gemma: the chat")
    assert not (tmp_path / "gemma").exists()


def test_what_is_not_asked_does_not_matter(gemma: Path, tmp_path: Path) -> None:
    fetch(source_of(gemma), tmp_path / "gemma", {"demonstrations": "shots"})
    assert (tmp_path / "gemma" / "manifest.json").is_file()


def test_a_later_study_is_refused_by_what_the_fetch_wrote_down(gemma: Path, tmp_path: Path) -> None:
    fetch(source_of(gemma), tmp_path / "gemma")
    known = fetched_manifest(tmp_path / "gemma" / "manifest.json", source_of(gemma))
    assert list(known["refused_features"]) == list(ASKED)
    with pytest.raises(InputError, match="System role not supported"):
        refuse_features("gemma", known, ASKED)


def test_a_manifest_of_another_source_says_nothing(gemma: Path, tmp_path: Path) -> None:
    fetch(source_of(gemma), tmp_path / "gemma")
    manifest = tmp_path / "gemma" / "manifest.json"
    assert fetched_manifest(manifest, source_of(tmp_path)) == {}
    assert fetched_manifest(tmp_path / "other" / "manifest.json", source_of(gemma)) == {}


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_a_damaged_manifest_counts_as_none_when_the_study_is_planned(
    gemma: Path, tmp_path: Path, content: str
) -> None:
    fetch(source_of(gemma), tmp_path / "gemma")
    manifest = tmp_path / "gemma" / "manifest.json"
    manifest.write_text(content)
    assert fetched_manifest(manifest, source_of(gemma)) == {}


def test_a_template_without_a_conversation_names_the_model(gemma: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(gemma, tmp_path / "broken")
    (broken / "chat_template.jinja").write_text("{{ 'hello' }}")
    with pytest.raises(InputError, match=r"broken: the chat template does not show what the user"):
        fetch(source_of(broken), tmp_path / "fetched")


def test_a_damaged_template_is_reported_in_one_line(gemma: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(gemma, tmp_path / "broken")
    (broken / "chat_template.jinja").write_text("{% for m in messages %}")
    with pytest.raises(InputError, match="the chat template refuses the conversation") as error:
        fetch(source_of(broken), tmp_path / "fetched")
    assert len(str(error.value).splitlines()) == 1


def test_a_base_model_shows_everything(gemma: Path, tmp_path: Path) -> None:
    plain = shutil.copytree(gemma, tmp_path / "plain")
    (plain / "chat_template.jinja").unlink()
    fetch(source_of(plain), tmp_path / "fetched", ASKED)
    assert (
        json.loads((tmp_path / "fetched" / "manifest.json").read_text())["refused_features"] == {}
    )


def test_a_head_that_transformers_lacks_is_refused_at_the_fetch(
    gemma: Path, tmp_path: Path
) -> None:
    granite = shutil.copytree(gemma, tmp_path / "granite")
    tiny_model("granite").save_pretrained(granite)
    asked = {"classification": "conditions.vanilla.head"}
    with pytest.raises(InputError) as refused:
        fetch(source_of(granite), tmp_path / "fetched", asked)
    assert str(refused.value) == (
        "conditions.vanilla.head: does not fit model fetched: transformers has no classification "
        "head for granite models; name other `models` for the condition, or use the language head"
    )


LORA = "training.adapter.target_modules"


@pytest.fixture
def qwen3_moe(gemma: Path, tmp_path: Path) -> Path:
    """A random mixture of experts, and the manifest that its fetch wrote."""
    folder = shutil.copytree(gemma, tmp_path / "qwen3-moe")
    tiny_model("qwen3_moe").save_pretrained(folder)
    fetch(source_of(folder), tmp_path / "moe")
    return folder


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("qproj", "no module is named `qproj`; it has embed_tokens, k_proj"),
        ("gate", "`gate` is the router of a mixture of experts, which is never adapted"),
        ("mlp.gate", "`mlp.gate` is the router of a mixture"),
    ],
)
def test_lora_on_a_name_of_nothing_or_of_a_router_is_refused_at_the_fetch_and_later(
    qwen3_moe: Path, tmp_path: Path, module: str, reason: str
) -> None:
    asked = {"LoRA module q_proj": LORA, f"LoRA module {module}": LORA}
    known = fetched_manifest(tmp_path / "moe" / "manifest.json", source_of(qwen3_moe))
    for refuse in (
        lambda: fetch(source_of(qwen3_moe), tmp_path / "again", asked),
        lambda: refuse_features("again", known, asked),
    ):
        with pytest.raises(InputError) as refused:
            refuse()
        assert str(refused.value).startswith(f"{LORA}: does not fit model again: {reason}")
        assert str(refused.value).endswith("; name other `target_modules`")


@pytest.mark.parametrize("module", ["q_proj", "self_attn.q_proj", "layers.1.self_attn.q_proj"])
def test_lora_on_a_module_that_there_is_is_planned(
    qwen3_moe: Path, tmp_path: Path, module: str
) -> None:
    known = fetched_manifest(tmp_path / "moe" / "manifest.json", source_of(qwen3_moe))
    refuse_features("moe", known, {f"LoRA module {module}": LORA})


def test_lora_that_peft_refuses_is_refused_at_the_fetch(gemma: Path, tmp_path: Path) -> None:
    hybrid = shutil.copytree(gemma, tmp_path / "hybrid")
    tiny_model("falcon_h1").save_pretrained(hybrid)
    with pytest.raises(InputError, match=rf"{LORA}: does not fit model fetched: PEFT refuses"):
        fetch(source_of(hybrid), tmp_path / "fetched", {"LoRA all-linear": LORA})


def test_training_a_quantized_model_is_refused_with_what_to_do_instead() -> None:
    manifest = {"refused_features": {"training": "its weights are quantized (bitnet)"}}
    with pytest.raises(InputError, match=r"^conditions\.sft: .* this one can teach$"):
        refuse_features("bitnet", manifest, {"training": "conditions.sft"})
