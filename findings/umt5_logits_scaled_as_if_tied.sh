#!/usr/bin/env bash
# transformers 5: the logits of every umT5 are scaled as if its head were tied to its embeddings.
#
# Versions: transformers 5.19.0, torch 2.13.0 (CPU), Python 3.11.
#
# Expected: T5 scales the decoder's states by d_model^-0.5 before a head that is tied to the
# embeddings, and not before a head of its own. Released umT5 checkpoints have a head of their own
# (`lm_head.weight` beside `shared.weight`), as mT5 has, so their logits are unscaled.
#
# Seen: the head of its own is loaded, with no warning, but its logits are smaller by d_model^-0.5
# (0.125 at a width of 64; 0.044 at umt5-small's 512), so the probabilities are almost uniform.
# `UMT5Config` sets `tie_word_embeddings = True` whatever config.json says, and
# `UMT5ForConditionalGeneration.forward` scales where that is True. Greedy answers are right: a
# factor changes no argmax. T5 and mT5 with a head of their own are right.
#
# Way out: after loading, `model.config.tie_word_embeddings = False`.
#
# Documented? Not in the page of umT5, and no issue was found.
#
# Output: logits / (head of the model · last states of its decoder)
#   t5     1.000
#   mt5    1.000
#   umt5   0.125
#
# Exits with status 1 when the behaviour is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.19.0

"$folder/venv/bin/python" - <<'PYTHON'
import sys
import tempfile

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM
from transformers.utils import logging

logging.set_verbosity_error()
SIZE = dict(vocab_size=400, d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4)
ids, answer = torch.randint(5, 400, (2, 9)), torch.randint(5, 400, (2, 4))


@torch.no_grad()
def ratio(kind):
    """Logits / what the head makes of the decoder's last states, of a model with an untied head."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SIZE, tie_word_embeddings=False)
    model = AutoModelForSeq2SeqLM.from_config(config)
    model.lm_head.weight = torch.nn.Parameter(torch.randn(400, 64))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)
    assert not torch.equal(loaded.lm_head.weight, loaded.get_input_embeddings().weight)
    output = loaded(input_ids=ids, decoder_input_ids=answer, output_hidden_states=True)
    expected = output.decoder_hidden_states[-1] @ loaded.lm_head.weight.T
    return (output.logits.norm() / expected.norm()).item()


ratios = {kind: ratio(kind) for kind in ("t5", "mt5", "umt5")}
for kind, value in ratios.items():
    print(f"  {kind:6} {value:.3f}")
sys.exit([round(value, 3) for value in ratios.values()] != [1, 1, 0.125])
PYTHON
