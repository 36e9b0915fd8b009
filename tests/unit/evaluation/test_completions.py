"""Completions of several checkpoints in one go, and the losses of a choice task's labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy, log_softmax

from tests.tiny_classifiers import save_classifier
from tests.tiny_models import save_tiny_model, tiny_model
from workflow_scripts.config.slices import CompletionSlice, ContextSettings, EngineSettings
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.engines.journal import AnswerJournal
from workflow_scripts.engines.journaled_engine import JournaledEngine
from workflow_scripts.engines.protocol import Completion, Sampling
from workflow_scripts.evaluation import completions
from workflow_scripts.evaluation.completions import (
    Completed,
    complete,
    complete_splits,
    render_items,
)
from workflow_scripts.modeling.loading import LocalModel, open_model
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    EncoderDecoderRenderer,
    Renderer,
    Rendering,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.tasks.examples import Example

LABELS = ("cats", "mice", "apples")
SPLITS = {
    "validation": [Example("a", "cat", "cats")],
    "test": [Example("b", "mouse", "mice"), Example("c", "apple", "apples")],
}


def slice_of(labels: tuple[str, ...] | None) -> CompletionSlice:
    return CompletionSlice(
        prompt=PromptSettings(),
        generation=GenerationSettings(max_new_tokens=3),
        labels=labels,
        context=ContextSettings(shots=0, answers="correct", seed=0),
        engine=EngineSettings(kind="transformers", batch_size=2, server=None),
    )


@pytest.fixture
def model(tmp_path: Path, smollm2_tokenizer) -> LocalModel:
    return open_model(save_tiny_model("llama", smollm2_tokenizer, tmp_path / "tiny"))


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """Folder of a random adapter that changes what the model says."""
    model = get_peft_model(
        tiny_model("llama"), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    model.save_pretrained(tmp_path / "step-10")
    return tmp_path / "step-10"


class RecordingEngine:
    """Answers with the checkpoint's name, so that a row shows which one made it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        self.calls.append("generate")
        for index, (_, name) in enumerate(zip(prompts, checkpoints, strict=True)):
            yield index, Completion(str(name), True)

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        self.calls.append("token_losses")
        pairs = enumerate(zip(renderings, checkpoints, strict=True))
        for index, (rendering, _) in reversed(list(pairs)):
            yield index, [float(place) for place in range(len(rendering.answer_ids))]


def journaled(engine: RecordingEngine, folder: Path) -> JournaledEngine:
    names = {None: "base", "step-2": "2", "step-10": "10"}
    return JournaledEngine(engine, AnswerJournal(folder / "answers.jsonl"), names)


def test_an_encoder_decoder_answers_after_demonstrations_and_scores_every_label(
    tmp_path: Path, t5_tokenizer
):
    manifest = save_tiny_model("t5", t5_tokenizer, tmp_path / "t5")
    # float64: padding changes nothing that can be seen
    write_json(manifest, read_json(manifest) | {"dtype": "float64"})
    model = tiny_model("t5", torch.float64)
    shown = [Demonstration("box", "boxes")]
    table = complete_splits(
        open_model(manifest), slice_of(LABELS), SPLITS, tmp_path, demonstrations=shown
    ).table
    assert list(table["item"]) == ["a", "b", "c"]
    renderings = EncoderDecoderRenderer(t5_tokenizer, PromptSettings(), shown).render(
        ["mouse"] * 3, LABELS
    )
    row = table.set_index("item").loc["b"]
    for rendering, nats in zip(renderings, row["choice_losses"], strict=True):
        answer = torch.tensor(rendering.answer_ids)
        with torch.no_grad():
            output = model(torch.tensor([rendering.prompt_ids]), labels=answer[None])
        losses = cross_entropy(output.logits[0], answer, reduction="none")
        assert nats == pytest.approx(float(losses[:-1].sum()), rel=1e-5)


def test_every_step_completes_every_item_in_one_batch_stream(base_tokenizer, tmp_path: Path):
    engine = RecordingEngine()
    items = render_items(Renderer(base_tokenizer, PromptSettings()), SPLITS, None)
    steps = {2: "step-2", 10: "step-10"}
    table = complete(journaled(engine, tmp_path), items, slice_of(None), steps)
    assert table[["split", "item", "step", "completion"]].to_numpy().tolist() == [
        [split, item, step, f"step-{step}"]
        for step in (2, 10)
        for split, item in (("validation", "a"), ("test", "b"), ("test", "c"))
    ]
    assert engine.calls == ["generate", "token_losses"]


def test_the_answer_loss_is_the_mean_over_its_tokens(base_tokenizer, tmp_path: Path):
    items = render_items(Renderer(base_tokenizer, PromptSettings()), SPLITS, None)
    table = complete(journaled(RecordingEngine(), tmp_path), items, slice_of(None), {0: None})
    lengths = [len(item.renderings[0].answer_ids) for item in items]
    assert table["answer_loss"].tolist() == [(length - 1) / 2 for length in lengths]
    assert "choice_losses" not in table


