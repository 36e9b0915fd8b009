from __future__ import annotations

import torch

from workflow_scripts.pretraining.kinds import decoder_batch, encoder_decoder_batch
from workflow_scripts.prompts.rendering import Rendering

LONG = Rendering(ids=(5, 6, 7, 8, 9, 1), question=0, query=1, prompt=3)
SHORT = Rendering(ids=(5, 6, 1), question=0, query=0, prompt=1)


def test_a_decoder_is_asked_for_the_answers_alone():
    batch = decoder_batch([LONG, SHORT])
    assert batch["labels"].tolist() == [
        [-100, -100, -100, -100, 9, 1],
        [-100, -100, 1, *[-100] * 3],
    ]
    assert batch["input_ids"][0].tolist() == [5, 6, 7, 8, 9, 1]


def test_an_encoder_reads_the_prompt_and_its_decoder_is_asked_for_the_answer():
    batch = encoder_decoder_batch([LONG, SHORT])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [5, 6, 0, 0]]
    assert batch["labels"].tolist() == [[9, 1], [1, -100]]


def test_padding_is_hidden():
    for batch in (decoder_batch([LONG, SHORT]), encoder_decoder_batch([LONG, SHORT])):
        lengths = batch["attention_mask"].sum(dim=1)
        assert torch.equal(lengths, (batch["input_ids"] != 0).sum(dim=1))
