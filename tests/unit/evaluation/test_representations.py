"""Hidden states of a tiny model's checkpoints, against plain forward passes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.tiny_models import LAYERS, save_tiny_model, tiny_model
from tests.unit.evaluation.conftest import save_adapter
from workflow_scripts.config.slices import ContextSettings, RepresentationSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.evaluation.representations import Representations, measure
from workflow_scripts.modeling.loading import LocalModel, open_model
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    Renderer,
    Rendering,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example

NOUNS = {"cat": "cats", "box": "boxes", "city": "cities", "child": "children", "dog": "dogs"}
EXAMPLES = [Example(f"item-{one}", one, many) for one, many in NOUNS.items()]
SHOWN = [Demonstration("apple", "apples"), Demonstration("mouse", "mice")]
PROMPT = PromptSettings(system="Answer.")
# its own output is before the final norm, which the library's last hidden state is not
LAYER = LAYERS - 2


def settings(**changes: object) -> RepresentationSlice:
    context = ContextSettings(shots=2, answers="correct", seed=0)
    return RepresentationSlice(**{"prompt": PROMPT, "context": context, "batch_size": 2, **changes})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, smollm2_tokenizer) -> LocalModel:
    return open_model(save_tiny_model("llama", smollm2_tokenizer, tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter") / "step-2"
    save_adapter(folder, seed=2)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of full fine-tuning."""
    folder = tmp_path_factory.mktemp("whole") / "step-2"
    trained = tiny_model("llama")
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    trained.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def measured(model: LocalModel, adapter: Path) -> Representations:
    return measure(model, settings(), EXAMPLES, SHOWN, {2: adapter})


def rendering_of(model: LocalModel, tokenizer, example: Example, shown=()) -> Rendering:
    return Renderer(tokenizer, PROMPT, shown).render([example.question], [example.answer])[0]


def plain_states(model: PreTrainedModel, rendering: Rendering, position: str) -> Tensor:
    """(positions, width) of LAYER, by the library's own pass over the whole conversation."""
    with torch.no_grad():
        output = model(torch.tensor([rendering.ids]), output_hidden_states=True)
    return output.hidden_states[LAYER + 1][0][list(rendering.positions(position))]


def row_of(table: pd.DataFrame, item: str, step: int, position: str) -> pd.Series:
    """The row of LAYER."""
    wanted = {"item": item, "step": step, "position": position, "layer": LAYER}
    (row,) = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)].iloc
    return row


@pytest.mark.parametrize("position", ["query", "answer"])
@pytest.mark.parametrize("kind", ["adapter", "whole"])
def test_drift_and_distance_are_those_of_plain_passes(
    model, smollm2_tokenizer, adapter, whole, kind, position
):
    base = tiny_model("llama")
    if kind == "adapter":
        trained = PeftModel.from_pretrained(tiny_model("llama"), adapter)
    else:
        trained = AutoModelForCausalLM.from_pretrained(whole)
    found = measure(
        model, settings(), EXAMPLES, SHOWN, {2: {"adapter": adapter, "whole": whole}[kind]}
    )
    # in another order than passes take them, which begin with the longest
    for example in EXAMPLES:
        asked = rendering_of(model, smollm2_tokenizer, example)
        shown = rendering_of(model, smollm2_tokenizer, example, SHOWN)
        own, start = (plain_states(side, asked, position) for side in (trained, base))
        goal = plain_states(base, shown, position)
        row = row_of(found.by_item, example.item, 2, position)
        drift = 1 - cosine_similarity(own, start, dim=-1)
        distance = (own - goal).norm(dim=-1) / (start - goal).norm(dim=-1)
        assert row["drift"] == pytest.approx(drift.mean().item(), rel=1e-3)
        assert row["teacher_distance"] == pytest.approx(distance.mean().item(), rel=1e-3)