def test_a_label_s_loss_is_the_sum_without_the_end_token(base_tokenizer, tmp_path: Path):
    items = render_items(Renderer(base_tokenizer, PromptSettings()), SPLITS, LABELS)
    table = complete(journaled(RecordingEngine(), tmp_path), items, slice_of(LABELS), {0: None})
    lengths = [[len(r.answer_ids) - 1 for r in item.renderings] for item in items]
    assert table["choice_losses"].tolist() == [[sum(range(n)) for n in row] for row in lengths]


def test_label_and_answer_losses_equal_the_full_logits(
    model: LocalModel, tmp_path, smollm2_tokenizer
):
    table = complete_splits(model, slice_of(LABELS), SPLITS, tmp_path).table
    weights = tiny_model("llama")
    renderer = Renderer(smollm2_tokenizer, PromptSettings())
    for row, example in zip(
        table.itertuples(), [*SPLITS["validation"], *SPLITS["test"]], strict=True
    ):
        by_hand = []
        for label in LABELS:
            (rendering,) = renderer.render([example.question], [label])
            with torch.no_grad():
                logits = weights(torch.tensor([rendering.ids])).logits[0]
            nats = -log_softmax(logits, dim=-1)
            places = range(rendering.prompt + 1, len(rendering.ids))
            by_hand.append([nats[place - 1, rendering.ids[place]].item() for place in places])
        assert row.choice_losses == pytest.approx([sum(nats[:-1]) for nats in by_hand], rel=1e-5)
        own = by_hand[LABELS.index(example.answer)]
        assert row.answer_loss == pytest.approx(sum(own) / len(own), rel=1e-5)


def test_a_checkpoint_s_losses_are_its_own(
    model: LocalModel, adapter: Path, tmp_path, smollm2_tokenizer
):
    completed = complete_splits(model, slice_of(None), SPLITS, tmp_path, checkpoints={10: adapter})
    table = completed.table
    weights = PeftModel.from_pretrained(tiny_model("llama"), adapter).eval()
    (rendering,) = Renderer(smollm2_tokenizer, PromptSettings()).render(["cat"], ["cats"])
    labels = torch.full((1, len(rendering.ids)), -100)
    labels[0, rendering.prompt + 1 :] = torch.tensor(rendering.answer_ids)
    with torch.no_grad():
        loss = weights(torch.tensor([rendering.ids]), labels=labels).loss.item()
    assert table["step"].unique().tolist() == [10]
    assert table["answer_loss"][0] == pytest.approx(loss, rel=1e-5)


def test_without_checkpoints_the_base_model_is_step_0(model: LocalModel, tmp_path):
    table = complete_splits(model, slice_of(None), SPLITS, tmp_path).table
    assert table["step"].tolist() == [0, 0, 0]


def test_demonstrations_stand_before_every_question(model: LocalModel, tmp_path):
    shown = [Demonstration("dog", "dogs")]
    alone = complete_splits(model, slice_of(None), SPLITS, tmp_path)
    after = complete_splits(model, slice_of(None), SPLITS, tmp_path, demonstrations=shown)
    assert (alone.table["answer_loss"] != after.table["answer_loss"]).all()


# --- classification heads -----------------------------------------------------------------


@pytest.fixture
def classifiers(model: LocalModel, tmp_path: Path) -> dict[int, Path]:
    """Checkpoints of steps 2 and 10, each with a head over the labels."""
    folders = {step: tmp_path / f"step-{step}" for step in (2, 10)}
    for step, folder in folders.items():
        save_classifier(model, LoraSettings(rank=4), len(LABELS), folder, seed=step)
    return folders


def classified(model: LocalModel, checkpoints: dict[int, Path], scratch: Path) -> Completed:
    return complete_splits(model, slice_of(LABELS), SPLITS, scratch, checkpoints=checkpoints)


def test_a_head_answers_with_its_likeliest_label(model, classifiers, tmp_path):
    for row in classified(model, classifiers, tmp_path).table.itertuples():
        assert row.completion == LABELS[int(np.argmin(row.choice_losses))]


def test_a_head_s_losses_are_those_of_the_labels_after_the_prompt(
    model, classifiers, tmp_path, smollm2_tokenizer
):
    table = classified(model, classifiers, tmp_path).table
    student = save_classifier(model, LoraSettings(rank=4), len(LABELS), tmp_path / "again", seed=10)
    (rendering,) = Renderer(smollm2_tokenizer, PromptSettings()).render(["mouse"], ["mice"])
    with torch.no_grad():
        logits = student(input_ids=torch.tensor([rendering.prompt_ids])).logits[0]
    nats = (-log_softmax(logits, dim=-1)).tolist()
    row = table[(table["step"] == 10) & (table["item"] == "b")].iloc[0]
    assert row["choice_losses"] == pytest.approx(nats, rel=1e-4)
    assert row["answer_loss"] == pytest.approx(nats[LABELS.index("mice")], rel=1e-4)


