#!/usr/bin/env bash
# transformers: padding between a cached prefix and a shorter suffix uses up a sliding window.
#
# Versions: transformers 5.19.0, torch 2.13.0 (CPU), Python 3.11.
#
# Expected: `generate(past_key_values=prefix_cache, attention_mask=…)` gives every prompt of a batch
# the answer that it gets alone. The mask hides the padding, and positions are counted by the mask.
#
# Seen: with sliding-window layers, answers behind padding change silently. The window's mask
# (masking_utils.sliding_window_overlay: `kv_idx > q_idx - sliding_window`) counts columns of the
# cache, and columns of padding are among them, so a padded row sees fewer tokens. The same prompts
# padded on the left as a whole are answered right, as are models without a window.
#
# Documented? The guide (docs/source/en/kv_cache.md, "Re-use Cache to continue generation") reuses a
# prefix for one prompt at a time. Neither it nor a warning says that a batch with padding behind the
# prefix is unsupported; the warning of `generate` about padding is about padding at the right end.
#
# Output:
#   no window, padding behind the prefix:  0 of 8 answers differ
#   window 8, padding behind the prefix:   7 of 8 answers differ
#   window 8, padding before everything:   0 of 8 answers differ
#
# Exits with status 1 when the behaviour is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.19.0

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
from transformers import DynamicCache, MistralConfig, MistralForCausalLM

PREFIX, NEW = 60, 12
generator = torch.Generator().manual_seed(0)
prefix = torch.randint(5, 400, (1, PREFIX), generator=generator)
suffixes = [torch.randint(5, 400, (1, n), generator=generator) for n in (1, 12, 3, 20, 7, 9, 5, 16)]
longest = max(suffix.shape[1] for suffix in suffixes)


def padded(ids, length):
    """Token ids and mask, padded on the left."""
    return tuple(
        torch.nn.functional.pad(x, (length - ids.shape[1], 0)) for x in (ids, torch.ones_like(ids))
    )


def answers(model, ids, mask, cache=None):
    new = model.generate(
        input_ids=ids, attention_mask=mask, past_key_values=cache, max_new_tokens=NEW,
        do_sample=False, pad_token_id=0, eos_token_id=None,
    )
    return new[:, ids.shape[1] :]


def different(window, reuse):
    torch.manual_seed(0)
    model = MistralForCausalLM(
        MistralConfig(
            vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=2, initializer_range=0.2,
            sliding_window=window,
        )
    ).eval()
    prompts = [torch.cat([prefix, suffix], dim=1) for suffix in suffixes]
    alone = torch.cat([answers(model, ids, torch.ones_like(ids)) for ids in prompts])
    if reuse:
        with torch.no_grad():
            cache = model(prefix, past_key_values=DynamicCache(), use_cache=True).past_key_values
        cache.batch_repeat_interleave(len(suffixes))
        ids, mask = map(torch.cat, zip(*(padded(suffix, longest) for suffix in suffixes)))
        mask = torch.cat([mask.new_ones(len(suffixes), PREFIX), mask], dim=1)
        batched = answers(model, ids, mask, cache)
    else:
        batched = answers(
            model, *map(torch.cat, zip(*(padded(ids, PREFIX + longest) for ids in prompts)))
        )
    return (alone != batched).any(dim=1).sum().item()


found = [different(None, True), different(8, True), different(8, False)]
for case, count in zip(
    (
        "no window, padding behind the prefix: ",
        "window 8, padding behind the prefix:  ",
        "window 8, padding before everything:  ",
    ),
    found,
):
    print(f"{case} {count} of {len(suffixes)} answers differ")
sys.exit(not (found[0] == found[2] == 0 < found[1]))
PYTHON