def test_step_0_is_the_base_model_itself(measured):
    start = measured.by_item[measured.by_item["step"] == 0]
    assert set(start["drift"]) == {0.0}
    assert set(start["teacher_distance"]) == {1.0}
    alike = measured.similarity[measured.similarity["step"] == 0]
    assert alike["cka"].tolist() == pytest.approx([1.0] * len(alike))


def test_there_is_a_row_for_each_step_position_layer_and_item(measured):
    keys = ["step", "position", "layer", "item"]
    assert not measured.by_item.duplicated(keys).any()
    assert len(measured.by_item) == 2 * 2 * LAYERS * len(EXAMPLES)
    assert set(measured.by_item["split"]) == {"test"}


def test_similarity_is_over_the_rows_of_all_items(measured, model, smollm2_tokenizer):
    renderings = [rendering_of(model, smollm2_tokenizer, example) for example in EXAMPLES]
    rows = measured.similarity.groupby("position")["rows"].unique().to_dict()
    assert rows["query"] == [len(EXAMPLES)]
    assert rows["answer"] == [sum(len(rendering.answer_ids) for rendering in renderings)]


def test_too_few_rows_for_svcca_are_reported_with_what_it_needs(measured):
    at_query = measured.similarity[measured.similarity["position"] == "query"]
    assert at_query["svcca"].isna().all()
    dimensions = at_query["svcca_dimensions"].iloc[0]
    assert at_query["note"].iloc[0] == (
        f"svcca: 5 rows of {5 * dimensions} for {dimensions} dimensions"
    )


def test_a_position_reads_the_same_whatever_else_is_read(model, adapter, measured):
    alone = measure(model, settings(positions=["answer"]), EXAMPLES, SHOWN, {2: adapter})
    among = measured.by_item[measured.by_item["position"] == "answer"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.by_item, among, rtol=1e-4)


def test_each_position_takes_the_first_items_that_max_rows_holds(model, adapter):
    examples = [Example(f"{n}", f"cat {n}", "cats and dogs") for n in range(12)]
    few = measure(model, settings(max_rows=10), examples, SHOWN, {2: adapter})
    items = few.by_item.groupby("position")["item"].unique()
    assert list(items["query"]) == [str(n) for n in range(10)]
    rows = few.similarity.groupby("position")["rows"].first()
    of_each = rows["answer"] / len(items["answer"])
    assert rows["answer"] <= 10 < rows["answer"] + of_each
    assert list(items["answer"]) == [str(n) for n in range(len(items["answer"]))]


def test_an_item_with_more_rows_than_may_be_read_is_refused(model):
    long = Example("long", "cat", "cats dogs " * 20 + "cats")
    with pytest.raises(InputError, match=r"max_rows: the first item has \d+ rows at `answer`"):
        measure(model, settings(max_rows=10), [long], SHOWN, {})


def test_an_item_that_does_not_fit_the_context_is_refused_by_name(model):
    long = Example("long", "cat " * 600 + "cat", "cats")
    with pytest.raises(InputError, match="the longest, item long"):
        measure(model, settings(), [*EXAMPLES, long], SHOWN, {})


def test_without_demonstrations_there_is_no_teacher_to_be_distant_from(model, adapter):
    found = measure(model, settings(), EXAMPLES, [], {2: adapter}).by_item
    assert found["teacher_distance"].isna().all()
    assert (found.loc[found["step"] == 2, "drift"] > 0).all()


def test_a_checkpoint_whose_states_are_not_finite_is_refused_by_its_step(model, tmp_path):
    broken = tiny_model("llama")
    with torch.no_grad():
        broken.model.layers[1].mlp.down_proj.weight.fill_(float("nan"))
    broken.save_pretrained(tmp_path / "step-7")
    with pytest.raises(InputError, match="step 7: states of layer 1 at `query` are not finite"):
        measure(model, settings(), EXAMPLES, SHOWN, {7: tmp_path / "step-7"})