def test_heads_fill_the_same_columns_in_the_same_order(model, classifiers, tmp_path):
    completed = classified(model, classifiers, tmp_path)
    base = complete_splits(model, slice_of(LABELS), SPLITS, tmp_path).table
    assert completed.table.columns.tolist() == base.columns.tolist()
    assert completed.table[["split", "item", "step"]].to_numpy().tolist() == [
        [split, item, step]
        for step in (2, 10)
        for split, item in (("validation", "a"), ("test", "b"), ("test", "c"))
    ]
    assert completed.answers == 6


def test_a_head_for_other_labels_is_refused(model, classifiers, tmp_path):
    with pytest.raises(InputError, match="head has 3 labels and the task 2"):
        complete_splits(
            model,
            slice_of(("cats", "mice")),
            {"test": SPLITS["test"][:1]},
            tmp_path,
            checkpoints=classifiers,
        )


# --- what answering costs -----------------------------------------------------------------


def test_answers_are_counted_and_cost_time_and_memory(model: LocalModel, tmp_path):
    inference = complete_splits(model, slice_of(None), SPLITS, tmp_path).inference
    assert inference["answers"] == 3
    assert inference["wall_seconds"] > 0
    assert inference["peak_rss_mb"] >= inference["mean_rss_mb"] > 0


def test_a_job_that_finds_its_answers_has_none_to_count(model: LocalModel, tmp_path):
    complete_splits(model, slice_of(None), SPLITS, tmp_path)
    assert complete_splits(model, slice_of(None), SPLITS, tmp_path).answers == 0


# --- files and refusals -------------------------------------------------------------------


def test_choice_losses_survive_their_file_and_join_those_of_other_steps(
    base_tokenizer, tmp_path: Path
):
    items = render_items(Renderer(base_tokenizer, PromptSettings()), SPLITS, LABELS)
    table = complete(
        journaled(RecordingEngine(), tmp_path), items, slice_of(LABELS), {0: None, 2: "step-2"}
    )
    table.to_parquet(tmp_path / "completions.parquet")
    read = pd.read_parquet(tmp_path / "completions.parquet")
    assert [list(row) for row in read["choice_losses"]] == table["choice_losses"].tolist()


@pytest.mark.parametrize("labels", [("1", "12"), ("12", "1")])
def test_labels_of_which_one_begins_another_are_refused_naming_the_item(
    base_tokenizer, labels: tuple[str, ...]
):
    splits = {"test": [Example("b", "48/4 =", "12")]}
    reason = r"item b \(test\): the tokens of label '12' begin with all those of label '1'"
    with pytest.raises(InputError, match=reason):
        render_items(Renderer(base_tokenizer, PromptSettings()), splits, labels)


def test_a_column_of_the_item_stands_before_its_question(base_tokenizer):
    renderer = Renderer(base_tokenizer, PromptSettings())
    splits = {"test": [Example("b", "mouse", "mice", columns={"hint": "irregular"})]}
    (shown,), (bare,) = (
        render_items(renderer, splits, LABELS, column) for column in ("hint", None)
    )
    texts = [base_tokenizer.decode(item.renderings[0].prompt_ids) for item in (shown, bare)]
    assert texts[0].replace("irregular\n\n", "") == texts[1] != texts[0]


def test_an_item_without_an_answer_is_refused_by_name(base_tokenizer):
    splits = {"validation": [Example("b", "mouse", None)]}
    with pytest.raises(InputError, match=r"item b \(validation\): has no answer.*`reference`"):
        render_items(Renderer(base_tokenizer, PromptSettings()), splits, None)


def test_labels_that_do_not_begin_a_token_are_refused_naming_item_and_labels(base_tokenizer):
    prompt = PromptSettings(plain_question="Question: {question} ")
    with pytest.raises(
        InputError, match=r"item a \(validation\): .*does not begin a new token.*cats, mice, apples"
    ):
        render_items(Renderer(base_tokenizer, prompt), SPLITS, LABELS)


def test_ambiguous_labels_are_refused_before_weights_are_loaded(
    model: LocalModel, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(completions, "open_engine", None)
    splits = {"test": [Example("b", "48/4 =", "12")]}
    with pytest.raises(InputError, match="item b"):
        complete_splits(model, slice_of(("1", "12")), splits, tmp_path)


def test_an_item_that_does_not_fit_the_context_is_refused_by_name(model: LocalModel, tmp_path):
    splits = {"test": [Example("b", "cat " * 600, "cats")]}
    with pytest.raises(InputError, match=r"1 of 1 items exceed the context.*item b"):
        complete_splits(model, slice_of(None), splits, tmp_path)
