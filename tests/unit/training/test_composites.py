"""Image-text models as they are published: fetched, taught, trained and evaluated by their text
part.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import CONTEXT, LAYERS, VISION, VOCABULARY, WIDTH, tiny_composite
from tests.unit.training.conftest import LORA, PROMPT, TERMS, run_slice, write_target
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.protocol import in_order
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.modeling.loading import load_tokenizer, load_weights, open_model
from workflow_scripts.models.sources import fetch
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.teachers.targets import teacher_target_name
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState
from workflow_scripts.training.targets import open_targets

LOGITS = (TERMS[0], TERMS[2])


@pytest.fixture(scope="module", params=VISION)
def manifest(
    request, tmp_path_factory: pytest.TempPathFactory, smollm2_tokenizer: PreTrainedTokenizerBase
) -> Path:
    source = tmp_path_factory.mktemp("sources") / request.param
    tiny_composite(request.param).save_pretrained(source)
    smollm2_tokenizer.save_pretrained(source)
    folder = tmp_path_factory.mktemp("models") / request.param
    fetch(ModelSource(source=str(source), dtype="float32"), folder)
    return folder / "manifest.json"


def test_a_manifest_describes_the_text_part(manifest):
    model = open_model(manifest)
    described = (model.layers, model.width, model.vocabulary, model.context_length)
    assert described == (LAYERS, WIDTH, VOCABULARY, CONTEXT)


def test_padding_changes_no_logits(manifest):
    model = load_weights(open_model(manifest), "cpu")
    alone = torch.tensor([[5, 6, 7, 8]])
    padded = torch.tensor([[2, 2, 2, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15]])
    seen = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [1] * 7])
    with torch.no_grad():
        expected = model(input_ids=alone).logits[0]
        found = model(input_ids=padded, attention_mask=seen).logits[0, 3:]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_student_learns_from_logits_and_answers_as_its_checkpoint_alone(
    manifest, examples, tmp_path
):
    model = open_model(manifest)
    settings = run_slice(terms=LOGITS, steps=2, checkpoints=(2,))
    (read,) = settings.phases[0].reads
    target = write_target(tmp_path / teacher_target_name(read), manifest, examples, read)
    targets = open_targets(settings, manifest, [target], [manifest])
    state = ResumeState.open(tmp_path / ".resume", settings.model_dump_json())
    train_run(settings, model, [examples], targets, state, tmp_path)
    checkpoint = tmp_path / "checkpoints/step-2"

    renderer = Renderer(load_tokenizer(model), PROMPT)
    renderings = renderer.render([e.question for e in examples], [e.answer for e in examples])
    prompts = [rendering.prompt_ids for rendering in renderings]
    generation = GenerationSettings(max_new_tokens=4)
    answers = {}
    for batch_size in (1, 4):
        engine = TransformersEngine(model, batch_size, {"trained": checkpoint})
        answers[batch_size] = (
            in_order(engine.generate(prompts, generation, ["trained"] * len(prompts))),
            in_order(engine.token_losses(renderings, ["trained"] * len(prompts))),
            in_order(engine.token_losses(renderings, [None] * len(prompts))),
        )
    texts, losses, base = answers[4]
    assert texts == answers[1][0]

    alone = PeftModel.from_pretrained(load_weights(model, "cpu"), checkpoint).eval()
    for rendering, nats, before in zip(renderings, losses, base, strict=True):
        ids = torch.tensor([rendering.ids])
        with torch.no_grad():
            logits = alone(input_ids=ids).logits[0, rendering.prompt : -1]
        expected = torch.nn.functional.cross_entropy(
            logits, torch.tensor(rendering.answer_ids), reduction="none"
        )
        assert nats == pytest.approx(expected.tolist(), rel=1e-4)
        assert nats != pytest.approx(before, rel=1e-4)
    adapted = [name for name, _ in alone.named_parameters() if ".lora_A." in name]
    assert LORA.target_modules == "all-linear"
    assert adapted
    assert not any("vision" in name or "visual" in name for name in adapted)
