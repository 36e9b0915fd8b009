from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from workflow_scripts.config.tasks import EncoderSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.bert_score import bert_scores

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "the",
    "dog",
    "cat",
    "runs",
    "sleeps",
    "over",
    "field",
    "green",
    "old",
    "house",
]
TEXTS = ["a dog runs", "the old cat sleeps over a green field", "cat", "a dog runs", "", "house"]
REFERENCES = [
    ("the dog runs", "a cat sleeps over the old house"),
    ("the cat sleeps",),
    ("the old green house", "a dog"),
    ("the cat sleeps",),
    ("a dog",),
    ("house",),
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers that knows a few words."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=12,
    ).save_pretrained(folder)
    return folder


def settings_of(folder: Path, layer: int | None = None) -> EncoderSettings:
    return EncoderSettings(source=str(folder), layer=layer)


def test_the_same_text_scores_1_and_an_empty_one_0(encoder: Path) -> None:
    scores = bert_scores(TEXTS, REFERENCES, settings_of(encoder))
    assert scores[-1] == (pytest.approx(1), pytest.approx(1))
    assert scores[4] == (0, 0)


def test_scores_do_not_depend_on_what_else_is_scored(encoder: Path) -> None:
    together = bert_scores(TEXTS, REFERENCES, settings_of(encoder))
    alone = [
        bert_scores([text], [own], settings_of(encoder))[0]
        for text, own in zip(TEXTS, REFERENCES, strict=True)
    ]
    assert [value for pair in together for value in pair] == pytest.approx(
        [value for pair in alone for value in pair], abs=1e-5
    )


def test_another_layer_scores_otherwise(encoder: Path) -> None:
    first, last = (bert_scores(TEXTS, REFERENCES, settings_of(encoder, n)) for n in (1, 2))
    assert first[1] != pytest.approx(last[1], abs=1e-5)
    assert last == bert_scores(TEXTS, REFERENCES, settings_of(encoder))


def test_a_text_longer_than_the_encoder_reads_is_cut(encoder: Path) -> None:
    ten, many = "dog " * 9 + "dog", "dog " * 10 + "house"
    assert bert_scores([many], [(ten,)], settings_of(encoder))[0][0] == pytest.approx(1)


def test_a_layer_that_the_encoder_does_not_have_is_refused(encoder: Path) -> None:
    with pytest.raises(InputError, match=r"scoring\.encoder\.layer: 3, but .* has 2 layers"):
        bert_scores(TEXTS, REFERENCES, settings_of(encoder, 3))


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scoring\.encoder\.source: .* it has no config\.json"):
        bert_scores(TEXTS, REFERENCES, settings_of(tmp_path))


def test_pickled_weights_are_refused(encoder: Path, tmp_path: Path) -> None:
    for file in encoder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"scoring\.encoder\.source: .* weights are pickled"):
        bert_scores(TEXTS, REFERENCES, settings_of(tmp_path))


def test_offline_a_model_of_the_hub_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    settings = EncoderSettings(source="hub:nobody/no-encoder", revision="abc")
    with pytest.raises(InputError, match=r"scoring\.encoder\.source: .*hub") as refused:
        bert_scores(TEXTS, REFERENCES, settings)
    assert "\n" not in str(refused.value)
