#!/usr/bin/env bash
# TRL 1.16.0: the loss of GKDTrainer jumps at `beta: 0` and `beta: 1`, so a sweep of beta that includes them also varies
# the scale of the loss, by two orders of magnitude here.
#
# Documented as forward KL at 0, reverse KL at 1 and an interpolation between. The generalised Jensen-Shannon divergence
# itself goes to 0 at both ends; divided by beta (or 1 - beta) it goes to the KL. The two ends are special cases that
# return the KL undivided. Beside another loss, under a norm of gradients or with SGD, `beta: 0.01` trains about
# a hundredth as much as `beta: 0`.
#
# Seen: beta 0: 0.47, beta 0.01: 0.0047, beta 0.5: 0.11, beta 0.99: 0.0046, beta 1: 0.47
#
# Exit status: 0 when it is as described, 1 when it is not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.19.0 trl==1.16.0
cd "$folder"
cat > losses.py <<'PYTHON'
import torch
from trl.experimental.gkd import GKDTrainer

generator = torch.Generator().manual_seed(0)
student, teacher = torch.randn(2, 1, 200, 50, generator=generator) * 0.7
losses = {
    beta: GKDTrainer.generalized_jsd_loss(student, teacher, beta=beta).item() / 200
    for beta in (0.0, 0.01, 0.5, 0.99, 1.0)
}
print(", ".join(f"beta {beta:g}: {loss:.2g}" for beta, loss in losses.items()))
jumps = (losses[0.0] / losses[0.01], losses[1.0] / losses[0.99])
raise SystemExit(0 if min(jumps) > 50 else 1)
PYTHON
TRL_EXPERIMENTAL_SILENCE=1 venv/bin/python losses.py
